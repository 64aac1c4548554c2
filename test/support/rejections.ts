/**
 * Every rejection as a door of `https://api.example/mcp` answers it, when that resource requires `mcp:tools`: each request
 * differs from the good one by one thing.
 */
import { KeySet, ProtectedResource, TokenVerifier } from "effect-resource-server"
import * as Testing from "effect-resource-server/Testing"
import { VerificationUnavailable } from "effect-resource-server/TokenError"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { generateKey, issuer, keyFor, mint, resource } from "./issuer.ts"

/** Where the metadata is. */
export const metadataUrl = "https://api.example/.well-known/oauth-protected-resource/mcp"

/** A resource alone, by its path. */
export const resourceAt = (path: string) =>
  ProtectedResource.layer({
    baseUrl: "https://api.example",
    path,
    authorizationServers: [issuer],
    requiredScopes: ["mcp:tools"]
  })

/** The resource alone. */
export const Resource = resourceAt("/mcp")

/** The keys of the issuer. */
export const Keys = Layer.unwrapEffect(
  Effect.promise(async () => KeySet.layerLocal({ jwks: { keys: [(await keyFor("ES256")).jwk] } }))
)

/** A resource and its verifier, by its path. */
export const authAt = (path: string) =>
  TokenVerifier.layerJwt({ issuer }).pipe(Layer.provide(Keys), Layer.provideMerge(resourceAt(path)))

/** The resource and its verifier. */
export const Auth = authAt("/mcp")

/** The same resource while the issuer is down. */
export const AuthDown = TokenVerifier.layer(() =>
  Effect.fail(new VerificationUnavailable({ reason: "the issuer is down", retryAfter: 17 }))
).pipe(Layer.provideMerge(Resource))

/** The challenge of an error. */
export const challenge = (error: string, description: string, scope = "mcp:tools") =>
  `Bearer resource_metadata="${metadataUrl}", scope="${scope}", error="${error}", error_description="${description}"`

/** The challenge of a request without a token. */
export const missing = `Bearer resource_metadata="${metadataUrl}", scope="mcp:tools"`

/** The body of an error with a challenge. */
export const body = (error: string | undefined, description: string, metadata = metadataUrl) =>
  JSON.stringify({ error, error_description: description, resource_metadata: metadata })

/** The body of a request without a token. */
export const missingBody = body(undefined, "The request carries no access token")

/** The body of an outage. */
export const unavailableBody = JSON.stringify({
  error: "temporarily_unavailable",
  error_description: "The access token cannot be verified now"
})

/** An outage as doors send it that send errors: without the reason. */
export const unavailableError =
  '{"reason":"The access token cannot be verified now","retryAfter":17,"_tag":"VerificationUnavailable"}'

/** What a door answers, as far as clients read it. */
export interface Shown {
  readonly status: number
  readonly challenge: string | null
  readonly retryAfter: string | null
  readonly cache: string | null
  readonly exposed: string | null
  readonly contentType: string | null
  readonly body: string
}

/** What a door answers. */
export const shown = (response: Response): Effect.Effect<Shown> =>
  Effect.map(
    Effect.promise(() => response.text()),
    (body) => ({
      status: response.status,
      challenge: response.headers.get("www-authenticate"),
      retryAfter: response.headers.get("retry-after"),
      cache: response.headers.get("cache-control"),
      exposed: response.headers.get("access-control-expose-headers"),
      contentType: response.headers.get("content-type"),
      body
    })
  )

/** What `shown` is of a rejection. */
export const refused = (
  status: number,
  challenge: string | null,
  body: string,
  retryAfter: string | null = null
): Shown => ({
  status,
  challenge,
  retryAfter,
  cache: "no-store",
  exposed: "WWW-Authenticate, Retry-After",
  contentType: "application/json",
  body
})

/** What `shown` is of a request without a token. */
export const refusedMissing = refused(401, missing, missingBody)

/** What `shown` is of an outage. */
export const refusedUnavailable = refused(503, null, unavailableBody, "17")

/** What `shown` is of a token that lacks scopes of the operation. */
export const refusedScopes = (scope: string) => {
  const description = "The access token lacks a required scope"
  const error = "insufficient_scope"
  return refused(403, challenge(error, description, scope), body(error, description))
}

/** A request that is rejected, and how. */
export interface Rejection {
  readonly tag: string
  readonly headers: Effect.Effect<Readonly<Record<string, string>>>
  readonly status: number
  readonly code: string
  readonly description: string
  /** The level and the text of its log line, after `Request rejected: `. Times are `<n>`. */
  readonly line: readonly [level: string, text: string]
  /** The error as JSON, as doors send it that send errors. Times are `<n>`. */
  readonly error: string
}

/** A text whose times are `<n>`. */
export const timeless = (text: string) => text.replace(/(?<![\w.-])\d{5,}(\.\d+)?\b/g, "<n>")

