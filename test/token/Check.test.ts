import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import * as Check from "../../src/token/Check.ts"
import * as Jwt from "../../src/token/Jwt.ts"
import * as TokenError from "../../src/TokenError.ts"

const { AudienceMismatch, ClaimInvalid, Expired, IssuerMismatch, NotYetValid, ScopeMissing, TypeMismatch } = TokenError

const withClaims = (claims: Jwt.Claims, type: unknown = "at+jwt"): Jwt.Jwt => ({
  algorithm: "ES256",
  keyId: "k1",
  type,
  claims,
  scopes: Jwt.scopes(claims)
})

/** What a check makes of a token: nothing if it returns that very token, else its error. */
const outcome = <E>(check: Check.JwtCheck<E>, token: Jwt.Jwt) =>
  Effect.match(check(token), {
    onFailure: (error): E | undefined => error,
    onSuccess: (same) => void expect(same).toBe(token)
  })

describe("tokenType", () => {
  it.effect.each(["at+jwt", "application/at+jwt", "AT+JWT", "Application/At+Jwt"])("takes %s", (type) =>
    Effect.gen(function* () {
      expect(yield* outcome(Check.tokenType("at+jwt"), withClaims({}, type))).toBeUndefined()
      expect(yield* outcome(Check.tokenType("JWT", "application/AT+jwt"), withClaims({}, type))).toBeUndefined()
    })
  )

  it.effect.each<[unknown, string | undefined]>([
    [undefined, undefined],
    ["JWT", "JWT"],
    ["logout+jwt", "logout+jwt"],
    ["dpop+jwt", "dpop+jwt"],
    ["at+jwt\r\n", "other"],
    ["application/application/at+jwt", "other"],
    ["text/application/at+jwt", "other"],
    ["at+jwtapplication/", "other"],
    ["", "other"],
    [null, "other"],
    [["at+jwt"], "other"],
    [1, "other"]
  ])("rejects %j and calls it %s", ([type, actual]) =>
    Effect.gen(function* () {
      const error = yield* outcome(Check.tokenType("at+jwt"), { ...withClaims({}), type })
      expect(error).toEqual(new TypeMismatch({ expected: ["at+jwt"], ...(actual !== undefined && { actual }) }))
    })
  )
})

