import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import * as KeySet from "../../src/issuer/KeySet.ts"
import * as ProtectedResource from "../../src/resource/ProtectedResource.ts"
import * as TokenError from "../../src/TokenError.ts"
import * as TokenVerifier from "../../src/token/TokenVerifier.ts"
import { generateKey, issuer, keyFor, mint, type Overrides, resource } from "../support/issuer.ts"

const { AudienceMismatch, BindingMismatch, ClaimInvalid, Expired, IssuerMismatch, NotYetValid } = TokenError
const { KeyNotFound, ScopeMissing, SignatureInvalid, TypeMismatch } = TokenError

const now = 1_000
const notIndicated =
  "either the client sent no resource parameter, or the URL is not registered as a resource indicator at the authorization server"

const keys = Layer.unwrapEffect(
  Effect.map(
    Effect.promise(() => keyFor("ES256")),
    ({ jwk }) => KeySet.layerLocal({ jwks: { keys: [jwk] } })
  )
)
const resourceAt = (baseUrl: string, path?: string) =>
  ProtectedResource.layer({ baseUrl, path, authorizationServers: [issuer], requiredScopes: ["mcp:tools"] })

interface Setting {
  readonly options?: Partial<TokenVerifier.JwtOptions>
  readonly at?: ReturnType<typeof resourceAt>
}
const layer = ({ at = resourceAt("https://api.example", "/mcp"), options }: Setting = {}) =>
  TokenVerifier.layerJwt({ issuer, ...options }).pipe(Layer.provide(keys), Layer.provide(at))

/** Verifies one token, minted now, in this setting. */
const verify = (overrides: Overrides = {}, setting?: Setting) =>
  Effect.gen(function* () {
    yield* TestClock.setTime(now * 1000)
    const token = yield* mint(overrides)
    const verifier = yield* TokenVerifier.TokenVerifier
    return yield* verifier.verify(token)
  }).pipe(Effect.provide(layer(setting)))

describe("TokenVerifier", () => {
  it("has a key of its own", () => {
    expect(TokenVerifier.TokenVerifier.key).toBe("effect-resource-server/TokenVerifier")
  })
})

