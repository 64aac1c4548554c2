/**
 * MCP servers of `@effect/ai` behind bearer tokens, at the resource's own path.
 */
import type * as McpSchema from "@effect/ai/McpSchema"
import * as McpServer from "@effect/ai/McpServer"
import type * as Tool from "@effect/ai/Tool"
import type * as Toolkit from "@effect/ai/Toolkit"
import * as HttpBody from "@effect/platform/HttpBody"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as AccessToken from "./AccessToken.ts"
import * as BearerAuth from "./BearerAuth.ts"
import * as Challenge from "./Challenge.ts"
import * as ConfigurationError from "./ConfigurationError.ts"
import * as operations from "./internal/mcpOperations.ts"
import * as read from "./internal/option.ts"
import * as ProtectedResource from "./ProtectedResource.ts"
import { covers } from "./ScopeHierarchy.ts"
import type { TokenVerifier } from "./TokenVerifier.ts"

/**
 * The scopes that a tool needs besides those that the resource requires: `tool.annotate(BearerAuthMcp.Scopes, ["notes:admin"])`.
 *
 * Read by `BearerAuthMcp.toolkit`, and by no other: `McpServer.toolkit` registers the tool without them.
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
}

/**
 * `McpServer.layerHttpRouter` at the resource's own path, protected: its tools, prompts and resources can read `AccessToken`.
 *
 * Operations with scopes of their own (`Scopes`, `layerScopes`) are refused to tokens without them, before anything of the
 * request runs: HTTP 403 with one challenge for all that it needs, a batch's together. What a request needs is read from
 * its body, as the server reads it, and from no header. GET and DELETE are answered 405: the server keeps no sessions
 * and opens no streams of its own. Not checked: the scopes of what a handler does in turn (`AccessToken.requireScopes`).
 *
 * All MCP servers of one build share one registry of tools (so does `McpServer.layerHttpRouter`, which beside this one would serve
 * the same tools to anyone): to serve two resources with different tools from one process, wrap each whole server in
 * `Layer.fresh`.
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
  ).pipe(Layer.provide(guard(options?.hideForbidden === true)))

/** The path of an MCP server whose options can be meant. */
const pathOf = (options: Options, resource: ProtectedResource.ProtectedResource["Type"]) =>
  Effect.gen(function* () {
    yield* read.record("options", options)
    yield* read.text("name", options.name)
    yield* read.text("version", options.version)
    if (options.hideForbidden !== undefined) yield* read.boolean("hideForbidden", options.hideForbidden)
    const { path = resource.path } = options
    if ((yield* read.text("path", path)).startsWith("/")) return path
    return yield* ConfigurationError.make("path", path, "does not begin with a slash")
  })

const methodNotAllowed = (path: `/${string}`) =>
  HttpLayerRouter.addAll(
    (["GET", "DELETE"] as const).map((method) =>
      HttpLayerRouter.route(method, path, HttpServerResponse.empty({ status: 405, headers: { allow: "POST" } }))
    )
  )

/** `BearerAuth.layer` for requests whose bodies say what they need. */
const guard = (hideForbidden: boolean) =>
  HttpLayerRouter.middleware<{ provides: AccessToken.AccessToken }>()(
    Effect.gen(function* () {
      const resource = yield* ProtectedResource.ProtectedResource
      const shadow = yield* operations.guard(yield* McpServer.McpServer, McpServer.McpServer.make)
      const { authenticate, challenge, challengeHandler } = yield* BearerAuth.make()
      return (handler) =>
        Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
          const asked = operations.asked(shadow, request)
          return Effect.matchEffect(authenticate(request), {
            // One challenge names all that the operation needs, whatever of it was found to be missing first.
            onFailure: (error) =>
              error._tag === "ScopeMissing"
                ? Effect.map(asked, ({ scopes }) => BearerAuth.toResponse(Challenge.make(error, resource, scopes)))
                : Effect.succeed(BearerAuth.toResponse(challenge(error))),
            onSuccess: (token) =>
              Effect.flatMap(asked, ({ lists, scopes }) =>
                Effect.matchEffect(AccessToken.withScopes(token, scopes), {
                  onFailure: (error) => Effect.map(challengeHandler(error, request), BearerAuth.toResponse),
                  onSuccess: () => {
                    const answered = Effect.provideService(handler, AccessToken.AccessToken, token)
                    return hideForbidden && lists ? Effect.flatMap(answered, hidden(shadow, token)) : answered
                  }
                })
              )
          })
        })
    })
  ).layer.pipe(Layer.provide(McpServer.McpServer.layer))

/** An answer whose lists have what this token may call. */
const hidden =
  (shadow: McpServer.McpServer["Type"], token: AccessToken.AccessToken["Type"]) =>
  (response: HttpServerResponse.HttpServerResponse) => {
    const { body } = response
    if (body._tag !== "Uint8Array") return Effect.succeed(response)
    const holds = (scopes: ReadonlyArray<string>) => covers(token.scopes, scopes, token.scopeHierarchy)
    return Effect.map(operations.withoutForbidden(shadow, new TextDecoder().decode(body.body), holds), (answer) =>
      HttpServerResponse.setBody(response, HttpBody.text(answer, body.contentType))
    )
  }

/**
 * `McpServer.toolkit`, with the `Scopes` of its tools, and with what they read in its type: tools that read `AccessToken` do
 * not compile unprotected.
 *
 * `McpServer.toolkit` itself (0.37) forgets the `dependencies` of its tools: they then fail when they are called. Fails
 * with `ConfigurationError` when built if a tool has scopes and no `layerHttpRouter` of this module is provided to it, or
 * a scope is none.
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
 * `ConfigurationError` when built if no `layerHttpRouter` of this module is provided to it, or a scope is none. Tools are
 * annotated instead, see `Scopes`.
 */
export const layerScopes =
  (...scopes: readonly [string, ...Array<string>]) =>
  <R>(
    registration: Effect.Effect<void, never, R>
  ): Layer.Layer<never, ConfigurationError.ConfigurationError, Exclude<R, McpServer.McpServer>> =>
    declare(registration, { others: scopes })

const declare = <R>(
  registration: Effect.Effect<void, never, R>,
  needed: operations.Needed
): Layer.Layer<never, ConfigurationError.ConfigurationError, Exclude<R, McpServer.McpServer>> =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const registry = yield* operations.declaring(yield* McpServer.McpServer, needed)
      yield* Effect.provideService(registration, McpServer.McpServer, registry)
    })
  ).pipe(Layer.provide(McpServer.McpServer.layer)) as Layer.Layer<
    never,
    ConfigurationError.ConfigurationError,
    Exclude<R, McpServer.McpServer>
  >