describe("accessTokenType", () => {
  const resource = { audiences: ["https://api.example/mcp"] } as const
  const ours = resource.audiences[0]
  const claims = ["cid", { name: "token_use", values: ["access", 1] }] as const
  const told = { cid: "c", token_use: "access" }
  const notIndicated =
    "either the client sent no resource parameter, or the URL is not registered as a resource indicator at the authorization server"
  const clientId = `a client id or name where a URL belongs; ${notIndicated}`
  const types = ["at+jwt", "JWT"] as const

  it.effect.each<{
    what: string
    type?: unknown
    claims?: Jwt.Claims
    options?: Partial<Check.AccessTokenTypeOptions>
  }>([
    { what: "at+jwt, whatever its audience", type: "at+jwt", claims: { aud: "client-1" } },
    { what: "no typ and the resource in aud", claims: { aud: ours } },
    { what: "no typ and the resource in a list", claims: { aud: ["client-1", ours] } },
    { what: "JWT and the resource in aud", type: "JWT", claims: { aud: ours } },
    { what: "application/jwt and the resource in aud", type: "Application/jwt", claims: { aud: ours } },
    { what: "no typ and the claims", claims: { aud: "client-1", ...told }, options: { accessTokenClaims: claims } },
    { what: "JWT and the claims, without aud", type: "JWT", claims: told, options: { accessTokenClaims: claims } },
    { what: "a value of another type", claims: { cid: "c", token_use: 1 }, options: { accessTokenClaims: claims } },
    { what: "no claim where aud tells", claims: { aud: ours }, options: { accessTokenClaims: claims } }
  ])("takes $what", ({ claims, options, type }) =>
    Effect.gen(function* () {
      const check = Check.accessTokenType({ resource, tokenTypes: types, acceptMissingType: true, ...options })
      expect(yield* outcome(check, { ...withClaims(claims ?? {}), type })).toBeUndefined()
    })
  )

  const nothing = (shown: string, cause?: string) =>
    `nothing distinguishes it from an ID token (${shown})${cause === undefined ? "" : `: ${cause}`}`
  it.effect.each<{
    what: string
    type?: unknown
    claims?: Jwt.Claims
    options?: Partial<Check.AccessTokenTypeOptions>
    actual?: string
    hint?: string
  }>([
    {
      what: "no typ and the client in aud",
      claims: { aud: "client-1" },
      hint: nothing('audience "client-1", accessTokenClaims none', clientId)
    },
    {
      what: "JWT and the client in aud",
      type: "JWT",
      claims: { aud: "client-1" },
      actual: "JWT",
      hint: nothing('audience "client-1", accessTokenClaims none', clientId)
    },
    {
      what: "no typ and no aud",
      hint: nothing("audience none, accessTokenClaims none", `the token names no audience; ${notIndicated}`)
    },
    {
      what: "no typ and a slip in aud",
      claims: { aud: `${ours}/` },
      hint: nothing(`audience "${ours}/", accessTokenClaims none`, "they differ only by a trailing slash")
    },
    {
      what: "a list with a member that is no string",
      claims: { aud: [ours, 1] },
      hint: nothing(`audience "${ours}", "(number)", accessTokenClaims none`)
    },
    {
      what: "one claim of two",
      claims: { aud: "client-1", cid: "c" },
      options: { accessTokenClaims: claims },
      hint: nothing('audience "client-1", claim token_use is missing', clientId)
    },
    {
      what: "a value that ID tokens have",
      claims: { aud: "client-1", cid: "c", token_use: "id" },
      options: { accessTokenClaims: claims },
      hint: nothing('audience "client-1", claim token_use is not one of "access", "1"', clientId)
    },
    {
      what: "a list that holds the value",
      claims: { aud: "client-1", cid: "c", token_use: ["access"] },
      options: { accessTokenClaims: claims },
      hint: nothing('audience "client-1", claim token_use is not one of "access", "1"', clientId)
    },
    { what: "no typ unless it is said", claims: { aud: ours }, options: { acceptMissingType: false } },
    {
      what: "JWT unless it is said",
      type: "JWT",
      claims: { aud: ours },
      options: { tokenTypes: ["at+jwt"] },
      actual: "JWT"
    },
    { what: "a typ of null", type: null, claims: { aud: ours }, actual: "other" },
    { what: "an empty typ", type: "", claims: { aud: ours }, actual: "other" },
    { what: "id_token", type: "id_token", claims: { aud: ours, ...told }, actual: "id_token" },
    { what: "logout+jwt", type: "logout+jwt", claims: { aud: ours, ...told }, actual: "logout+jwt" }
  ])("rejects $what", ({ actual, claims, hint, options, type }) =>
    Effect.gen(function* () {
      const check = Check.accessTokenType({ resource, tokenTypes: types, acceptMissingType: true, ...options })
      expect(yield* outcome(check, { ...withClaims(claims ?? {}), type })).toEqual(
        new TypeMismatch({
          expected: options?.tokenTypes ?? types,
          ...(actual !== undefined && { actual }),
          ...(hint !== undefined && { hint })
        })
      )
    })
  )

  it.effect("takes at+jwt alone by default", () =>
    Effect.gen(function* () {
      const check = Check.accessTokenType({ resource })
      expect(yield* outcome(check, withClaims({}))).toBeUndefined()
      for (const type of [undefined, "JWT"]) {
        expect(yield* outcome(check, { ...withClaims({ aud: ours }), type })).toEqual(
          new TypeMismatch({ expected: ["at+jwt"], ...(type !== undefined && { actual: type }) })
        )
      }
    })
  )
})

