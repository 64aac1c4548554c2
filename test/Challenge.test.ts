import { describe, expect, it } from "@effect/vitest"
import * as Challenge from "../src/Challenge.ts"
import * as TokenError from "../src/TokenError.ts"

const resource = {
  metadataUrl: "https://api.example/.well-known/oauth-protected-resource/mcp",
  challengeScopes: ["mcp:tools"]
}
const always = {
  "cache-control": "no-store",
  "access-control-expose-headers": "WWW-Authenticate, Retry-After"
}
const start = `Bearer resource_metadata="${resource.metadataUrl}", scope="mcp:tools"`
const invalidToken = `${start}, error="invalid_token", error_description=`
const hostile = '"\r\nX-Evil: 1\\é='

const rows: ReadonlyArray<readonly [TokenError.TokenError, number, string]> = [
  [new TokenError.TokenMissing(), 401, start],
  [
    new TokenError.CredentialsMalformed({ reason: hostile }),
    400,
    `${start}, error="invalid_request", error_description="The Authorization header is malformed"`
  ],
  [new TokenError.TokenMalformed({ reason: hostile }), 401, `${invalidToken}"The access token is malformed"`],
  [
    new TokenError.AlgorithmNotAllowed({ expected: ["RS256"], actual: hostile }),
    401,
    `${invalidToken}"The access token is signed with an algorithm that is not allowed"`
  ],
  [new TokenError.CriticalHeaderUnsupported(), 401, `${invalidToken}"The access token needs an unsupported extension"`],
  [
    new TokenError.KeyNotFound({ algorithm: "RS256", keyId: hostile }),
    401,
    `${invalidToken}"The access token is signed with an unknown key"`
  ],
  [new TokenError.SignatureInvalid(), 401, `${invalidToken}"The signature of the access token is invalid"`],
  [
    new TokenError.TypeMismatch({ expected: ["at+jwt"], actual: hostile }),
    401,
    `${invalidToken}"The token is not an access token"`
  ],
  [
    new TokenError.IssuerMismatch({ expected: "https://as.example", actual: hostile }),
    401,
    `${invalidToken}"The access token is from another issuer"`
  ],
  [
    new TokenError.AudienceMismatch({ expected: ["https://api.example/mcp"], actual: [hostile], hint: hostile }),
    401,
    `${invalidToken}"The access token is for another resource"`
  ],
  [new TokenError.Expired({ expiresAt: 1, now: 2 }), 401, `${invalidToken}"The access token expired"`],
  [
    new TokenError.NotYetValid({ claim: "nbf", validFrom: 2, now: 1 }),
    401,
    `${invalidToken}"The access token is not valid yet"`
  ],
  [
    new TokenError.ClaimInvalid({ claim: hostile, reason: hostile }),
    401,
    `${invalidToken}"A claim of the access token is missing or invalid"`
  ],
  [new TokenError.BindingMismatch(), 401, `${invalidToken}"The access token is bound to a key that was not proven"`],
  [
    new TokenError.ScopeMissing({ required: ["mcp:tools"], granted: [hostile] }),
    403,
    `${start}, error="insufficient_scope", error_description="The access token lacks a required scope"`
  ]
]

describe("make", () => {
  it.each(rows.map(([error, status, challenge]) => ({ tag: error._tag, error, status, challenge })))(
    "answers $tag with $status and one fixed challenge, whatever the request said",
    ({ challenge, error, status }) => {
      expect(Challenge.make(error, resource)).toEqual({ status, headers: { ...always, "www-authenticate": challenge } })
    }
  )

  it("answers an outage with Retry-After and no challenge: the client must keep its token", () => {
    const error = new TokenError.VerificationUnavailable({ reason: hostile, retryAfter: 17 })
    expect(Challenge.make(error, resource)).toEqual({ status: 503, headers: { ...always, "retry-after": "17" } })
  })

  it("covers every tag", () => {
    const seen = [...rows.map(([error]) => error._tag), "VerificationUnavailable"]
    expect(seen.sort()).toEqual(Object.keys(TokenError.answers).sort())
  })

  const challenge = (challengeScopes: ReadonlyArray<string>, scopes?: ReadonlyArray<string>) =>
    Challenge.make(new TokenError.TokenMissing(), { ...resource, challengeScopes }, scopes).headers["www-authenticate"]

  it("leaves scope out where nothing asks for one", () => {
    expect(challenge([])).toBe(`Bearer resource_metadata="${resource.metadataUrl}"`)
  })

  it("names the resource's scopes and the operation's at once, each once", () => {
    expect(challenge(["a", "b"], ["c", "a"])).toBe(`Bearer resource_metadata="${resource.metadataUrl}", scope="a b c"`)
    expect(challenge([], ["c"])).toBe(`Bearer resource_metadata="${resource.metadataUrl}", scope="c"`)
  })
})
