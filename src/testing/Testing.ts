/**
 * A fake authorization server for the tests of a protected app: real keys and real signatures, under `TestClock` and
 * without a network.
 *
 * ```ts
 * import * as HttpClient from "@effect/platform/HttpClient"
 * import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
 * import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
 * import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
 * import { expect, it } from "@effect/vitest"
 * import { AuthKit, BearerAuth, ProtectedResource } from "effect-resource-server"
 * import * as Testing from "effect-resource-server/Testing"
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 *
 * const App = BearerAuth.add("GET", "/", HttpServerResponse.text("hello")).pipe(
 *   Layer.provide(BearerAuth.layer),
 *   Layer.provide(AuthKit.layer({ authkitDomain: "as.example", baseUrl: "https://api.example", path: "/mcp" }))
 * )
 *
 * it.scoped("accepts only tokens minted for it", () =>
 *   Effect.gen(function* () {
 *     const issuer = yield* Testing.issuer({
 *       issuer: "https://as.example",
 *       resource: "https://api.example/mcp",
 *       // AuthKit writes no type to its tokens.
 *       header: { typ: undefined }
 *     })
 *     yield* Layer.build(HttpLayerRouter.serve(App).pipe(Layer.provide(issuer.layer)))
 *     const answer = (token: Testing.Token) => HttpClient.get("/mcp", { headers: Testing.bearer(token) })
 *
 *     expect((yield* answer(yield* issuer.mint())).status).toBe(200)
 *     for (const [attack, token] of Object.entries(issuer.forge)) {
 *       expect([attack, (yield* answer(yield* token)).status]).toEqual([attack, 401])
 *     }
 *   }).pipe(Effect.provide(NodeHttpServer.layerTest))
 * )
 * ```
 */
import type * as HttpClient from "@effect/platform/HttpClient"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as jose from "jose"
import { metadataUrls } from "../issuer/AuthorizationServer.ts"
import { type Answer, type Network, network } from "./network.ts"

export { type Answer, type Network, network } from "./network.ts"

/** An access token, as clients hold it. */
export type Token = Redacted.Redacted

/** A key pair with the public JWK as an issuer publishes it. */
export interface Key {
  readonly algorithm: string
  readonly keyId: string
  readonly privateKey: CryptoKey
  readonly jwk: jose.JWK
}

/** A new key pair. `keyId` is by default the algorithm's name in lower case. */
export const generateKey = (algorithm: string, keyId = algorithm.toLowerCase()): Effect.Effect<Key> =>
  Effect.promise(async () => {
    const { privateKey, publicKey } = await jose.generateKeyPair(algorithm, { extractable: true })
    const jwk = { ...(await jose.exportJWK(publicKey)), kid: keyId, alg: algorithm, use: "sig" }
    return { algorithm, keyId, privateKey, jwk }
  })

/** Signs any header text and payload bytes as they are, so that what no JWT library would write can be tried. */
export const sign = (key: Key, header: string, payload: string | Uint8Array): Effect.Effect<string> => {
  const input = `${encode(header)}.${encode(payload)}`
  return Effect.map(
    Effect.promise(() => crypto.subtle.sign(signatureParameters(key.algorithm), key.privateKey, bytes(input))),
    (signature) => `${input}.${encode(new Uint8Array(signature))}`
  )
}

const encode = jose.base64url.encode

const bytes = (text: string) => new TextEncoder().encode(text)

const signatureParameters = (algorithm: string) => {
  const bits = Number(algorithm.slice(2))
  if (algorithm.startsWith("PS")) return { name: "RSA-PSS", saltLength: bits / 8 }
  if (algorithm.startsWith("RS")) return { name: "RSASSA-PKCS1-v1_5" }
  if (algorithm.startsWith("ES")) return { name: "ECDSA", hash: `SHA-${bits}` }
  return { name: "Ed25519" }
}

/** What an issuer is. */
export interface Options {
  /** The resource whose tokens are good: their `aud`. */
  readonly resource: string
  /** The issuer. Default: `https://as.example`. */
  readonly issuer?: string | undefined
  /** What it signs with. Default: RS256, which AuthKit signs with. */
  readonly algorithm?: string | undefined
  /** Claims of every token, over those that a good token has anyway; for example `{ scope: "notes:read" }`. */
  readonly claims?: Claims | undefined
  /** Header members of every token, over those that a good token has anyway; `{ typ: undefined }` is what AuthKit writes. */
  readonly header?: Header | undefined
}

type Claims = Readonly<Record<string, unknown>>
type Header = Readonly<Record<string, unknown>>

/** What differs from one good token. A member of `undefined` is left out. */
export interface Overrides {
  readonly key?: Key | undefined
  readonly header?: Header | undefined
  readonly claims?: Claims | undefined
}

/** A fake authorization server. */
export interface Issuer {
  readonly issuer: string
  readonly key: Key
  /** Its network: what it answers can be changed, and what it was asked can be read. */
  readonly network: Network
  /** The network as the `HttpClient` of the app under test. */
  readonly layer: Layer.Layer<HttpClient.HttpClient>
  /** A good token for the resource, valid for five minutes from the test's clock on, but for the overrides. */
  readonly mint: (overrides?: Overrides) => Effect.Effect<Token>
  /** Tokens that must be refused, by what is wrong with each: 401, all of them. */
  readonly forge: { readonly [Name in Attack]: Effect.Effect<Token> }
}

/**
 * Starts a fake authorization server with a new key. Its metadata and its key set are served to `ResourceServer.layer` and
 * `AuthKit.layer` by `layer`, and nothing else is.
 */
