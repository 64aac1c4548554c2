import { describe, expect, expectTypeOf, it } from "@effect/vitest"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import * as Check from "../../src/token/Check.ts"
import * as Jwt from "../../src/token/Jwt.ts"
import * as KeySet from "../../src/issuer/KeySet.ts"
import * as TokenError from "../../src/TokenError.ts"
import { issuer, keyFor, mint, resource } from "../support/issuer.ts"

describe("a pipeline of checks", () => {
  class NotEnabled extends Data.TaggedError("NotEnabled")<{ readonly organization: unknown }> {}
  const enabled: Check.Check<NotEnabled> = (claimed) =>
    claimed.claims["org_id"] === "org-1"
      ? Effect.succeed(claimed)
      : new NotEnabled({ organization: claimed.claims["org_id"] })

  const verify = (token: Redacted.Redacted) =>
    Jwt.verify(token).pipe(
      Effect.flatMap(Check.tokenType("at+jwt")),
      Effect.flatMap(Check.issuer(issuer)),
      Effect.flatMap(Check.audience({ audiences: [resource] })),
      Effect.flatMap(Check.lifetime({ clockTolerance: "30 seconds" })),
      Effect.flatMap(Check.scopes(["mcp:tools"]))
    )
  const withoutAudience = (token: Redacted.Redacted) =>
    Jwt.verify(token).pipe(
      Effect.flatMap(Check.tokenType("at+jwt")),
      Effect.flatMap(Check.issuer(issuer)),
      Effect.flatMap(Check.lifetime()),
      Effect.flatMap(Check.scopes(["mcp:tools"]))
    )
  const withOwnCheck = (token: Redacted.Redacted) => Effect.flatMap(verify(token), enabled)

  const keys = Effect.map(
    Effect.promise(() => keyFor("ES256")),
    ({ jwk }) => KeySet.layerLocal({ jwks: { keys: [jwk] } })
  )
  const run = <A, E>(effect: Effect.Effect<A, E, KeySet.KeySet>) =>
    Effect.flatMap(keys, (layer) => Effect.provide(effect, layer))

  type ErrorOf<F extends (token: Redacted.Redacted) => Effect.Effect<unknown, unknown, unknown>> = Effect.Effect.Error<
    ReturnType<F>
  >
  type VerifyError =
    | TokenError.TokenMalformed
    | TokenError.AlgorithmNotAllowed
    | TokenError.CriticalHeaderUnsupported
    | TokenError.KeyNotFound
    | TokenError.SignatureInvalid
    | TokenError.VerificationUnavailable
    | TokenError.TypeMismatch
    | TokenError.IssuerMismatch
    | TokenError.AudienceMismatch
    | TokenError.Expired
    | TokenError.NotYetValid
    | TokenError.ClaimInvalid
    | TokenError.ScopeMissing

  it("has the visible sum of its lines for its error type, and needs only the keys", () => {
    expectTypeOf<ErrorOf<typeof verify>>().toEqualTypeOf<VerifyError>()
    expectTypeOf(verify).returns.toEqualTypeOf<Effect.Effect<Jwt.Jwt, VerifyError, KeySet.KeySet>>()
  })

  it("loses the error of a line that is left out", () => {
    expectTypeOf<ErrorOf<typeof withoutAudience>>().toEqualTypeOf<Exclude<VerifyError, TokenError.AudienceMismatch>>()
  })

  it("gains the error of a check of the user's own", () => {
    expectTypeOf<ErrorOf<typeof withOwnCheck>>().toEqualTypeOf<VerifyError | NotEnabled>()
  })

  it.effect("returns the decoded token", () =>
    Effect.gen(function* () {
      const token = yield* run(Effect.flatMap(mint({ claims: { org_id: "org-1" } }), withOwnCheck))
      expect(token).toEqual({
        algorithm: "ES256",
        keyId: "es256",
        type: "at+jwt",
        claims: {
          iss: issuer,
          aud: resource,
          sub: "user-1",
          client_id: "client-1",
          iat: 0,
          exp: 300,
          jti: "jti-1",
          scope: "mcp:tools",
          org_id: "org-1"
        },
        scopes: new Set(["mcp:tools"])
      })
    })
  )

  it.effect("fails with the error of the line that rejects", () =>
    Effect.gen(function* () {
      expect(yield* Effect.flip(run(Effect.flatMap(mint(), withOwnCheck)))).toEqual(
        new NotEnabled({ organization: undefined })
      )
      const other = mint({ claims: { aud: "https://other.example" } })
      expect(yield* Effect.flip(run(Effect.flatMap(other, verify)))).toEqual(
        new TokenError.AudienceMismatch({ expected: [resource], actual: ["https://other.example"] })
      )
      expect((yield* run(Effect.flatMap(other, withoutAudience))).claims["aud"]).toBe("https://other.example")
    })
  )
})
