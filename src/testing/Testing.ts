/**
 * A fake authorization server for the tests of a protected app. Its keys and signatures are real; it uses `TestClock` and no
 * network.
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
 *       // AuthKit writes no typ in its tokens.
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

/** An access token in its compact form. */
export type Token = Redacted.Redacted

/** A key pair, with the public JWK that an issuer publishes. */
export interface Key {
  readonly algorithm: string
  readonly keyId: string
  readonly privateKey: CryptoKey
  readonly jwk: jose.JWK
}

/** Generates a key pair. The default of `keyId` is the name of the algorithm in lower case. */
export const generateKey = (algorithm: string, keyId = algorithm.toLowerCase()): Effect.Effect<Key> =>
  Effect.promise(async () => {
    const { privateKey, publicKey } = await jose.generateKeyPair(algorithm, { extractable: true })
    const jwk = { ...(await jose.exportJWK(publicKey)), kid: keyId, alg: algorithm, use: "sig" }
    return { algorithm, keyId, privateKey, jwk }
  })

/** Signs a header and a payload without changes, for tokens that no JWT library would write. */
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

/** The options of a fake issuer. */
export interface Options {
  /** The resource that good tokens are for, which is their `aud`. */
  readonly resource: string
  /** The issuer. Default: `https://as.example`. */
  readonly issuer?: string | undefined
  /** The algorithm of its key. Default: RS256, which AuthKit uses. */
  readonly algorithm?: string | undefined
  /** Claims of every token, in addition to the default ones or instead of them, for example `{ scope: "notes:read" }`. */
  readonly claims?: Claims | undefined
  /** Header members of every token, as `claims`. AuthKit writes `{ typ: undefined }`. Default: `{ typ: "at+jwt" }`. */
  readonly header?: Header | undefined
}

type Claims = Readonly<Record<string, unknown>>
type Header = Readonly<Record<string, unknown>>

/** How a token differs from a good one. A member that is `undefined` is left out. */
export interface Overrides {
  readonly key?: Key | undefined
  readonly header?: Header | undefined
  readonly claims?: Claims | undefined
}

/** A fake authorization server. */
export interface Issuer {
  readonly issuer: string
  readonly key: Key
  /** Its network. A test can change the answers and read the requests. */
  readonly network: Network
  /** The `HttpClient` of the app under test, which uses this network. */
  readonly layer: Layer.Layer<HttpClient.HttpClient>
  /** Mints a good token for the resource, changed by the overrides. It is valid for five minutes of the test clock. */
  readonly mint: (overrides?: Overrides) => Effect.Effect<Token>
  /** Tokens that must be rejected with 401, each for another reason. */
  readonly forge: { readonly [Name in Attack]: Effect.Effect<Token> }
}

/**
 * Starts a fake authorization server with a new key. Its `layer` serves its metadata and its key set, which are enough for
 * `ResourceServer.layer` and `AuthKit.layer`, and answers 404 to all other requests.
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

/** Why a forged token must be rejected. */
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
  const foreign = generateKey(key.algorithm, key.keyId)
  return {
    // RFC 7519 section 6: the token has no signature, and its header says `none`.
    unsigned: rewritten(mint(), ({ payload }) => `${encode(JSON.stringify({ ...header, alg: "none" }))}.${payload}.`),
    // RFC 8725 section 2.1: the public key, which everyone knows, is used as a shared secret.
    hmacWithPublicKey: hmacWithPublicKey(mint({ header: { alg: "HS256" } }), key),
    // The token has the `kid` of the issuer's key and is signed by another key.
    anotherKey: Effect.flatMap(foreign, (key) => mint({ key })),
    // RFC 8725 section 3.10: the header has a public key, and the token is signed by that key.
    embeddedKey: Effect.flatMap(foreign, (key) => mint({ key, header: { jwk: key.jwk } })),
    // The payload is replaced by one with another subject; the signature is not.
    tampered: Effect.flatMap(mint({ claims: { sub: "admin" } }), (other) =>
      rewritten(mint(), ({ header, signature }) => `${header}.${segments(other).payload}.${signature}`)
    ),
    expired: Effect.flatMap(now, (now) => mint({ claims: { iat: now - 7200, exp: now - 3600 } })),
    notYetValid: Effect.flatMap(now, (now) => mint({ claims: { nbf: now + 3600, exp: now + 7200 } })),
    // RFC 8707: the same issuer minted the token for another resource.
    otherAudience: mint({ claims: { aud: `${resource}-of-another` } }),
    otherIssuer: mint({ claims: { iss: `${issuer}.attacker.example` } }),
    // RFC 9068 section 5: an ID token of the same user is for the client. An issuer that writes no `typ` in access tokens writes
    // none in ID tokens.
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

/** Signs with the PEM of the public key as the secret, which is what a vulnerable library verifies with. */
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

/** The headers of a request with a token. */
export const bearer = (token: Token): { readonly authorization: string } => ({
  authorization: `Bearer ${Redacted.value(token)}`
})

/** The answers of an issuer that works: its RFC 8414 metadata, and its key set, also below `/oauth2` as AuthKit has it. */
export const publishes =
  (issuer: string, ...keys: ReadonlyArray<Key>): Answer =>
  (url) => {
    if (url === metadataUrls(issuer)[0]) return Response.json({ issuer, jwks_uri: `${issuer}/jwks` })
    if (url === `${issuer}/jwks` || url === `${issuer}/oauth2/jwks`) {
      return Response.json({ keys: keys.map(({ jwk }) => jwk) })
    }
    return new Response(null, { status: 404 })
  }
