/**
 * The one fake authorization server of the tests: real keys and real signatures, under a clock and a network that the
 * test controls.
 */
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientError from "@effect/platform/HttpClientError"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as jose from "jose"

export const issuer = "https://as.example"
export const resource = "https://api.example/mcp"

/** A key pair with the public JWK as an issuer publishes it. */
export interface Key {
  readonly algorithm: string
  readonly keyId: string
  readonly privateKey: CryptoKey
  readonly jwk: jose.JWK
}

export const generateKey = async (algorithm: string, keyId = algorithm.toLowerCase()): Promise<Key> => {
  const { privateKey, publicKey } = await jose.generateKeyPair(algorithm, { extractable: true })
  const jwk = { ...(await jose.exportJWK(publicKey)), kid: keyId, alg: algorithm, use: "sig" }
  return { algorithm, keyId, privateKey, jwk }
}

const keys = new Map<string, Promise<Key>>()

/** One key per algorithm for the whole test run: RSA keys take their time. */
export const keyFor = (algorithm: string): Promise<Key> => {
  const key = keys.get(algorithm) ?? generateKey(algorithm)
  keys.set(algorithm, key)
  return key
}

/** What differs from one good token. A member of `undefined` is left out. */
export interface Overrides {
  readonly algorithm?: string
  readonly key?: Key
  readonly header?: Readonly<Record<string, unknown>>
  readonly claims?: Readonly<Record<string, unknown>>
}

/** A good token of `issuer` for `resource`, valid for five minutes of the test's clock, but for the overrides. */
export const mint = (overrides: Overrides = {}): Effect.Effect<Redacted.Redacted> =>
  Effect.flatMap(Clock.currentTimeMillis, (millis) =>
    Effect.promise(async () => {
      const key = overrides.key ?? (await keyFor(overrides.algorithm ?? "ES256"))
      const now = Math.floor(millis / 1000)
      const header = { typ: "at+jwt", alg: key.algorithm, kid: key.keyId, ...overrides.header }
      const claims = {
        iss: issuer,
        aud: resource,
        sub: "user-1",
        client_id: "client-1",
        iat: now,
        exp: now + 300,
        jti: "jti-1",
        scope: "mcp:tools",
        ...overrides.claims
      }
      return Redacted.make(await sign(key, JSON.stringify(header), JSON.stringify(claims)))
    })
  )

/** Signs any header text and payload bytes as they are, so that what no JWT library would write can be tried. */
export const sign = async (key: Key, header: string, payload: string | Uint8Array): Promise<string> => {
  const encode = jose.base64url.encode
  const input = `${encode(header)}.${encode(payload)}`
  const signature = await crypto.subtle.sign(
    signatureParameters(key.algorithm),
    key.privateKey,
    new TextEncoder().encode(input)
  )
  return `${input}.${encode(new Uint8Array(signature))}`
}

const signatureParameters = (algorithm: string) => {
  const bits = Number(algorithm.slice(2))
  if (algorithm.startsWith("PS")) return { name: "RSA-PSS", saltLength: bits / 8 }
  if (algorithm.startsWith("RS")) return { name: "RSASSA-PKCS1-v1_5" }
  if (algorithm.startsWith("ES")) return { name: "ECDSA", hash: `SHA-${bits}` }
  return { name: "Ed25519" }
}

/** What the fake network answers to a GET of a URL. */
export type Answer = (url: string) => Response | Promise<Response> | "hang" | "refuse"

export const json = (body: unknown, init?: ResponseInit) => Response.json(body, init)

/** The answers of an issuer in good order: RFC 8414 metadata and a key set. */
export const publishes =
  (...published: ReadonlyArray<Key>): Answer =>
  (url) => {
    if (url === `${issuer}/.well-known/oauth-authorization-server`) return json({ issuer, jwks_uri: `${issuer}/jwks` })
    if (url === `${issuer}/jwks`) return json({ keys: published.map(({ jwk }) => jwk) })
    return new Response(null, { status: 404 })
  }

/** A network whose answers the test changes, and that remembers what was asked of it. */
export interface Network {
  answer: Answer
  readonly requests: Array<{ readonly url: string; readonly headers: Readonly<Record<string, string>> }>
  readonly layer: Layer.Layer<HttpClient.HttpClient>
}

export const network = (answer: Answer): Network => {
  const self: Network = {
    answer,
    requests: [],
    layer: Layer.sync(HttpClient.HttpClient, () =>
      HttpClient.make((request) => {
        self.requests.push({ url: request.url, headers: request.headers })
        const answered = self.answer(request.url)
        if (answered === "hang") return Effect.never
        if (answered === "refuse") return new HttpClientError.RequestError({ request, reason: "Transport" })
        return Effect.map(
          Effect.promise(async () => answered),
          (response) => HttpClientResponse.fromWeb(request, response)
        )
      })
    )
  }
  return self
}