describe("layerJwt", () => {
  it.effect("returns the verified token", () =>
    Effect.gen(function* () {
      expect(yield* verify()).toMatchObject({
        issuer,
        subject: "user-1",
        clientId: "client-1",
        scopes: new Set(["mcp:tools"]),
        expiresAt: now + 300,
        claims: { jti: "jti-1" }
      })
    })
  )

  const audienceMismatch = (actual: string, hint?: string) =>
    new AudienceMismatch({ expected: [resource], actual: [actual], ...(hint !== undefined && { hint }) })
  const slip = (difference: string) => `they differ only by ${difference}`
  it.effect.each<{ what: string; given: Overrides; error: TokenError.TokenError }>([
    {
      what: "another algorithm",
      given: { header: { alg: "HS256" } },
      error: new TokenError.AlgorithmNotAllowed({
        expected: ["RS256", "PS256", "ES256", "ES384", "EdDSA", "Ed25519"],
        actual: "HS256"
      })
    },
    {
      what: "another kid",
      given: { header: { kid: "k2" } },
      error: new KeyNotFound({ algorithm: "ES256", keyId: "k2" })
    },
    { what: "crit", given: { header: { crit: ["exp"] } }, error: new TokenError.CriticalHeaderUnsupported() },
    {
      what: "typ JWT",
      given: { header: { typ: "JWT" } },
      error: new TypeMismatch({ expected: ["at+jwt"], actual: "JWT" })
    },
    { what: "no typ", given: { header: { typ: undefined } }, error: new TypeMismatch({ expected: ["at+jwt"] }) },
    {
      what: "the issuer with a slash",
      given: { claims: { iss: `${issuer}/` } },
      error: new IssuerMismatch({ expected: issuer, actual: `${issuer}/`, hint: slip("a trailing slash") })
    },
    {
      what: "another issuer",
      given: { claims: { iss: "https://other.example" } },
      error: new IssuerMismatch({ expected: issuer, actual: "https://other.example" })
    },
    {
      what: "another audience",
      given: { claims: { aud: "https://other.example/mcp" } },
      error: audienceMismatch("https://other.example/mcp")
    },
    {
      what: "a client id for its audience",
      given: { claims: { aud: "client_01" } },
      error: audienceMismatch("client_01", `a client id or name where a URL belongs; ${notIndicated}`)
    },
    {
      what: "the audience with a slash",
      given: { claims: { aud: `${resource}/` } },
      error: audienceMismatch(`${resource}/`, slip("a trailing slash"))
    },
    {
      what: "the origin for its audience",
      given: { claims: { aud: "https://api.example" } },
      error: audienceMismatch("https://api.example", slip("the path"))
    },
    {
      what: "no audience",
      given: { claims: { aud: undefined } },
      error: new AudienceMismatch({
        expected: [resource],
        actual: [],
        hint: `the token names no audience; ${notIndicated}`
      })
    },
    { what: "exp past", given: { claims: { exp: now - 30 } }, error: new Expired({ expiresAt: now - 30, now }) },
    {
      what: "no exp",
      given: { claims: { exp: undefined } },
      error: new ClaimInvalid({ claim: "exp", reason: "is missing" })
    },
    {
      what: "nbf ahead",
      given: { claims: { nbf: now + 31 } },
      error: new NotYetValid({ claim: "nbf", validFrom: now + 31, now })
    },
    {
      what: "iat ahead",
      given: { claims: { iat: now + 31 } },
      error: new NotYetValid({ claim: "iat", validFrom: now + 31, now })
    },
    { what: "cnf", given: { claims: { cnf: { jkt: "thumbprint" } } }, error: new BindingMismatch() },
    {
      what: "another scope",
      given: { claims: { scope: "other" } },
      error: new ScopeMissing({ required: ["mcp:tools"], granted: ["other"] })
    },
    {
      what: "a sub that is no string",
      given: { claims: { sub: 1 } },
      error: new ClaimInvalid({ claim: "sub", reason: "is not a string" })
    }
  ])("rejects a token with $what", ({ error, given }) =>
    Effect.gen(function* () {
      expect(yield* Effect.flip(verify(given))).toEqual(error)
    })
  )

  it.effect(
    "checks the signature first, then type, issuer, audience, lifetime, claims, binding, types of claims, scopes",
    () =>
      Effect.gen(function* () {
        const key = yield* Effect.promise(() => generateKey("ES256"))
        const header = { typ: "JWT" }
        let claims: Record<string, unknown> = { iss: "i", aud: "a", exp: 0, cnf: {}, scope: "", sub: 1 }
        const tag = (overrides: Overrides) =>
          Effect.map(Effect.flip(verify(overrides, { options: { requiredClaims: ["org_id"] } })), (error) =>
            error._tag === "ClaimInvalid" ? `${error._tag}: ${error.claim}` : error._tag
          )
        const tags = [yield* tag({ key, header, claims }), yield* tag({ header, claims })]
        for (const repaired of [
          {},
          { iss: issuer },
          { aud: resource },
          { exp: now + 300 },
          { org_id: "org-1" },
          { cnf: undefined },
          { sub: "user-1" }
        ]) {
          claims = { ...claims, ...repaired }
          tags.push(yield* tag({ claims }))
        }
        expect(tags).toEqual([
          "SignatureInvalid",
          "TypeMismatch",
          "IssuerMismatch",
          "AudienceMismatch",
          "Expired",
          "ClaimInvalid: org_id",
          "BindingMismatch",
          "ClaimInvalid: sub",
          "ScopeMissing"
        ])
      })
  )

  it.effect("says nothing of the claims of a token that the issuer did not sign", () =>
    Effect.gen(function* () {
      const key = yield* Effect.promise(() => generateKey("ES256"))
      expect(yield* Effect.flip(verify({ key, claims: { exp: 0 } }))).toEqual(new SignatureInvalid())
    })
  )

  it.effect.each<{ what: string; given: Overrides; setting: Setting }>([
    {
      what: "a type of tokenTypes",
      given: { header: { typ: "jwt" } },
      setting: { options: { tokenTypes: ["at+jwt", "JWT"] } }
    },
    {
      what: "exp past within clockTolerance",
      given: { claims: { exp: now - 299 } },
      setting: { options: { clockTolerance: "5 minutes" } }
    },
    {
      what: "the bare origin",
      given: { claims: { aud: "https://api.example" } },
      setting: { at: resourceAt("https://api.example") }
    },
    {
      what: "the bare origin with a slash",
      given: { claims: { aud: ["https://api.example/"] } },
      setting: { at: resourceAt("https://api.example", "/") }
    }
  ])("takes a token with $what", ({ given, setting }) =>
    Effect.map(verify(given, setting), ({ subject }) => expect(subject).toBe("user-1"))
  )

  it.effect("rejects a token without a claim of requiredClaims", () =>
    Effect.gen(function* () {
      const setting = { options: { requiredClaims: ["org_id"] } }
      expect(yield* Effect.flip(verify({}, setting))).toEqual(
        new ClaimInvalid({ claim: "org_id", reason: "is missing" })
      )
      expect((yield* verify({ claims: { org_id: "org-1" } }, setting)).claims["org_id"]).toBe("org-1")
    })
  )

  it.effect("takes localhost and 127.0.0.1 for different resources", () =>
    Effect.gen(function* () {
      const at = resourceAt("http://localhost:3000", "/mcp")
      expect(yield* Effect.flip(verify({ claims: { aud: "http://127.0.0.1:3000/mcp" } }, { at }))).toEqual(
        new AudienceMismatch({
          expected: ["http://localhost:3000/mcp"],
          actual: ["http://127.0.0.1:3000/mcp"],
          hint: slip("the name of the loopback host (localhost, 127.0.0.1)")
        })
      )
    })
  )
})