/** What `shown` is of a rejection that has an `error`. */
export const refusedAs = ({ code, description, status }: Rejection) =>
  refused(status, challenge(code, description), body(code, description))

const invalid = (
  tag: string,
  description: string,
  line: Rejection["line"],
  fields: string,
  token: Effect.Effect<Redacted.Redacted>
): Rejection => ({
  tag,
  headers: Effect.map(token, Testing.bearer),
  status: 401,
  code: "invalid_token",
  description,
  line,
  error: `{${fields}"_tag":"${tag}"}`
})

const another = Effect.flatMap(
  Effect.promise(() => generateKey("ES256")),
  (key) => mint({ key })
)

/** Every rejection that has an `error`. */
export const rejections: ReadonlyArray<Rejection> = [
  {
    tag: "CredentialsMalformed",
    headers: Effect.succeed({ authorization: "Bearer one two" }),
    status: 400,
    code: "invalid_request",
    description: "The Authorization header is malformed",
    line: ["INFO", "the Authorization header is not one bearer token"],
    error: '{"reason":"the Authorization header is not one bearer token","_tag":"CredentialsMalformed"}'
  },
  invalid(
    "TokenMalformed",
    "The access token is malformed",
    ["INFO", "the token has not three segments"],
    '"reason":"the token has not three segments",',
    Effect.succeed(Redacted.make("not-a-token"))
  ),
  invalid(
    "AlgorithmNotAllowed",
    "The access token is signed with an algorithm that is not allowed",
    ["INFO", "algorithm none is not one of RS256, PS256, ES256, ES384, EdDSA, Ed25519"],
    '"expected":["RS256","PS256","ES256","ES384","EdDSA","Ed25519"],"actual":"none",',
    mint({ header: { alg: "none" } })
  ),
  invalid(
    "CriticalHeaderUnsupported",
    "The access token needs an unsupported extension",
    ["INFO", "the token asks for a critical header extension; none is supported"],
    "",
    mint({ header: { crit: ["exp"] } })
  ),
  invalid(
    "KeyNotFound",
    "The access token is signed with an unknown key",
    ["INFO", "no usable key of the issuer fits kid another and ES256"],
    '"algorithm":"ES256","keyId":"another",',
    mint({ header: { kid: "another" } })
  ),
  invalid(
    "SignatureInvalid",
    "The signature of the access token is invalid",
    ["INFO", "the signature does not verify"],
    "",
    another
  ),
  invalid(
    "TypeMismatch",
    "The token is not an access token",
    ["WARN", 'expected typ "at+jwt", got "JWT"'],
    '"expected":["at+jwt"],"actual":"JWT",',
    mint({ header: { typ: "JWT" } })
  ),
  invalid(
    "IssuerMismatch",
    "The access token is from another issuer",
    ["WARN", `expected issuer "${issuer}", got "${issuer}/": they differ only by a trailing slash`],
    `"expected":"${issuer}","actual":"${issuer}/","hint":"they differ only by a trailing slash",`,
    mint({ claims: { iss: `${issuer}/` } })
  ),
  invalid(
    "AudienceMismatch",
    "The access token is for another resource",
    ["WARN", `expected audience "${resource}", got "https://other.example/mcp"`],
    `"expected":["${resource}"],"actual":["https://other.example/mcp"],`,
    mint({ claims: { aud: "https://other.example/mcp" } })
  ),
  invalid(
    "Expired",
    "The access token expired",
    ["INFO", "the token expired <n> seconds ago"],
    '"expiresAt":1,"now":<n>,',
    mint({ claims: { exp: 1 } })
  ),
  invalid(
    "NotYetValid",
    "The access token is not valid yet",
    ["INFO", "the token's nbf is <n> seconds ahead"],
    '"claim":"nbf","validFrom":<n>,"now":<n>,',
    mint({ claims: { nbf: 99_999_999_999 } })
  ),
  invalid(
    "ClaimInvalid",
    "A claim of the access token is missing or invalid",
    ["WARN", "claim exp is missing"],
    '"claim":"exp","reason":"is missing",',
    mint({ claims: { exp: undefined } })
  ),
  invalid(
    "BindingMismatch",
    "The access token is bound to a key that was not proven",
    ["WARN", "the token is bound to a key (cnf) that this request did not prove"],
    "",
    mint({ claims: { cnf: { jkt: "x" } } })
  ),
  {
    tag: "ScopeMissing",
    headers: Effect.map(mint({ claims: { scope: "other" } }), Testing.bearer),
    status: 403,
    code: "insufficient_scope",
    description: "The access token lacks a required scope",
    line: ["WARN", 'expected scopes "mcp:tools", got "other"'],
    error: '{"required":["mcp:tools"],"granted":["other"],"_tag":"ScopeMissing"}'
  }
]
