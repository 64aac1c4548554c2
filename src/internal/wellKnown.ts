import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as ConfigurationError from "../ConfigurationError.ts"

type Respond = Effect.Effect<HttpServerResponse.HttpServerResponse>

/** The documents of one well-known name on one router, by the path of the resource they are about. */
type Documents = Map<string, Respond>

/**
 * A root request can only be answered for a resource with a path while that resource is the only one, which no single
 * Layer knows: they meet in the router they are built into.
 */
const routers = new WeakMap<HttpLayerRouter.HttpRouter, Map<string, Documents>>()

const documentsOf = (router: HttpLayerRouter.HttpRouter, name: string): Documents => {
  const names = routers.get(router) ?? new Map<string, Documents>()
  routers.set(router, names)
  const documents = names.get(name) ?? new Map<string, Respond>()
  names.set(name, documents)
  return documents
}

/**
 * Serves a document at `/.well-known/{name}{pathname}`, to any origin, for GET and HEAD; and at `/.well-known/{name}`
 * as long as it is the only document of that name.
 */
export const serve = (options: { readonly name: string; readonly pathname: string; readonly respond: Respond }) =>
  Effect.gen(function* () {
    const router = yield* HttpLayerRouter.HttpRouter
    const { name, pathname, respond } = options
    const root = `/.well-known/${name}` as const
    const documents = documentsOf(router, name)
    if (documents.has(pathname)) {
      return yield* ConfigurationError.make("path", pathname, `two resources on one router share ${root}${pathname}`)
    }
    const first = documents.size === 0
    documents.set(pathname, respond)
    const atRoot = Effect.suspend(
      () => documents.get("") ?? (documents.size === 1 ? onlyOf(documents) : Effect.succeed(notFound))
    )
    const add = Effect.gen(function* () {
      if (first) yield* router.add("*", root, ({ method }) => answer(method, atRoot))
      if (pathname !== "") yield* router.add("*", `${root}${pathname}`, ({ method }) => answer(method, respond))
    })
    // A router wraps a route in the middleware of the context it is added from. Clients discover the authorization
    // server here because they have no token yet: never behind a BearerAuth that stands around this Layer.
    yield* Effect.mapInputContext(add, (_context: Context.Context<never>) => Context.empty())
  })

const onlyOf = (documents: Documents): Respond => {
  const [respond] = documents.values()
  return respond ?? Effect.succeed(notFound)
}

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
