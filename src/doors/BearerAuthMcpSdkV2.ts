/**
 * Bearer tokens for MCP servers of `@modelcontextprotocol/server` (version 2 of the TypeScript SDK), written without Effect.
 *
 * ```ts
 * import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
 * import { createMcpHandler, McpServer } from "@modelcontextprotocol/server"
 * import { AuthKit } from "effect-resource-server"
 * import * as BearerAuthMcpSdk from "effect-resource-server/BearerAuthMcpSdkV2"
 * import * as Layer from "effect/Layer"
 *
 * const auth = await BearerAuthMcpSdk.make(
 *   AuthKit.layer({ authkitDomain: "app.authkit.app", baseUrl: "https://api.example", path: "/mcp" }).pipe(
 *     Layer.provide(FetchHttpClient.layer)
 *   )
 * )
 *
 * const mcp = createMcpHandler(() => new McpServer({ name: "notes", version: "1.0.0" }))
 * export default { fetch: auth.protect((request, authInfo) => mcp.fetch(request, { authInfo })) }
 * ```
 *
 * Under Express it is `app.use(auth.metadata)` and `app.all(auth.path, auth.requireBearerAuth(), ...)`, as in version 1.
 * `requireBearerAuth(auth)` of `@modelcontextprotocol/server` and of `@modelcontextprotocol/express` can be used too. They give up
 * what version 1's gives up: see `BearerAuthMcpSdk`.
 */
import { OAuthError, OAuthErrorCode } from "@modelcontextprotocol/server"
import type * as Layer from "effect/Layer"
import * as mcpSdk from "./mcpSdk.ts"
import type { ProtectedResource } from "../resource/ProtectedResource.ts"
import type { TokenVerifier } from "../token/TokenVerifier.ts"

export type { AuthInfo, IncomingRequest, McpAuth, Middleware, OutgoingResponse, ProtectOptions } from "./mcpSdk.ts"

/**
 * Builds the verifier and the middleware of a resource. Rejects with the Layer's error, such as `ConfigurationError`.
 *
 * Rejections are logged as those of `BearerAuth` are, by the loggers of the Layer; default: Effect's, to the console.
 */
export const make = <E>(auth: Layer.Layer<ProtectedResource | TokenVerifier, E>): Promise<mcpSdk.McpAuth> =>
  mcpSdk.make(auth, (code, description) => new OAuthError(codes[code], description))

const codes = {
  invalid_request: OAuthErrorCode.InvalidRequest,
  invalid_token: OAuthErrorCode.InvalidToken,
  insufficient_scope: OAuthErrorCode.InsufficientScope,
  server_error: OAuthErrorCode.ServerError
}