describe("issuer", () => {
  const expected = "https://as.example"
  const check = Check.issuer(expected)
  const differOnlyBy = (what: string) => `they differ only by ${what}`

  it.effect("takes the issuer itself", () =>
    Effect.map(outcome(check, withClaims({ iss: expected })), (error) => expect(error).toBeUndefined())
  )

  it.effect.each<{ iss: unknown; actual?: string; hint?: string }>([
    { iss: undefined },
    { iss: "", actual: "" },
    { iss: "https://as.example/", actual: "https://as.example/", hint: differOnlyBy("a trailing slash") },
    { iss: "http://as.example", actual: "http://as.example", hint: differOnlyBy("the scheme (https, http)") },
    { iss: "https://AS.example", actual: "https://AS.example", hint: differOnlyBy("spelling") },
    { iss: "https://as.example:443", actual: "https://as.example:443", hint: differOnlyBy("spelling") },
    { iss: "https://as.example:8443", actual: "https://as.example:8443", hint: differOnlyBy("the port") },
    { iss: "https://as.example.evil.example", actual: "https://as.example.evil.example" },
    { iss: "https://as.example\0", actual: "https://as.example\\u0000", hint: differOnlyBy("spelling") },
    { iss: "https://\u0430s.example", actual: "https://\\u0430s.example" },
    { iss: "https://as.exampl", actual: "https://as.exampl" },
    { iss: ["https://as.example"], actual: "(array)" },
    { iss: { toString: "https://as.example" }, actual: "(object)" },
    { iss: 1, actual: "(number)" },
    { iss: null, actual: "(null)" }
  ])("rejects $iss", ({ iss, ...shown }) =>
    Effect.gen(function* () {
      expect(yield* outcome(check, withClaims({ iss }))).toEqual(new IssuerMismatch({ expected, ...shown }))
    })
  )
})

describe("audience", () => {
  const audiences = ["https://api.example/mcp"] as const
  const check = Check.audience({ audiences })
  const notIndicated =
    "either the client sent no resource parameter, or the URL is not registered as a resource indicator at the authorization server"
  const none = `the token names no audience; ${notIndicated}`
  const differOnlyBy = (what: string) => `they differ only by ${what}`

  it.effect.each<unknown>([audiences[0], [audiences[0]], ["https://as.example/userinfo", audiences[0]]])(
    "takes %j",
    (aud) => Effect.map(outcome(check, withClaims({ aud })), (error) => expect(error).toBeUndefined())
  )

  it.effect.each<{ aud: unknown; actual: ReadonlyArray<string>; hint?: string }>([
    { aud: undefined, actual: [], hint: none },
    { aud: [], actual: [], hint: none },
    { aud: null, actual: ["(null)"], hint: none },
    { aud: { [audiences[0]]: true }, actual: ["(object)"], hint: none },
    { aud: 1, actual: ["(number)"], hint: none },
    { aud: [1, audiences[0]], actual: ["(number)", audiences[0]] },
    { aud: [[audiences[0]]], actual: ["(array)"], hint: none },
    { aud: "", actual: [""], hint: `a client id or name where a URL belongs; ${notIndicated}` },
    { aud: "client_01", actual: ["client_01"], hint: `a client id or name where a URL belongs; ${notIndicated}` },
    { aud: `${audiences[0]}/`, actual: [`${audiences[0]}/`], hint: differOnlyBy("a trailing slash") },
    { aud: "https://api.example", actual: ["https://api.example"], hint: differOnlyBy("the path") },
    { aud: `${audiences[0]}/admin`, actual: [`${audiences[0]}/admin`], hint: differOnlyBy("the path") },
    { aud: "https://API.example/mcp", actual: ["https://API.example/mcp"], hint: differOnlyBy("spelling") },
    { aud: "https://other.example/mcp", actual: ["https://other.example/mcp"] },
    {
      aud: `${audiences[0]} https://b.example`,
      actual: [`${audiences[0]} https://b.example`],
      hint: differOnlyBy("the path")
    }
  ])("rejects $aud", ({ aud, ...shown }) =>
    Effect.gen(function* () {
      expect(yield* outcome(check, withClaims({ aud }))).toEqual(
        new AudienceMismatch({ expected: audiences, ...shown })
      )
    })
  )

  it.effect("tells localhost from 127.0.0.1", () =>
    Effect.gen(function* () {
      const local = Check.audience({ audiences: ["http://localhost:3000/mcp"] })
      expect(yield* outcome(local, withClaims({ aud: "http://127.0.0.1:3000/mcp" }))).toEqual(
        new AudienceMismatch({
          expected: ["http://localhost:3000/mcp"],
          actual: ["http://127.0.0.1:3000/mcp"],
          hint: differOnlyBy("the name of the loopback host (localhost, 127.0.0.1)")
        })
      )
    })
  )
})

