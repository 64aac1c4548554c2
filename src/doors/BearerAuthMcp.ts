/**
 * MCP servers of `@effect/ai` behind bearer tokens, at the resource's own path.
 */
import * as McpSchema from "@effect/ai/McpSchema"
import * as McpServer from "@effect/ai/McpServer"
import type * as Tool from "@effect/ai/Tool"
import type * as Toolkit from "@effect/ai/Toolkit"
import * as HttpBody from "@effect/platform/HttpBody"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as AccessToken from "../token/AccessToken.ts"
import * as authenticator from "./authenticator.ts"
import * as Challenge from "./Challenge.ts"
import type * as ConfigurationError from "../ConfigurationError.ts"
import * as adding from "./boundRoute.ts"
import * as boundedBody from "./boundedBody.ts"
import * as messages from "./mcpMessages.ts"
import * as operations from "./mcpOperations.ts"
import * as mcpRegistry from "./mcpRegistry.ts"
import * as read from "../options.ts"
import { incoming, isPreflight } from "./request.ts"
import { respond } from "./response.ts"
import * as ProtectedResource from "../resource/ProtectedResource.ts"
import { covers } from "../resource/ScopeHierarchy.ts"
import type { ScopeMissing } from "../TokenError.ts"
import type { TokenVerifier } from "../token/TokenVerifier.ts"

/**
 * The scopes that a tool needs besides those that the resource requires: `tool.annotate(BearerAuthMcp.Scopes, ["notes:admin"])`.
 *
 * Only `BearerAuthMcp.toolkit` reads it. A tool of `McpServer.toolkit` fails the build.
 */
export class Scopes extends Context.Tag("effect-resource-server/BearerAuthMcp/Scopes")<
  Scopes,
  readonly [string, ...Array<string>]
>() {}

/** An MCP server at the path of its resource. */
export interface Options {
  readonly name: string
  readonly version: string
  /** Default: the path of `ProtectedResource`. */
  readonly path?: `/${string}` | undefined
  /**
   * Lists leave out tools, prompts and resources whose scopes the token lacks. Default: they do not, because a client asks
   * for more scopes only when it is refused, and calls only what it has seen.
   */
  readonly hideForbidden?: boolean | undefined
  /** The most bytes of a request's body; more are answered 413. Default: 1 MiB. */
  readonly maxBodyBytes?: number | undefined
}

/**
 * `McpServer.layerHttpRouter` at the resource's own path, protected: its tools, prompts and resources can read `AccessToken`.
 *
 * Operations with scopes of their own (`Scopes`, `layerScopes`) are refused to tokens without them, before anything of the
 * request runs: HTTP 403 with one challenge for all that the request needs, a batch's together. What a request needs is read
 * from its body, and from no header. A 401 names the resource's own scopes only, because it does not wait for the body. Not
 * checked: the scopes of what a handler does in turn (`AccessToken.requireScopes`).
 *
 * A body of more than `maxBodyBytes` is answered 413, a batch of more than 100 messages 400, before anything runs. Unknown
 * methods are answered with the JSON-RPC error -32601, notifications with 202. GET and DELETE are answered 405: the server
 * keeps no sessions and opens no streams of its own. CORS preflights get an empty 204; the headers of CORS are left to
 * `HttpLayerRouter.cors`.
 *
 * All MCP servers of one build share one registry of tools, which belongs to one resource. To serve two resources from one
 * process, wrap each whole server in `Layer.fresh`. Fails with `ConfigurationError` if the registry belongs to another
 * resource, or has a tool that `toolkit` of this module did not register. Later registrations of that kind fail the build too.
 * Not checked: that no `McpServer.layerHttpRouter` serves the same registry to anyone.
 */
export const layerHttpRouter = (
  options: Options
): Layer.Layer<
  McpServer.McpServer | McpSchema.McpServerClient | AccessToken.AccessToken,
  ConfigurationError.ConfigurationError,
  ProtectedResource.ProtectedResource | TokenVerifier | HttpLayerRouter.HttpRouter
> =>
  // Not fresh: `McpServer.toolkit` and its like find the server's registry by the memoization of one shared Layer.
  Layer.unwrapEffect(
    Effect.gen(function* () {
      const resource = yield* ProtectedResource.ProtectedResource
      const path = yield* pathOf(options, resource)
      return Layer.mergeAll(
        McpServer.layerHttpRouter({ ...options, path }),
        methodNotAllowed(path),
        AccessToken.layerRequest
      )
    })
  ).pipe(Layer.provide(door(options)))

