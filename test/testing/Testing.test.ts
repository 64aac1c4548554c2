import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { describe, expect, it } from "@effect/vitest"
import { AccessToken, AuthKit, BearerAuth, ResourceServer, TokenVerifier } from "effect-resource-server"
import * as Testing from "effect-resource-server/Testing"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/TestClock"
import * as jose from "jose"

const options = { issuer: "https://as.example", resource: "https://api.example/mcp" }

/** The tag of the rejection of a token, or `accepted`. */
const verdict = (token: Effect.Effect<Testing.Token>) =>
  Effect.flatMap(TokenVerifier.TokenVerifier, ({ verify }) =>
    Effect.match(Effect.flatMap(token, verify), { onSuccess: () => "accepted", onFailure: ({ _tag }) => _tag })
  )

const servers = [
  {
    name: "ResourceServer.layer",
    layer: ResourceServer.layer({ issuer: options.issuer, baseUrl: "https://api.example", path: "/mcp" }),
    header: undefined,
    otherAudience: "AudienceMismatch"
  },
  {
    name: "AuthKit.layer",
    layer: AuthKit.layer({ authkitDomain: "as.example", baseUrl: "https://api.example", path: "/mcp" }),
    header: { typ: undefined },
    otherAudience: "TypeMismatch"
  },
  {
    name: "AuthKit.layer, as its emulator mints them,",
    layer: AuthKit.layer({ authkitDomain: "as.example", baseUrl: "https://api.example", path: "/mcp" }),
    header: { typ: "JWT" },
    otherAudience: "TypeMismatch"
  }
]

describe("issuer", () => {
  it.effect.each(servers)("mints what $name accepts, and forges what it refuses", ({ header, layer, otherAudience }) =>
    Effect.gen(function* () {
      const issuer = yield* Testing.issuer({ ...options, header })
      yield* TestClock.setTime(1_700_000_000_000)
      yield* Effect.gen(function* () {
        expect(yield* verdict(issuer.mint())).toBe("accepted")
        const verdicts: Record<string, string> = {}
        for (const [attack, token] of Object.entries(issuer.forge)) verdicts[attack] = yield* verdict(token)
        expect(verdicts).toEqual({
          unsigned: "TokenMalformed",
          hmacWithPublicKey: "AlgorithmNotAllowed",
          anotherKey: "SignatureInvalid",
          embeddedKey: "SignatureInvalid",
          tampered: "SignatureInvalid",
          expired: "Expired",
          notYetValid: "NotYetValid",
          otherAudience,
          otherIssuer: "IssuerMismatch",
          idToken: "TypeMismatch"
        } satisfies Record<Testing.Attack, string>)
      }).pipe(Effect.provide(Layer.provide(layer, issuer.layer)), Effect.provide(Logger.remove(Logger.defaultLogger)))
    })
  )

  it.effect("mints and forges tokens without typ, its ID tokens too, where the issuer writes none", () =>
    Effect.gen(function* () {
      const { forge, mint } = yield* Testing.issuer({ ...options, header: { typ: undefined } })
      const header = (token: Effect.Effect<Testing.Token>) =>
        Effect.map(token, (minted) => jose.decodeProtectedHeader(Redacted.value(minted)))
      expect(yield* header(mint())).toEqual({ alg: "RS256", kid: "rs256" })
      expect(yield* header(mint({ header: { typ: "JWT" } }))).toEqual({ alg: "RS256", kid: "rs256", typ: "JWT" })
      expect(yield* header(forge.idToken)).toEqual({ alg: "RS256", kid: "rs256" })
      expect(jose.decodeJwt(Redacted.value(yield* forge.idToken))).toMatchObject({ aud: "client-1", nonce: "nonce-1" })
      expect(yield* header(forge.unsigned)).toEqual({ alg: "none" })
    })
  )

  it.effect("forges tokens that differ from the good one by nothing else", () =>
    Effect.gen(function* () {
      const issuer = yield* Testing.issuer(options)
      const parts = (token: Testing.Token) => {
        const [header = "", payload = "", signature = ""] = Redacted.value(token).split(".")
        const read = (part: string): object => JSON.parse(Buffer.from(part, "base64url").toString())
        return { header: read(header), payload: read(payload), signature: signature.length }
      }
      const good = parts(yield* issuer.mint())
      const at = (attack: Testing.Attack) => Effect.map(issuer.forge[attack], parts)
      expect(yield* at("unsigned")).toEqual({ ...good, header: { typ: "at+jwt", alg: "none" }, signature: 0 })
      expect(yield* at("anotherKey")).toEqual(good)
      expect(yield* at("tampered")).toEqual({ ...good, payload: { ...good.payload, sub: "admin" } })
      expect((yield* at("embeddedKey")).header).toEqual({
        ...good.header,
        jwk: expect.objectContaining({ kty: "RSA" })
      })
      expect((yield* at("otherAudience")).payload).toEqual({ ...good.payload, aud: `${options.resource}-of-another` })
      expect((yield* at("hmacWithPublicKey")).header).toEqual({ ...good.header, alg: "HS256" })
    })
  )

  it.effect("makes an HMAC that a library would accept that takes the public key for a secret", () =>
    Effect.gen(function* () {
      const { forge, key } = yield* Testing.issuer({ ...options, algorithm: "ES256" })
      const token = yield* forge.hmacWithPublicKey
      const publicKey = yield* Effect.promise(() => jose.importJWK(key.jwk, "ES256", { extractable: true }))
      const pem = yield* Effect.promise(() => jose.exportSPKI(publicKey as CryptoKey))
      const verified = yield* Effect.promise(() =>
        jose.jwtVerify(Redacted.value(token), new TextEncoder().encode(pem), { currentDate: new Date(0) })
      )
      expect(verified.protectedHeader.alg).toBe("HS256")
    })
  )

  it.effect.each(["ES256", "ES384", "RS256", "PS256", "EdDSA"])("signs with %s", (algorithm) =>
    Effect.gen(function* () {
      const { key, mint } = yield* Testing.issuer({ ...options, algorithm })
      const token = Redacted.value(yield* mint())
      const verified = yield* Effect.promise(() =>
        jose.jwtVerify(token, jose.createLocalJWKSet({ keys: [key.jwk] }), { currentDate: new Date(0) })
      )
      expect(verified.protectedHeader).toEqual({ typ: "at+jwt", alg: algorithm, kid: algorithm.toLowerCase() })
    })
  )

  it.effect("mints under the test's clock, with its own claims and then the overrides", () =>
    Effect.gen(function* () {
      const issuer = yield* Testing.issuer({ ...options, algorithm: "ES256", claims: { scope: "a", sub: "user-2" } })
      yield* TestClock.setTime(5_000)
      const claims = (overrides?: Testing.Overrides) =>
        Effect.map(issuer.mint(overrides), (token) => jose.decodeJwt(Redacted.value(token)))
      const good = { iss: options.issuer, aud: options.resource, client_id: "client-1", jti: "jti-1", iat: 5, exp: 305 }
      expect(yield* claims()).toEqual({ ...good, scope: "a", sub: "user-2" })
      expect(yield* claims({ claims: { scope: "b", jti: undefined, exp: 6 } })).toEqual({
        ...good,
        jti: undefined,
        exp: 6,
        scope: "b",
        sub: "user-2"
      })
    })
  )
})

