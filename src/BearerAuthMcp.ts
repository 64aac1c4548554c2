/**
 * MCP servers of `@effect/ai` behind bearer tokens, at the resource's own path.
 */
import type * as McpSchema from "@effect/ai/McpSchema"
import * as McpServer from "@effect/ai/McpServer"
import type * as Tool from "@effect/ai/Tool"
import type * as Toolkit from "@effect/ai/Toolkit"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as AccessToken from "./AccessToken.ts"
import * as BearerAuth from "./BearerAuth.ts"
import type * as ConfigurationError from "./ConfigurationError.ts"
import * as ProtectedResource from "./ProtectedResource.ts"
import type { TokenVerifier } from "./TokenVerifier.ts"

/**
 * `McpServer.layerHttpRouter` at the resource's own path, protected: its tools, prompts and resources can read `AccessToken`.
 *
 * `path` is read from `ProtectedResource` unless given. GET and DELETE are answered 405: the server keeps no sessions and
 * opens no streams of its own.
 *
 * All MCP servers of one build share one registry of tools (so does `McpServer.layerHttpRouter`): to serve two resources with
 * different tools from one process, wrap each whole server in `Layer.fresh`.
 */
export const layerHttpRouter = (options: {
  readonly name: string
  readonly version: string
  readonly path?: `/${string}` | undefined
}): Layer.Layer<
  McpServer.McpServer | McpSchema.McpServerClient | AccessToken.AccessToken,
  ConfigurationError.ConfigurationError,
  ProtectedResource.ProtectedResource | TokenVerifier | HttpLayerRouter.HttpRouter
> =>
  // Not fresh: `McpServer.toolkit` and its like find the server's registry by the memoization of one shared Layer.
  Layer.unwrapEffect(
    Effect.map(ProtectedResource.ProtectedResource, (resource) => {
      const path = options.path ?? resource.path
      return Layer.mergeAll(
        McpServer.layerHttpRouter({ ...options, path }),
        methodNotAllowed(path),
        AccessToken.layerRequest
      )
    })
  ).pipe(Layer.provide(BearerAuth.layer))

const methodNotAllowed = (path: `/${string}`) =>
  HttpLayerRouter.addAll(
    (["GET", "DELETE"] as const).map((method) =>
      HttpLayerRouter.route(method, path, HttpServerResponse.empty({ status: 405, headers: { allow: "POST" } }))
    )
  )

/**
 * `McpServer.toolkit`, with what its tools read in its type: tools that read `AccessToken` do not compile unprotected.
 *
 * `McpServer.toolkit` itself (0.37) forgets the `dependencies` of its tools: they then fail when they are called.
 */
export const toolkit: <Tools extends Record<string, Tool.Any>>(
  toolkit: Toolkit.Toolkit<Tools>
) => Layer.Layer<
  never,
  never,
  Tool.HandlersFor<Tools> | Exclude<Tool.Requirements<Tools[keyof Tools]>, McpSchema.McpServerClient>
> = McpServer.toolkit
