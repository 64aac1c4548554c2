/**
 * Configurations that must not compile, and beside them some that must.
 *
 * The text behind a directive must occur in what the compiler says: a case that fails for another reason proves nothing.
 */
// @effect-diagnostics *:skip-file
import * as Tool from "@effect/ai/Tool"
import {
  AccessToken,
  AuthKit,
  BearerAuth,
  Check,
  KeySet,
  ProtectedResource,
  ResourceServer,
  TokenError,
  TokenVerifier
} from "effect-resource-server"
import * as BearerAuthMcp from "effect-resource-server/BearerAuthMcp"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

const issuer = "https://as.example"
const baseUrl = "https://api.example"
const jwks = { keys: [] }

/** Nothing is left to be provided. */
const complete = <A, E>(layer: Layer.Layer<A, E>) => layer

export const bound = () => {
  const Verifier = TokenVerifier.layerJwt({ issuer })
  const Keys = KeySet.layerLocal({ jwks })
  const Resource = ProtectedResource.layer({ baseUrl, authorizationServers: [issuer] })
  complete(Verifier.pipe(Layer.provide(Keys), Layer.provide(Resource)))

  // A verifier that is bound to no resource would accept any audience.
  // @ts-expect-error ProtectedResource
  complete(Layer.provide(Verifier, Keys))

  // A verifier without keys cannot verify.
  // @ts-expect-error KeySet
  complete(Layer.provide(Verifier, Resource))
}

export const authKit = () => {
  const options = { authkitDomain: "app.authkit.app", baseUrl }
  AuthKit.layer({ ...options, path: "/mcp", clockTolerance: "10 seconds", requiredScopes: ["notes:read"] })

  // The audience is the resource's URL. A second place to write it is a place to write it wrong.
  // @ts-expect-error 'audience' does not exist
  AuthKit.layer({ ...options, audience: "https://api.example/mcp" })

  // A client id is not an audience: tokens of one client are for many servers.
  // @ts-expect-error 'clientId' does not exist
  AuthKit.layer({ ...options, clientId: "client_01" })

  // AuthKit signs with RS256; there is nothing to choose.
  // @ts-expect-error 'algorithms' does not exist
  AuthKit.layer({ ...options, algorithms: ["ES256"] })

  // The issuer is the AuthKit domain.
  // @ts-expect-error 'issuer' does not exist
  AuthKit.layer({ ...options, issuer })
}

export const audiences = () => {
  TokenVerifier.layerJwt({ issuer, acceptedAudiences: { besideResource: ["urn:old"] } })
  TokenVerifier.layerJwt({ issuer, acceptedAudiences: { insteadOfResource: ["urn:old"] } })
  TokenVerifier.layerJwt({ issuer, acceptedAudiences: { dangerouslyAcceptAnyAudience: "the issuer serves us alone" } })

  // An empty list is a mistake more often than a decision.
  // @ts-expect-error Source has 0 element(s) but target requires 1
  TokenVerifier.layerJwt({ issuer, acceptedAudiences: { besideResource: [] } })

  // "Beside" and "instead of" cannot both be meant.
  // @ts-expect-error not assignable
  TokenVerifier.layerJwt({ issuer, acceptedAudiences: { besideResource: ["urn:a"], insteadOfResource: ["urn:b"] } })

  // Nor some, and any.
  // @ts-expect-error not assignable
  TokenVerifier.layerJwt({ issuer, acceptedAudiences: { besideResource: ["a"], dangerouslyAcceptAnyAudience: "b" } })

  // Whoever accepts any audience says why.
  // @ts-expect-error Type 'boolean' is not assignable to type 'string'
  TokenVerifier.layerJwt({ issuer, acceptedAudiences: { dangerouslyAcceptAnyAudience: true } })
}