describe("lifetime", () => {
  it.effect("asks the clock each time that it runs", () =>
    Effect.gen(function* () {
      const checked = Check.lifetime()(withClaims({ exp: 100 }))
      yield* TestClock.setTime(129_000)
      expect(yield* checked).toMatchObject({ claims: { exp: 100 } })
      yield* TestClock.setTime(130_000)
      expect(yield* Effect.flip(checked)).toEqual(new Expired({ expiresAt: 100, now: 130 }))
    })
  )

  const now = 1_000
  const at = <A, E>(effect: Effect.Effect<A, E>) => Effect.zipRight(TestClock.setTime(now * 1000), effect)
  const inTime = { exp: now + 300 }

  it.effect.each<{ what: string; claims: Jwt.Claims; tolerance?: "0 seconds" }>([
    { what: "exp in 29.999 seconds past", claims: { exp: now - 29.999 } },
    { what: "exp just ahead", claims: { exp: now + 0.001 }, tolerance: "0 seconds" },
    { what: "nbf and iat now", claims: { ...inTime, nbf: now, iat: now }, tolerance: "0 seconds" },
    { what: "nbf and iat 30 seconds ahead", claims: { ...inTime, nbf: now + 30, iat: now + 30 } },
    { what: "times of no sense that are past or ahead", claims: { exp: 1e300, nbf: -1e300, iat: -1 } }
  ])("takes $what", ({ claims, tolerance }) =>
    Effect.gen(function* () {
      const check = Check.lifetime(tolerance && { clockTolerance: tolerance })
      expect(yield* at(outcome(check, withClaims(claims)))).toBeUndefined()
    })
  )

  const notATime = (claim: string) => new ClaimInvalid({ claim, reason: "is not a number of seconds" })
  it.effect.each<{ what: string; claims: Jwt.Claims; tolerance?: "0 seconds"; error: TokenError.TokenError }>([
    { what: "exp now", claims: { exp: now }, tolerance: "0 seconds", error: new Expired({ expiresAt: now, now }) },
    { what: "exp + tolerance now", claims: { exp: now - 30 }, error: new Expired({ expiresAt: now - 30, now }) },
    { what: "exp of no sense", claims: { exp: -1e300 }, error: new Expired({ expiresAt: -1e300, now }) },
    {
      what: "nbf ahead",
      claims: { ...inTime, nbf: now + 31 },
      error: new NotYetValid({ claim: "nbf", validFrom: now + 31, now })
    },
    {
      what: "iat ahead",
      claims: { ...inTime, iat: now + 31 },
      error: new NotYetValid({ claim: "iat", validFrom: now + 31, now })
    },
    { what: "no exp", claims: {}, error: new ClaimInvalid({ claim: "exp", reason: "is missing" }) },
    ...["1300", null, true, [1300], {}, Number.POSITIVE_INFINITY, Number.NaN].flatMap((value) =>
      ["exp", "nbf", "iat"].map((claim) => ({
        what: `${claim} ${JSON.stringify(value) === "null" ? String(value) : JSON.stringify(value)}`,
        claims: { ...inTime, [claim]: value },
        error: notATime(claim)
      }))
    )
  ])("rejects $what", ({ claims, error, tolerance }) =>
    Effect.gen(function* () {
      const check = Check.lifetime(tolerance && { clockTolerance: tolerance })
      expect(yield* at(outcome(check, withClaims(claims)))).toEqual(error)
    })
  )
})