describe("an app of one's own", () => {
  const App = BearerAuth.add(
    "GET",
    "/",
    Effect.map(AccessToken.AccessToken, ({ subject }) => HttpServerResponse.text(subject ?? "nobody"))
  ).pipe(
    Layer.provide(BearerAuth.layer),
    Layer.provide(
      ResourceServer.layer({
        issuer: options.issuer,
        baseUrl: "https://api.example",
        path: "/mcp",
        requiredScopes: ["notes:read"]
      })
    )
  )

  const serve = (issuer: Testing.Issuer) =>
    Layer.build(
      HttpLayerRouter.serve(App, { disableLogger: true, disableListenLog: true }).pipe(Layer.provide(issuer.layer))
    )

  const answer = (token: Testing.Token) => HttpClient.get("/mcp", { headers: Testing.bearer(token) })

  it.scoped("is tested with good tokens, forged ones, and time", () =>
    Effect.gen(function* () {
      const issuer = yield* Testing.issuer({ ...options, claims: { scope: "notes:read" } })
      yield* serve(issuer)
      const token = yield* issuer.mint({ claims: { sub: "ada" } })
      const accepted = yield* answer(token)
      expect([accepted.status, yield* accepted.text]).toEqual([200, "ada"])
      expect((yield* answer(yield* issuer.mint({ claims: { scope: "other" } }))).status).toBe(403)
      for (const [attack, forged] of Object.entries(issuer.forge)) {
        expect([attack, (yield* answer(yield* forged)).status]).toEqual([attack, 401])
      }
      yield* TestClock.adjust("331 seconds")
      expect((yield* answer(token)).status).toBe(401)
    }).pipe(Effect.provide(NodeHttpServer.layerTest))
  )

  it.scoped("is tested with an outage", () =>
    Effect.gen(function* () {
      const issuer = yield* Testing.issuer({ ...options, claims: { scope: "notes:read" } })
      issuer.network.answer = () => "refuse"
      yield* serve(issuer)
      const response = yield* answer(yield* issuer.mint())
      expect([response.status, response.headers["retry-after"]]).toEqual([503, "1"])
      expect(issuer.network.requests.map(({ url }) => url)).toEqual([
        "https://as.example/.well-known/oauth-authorization-server",
        "https://as.example/.well-known/openid-configuration"
      ])
    }).pipe(Effect.provide(NodeHttpServer.layerTest))
  )
})
