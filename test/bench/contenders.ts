/**
 * This library and others, each configured for the same checks: signature, algorithm, issuer, audience and lifetime.
 */
import { JwtVerifier } from "aws-jwt-verify"
import { KeySet, ProtectedResource, TokenVerifier } from "effect-resource-server"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import { createVerifier } from "fast-jwt"
import * as jose from "jose"
import jsonwebtoken from "jsonwebtoken"
import { createPublicKey, type KeyObject, verify } from "node:crypto"
import { issuer, type Key, mint, resource } from "../support/issuer.ts"

export type Algorithm = "RS256" | "ES256" | "EdDSA"

/** Distinct good tokens of one key. */
export const tokens = (key: Key, count: number): Promise<ReadonlyArray<string>> =>
  Effect.runPromise(
    Effect.forEach(
      Array.from({ length: count }, (_, index) => index),
      (index) =>
        Effect.map(
          mint({ key, claims: { jti: `token-${index}`, exp: Math.floor(Date.now() / 1000) + 3600 } }),
          Redacted.value
        ),
      { concurrency: 16 }
    )
  )

/** The verifier that an application gets: `TokenVerifier` from its Layer, with all checks. */
export const verifier = (
  jwks: KeySet.JsonWebKeySet,
  algorithm: Algorithm,
  options?: Partial<TokenVerifier.JwtOptions>
): Promise<TokenVerifier.TokenVerifier["Type"]> =>
  TokenVerifier.layerJwt({ issuer, ...options }).pipe(
    Layer.provide(KeySet.layerLocal({ jwks, algorithms: [algorithm] })),
    Layer.provide(
      ProtectedResource.layer({
        baseUrl: resource,
        authorizationServers: [issuer],
        requiredScopes: ["mcp:tools"]
      })
    ),
    Layer.provide(Logger.remove(Logger.defaultLogger)),
    Layer.build,
    Effect.map((context) => Context.get(context, TokenVerifier.TokenVerifier)),
    Effect.scoped,
    Effect.runPromise
  )

/** Verifies all of these tokens, one after the other in one fiber. */
export const verifyAll = (
  { verify }: TokenVerifier.TokenVerifier["Type"],
  batch: ReadonlyArray<Redacted.Redacted>
): Promise<void> => {
  let next = 0
  return Effect.runPromise(
    Effect.whileLoop({ while: () => next < batch.length, body: () => verify(batch[next++]!), step: () => {} })
  )
}

/** Does the same with another library. It runs in a fiber too, because a caller that uses Effect also pays for that. */
export const callAll = (verify: (token: string) => unknown, batch: ReadonlyArray<string>): Promise<void> => {
  let next = 0
  return Effect.runPromise(
    Effect.whileLoop({
      while: () => next < batch.length,
      body: () => Effect.sync(() => verify(batch[next++]!)),
      step: () => {}
    })
  )
}

/** The least that a verification can cost: the signature check and two `JSON.parse`. */
export const bare = ({ algorithm, jwk }: Key) => {
  const key = createPublicKey({ key: { ...jwk }, format: "jwk" })
  const input = algorithm === "ES256" ? { key, dsaEncoding: "ieee-p1363" as const } : key
  const hash = algorithm === "EdDSA" ? null : "sha256"
  return (token: string): void => {
    const [header = "", payload = "", signature = ""] = token.split(".")
    JSON.parse(Buffer.from(header, "base64url").toString())
    JSON.parse(Buffer.from(payload, "base64url").toString())
    const good = verify(hash, Buffer.from(`${header}.${payload}`), input, Buffer.from(signature, "base64url"))
    if (!good) throw new Error("not verified")
  }
}

export const joseVerify = async ({ algorithm, jwk }: Key) => {
  const key = await jose.importJWK(jwk, algorithm)
  return (token: string) =>
    jose.jwtVerify(token, key, { issuer, audience: resource, algorithms: [algorithm], typ: "at+jwt" })
}

const pem = ({ jwk }: Key): string => keyObject(jwk).export({ type: "spki", format: "pem" }) as string

const keyObject = (jwk: jose.JWK): KeyObject => createPublicKey({ key: { ...jwk }, format: "jwk" })

export const fastJwt = (key: Key, cache: boolean) =>
  createVerifier({
    key: pem(key),
    cache,
    algorithms: [key.algorithm as Algorithm],
    allowedIss: issuer,
    allowedAud: resource
  })

export const awsJwtVerify = (key: Key) => {
  const aws = JwtVerifier.create({ issuer, audience: resource, jwksUri: `${issuer}/jwks`, scope: "mcp:tools" })
  aws.cacheJwks({ keys: [key.jwk as never] })
  return (token: string) => aws.verifySync(token)
}

/** jsonwebtoken does not support EdDSA. */
export const jsonWebToken = (key: Key) => {
  const publicKey = keyObject(key.jwk)
  return (token: string) =>
    jsonwebtoken.verify(token, publicKey, { issuer, audience: resource, algorithms: [key.algorithm as "RS256"] })
}
