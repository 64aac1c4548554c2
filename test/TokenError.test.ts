import { describe, expect, expectTypeOf, it } from "@effect/vitest"
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as TokenError from "../src/TokenError.ts"

type Tag = TokenError.TokenError["_tag"]

/** One error of each tag with its message in a log. The compiler proves that no tag is left out. */
const messages: { readonly [T in Tag]: readonly [Extract<TokenError.TokenError, { _tag: T }>, string] } = {
  TokenMissing: [new TokenError.TokenMissing(), "the request carries no bearer token"],
  CredentialsMalformed: [new TokenError.CredentialsMalformed({ reason: "two headers" }), "two headers"],
  TokenMalformed: [new TokenError.TokenMalformed({ reason: "not three segments" }), "not three segments"],
  AlgorithmNotAllowed: [
    new TokenError.AlgorithmNotAllowed({ expected: ["RS256", "ES256"], actual: "none" }),
    "algorithm none is not one of RS256, ES256"
  ],
  CriticalHeaderUnsupported: [
    new TokenError.CriticalHeaderUnsupported(),
    "the token asks for a critical header extension; none is supported"
  ],
  KeyNotFound: [
    new TokenError.KeyNotFound({ algorithm: "RS256", keyId: "k1" }),
    "no usable key of the issuer fits kid k1 and RS256"
  ],
  SignatureInvalid: [new TokenError.SignatureInvalid(), "the signature does not verify"],
  TypeMismatch: [
    new TokenError.TypeMismatch({ expected: ["at+jwt", "JWT"], actual: "other" }),
    'expected typ "at+jwt", "JWT", got "other"'
  ],
  IssuerMismatch: [
    new TokenError.IssuerMismatch({ expected: "https://a", actual: "https://b" }),
    'expected issuer "https://a", got "https://b"'
  ],
  AudienceMismatch: [
    new TokenError.AudienceMismatch({ expected: ["https://a", "https://a/"], actual: ["x", "y"], hint: "a client id" }),
    'expected audience "https://a", "https://a/", got "x", "y": a client id'
  ],
  Expired: [new TokenError.Expired({ expiresAt: 100, now: 130.2 }), "the token expired 31 seconds ago"],
  NotYetValid: [
    new TokenError.NotYetValid({ claim: "nbf", validFrom: 160, now: 100 }),
    "the token's nbf is 60 seconds ahead"
  ],
  ClaimInvalid: [new TokenError.ClaimInvalid({ claim: "exp", reason: "is missing" }), "claim exp is missing"],
  BindingMismatch: [
    new TokenError.BindingMismatch(),
    "the token is bound to a key (cnf) that this request did not prove"
  ],
  ScopeMissing: [
    new TokenError.ScopeMissing({ required: ["a", "b"], granted: ["a"] }),
    'expected scopes "a", "b", got "a"'
  ],
  VerificationUnavailable: [
    new TokenError.VerificationUnavailable({ reason: "https://as.example/jwks answered 500", retryAfter: 30 }),
    "https://as.example/jwks answered 500"
  ]
}
const rows = Object.entries(messages).map(([tag, [error, message]]) => ({ tag: tag as Tag, error, message }))

describe("TokenError", () => {
  it.each(TokenError.TokenError.members.map((member) => ({ member, tag: member._tag })))(
    "$tag has the status of the table for HttpApi",
    ({ member, tag }) => {
      expect(HttpApiSchema.getStatusError(member)).toBe(TokenError.answers[tag].status)
    }
  )

  it.each(rows)("$tag says: $message", ({ error, message, tag }) => {
    expect(error._tag).toBe(tag)
    expect(error.message).toBe(message)
  })

  it("says none where the token has no such claim", () => {
    expect(new TokenError.TypeMismatch({ expected: ["at+jwt"] }).message).toBe('expected typ "at+jwt", got none')
    expect(new TokenError.IssuerMismatch({ expected: "https://a" }).message).toBe(
      'expected issuer "https://a", got none'
    )
    expect(new TokenError.AudienceMismatch({ expected: ["https://a"], actual: [] }).message).toBe(
      'expected audience "https://a", got none'
    )
    expect(new TokenError.ScopeMissing({ required: ["a"], granted: [] }).message).toBe('expected scopes "a", got none')
    expect(new TokenError.KeyNotFound({ algorithm: "RS256" }).message).toBe(
      "no usable key of the issuer fits a token without kid and RS256"
    )
  })

  it("says that no single key fits if too many do", () => {
    expect(new TokenError.KeyNotFound({ algorithm: "RS256", keyId: "k1", hint: "5 keys fit" }).message).toBe(
      "no single key of the issuer fits kid k1 and RS256: 5 keys fit"
    )
  })

  it.each(rows)("$tag is the same error after it was encoded and decoded", ({ error }) => {
    const wire: unknown = JSON.parse(JSON.stringify(Schema.encodeSync(TokenError.TokenError)(error)))
    const back = Schema.decodeUnknownSync(TokenError.TokenError)(wire)
    expect(back).toEqual(error)
    expect(back.constructor).toBe(error.constructor)
  })

  it.effect("is matched by tag", () =>
    Effect.gen(function* () {
      const verified = Effect.fail<TokenError.TokenError>(messages.AudienceMismatch[0])
      const handled = verified.pipe(Effect.catchTags({ AudienceMismatch: ({ actual }) => Effect.succeed(actual) }))
      expectTypeOf<Effect.Effect.Error<typeof handled>>().toEqualTypeOf<
        Exclude<TokenError.TokenError, TokenError.AudienceMismatch>
      >()
      expect(yield* handled).toEqual(["x", "y"])
    })
  )
})

