/**
 * Bearer tokens for servers written without Effect whose handlers take a web-standard `Request` and return a `Response`.
 *
 * ```ts
 * import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
 * import { AuthKit, BearerAuthWeb } from "effect-resource-server"
 * import * as Layer from "effect/Layer"
 *
 * const guard = await BearerAuthWeb.make(
 *   AuthKit.layer({ authkitDomain: "app.authkit.app", baseUrl: "https://api.example", path: "/notes" }).pipe(
 *     Layer.provide(FetchHttpClient.layer)
 *   )
 * )
 *
 * // What `Bun.serve`, `Deno.serve`, Hono or a Worker call.
 * export default { fetch: guard.protect((_request, token) => Response.json({ subject: token.subject })) }
 * ```
 */
import type * as Layer from "effect/Layer"
import type { AccessToken } from "../token/AccessToken.ts"
import type * as BearerAuth from "./BearerAuth.ts"
import * as edge from "./promiseDoor.ts"
import type { ProtectedResource } from "../resource/ProtectedResource.ts"
import type { TokenVerifier } from "../token/TokenVerifier.ts"

/** A handler of requests whose token was accepted. */
export type Handler = (request: Request, token: AccessToken["Type"]) => Response | Promise<Response>

/** The guard of one resource. */
export interface Guard {
  /** The resource: its `path` is where to mount what is protected, its `metadataUrl` where clients look for the metadata. */
  readonly resource: ProtectedResource["Type"]
  /**
   * Protects a handler: it is called with the verified token, or the request is answered 400, 401, 403 or 503.
   *
   * The metadata document (RFC 9728 section 3) is served from the same function, to anyone, at the resource's well-known
   * URL and at `/.well-known/oauth-protected-resource`; every other path that reaches it is protected. CORS preflights
   * carry no credentials and get an empty 204. Throws `ConfigurationError` if a scope is none. What the handler throws is
   * the server's to answer.
   */
  readonly protect: (handler: Handler, options?: BearerAuth.Options) => (request: Request) => Promise<Response>
  /** Releases what the Layer holds. Requests after that are rejected. */
  readonly dispose: () => Promise<void>
}

/**
 * Builds the guard of a resource and its verifier. Rejects with the Layer's error, such as `ConfigurationError`.
 *
 * Rejections are logged as those of `BearerAuth` are, by the loggers of the Layer; default: Effect's, to the console.
 * Browsers see answers of another origin only with CORS headers, which are left to the server around it.
 */
export const make = async <E>(auth: Layer.Layer<ProtectedResource | TokenVerifier, E>): Promise<Guard> => {
  const { dispose, protect, resource } = await edge.make(auth)
  return { resource, protect: (handler, options) => protect(handler, options), dispose }
}