describe("requiredClaims", () => {
  it.effect("rejects what is missing or null, and takes every other value", () =>
    Effect.gen(function* () {
      const check = Check.requiredClaims(["org_id", "sid"])
      const missing = (claim: string) => new ClaimInvalid({ claim, reason: "is missing" })
      expect(yield* outcome(check, withClaims({ org_id: "", sid: 0 }))).toBeUndefined()
      expect(yield* outcome(check, withClaims({ org_id: "o" }))).toEqual(missing("sid"))
      expect(yield* outcome(check, withClaims({ org_id: null, sid: "s" }))).toEqual(missing("org_id"))
    })
  )

  it.effect.each<{ value: unknown; reason?: string }>([
    { value: "access" },
    { value: 2 },
    { value: true },
    { value: undefined, reason: "is missing" },
    { value: null, reason: "is missing" },
    ...["id", "Access", "access ", "", "2", 1, false, "true", ["access"], { access: true }].map((value) => ({
      value,
      reason: 'is not one of "access", "2", "true"'
    }))
  ])("judges $value by the values it may have, and shows it in no error", ({ reason, value }) =>
    Effect.gen(function* () {
      const check = Check.requiredClaims(["sid", { name: "token_use", values: ["access", 2, true] }])
      const error = reason === undefined ? undefined : new ClaimInvalid({ claim: "token_use", reason })
      expect(yield* outcome(check, withClaims({ sid: "s", token_use: value }))).toEqual(error)
    })
  )
})

describe("rfc9068Claims", () => {
  const all = { iss: "i", exp: 1, aud: "a", sub: "s", client_id: "c", iat: 1, jti: "j" }
  it.effect("takes a token that has them all", () =>
    Effect.map(outcome(Check.rfc9068Claims, withClaims(all)), (error) => expect(error).toBeUndefined())
  )

  it.effect.each(Object.keys(all))("rejects a token without %s", (claim) =>
    Effect.gen(function* () {
      const error = yield* outcome(Check.rfc9068Claims, withClaims({ ...all, [claim]: undefined }))
      expect(error).toEqual(new ClaimInvalid({ claim, reason: "is missing" }))
    })
  )
})

describe("bearer", () => {
  it.effect("rejects any cnf, of whatever type", () =>
    Effect.gen(function* () {
      expect(yield* outcome(Check.bearer, withClaims({}))).toBeUndefined()
      for (const cnf of [{ jkt: "thumbprint" }, { "x5t#S256": "thumbprint" }, {}, null, ""]) {
        expect(yield* outcome(Check.bearer, withClaims({ cnf }))).toEqual(new TokenError.BindingMismatch())
      }
    })
  )
})

describe("scopes", () => {
  const required = ["mcp:tools", "mcp:read"]
  const check = Check.scopes(required)

  it.effect.each<Jwt.Claims>([
    { scope: "mcp:read mcp:tools other" },
    { scope: " mcp:tools  mcp:read " },
    { scp: "mcp:tools mcp:read" },
    { scp: ["mcp:tools", "mcp:read"] },
    { scope: "", scp: required },
    { scope: required }
  ])("takes %j", (claims) => Effect.map(outcome(check, withClaims(claims)), (error) => expect(error).toBeUndefined()))

  it.effect.each<[Jwt.Claims, ReadonlyArray<string>]>([
    [{}, []],
    [{ scope: "mcp:tools" }, ["mcp:tools"]],
    [{ scope: "mcp:tools", scp: required }, ["mcp:tools"]],
    [{ scope: "MCP:TOOLS mcp:read" }, ["MCP:TOOLS", "mcp:read"]],
    [{ scope: "mcp:tools\tmcp:read" }, ["mcp:tools\\u0009mcp:read"]],
    [{ scope: "mcp:tools,mcp:read" }, ["mcp:tools,mcp:read"]],
    [{ scope: "mcp:tools:x mcp:readers" }, ["mcp:tools:x", "mcp:readers"]],
    [{ scope: [required.join(" ")] }, []],
    [{ scp: [required.join(" ")] }, []],
    [{ scope: [required] }, []],
    [{ scope: 1 }, []],
    [{ scp: [required] }, []],
    [{ scp: { 0: "mcp:tools", 1: "mcp:read" } }, []]
  ])("rejects %j", ([claims, granted]) =>
    Effect.gen(function* () {
      expect(yield* outcome(check, withClaims(claims))).toEqual(new ScopeMissing({ required, granted }))
    })
  )
})
