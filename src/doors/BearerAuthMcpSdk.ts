/**
 * Bearer tokens for MCP servers of `@modelcontextprotocol/sdk` (version 1 of the TypeScript SDK), written without Effect.
 *
 * ```ts
 * import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
 * import type { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js"
 * import { AuthKit } from "effect-resource-server"
 * import * as BearerAuthMcpSdk from "effect-resource-server/BearerAuthMcpSdk"
 * import * as Layer from "effect/Layer"
 * import express from "express"
 *
 * const auth = await BearerAuthMcpSdk.make(
 *   AuthKit.layer({ authkitDomain: "app.authkit.app", baseUrl: "https://api.example", path: "/mcp" }).pipe(
 *     Layer.provide(FetchHttpClient.layer)
 *   )
 * )
 *
 * declare const transport: StreamableHTTPServerTransport
 * const app = express()
 * app.use(auth.metadata)
 * app.post(auth.path, auth.requireBearerAuth(), (request, response) => transport.handleRequest(request, response))
 * ```
 *
 * `auth.requireBearerAuth()` takes the place of the SDK's `requireBearerAuth`, which can be used too, as `requireBearerAuth(auth)`:
 * it accepts no token that this does not. It gives up, however:
 *
 * - an outage of the issuer is 500 `server_error`, not 503 with `Retry-After`;
 * - a request without a token, and a malformed header, are 401 `invalid_token`; of several headers it reads the first;
 * - challenges never name `scope`, unless its own `requiredScopes` do: then it compares those, too, as plain strings;
 * - it compares `exp` once more, without tolerance, and refuses a token of a verifier of your own that has none;
 * - it sends no `Cache-Control` and no `Access-Control-Expose-Headers`, and it challenges CORS preflights.
 */
import {
  InsufficientScopeError,
  InvalidRequestError,
  InvalidTokenError,
  ServerError
} from "@modelcontextprotocol/sdk/server/auth/errors.js"
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
  mcpSdk.make(auth, (code, description) => new errors[code](description))

const errors = {
  invalid_request: InvalidRequestError,
  invalid_token: InvalidTokenError,
  insufficient_scope: InsufficientScopeError,
  // `TemporarilyUnavailableError` says it better, but the SDK answers that with 400.
  server_error: ServerError
}
