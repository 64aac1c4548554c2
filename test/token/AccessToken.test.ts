import { describe, expect, expectTypeOf, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as AccessToken from "../../src/token/AccessToken.ts"
import { type Claims, type Jwt, scopes as scopesOf } from "../../src/token/Jwt.ts"
import { ClaimInvalid, ScopeMissing } from "../../src/TokenError.ts"

const claims: Claims = {
  iss: "https://as.example",
  sub: "user-1",
  client_id: "client-1",
  azp: "client-2",
  exp: 300,
  jti: "jti-1",
  scope: "a b"
}
const jwt = (overrides: Claims): Jwt => ({
  algorithm: "ES256",
  keyId: "k1",
  type: "at+jwt",
  claims: { ...claims, ...overrides },
  scopes: scopesOf({ ...claims, ...overrides })
})

describe("fromJwt", () => {
  it.effect("reads the claims that handlers use, and keeps them all", () =>
    Effect.gen(function* () {
      expect(yield* AccessToken.fromJwt(jwt({ org_id: "org-1" }))).toEqual({
        claims: { ...claims, org_id: "org-1" },
        issuer: "https://as.example",
        subject: "user-1",
        clientId: "client-1",
        scopes: new Set(["a", "b"]),
        expiresAt: 300
      })
    })
  )

  it.effect("takes azp for the client where there is no client_id", () =>
    Effect.gen(function* () {
      const token = yield* AccessToken.fromJwt(jwt({ client_id: undefined }))
      expect(token.clientId).toBe("client-2")
    })
  )

  it.effect.each(["300", null, [300]])("takes no exp of %j for a time", (exp) =>
    Effect.map(AccessToken.fromJwt(jwt({ exp })), ({ expiresAt }) => expect(expiresAt).toBeUndefined())
  )

  it.effect("never makes up a client or a subject", () =>
    Effect.gen(function* () {
      const {
        claims: kept,
        scopes,
        ...rest
      } = yield* AccessToken.fromJwt({ ...jwt({}), claims: {}, scopes: new Set() })
      expect(kept).toEqual({})
      expect(scopes).toEqual(new Set())
      expect(Object.values(rest).every((value) => value === undefined)).toBe(true)
    })
  )

  const wrong: ReadonlyArray<unknown> = [1, null, true, [], ["user-1"], { id: "user-1" }]
  it.effect.each(
    ["iss", "sub", "client_id", "azp", "jti"].flatMap((claim) => wrong.map((value) => ({ claim, value })))
  )("rejects $claim $value", ({ claim, value }) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(AccessToken.fromJwt(jwt({ [claim]: value })))
      expect(error).toEqual(new ClaimInvalid({ claim, reason: "is not a string" }))
    })
  )
})

describe("AccessToken", () => {
  it("has a key of its own", () => {
    expect(AccessToken.AccessToken.key).toBe("effect-resource-server/AccessToken")
  })
})

const token: AccessToken.AccessToken["Type"] = { claims, scopes: new Set(["a", "b\n"]) }

describe("withScopes", () => {
  it.effect("returns the token itself if it has them all", () =>
    Effect.gen(function* () {
      expect(yield* AccessToken.withScopes(token, ["a", "b\n"])).toBe(token)
      expect(yield* AccessToken.withScopes(token, [])).toBe(token)
    })
  )

  it.effect("names all that are required, and what there is", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(AccessToken.withScopes(token, ["a", "c"]))
      expect(error).toEqual(new ScopeMissing({ required: ["a", "c"], granted: ["a", "b\\u000a"] }))
    })
  )
})

describe("requireScopes", () => {
  it.effect("asks the current request's token", () =>
    Effect.gen(function* () {
      const asked = AccessToken.requireScopes("A")
      expectTypeOf(asked).toEqualTypeOf<
        Effect.Effect<AccessToken.AccessToken["Type"], ScopeMissing, AccessToken.AccessToken>
      >()
      const error = yield* asked.pipe(Effect.flip, Effect.provideService(AccessToken.AccessToken, token))
      expect(error).toEqual(new ScopeMissing({ required: ["A"], granted: ["a", "b\\u000a"] }))
      expect(yield* AccessToken.requireScopes("a").pipe(Effect.provideService(AccessToken.AccessToken, token))).toBe(
        token
      )
    })
  )
})
