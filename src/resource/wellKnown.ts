/**
 * Documents at well-known URLs: one for each resource of a router, to any origin.
 */
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as ConfigurationError from "../ConfigurationError.ts"

type Respond = Effect.Effect<HttpServerResponse.HttpServerResponse>

/** A document, and what it is about: the same document may be served by several Layers. */
interface Document {
  readonly about: string
  readonly respond: Respond
}

/** The documents of one well-known name, by the paths that stand behind that name. */
type Documents = Map<`/${string}` | "", Document>

/**
 * The documents of each router. A router of a prefix is another object with the same `asHttpEffect`: its documents stand
 * beside those of the router that was prefixed.
 */
const routers = new WeakMap<HttpLayerRouter.HttpRouter["asHttpEffect"], Map<string, Documents>>()

/**
 * Serves a document at `/.well-known/{name}{pathname}`, to any origin, for GET and HEAD; and at `/.well-known/{name}`
 * as long as it is the only document of that name.
 *
 * Never behind a middleware of its own Layer, and never below the prefix of a router. The same document a second time changes
 * nothing. Another one at the same place is a `ConfigurationError`. A route that the app has there itself is used
 * instead.
 */
export const serve = (options: {
  readonly name: string
  readonly pathname: string
  readonly about: string
  readonly respond: Respond
}): Effect.Effect<void, ConfigurationError.ConfigurationError, HttpLayerRouter.HttpRouter> =>
  Effect.gen(function* () {
    const router = yield* HttpLayerRouter.HttpRouter
    const { about, name, respond } = options
    const documents = documentsOf(router, name)
    const pathname = withoutTrailingSlash(options.pathname)
    const known = documents.get(pathname)
    if (known?.about === about) return
    if (known !== undefined) {
      const reason = `two resources on one router share /.well-known/${name}${options.pathname}`
      return yield* ConfigurationError.make("path", options.pathname, reason)
    }
    documents.set(pathname, { about, respond })
    // The router calls the middleware when all Layers are built. Only then is it known which routes the app has itself.
    yield* router.addGlobalMiddleware((handler) => {
      addRoute(router, `/.well-known/${name}${pathname}`, respond)
      addRoute(router, `/.well-known/${name}`, atRoot(documents))
      return handler
    })
  })

const documentsOf = (router: HttpLayerRouter.HttpRouter, name: string): Documents => {
  const names = routers.get(router.asHttpEffect) ?? new Map<string, Documents>()
  routers.set(router.asHttpEffect, names)
  const documents = names.get(name) ?? new Map()
  names.set(name, documents)
  return documents
}

/** Routers compare paths without a slash at the end. */
const withoutTrailingSlash = (pathname: string) => pathname.replace(/\/$/, "") as `/${string}` | ""

/** The document of a resource without a path, or the only one that there is. */
const atRoot = (documents: Documents): Respond => {
  const only = documents.size === 1 ? [...documents.values()][0] : undefined
  return (documents.get("") ?? only)?.respond ?? Effect.succeed(notFound)
}

/** Adds a route, unless there is one: then the app answers there itself, or the route was added before. */
const addRoute = (router: HttpLayerRouter.HttpRouter, path: `/${string}`, respond: Respond): void => {
  const route = HttpLayerRouter.route("*", path, ({ method }) => answer(method, respond))
  // Run by itself, without the context of a Layer: the middleware in it is for other routes.
  const added = Effect.runSyncExit(router.addAll(unprefixed([route])))
  if (Exit.isFailure(added) && !Option.exists(Cause.dieOption(added.cause), isDeclaredTwice)) {
    throw Cause.squash(added.cause)
  }
}

/** What a router says to a second route with the same method and path. */
export const isDeclaredTwice = (defect: unknown): boolean =>
  defect instanceof Error && /already declared for route/.test(defect.message)

/** Routes that a router of a prefix adds as they are: it maps the routes that it is given, and these map to themselves. */
const unprefixed = <A>(routes: ReadonlyArray<A>): ReadonlyArray<A> => Object.assign([...routes], { map: () => routes })

const cors = { "access-control-allow-origin": "*" }

const notFound = HttpServerResponse.empty({ status: 404, headers: cors })

const preflight = HttpServerResponse.empty({
  status: 204,
  headers: {
    ...cors,
    "access-control-allow-methods": "GET, HEAD, OPTIONS",
    // MCP clients send it with every request, which makes even a GET one that browsers ask about first.
    "access-control-allow-headers": "MCP-Protocol-Version",
    "access-control-max-age": "86400"
  }
})

const methodNotAllowed = HttpServerResponse.empty({ status: 405, headers: { ...cors, allow: "GET, HEAD, OPTIONS" } })

/** What a well-known URL says to a method: the document for GET and HEAD, to any origin. */
export const answer = (method: string, respond: Respond): Respond => {
  if (method === "OPTIONS") return Effect.succeed(preflight)
  if (method !== "GET" && method !== "HEAD") return Effect.succeed(methodNotAllowed)
  return Effect.map(respond, (response) => HttpServerResponse.setHeaders(response, cors))
}

/** A document that anyone may keep for an hour. */
export const document = (body: unknown): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.unsafeJson(body, { headers: { "cache-control": "public, max-age=3600" } })
