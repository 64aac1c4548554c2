/**
 * The answers of a door of `https://api.example/mcp`, which requires `mcp:tools`, to each rejection. Each request differs from
 * the good one in one property.
 */
import { KeySet, ProtectedResource, TokenVerifier } from "effect-resource-server"
import * as Testing from "effect-resource-server/Testing"
import { VerificationUnavailable } from "effect-resource-server/TokenError"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { generateKey, issuer, keyFor, mint } from "./issuer.ts"

/** The URL of the metadata. */
export const metadataUrl = "https://api.example/.well-known/oauth-protected-resource/mcp"

/** The resource alone. */
export const Resource = ProtectedResource.layer({
  baseUrl: "https://api.example",
  path: "/mcp",
  authorizationServers: [issuer],
  requiredScopes: ["mcp:tools"]
})

/** The keys of the issuer. */
export const Keys = Layer.unwrapEffect(
  Effect.promise(async () => KeySet.layerLocal({ jwks: { keys: [(await keyFor("ES256")).jwk] } }))
)

/** The resource and its verifier. */
export const Auth = TokenVerifier.layerJwt({ issuer }).pipe(Layer.provide(Keys), Layer.provideMerge(Resource))

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

/** What a door answers. */
export const shown = (response: Response) =>
  Effect.map(
    Effect.promise(() => response.text()),
    (body) => ({ ...shownHead(response), body })
  )

/** What a door answers, without the body. */
export const shownHead = ({ headers, status }: Response) => ({
  status,
  challenge: headers.get("www-authenticate"),
  retryAfter: headers.get("retry-after"),
  cache: headers.get("cache-control"),
  exposed: headers.get("access-control-expose-headers"),
  contentType: headers.get("content-type")
})

/** What `shown` returns for a rejection. */
export const refused = (status: number, challenge: string | null, body: string, retryAfter: string | null = null) => ({
  ...refusedHead(status, challenge, retryAfter),
  body
})

/** What `shownHead` returns for a rejection. */
export const refusedHead = (status: number, challenge: string | null, retryAfter: string | null = null) => ({
  status,
  challenge,
  retryAfter,
  cache: "no-store",
  exposed: "WWW-Authenticate, Retry-After",
  contentType: "application/json"
})

/** What `shown` returns for a request without a token. */
export const refusedMissing = refused(401, missing, missingBody)

/** What `shown` returns during an outage. */
export const refusedUnavailable = refused(503, null, unavailableBody, "17")

/** What `shown` returns for a token that lacks scopes of the operation. */
export const refusedScopes = (scope: string) => {
  const description = "The access token lacks a required scope"
  const error = "insufficient_scope"
  return refused(403, challenge(error, description, scope), body(error, description))
}

export interface Rejection {
  readonly tag: string
  readonly headers: Effect.Effect<Readonly<Record<string, string>>>
  readonly status: number
  readonly code: string
  readonly description: string
}

/** What `shown` returns for a rejection that has an `error`. */
export const refusedAs = ({ code, description, status }: Rejection) =>
  refused(status, challenge(code, description), body(code, description))

const invalid = (tag: string, description: string, token: Effect.Effect<Redacted.Redacted>): Rejection => ({
  tag,
  headers: Effect.map(token, Testing.bearer),
  status: 401,
  code: "invalid_token",
  description
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
    description: "The Authorization header is malformed"
  },
  invalid("TokenMalformed", "The access token is malformed", Effect.succeed(Redacted.make("not-a-token"))),
  invalid(
    "AlgorithmNotAllowed",
    "The access token is signed with an algorithm that is not allowed",
    mint({ header: { alg: "none" } })
  ),
  invalid(
    "CriticalHeaderUnsupported",
    "The access token needs an unsupported extension",
    mint({ header: { crit: ["exp"] } })
  ),
  invalid("KeyNotFound", "The access token is signed with an unknown key", mint({ header: { kid: "another" } })),
  invalid("SignatureInvalid", "The signature of the access token is invalid", another),
  invalid("TypeMismatch", "The token is not an access token", mint({ header: { typ: "JWT" } })),
  invalid("IssuerMismatch", "The access token is from another issuer", mint({ claims: { iss: `${issuer}/` } })),
  invalid(
    "AudienceMismatch",
    "The access token is for another resource",
    mint({ claims: { aud: "https://other.example/mcp" } })
  ),
  invalid("Expired", "The access token expired", mint({ claims: { exp: 1 } })),
  invalid("NotYetValid", "The access token is not valid yet", mint({ claims: { nbf: 99_999_999_999 } })),
  invalid("ClaimInvalid", "A claim of the access token is missing or invalid", mint({ claims: { exp: undefined } })),
  invalid(
    "BindingMismatch",
    "The access token is bound to a key that was not proven",
    mint({ claims: { cnf: { jkt: "x" } } })
  ),
  {
    tag: "ScopeMissing",
    headers: Effect.map(mint({ claims: { scope: "other" } }), Testing.bearer),
    status: 403,
    code: "insufficient_scope",
    description: "The access token lacks a required scope"
  }
]