/** The path of an MCP server whose options can be meant. */
const pathOf = (options: Options, resource: ProtectedResource.ProtectedResource["Type"]) =>
  Effect.gen(function* () {
    yield* read.text("name", options.name)
    yield* read.text("version", options.version)
    if (options.hideForbidden !== undefined) yield* read.boolean("hideForbidden", options.hideForbidden)
    const { path = resource.path } = options
    return yield* adding.routePath(path)
  })

const methodNotAllowed = (path: `/${string}`) =>
  HttpLayerRouter.addAll(
    (["GET", "DELETE", "OPTIONS"] as const).map((method) =>
      HttpLayerRouter.route(method, path, HttpServerResponse.empty({ status: 405, headers: { allow: "POST" } }))
    )
  )

type Token = AccessToken.AccessToken["Type"]
type Response = HttpServerResponse.HttpServerResponse

/** `BearerAuth.layer` for requests whose bodies say what they need. */
const door = (options: Options) =>
  HttpLayerRouter.middleware<{ provides: AccessToken.AccessToken }>()(
    Effect.gen(function* () {
      const resource = yield* ProtectedResource.ProtectedResource
      yield* read.options<Options>(options, {
        name: true,
        version: true,
        path: true,
        hideForbidden: true,
        maxBodyBytes: true
      })
      const maxBodyBytes = yield* boundedBody.maxBodyBytes(options.maxBodyBytes)
      const registry = yield* McpServer.McpServer
      const guarded = yield* mcpRegistry.guard(registry, resource.resource, McpServer.McpServer.make)
      const { authenticate, challenge, challengeHandler } = yield* authenticator.make()
      const asked = ask(guarded)
      const askedScopes = Effect.match(asked, { onFailure: () => [], onSuccess: ({ scopes }) => scopes })
      return (handler) =>
        Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
          if (isPreflight(request)) return Effect.succeed(HttpServerResponse.empty({ status: 204 }))
          const reject = (challenge: Challenge.Challenge) => respond(challenge, request)
          // One challenge names all that the operation needs, whatever of it was found to be missing first.
          const rejectScopes = (error: ScopeMissing) =>
            Effect.flatMap(askedScopes, (scopes) => reject(Challenge.make(error, resource, scopes)))
          const answer = (token: Token) => {
            const authorized = Effect.provideService(handler, AccessToken.AccessToken, token)
            if (request.method !== "POST") return authorized
            return Effect.matchEffect(asked, {
              onFailure: Effect.succeed<Response>,
              onSuccess: ({ message, scopes }) =>
                Effect.matchEffect(AccessToken.withScopes(token, scopes), {
                  onFailure: (error) => Effect.flatMap(challengeHandler(error, incoming(request)), reject),
                  onSuccess: () =>
                    options.hideForbidden === true && operations.asksForList(message.requests)
                      ? serve(authorized, message, hide(guarded.scopes, token))
                      : serve(authorized, message)
                })
            })
          }
          return Effect.matchEffect(authenticate(incoming(request)), {
            onFailure: (error) =>
              error._tag === "ScopeMissing"
                ? boundedBody.bounded(rejectScopes(error), maxBodyBytes)
                : reject(challenge(error)),
            onSuccess: (token) => boundedBody.bounded(answer(token), maxBodyBytes)
          })
        })
    })
  ).layer.pipe(Layer.provide(McpServer.McpServer.layer))

/** What the current request asks for, and the scopes that all of it needs. Fails with the answer to a body that is no message. */
const ask = ({ hasTool, scopes }: mcpRegistry.Guarded) => {
  const refuse = (method: string, params: unknown): messages.RpcError | undefined => {
    if (!McpSchema.ClientRequestRpcs.requests.has(method)) return { code: -32601, message: "Method not found" }
    const { name } = Object(params) as { readonly name?: unknown }
    return method === "tools/call" && !hasTool(name) ? { code: -32602, message: "Tool not found" } : undefined
  }
  return Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ text }) => text).pipe(
    Effect.mapError(() => HttpServerResponse.empty({ status: 400 })),
    Effect.flatMap((body) => Either.mapLeft(messages.receive(body, refuse), (error) => json(error, 400))),
    Effect.flatMap((message) =>
      Effect.map(operations.scopesOf(scopes, message.requests), (scopes) => ({ message, scopes }))
    )
  )
}

