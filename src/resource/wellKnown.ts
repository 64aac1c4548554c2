/**
 * Serves documents at well-known URLs, one for each resource of a router, to any origin.
 */
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as ConfigurationError from "../ConfigurationError.ts"

type Respond = Effect.Effect<HttpServerResponse.HttpServerResponse>

/** A document. Two documents with the same `about` are the same, because several Layers may serve one document. */
interface Document {
  readonly about: string
  readonly respond: Respond
}

/** The documents of one well-known name, by the path that follows the name. */
type Documents = Map<`/${string}` | "", Document>

/**
 * The documents of each router. A prefixed router is another object with the same `asHttpEffect`, and shares the documents of
 * the router that was prefixed.
 */
const routers = new WeakMap<HttpLayerRouter.HttpRouter["asHttpEffect"], Map<string, Documents>>()

/**
 * Serves a document at `/.well-known/{name}{pathname}`, to any origin, for GET and HEAD, and also at `/.well-known/{name}` if
 * it is the only document of that name.
 *
 * The document is never behind a middleware of the Layer that serves it, and never below the prefix of a router. Serving the
 * same document again changes nothing. Fails with `ConfigurationError` for another document at the same URL. A route of the
 * app at that URL is used instead.
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
      const reason = `is the path of another resource on this router: both need /.well-known/${name}${options.pathname}`
      return yield* ConfigurationError.make("path", options.pathname, reason)
    }
    documents.set(pathname, { about, respond })
    // The router calls the middleware after all Layers are built, when all routes of the app are known.
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

/** Routers ignore a slash at the end of a path. */
export const withoutTrailingSlash = (pathname: string) => pathname.replace(/\/$/, "") as `/${string}` | ""

/** The document of a resource without a path, or the only document. */
const atRoot = (documents: Documents): Respond => {
  const only = documents.size === 1 ? [...documents.values()][0] : undefined
  return (documents.get("") ?? only)?.respond ?? Effect.succeed(notFound)
}

/** Adds a route, unless there is one already: that of the app, or the same route that was added before. */
const addRoute = (router: HttpLayerRouter.HttpRouter, path: `/${string}`, respond: Respond): void => {
  const route = HttpLayerRouter.route("*", path, ({ method }) => answer(method, respond))
  // Runs without the context of the Layer, because the middleware in that context is for other routes.
  const added = Effect.runSyncExit(router.addAll(unprefixed([route])))
  if (Exit.isFailure(added) && !Option.exists(Cause.dieOption(added.cause), isDeclaredTwice)) {
    throw Cause.squash(added.cause)
  }
}

/** Whether a router died because it has a route with the same method and path. */
export const isDeclaredTwice = (defect: unknown): boolean =>
  defect instanceof Error && /already declared for route/.test(defect.message)

/** Routes that a prefixed router adds without its prefix: it calls `map` on them, which returns them unchanged. */
const unprefixed = <A>(routes: ReadonlyArray<A>): ReadonlyArray<A> => Object.assign([...routes], { map: () => routes })

const cors = { "access-control-allow-origin": "*" }

const notFound = HttpServerResponse.empty({ status: 404, headers: cors })

const preflight = HttpServerResponse.empty({
  status: 204,
  headers: {
    ...cors,
    "access-control-allow-methods": "GET, HEAD, OPTIONS",
    // MCP clients send it with every request, so that browsers send a preflight request even before a GET.
    "access-control-allow-headers": "MCP-Protocol-Version",
    "access-control-max-age": "86400"
  }
})

const methodNotAllowed = HttpServerResponse.empty({ status: 405, headers: { ...cors, allow: "GET, HEAD, OPTIONS" } })

/** The answer of a well-known URL to a method: the document for GET and HEAD, to any origin. */
export const answer = (method: string, respond: Respond): Respond => {
  if (method === "OPTIONS") return Effect.succeed(preflight)
  if (method !== "GET" && method !== "HEAD") return Effect.succeed(methodNotAllowed)
  return Effect.map(respond, (response) => HttpServerResponse.setHeaders(response, cors))
}

/** A JSON document that may be cached for an hour. */
export const document = (body: unknown): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.unsafeJson(body, { headers: { "cache-control": "public, max-age=3600" } })
