import { describe, expect, it } from "@effect/vitest"
import * as Challenge from "../../src/doors/Challenge.ts"
import * as TokenError from "../../src/TokenError.ts"

const resource = {
  metadataUrl: "https://api.example/.well-known/oauth-protected-resource/mcp",
  challengeScopes: ["mcp:tools"]
}
const always = {
  "cache-control": "no-store",
  "content-type": "application/json",
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

/** The body says what the challenge says: its error and its description, and where the metadata is. */
const bodyOf = (challenge: string) => {
  const [, error, description] = /error="([^"]+)", error_description="([^"]+)"$/.exec(challenge) ?? []
  return {
    ...(error !== undefined && { error }),
    error_description: description ?? "The request carries no access token",
    resource_metadata: resource.metadataUrl
  }
}

describe("make", () => {
  it.each(rows.map(([error, status, challenge]) => ({ tag: error._tag, error, status, challenge })))(
    "answers $tag with $status, one fixed challenge and one fixed body, whatever the request said",
    ({ challenge, error, status }) => {
      const { body, ...rest } = Challenge.make(error, resource)
      expect(rest).toEqual({ status, headers: { ...always, "www-authenticate": challenge } })
      expect(JSON.parse(body)).toEqual(bodyOf(challenge))
    }
  )

  it("writes the members of a body in one order, and leaves out an error that is not there", () => {
    const metadata = `"resource_metadata":"${resource.metadataUrl}"`
    expect(Challenge.make(new TokenError.SignatureInvalid(), resource).body).toBe(
      `{"error":"invalid_token","error_description":"The signature of the access token is invalid",${metadata}}`
    )
    expect(Challenge.make(new TokenError.TokenMissing(), resource).body).toBe(
      `{"error_description":"The request carries no access token",${metadata}}`
    )
  })

  it("answers an outage with Retry-After and no challenge: the client must keep its token", () => {
    const error = new TokenError.VerificationUnavailable({ reason: hostile, retryAfter: 17 })
    expect(Challenge.make(error, resource)).toEqual({
      status: 503,
      headers: { ...always, "retry-after": "17" },
      body: '{"error":"temporarily_unavailable","error_description":"The access token cannot be verified now"}'
    })
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
  const long = (length: number) => "x".repeat(length)
  const thousands = Array.from({ length: 4000 }, (_, index) => `notes:${index + 1000}`)
  it.each<{ what: string; scopes: ReadonlyArray<string>; named: string }>([
    { what: "4,096 characters", scopes: [long(4096)], named: long(4096) },
    { what: "none that is longer", scopes: [long(4097)], named: "" },
    { what: "several, the spaces counted", scopes: [long(4000), long(95)], named: `${long(4000)} ${long(95)}` },
    { what: "none that comes to more", scopes: [long(4000), long(96)], named: long(4000) },
    { what: "those after one that is too long", scopes: ["a", long(20_000), "b"], named: "a b" },
    { what: "as many of thousands as fit", scopes: thousands, named: thousands.slice(0, 372).join(" ") }
  ])("names at most 4,096 characters of scopes: $what", ({ named, scopes }) => {
    const expected = named === "" ? "" : `, scope="${named}"`
    expect(named.length).toBeLessThanOrEqual(4096)
    expect(challenge([], scopes)).toBe(`Bearer resource_metadata="${resource.metadataUrl}"${expected}`)
  })

  it("names the resource's own scopes before the operation's where not all fit", () => {
    expect(challenge(["mcp:tools"], [long(4096), "a"])).toBe(
      `Bearer resource_metadata="${resource.metadataUrl}", scope="mcp:tools a"`
    )
  })
})

describe("exposedHeaders", () => {
  it("are those that a page must read to find its way", () => {
    expect(Challenge.exposedHeaders).toEqual(["WWW-Authenticate", "Retry-After"])
  })
})