/** Lets the server answer what it can answer, with its answer changed where it has to be. */
const serve = <E, R>(
  handler: Effect.Effect<Response, E, R>,
  message: messages.Received,
  change?: (answer: string) => Effect.Effect<string>
): Effect.Effect<Response, E, R | HttpServerRequest.HttpServerRequest> => {
  const { batch, errors, requests } = message
  if (requests.length === 0) {
    return Effect.succeed(
      errors.length === 0 ? HttpServerResponse.empty({ status: 202 }) : json(batch ? errors : errors[0], 200)
    )
  }
  const body = messages.forServer(message)
  const answered: ReturnType<typeof serve<E, R>> = body === undefined ? handler : boundedBody.withText(handler, body)
  const changed = change === undefined ? answered : Effect.flatMap(answered, withAnswer(change))
  return body === undefined
    ? changed
    : Effect.flatMap(
        changed,
        withAnswer((answer) => Effect.sync(() => messages.forClient(message, answer)))
      )
}

const json = (body: unknown, status: number) => HttpServerResponse.unsafeJson(body, { status })

const withAnswer = (change: (answer: string) => Effect.Effect<string>) => (response: Response) => {
  const { body } = response
  if (body._tag !== "Uint8Array") return Effect.succeed(response)
  return Effect.map(change(new TextDecoder().decode(body.body)), (answer) =>
    HttpServerResponse.setBody(response, HttpBody.text(answer, body.contentType))
  )
}

/** Takes what this token may not call out of the lists of an answer. */
const hide = (scopes: operations.ScopeRegistry, token: Token) => (answer: string) =>
  operations.withoutForbidden(scopes, answer, (needed) => covers(token.scopes, needed, token.scopeHierarchy))

/**
 * `McpServer.toolkit`, with the `Scopes` of its tools, and with what they read in its type: tools that read `AccessToken` do
 * not compile unprotected.
 *
 * A server of `layerHttpRouter` takes no tools of `McpServer.toolkit`. Fails with `ConfigurationError` when built if a tool
 * has scopes and no `layerHttpRouter` of this module is provided to it, if that belongs to another resource, or if a scope
 * is none.
 */
export const toolkit = <Tools extends Record<string, Tool.Any>>(
  toolkit: Toolkit.Toolkit<Tools>
): Layer.Layer<
  never,
  ConfigurationError.ConfigurationError,
  Tool.HandlersFor<Tools> | Exclude<Tool.Requirements<Tools[keyof Tools]>, McpSchema.McpServerClient>
> => {
  const scopes = new Map(
    Object.values<Tool.Any>(toolkit.tools).flatMap(({ annotations, name }) =>
      Option.toArray(Option.map(Context.getOption(annotations, Scopes), (needed) => [name, needed] as const))
    )
  )
  return declare(McpServer.registerToolkit(toolkit), { tools: scopes })
}

/**
 * Registers a prompt, a resource or a resource template that needs scopes besides those that the resource requires:
 * `McpServer.registerPrompt({ ... }).pipe(BearerAuthMcp.layerScopes("notes:admin"))`. Completions of its arguments need them too.
 *
 * A resource registered without scopes needs those of a template that matches its URI as well. Fails with
 * `ConfigurationError` when built if no `layerHttpRouter` of this module is provided to it, if that belongs to another
 * resource, or if a scope is none. Tools are annotated instead, see `Scopes`.
 */
export const layerScopes =
  (...scopes: readonly [string, ...Array<string>]) =>
  <R>(
    registration: Effect.Effect<void, never, R>
  ): Layer.Layer<never, ConfigurationError.ConfigurationError, Exclude<R, McpServer.McpServer>> =>
    declare(registration, { others: scopes })

const declare = <R>(
  registration: Effect.Effect<void, never, R>,
  needed: mcpRegistry.Needed
): Layer.Layer<never, ConfigurationError.ConfigurationError, Exclude<R, McpServer.McpServer>> =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const registry = yield* mcpRegistry.declaring(yield* McpServer.McpServer, needed)
      yield* Effect.provideService(registration, McpServer.McpServer, registry)
    })
  ).pipe(Layer.provide(McpServer.McpServer.layer)) as Layer.Layer<
    never,
    ConfigurationError.ConfigurationError,
    Exclude<R, McpServer.McpServer>
  >