export const claims = () => {
  TokenVerifier.layerJwt({ issuer, requiredClaims: ["sub", { name: "token_use", values: ["access", 1, true] }] })
  AuthKit.layer({ authkitDomain: "app.authkit.app", baseUrl, accessTokenClaims: ["scope"], maxTokenLength: 32_768 })

  // No value would be the right one.
  // @ts-expect-error Source has 0 element(s) but target requires 1
  TokenVerifier.layerJwt({ issuer, requiredClaims: [{ name: "token_use", values: [] }] })

  // A text is a list of its letters.
  // @ts-expect-error Type 'string' is not assignable
  TokenVerifier.layerJwt({ issuer, requiredClaims: "sub" })

  // What marks an access token of AuthKit by its type is known.
  // @ts-expect-error 'acceptMissingType' does not exist
  AuthKit.layer({ authkitDomain: "app.authkit.app", baseUrl, acceptMissingType: false })
}

export const checks = () => {
  const wrongTenant = new TokenError.ClaimInvalid({ claim: "tenant", reason: "is not acme" })
  AuthKit.layer({
    authkitDomain: "app.authkit.app",
    baseUrl,
    checks: [(claimed) => (claimed.claims["tenant"] === "acme" ? Effect.succeed(claimed) : wrongTenant)]
  })
  TokenVerifier.layerJwt({
    issuer,
    checks: [Check.rfc9068Claims, (claimed) => (claimed.scopes.has("a") ? Effect.succeed(claimed) : wrongTenant)]
  })

  // A check that answers a question accepts every token.
  // @ts-expect-error Type 'boolean' is not assignable to type 'A'
  TokenVerifier.layerJwt({ issuer, checks: [(claimed) => Effect.succeed(claimed.scopes.has("a"))] })

  // A door knows no answer to another error.
  // @ts-expect-error Type 'string' is not assignable
  ResourceServer.layer({ issuer, baseUrl, checks: [() => Effect.fail("no")] })

  // The option has the types of tokens that are accepted, and a check of them reads the header of a JWT.
  // @ts-expect-error missing the following properties from type 'Jwt'
  TokenVerifier.layerJwt({ issuer, checks: [Check.tokenType("at+jwt")] })
}

export const keys = () => {
  ResourceServer.layer({ issuer, baseUrl, keys: { jwksUri: "https://as.example/jwks" } })
  ResourceServer.layer({ issuer, baseUrl, keys: { jwks } })

  // One of the two would be ignored.
  // @ts-expect-error not assignable
  ResourceServer.layer({ issuer, baseUrl, keys: { jwksUri: "https://as.example/jwks", jwks } })
}

export const algorithms = () => {
  KeySet.layerLocal({ jwks, algorithms: ["RS256", "EdDSA"] })

  // With a published key as the secret, everybody can sign.
  // @ts-expect-error "HS256"
  KeySet.layerLocal({ jwks, algorithms: ["HS256"] })

  // A token that nobody signed.
  // @ts-expect-error "none"
  ResourceServer.layer({ issuer, baseUrl, algorithms: ["none"] })
}

export const empty = () => {
  // A resource that accepts tokens of nobody.
  // @ts-expect-error Source has 0 element(s) but target requires 1
  ProtectedResource.layer({ baseUrl, authorizationServers: [] })

  // Scopes that are none protect nothing.
  // @ts-expect-error Expected at least 1 arguments
  BearerAuth.layerScopes()

  // The same in a handler.
  // @ts-expect-error Expected at least 1 arguments
  AccessToken.requireScopes()

  // The same for a tool of MCP.
  // @ts-expect-error Source has 0 element(s) but target requires 1
  Tool.make("erase").annotate(BearerAuthMcp.Scopes, [])

  // And for a prompt or resource of MCP.
  // @ts-expect-error Expected at least 1 arguments
  BearerAuthMcp.layerScopes()

  // The same for types of tokens.
  // @ts-expect-error Expected at least 1 arguments
  Check.tokenType()
}