export const issuer = (options: Options): Effect.Effect<Issuer> =>
  Effect.gen(function* () {
    const { algorithm = "RS256", header = {}, issuer = "https://as.example", resource } = options
    const key = yield* generateKey(algorithm)
    const net = network(publishes(issuer, key))
    const good = { ...options.claims, iss: issuer, aud: resource }
    const own = { typ: "at+jwt", ...header }
    const mint = mintWith(key, own, good)
    return { issuer, key, network: net, layer: net.layer, mint, forge: forgeries(mint, key, own, good) }
  })

const mintWith =
  (own: Key, ownHeader: Header, good: Claims): Issuer["mint"] =>
  ({ claims, header, key = own } = {}) =>
    Effect.flatMap(now, (iat) =>
      Effect.map(
        sign(
          key,
          JSON.stringify({ alg: key.algorithm, kid: key.keyId, ...ownHeader, ...header }),
          JSON.stringify({
            sub: "user-1",
            client_id: "client-1",
            iat,
            exp: iat + 300,
            jti: "jti-1",
            ...good,
            ...claims
          })
        ),
        Redacted.make
      )
    )

const now = Effect.map(Clock.currentTimeMillis, (millis) => Math.floor(millis / 1000))

/** What is wrong with a forged token. */
export type Attack =
  | "unsigned"
  | "hmacWithPublicKey"
  | "anotherKey"
  | "embeddedKey"
  | "tampered"
  | "expired"
  | "notYetValid"
  | "otherAudience"
  | "otherIssuer"
  | "idToken"

const forgeries = (mint: Issuer["mint"], key: Key, header: Header, good: Claims): Issuer["forge"] => {
  const { issuer, resource } = { issuer: String(good["iss"]), resource: String(good["aud"]) }
  const evil = generateKey(key.algorithm, key.keyId)
  return {
    // RFC 7519 section 6: no signature at all, and a header that says that is as it should be.
    unsigned: rewritten(mint(), ({ payload }) => `${encode(JSON.stringify({ ...header, alg: "none" }))}.${payload}.`),
    // RFC 8725 section 2.1: what everyone knows, the public key, taken for a shared secret.
    hmacWithPublicKey: hmacWithPublicKey(mint({ header: { alg: "HS256" } }), key),
    // The issuer's `kid`, the attacker's key.
    anotherKey: Effect.flatMap(evil, (key) => mint({ key })),
    // RFC 8725 section 3.10: the token brings the key along that it wants to be verified with.
    embeddedKey: Effect.flatMap(evil, (key) => mint({ key, header: { jwk: key.jwk } })),
    // Another subject under the signature of the first.
    tampered: Effect.flatMap(mint({ claims: { sub: "admin" } }), (other) =>
      rewritten(mint(), ({ header, signature }) => `${header}.${segments(other).payload}.${signature}`)
    ),
    expired: Effect.flatMap(now, (now) => mint({ claims: { iat: now - 7200, exp: now - 3600 } })),
    notYetValid: Effect.flatMap(now, (now) => mint({ claims: { nbf: now + 3600, exp: now + 7200 } })),
    // RFC 8707: minted by the same issuer, for somebody else.
    otherAudience: mint({ claims: { aud: `${resource}-of-another` } }),
    otherIssuer: mint({ claims: { iss: `${issuer}.attacker.example` } }),
    // RFC 9068 section 5: an ID token of the same user, which is for the client to read. An issuer that writes no type to its
    // access tokens writes none to its ID tokens.
    idToken: mint({
      header: { typ: header["typ"] === undefined ? undefined : "JWT" },
      claims: { aud: "client-1", client_id: undefined, nonce: "nonce-1" }
    })
  }
}

const segments = (token: Token) => {
  const [header = "", payload = "", signature = ""] = Redacted.value(token).split(".")
  return { header, payload, signature }
}

const rewritten = (token: Effect.Effect<Token>, rewrite: (parts: ReturnType<typeof segments>) => string) =>
  Effect.map(token, (token) => Redacted.make(rewrite(segments(token))))

/** The PEM of the public key as the secret: what a library that takes either has been given. */
const hmacWithPublicKey = (token: Effect.Effect<Token>, { algorithm, jwk }: Key): Effect.Effect<Token> =>
  Effect.flatMap(token, (token) =>
    Effect.promise(async () => {
      const { header, payload } = segments(token)
      const publicKey = (await jose.importJWK(jwk, algorithm, { extractable: true })) as CryptoKey
      const secret = bytes(await jose.exportSPKI(publicKey))
      const hmac = { name: "HMAC", hash: "SHA-256" }
      const imported = await crypto.subtle.importKey("raw", secret, hmac, false, ["sign"])
      const signature = await crypto.subtle.sign("HMAC", imported, bytes(`${header}.${payload}`))
      return Redacted.make(`${header}.${payload}.${encode(new Uint8Array(signature))}`)
    })
  )

/** The headers of a request that carries a token. */
export const bearer = (token: Token): { readonly authorization: string } => ({
  authorization: `Bearer ${Redacted.value(token)}`
})

/** The answers of an issuer in good order: RFC 8414 metadata, and its key set, which AuthKit has below `/oauth2`. */
export const publishes =
  (issuer: string, ...keys: ReadonlyArray<Key>): Answer =>
  (url) => {
    if (url === metadataUrls(issuer)[0]) return Response.json({ issuer, jwks_uri: `${issuer}/jwks` })
    if (url === `${issuer}/jwks` || url === `${issuer}/oauth2/jwks`) {
      return Response.json({ keys: keys.map(({ jwk }) => jwk) })
    }
    return new Response(null, { status: 404 })
  }