describe("answers", () => {
  const invalidToken = { status: 401, code: "invalid_token" }
  it.each<{ tag: Tag; status: number; code?: string; logLevel: string }>([
    { tag: "TokenMissing", status: 401, logLevel: "Debug" },
    { tag: "CredentialsMalformed", status: 400, code: "invalid_request", logLevel: "Info" },
    { tag: "TokenMalformed", ...invalidToken, logLevel: "Info" },
    { tag: "AlgorithmNotAllowed", ...invalidToken, logLevel: "Info" },
    { tag: "CriticalHeaderUnsupported", ...invalidToken, logLevel: "Info" },
    { tag: "KeyNotFound", ...invalidToken, logLevel: "Info" },
    { tag: "SignatureInvalid", ...invalidToken, logLevel: "Info" },
    { tag: "TypeMismatch", ...invalidToken, logLevel: "Warning" },
    { tag: "IssuerMismatch", ...invalidToken, logLevel: "Warning" },
    { tag: "AudienceMismatch", ...invalidToken, logLevel: "Warning" },
    { tag: "Expired", ...invalidToken, logLevel: "Info" },
    { tag: "NotYetValid", ...invalidToken, logLevel: "Info" },
    { tag: "ClaimInvalid", ...invalidToken, logLevel: "Warning" },
    { tag: "BindingMismatch", ...invalidToken, logLevel: "Warning" },
    { tag: "ScopeMissing", status: 403, code: "insufficient_scope", logLevel: "Warning" },
    { tag: "VerificationUnavailable", status: 503, logLevel: "Error" }
  ])("answers $tag with $status $code, logged as $logLevel", ({ code, logLevel, status, tag }) => {
    const answer = TokenError.answers[tag]
    expect({ status: answer.status, code: answer.code, logLevel: answer.logLevel }).toEqual({ status, code, logLevel })
  })

  it("describes each error on the wire and in the documentation", () => {
    const texts = Object.entries(TokenError.answers).map(([tag, { description, when }]) => [tag, description, when])
    expect(texts).toEqual([
      ["TokenMissing", "The request carries no access token", "no `Authorization` header, or another scheme"],
      ["CredentialsMalformed", "The Authorization header is malformed", "bad syntax, several tokens, several headers"],
      ["TokenMalformed", "The access token is malformed", "not a compact JWS of a JSON object, or over the size limit"],
      [
        "AlgorithmNotAllowed",
        "The access token is signed with an algorithm that is not allowed",
        "`alg` outside the allow-list"
      ],
      ["CriticalHeaderUnsupported", "The access token needs an unsupported extension", "any `crit`"],
      ["KeyNotFound", "The access token is signed with an unknown key", "no usable key of the issuer fits"],
      ["SignatureInvalid", "The signature of the access token is invalid", "the signature does not verify"],
      ["TypeMismatch", "The token is not an access token", "`typ`, or what takes its place, is not an access token's"],
      ["IssuerMismatch", "The access token is from another issuer", "`iss` is not the configured issuer"],
      ["AudienceMismatch", "The access token is for another resource", "`aud` does not name this resource"],
      ["Expired", "The access token expired", "`exp` is past"],
      ["NotYetValid", "The access token is not valid yet", "`nbf`, or `iat`, is far ahead"],
      [
        "ClaimInvalid",
        "A claim of the access token is missing or invalid",
        "a claim is missing, of a wrong type or of a wrong value"
      ],
      [
        "BindingMismatch",
        "The access token is bound to a key that was not proven",
        "`cnf` names a key that this request did not prove"
      ],
      ["ScopeMissing", "The access token lacks a required scope", "a required scope is missing"],
      [
        "VerificationUnavailable",
        "The access token cannot be verified now",
        "the keys of the issuer cannot be had: no token is bad"
      ]
    ])
  })

  it("has one row for every tag and no other", () => {
    expect(Object.keys(TokenError.answers)).toEqual(Object.keys(messages))
    expect(TokenError.TokenError.members.map((member) => member._tag)).toEqual(Object.keys(messages))
  })

  it("describes every error with the characters of RFC 6750 and without =", () => {
    for (const { description } of Object.values(TokenError.answers)) {
      expect(description).toMatch(/^[\x20-\x21\x23-\x3c\x3e-\x5b\x5d-\x7e]+$/)
    }
  })

  it("describes every error with a text of its own", () => {
    const texts = Object.values(TokenError.answers).map(({ description }) => description)
    expect(new Set(texts).size).toBe(texts.length)
  })
})
