/**
 * What both versions of the MCP SDK are given. They differ in the classes of errors that a verifier throws, and in nothing else.
 *
 * Types are structural: what runs under Express runs under everything that speaks `(request, response, next)`.
 */
import * as Either from "effect/Either"
import type { AccessToken } from "../token/AccessToken.ts"
import type * as BearerAuth from "./BearerAuth.ts"
import { type Answer, answers } from "../TokenError.ts"
import * as boundedBody from "./boundedBody.ts"
import * as read from "../options.ts"
import * as promiseDoor from "./promiseDoor.ts"
import { isPreflight } from "./request.ts"

/** A verified token in the SDK's words: `AuthInfo`, which handlers of tools get. */
export interface AuthInfo {
  token: string
  /** Empty if the token names no client. The SDK has no other value for that. */
  clientId: string
  scopes: Array<string>
  /** `exp`, in seconds since 1970. */
  expiresAt?: number
  /** The resource that the token was accepted for. */
  resource?: URL
  /** The claims of the token, and its subject. */
  extra?: Record<string, unknown>
}

/** A request, as far as it is read here. */
export interface IncomingRequest {
  readonly method?: string | undefined
  readonly url?: string | undefined
  readonly headers: { readonly authorization?: string | undefined; readonly [name: string]: unknown }
  readonly rawHeaders: ReadonlyArray<string>
  auth?: AuthInfo
}

/** What `protect` asks of a token and of a body. */
export interface ProtectOptions extends BearerAuth.Options {
  /** The most bytes of a body that the handler can read; more are answered 413. Default: 1 MiB. */
  readonly maxBodyBytes?: number | undefined
}

/** A response, as far as it is written here. */
export interface OutgoingResponse {
  readonly writeHead: (status: number, headers: Record<string, string>) => unknown
  readonly end: (body?: string) => unknown
}

/** Middleware of Express, Connect and their like. A promise that it returns rejects with what `next` threw. */
export type Middleware = (
  request: IncomingRequest,
  response: OutgoingResponse,
  next: (error?: unknown) => void
) => void | Promise<void>

/** What an MCP server needs, for one resource. */
export interface McpAuth {
  /** The resource's own path: where to mount the server. */
  readonly path: `/${string}`
  /** The SDK's `OAuthTokenVerifier`: the library's decisions, as the SDK's errors. */
  readonly verifier: { readonly verifyAccessToken: (token: string) => Promise<AuthInfo> }
  /** For the SDK's own `requireBearerAuth`, which takes it from here by this name. */
  readonly resourceMetadataUrl: string
  /**
   * Middleware that sets `request.auth` to the verified token, or answers 400, 401, 403 or 503 with the library's own
   * challenge. CORS preflights get an empty 204. It reads nothing of a body: how much a body parser reads is left to the app.
   * Throws `ConfigurationError` if a scope is none.
   */
  readonly requireBearerAuth: (options?: BearerAuth.Options) => Middleware
  /**
   * Middleware that serves the metadata document (RFC 9728 section 3) at the resource's well-known URL and at
   * `/.well-known/oauth-protected-resource`, to anyone, and passes everything else on. Mount it at the root, before
   * whatever asks for a token.
   */
  readonly metadata: Middleware
  /**
   * `BearerAuthWeb.Guard.protect` for the SDK's servers of web-standard requests: it serves the metadata document, too.
   * The handler reads at most `maxBodyBytes` of a body; beyond that the answer is 413, whatever the handler does.
   * Not checked: how many messages a batch has. Throws `ConfigurationError` if a scope is none, or the limit is no whole number
   * above zero.
   */
  readonly protect: (
    handler: (request: Request, authInfo: AuthInfo) => Response | Promise<Response>,
    options?: ProtectOptions
  ) => (request: Request) => Promise<Response>
  /** Releases what the Layer holds. Requests after that fail. */
  readonly dispose: () => Promise<void>
}

/** What a verifier's error says: the code is RFC 6750's, or `server_error` when no token is bad. */
type ToError = (code: NonNullable<Answer["code"]> | "server_error", description: string) => Error

export const make = async <E>(auth: promiseDoor.Auth<E>, toError: ToError): Promise<McpAuth> => {
  const { authenticate, dispose, metadata, protect, resource } = await promiseDoor.make(auth)
  const url = new URL(resource.resource)
  const decide = authenticate(undefined)
  return {
    path: resource.path,
    verifier: {
      verifyAccessToken: async (token) =>
        Either.match(await decide({ headers: { authorization: `Bearer ${token}` } }), {
          onLeft: ({ error }) => {
            const { code = "server_error", description } = answers[error._tag]
            throw toError(code, description)
          },
          onRight: (accessToken) => authInfo(token, accessToken, url)
        })
    },
    resourceMetadataUrl: resource.metadataUrl,
    requireBearerAuth: (options) => requireBearerAuth(authenticate(options), url),
    metadata: metadataMiddleware(metadata),
    protect: (handler, options) => {
      const { maxBodyBytes: given, scopes } = read.orThrow(
        read.options<ProtectOptions>(options === undefined ? {} : options, { maxBodyBytes: true, scopes: true })
      )
      const maxBodyBytes = read.orThrow(boundedBody.maxBodyBytes(given))
      return protect(
        (incoming, accessToken) => {
          const authorization = incoming.headers.get("authorization")
          const info = authInfo(tokenOf(authorization), accessToken, url)
          return boundedBody.boundedWeb(incoming, maxBodyBytes, (request) => handler(request, info))
        },
        { scopes: scopes as BearerAuth.Options["scopes"] }
      )
    },
    dispose
  }
}

/** The token of credentials that were accepted, so that they are there. */
const tokenOf = (authorization: unknown): string => String(authorization).replace(/^bearer +/i, "")

const authInfo = (token: string, accessToken: AccessToken["Type"], resource: URL): AuthInfo => ({
  token,
  clientId: accessToken.clientId ?? "",
  scopes: [...accessToken.scopes],
  ...(accessToken.expiresAt !== undefined && { expiresAt: accessToken.expiresAt }),
  resource,
  extra: { subject: accessToken.subject, claims: accessToken.claims }
})

const requireBearerAuth =
  (decide: promiseDoor.Authenticate, url: URL): Middleware =>
  (incoming, response, next) => {
    if (isPreflight(incoming)) return answer(response, 204, {})
    const { authorization } = incoming.headers
    // Not `catch(next)`: what `next` itself throws is no reason to call it again.
    return decide(incoming).then(
      Either.match({
        onLeft: ({ challenge: { body, headers, status } }) => {
          const close = boundedBody.isIncomplete(incoming, incoming.headers)
          answer(response, status, close ? { ...headers, connection: "close" } : headers, body)
        },
        onRight: (accessToken) => {
          incoming.auth = authInfo(tokenOf(authorization), accessToken, url)
          next()
        }
      }),
      next
    )
  }

const metadataMiddleware =
  (metadata: promiseDoor.PromiseDoor["metadata"]): Middleware =>
  ({ method = "", url = "" }, response, next) => {
    const published = metadata(method, url.replace(/[?#].*/s, ""))
    if (published === undefined) return next()
    return published
      .text()
      .then((body) => answer(response, published.status, Object.fromEntries(published.headers), body), next)
  }

/** Answers, unless something of the app has answered already, such as a timeout. */
const answer = (
  response: OutgoingResponse,
  status: number,
  headers: Readonly<Record<string, string>>,
  body?: string
): void => {
  try {
    response.writeHead(status, { ...headers })
    response.end(body)
  } catch {
    // The request has an answer already. A rejection was logged when it was made.
  }
}
