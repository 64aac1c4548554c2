import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as AuthKit from "../../src/providers/AuthKit.ts"
import * as BearerAuth from "../../src/doors/BearerAuth.ts"
import * as ConfigurationError from "../../src/ConfigurationError.ts"
import * as TokenError from "../../src/TokenError.ts"
import * as TokenVerifier from "../../src/token/TokenVerifier.ts"
import { json, keyFor, mint, network, type Overrides } from "../support/issuer.ts"
import { captureLogs } from "../support/logs.ts"

const domain = "https://your-app.authkit.app"
const resource = "https://your-server.com/mcp"
const good: AuthKit.Options = { authkitDomain: domain, baseUrl: "https://your-server.com", path: "/mcp" }

/** AuthKit's network: one key, at one place. */
const authkit = Effect.map(
  Effect.promise(() => keyFor("RS256")),
  ({ jwk }) =>
    network((url) => (url === `${domain}/oauth2/jwks` ? json({ keys: [jwk] }) : new Response(null, { status: 404 })))
)

/** Verifies a token of AuthKit, which has no `typ`, behind this Layer. */
const verify = (overrides: Overrides = {}) =>
  Effect.gen(function* () {
    const claims = { iss: domain, aud: resource, ...overrides.claims }
    const token = yield* mint({
      algorithm: "RS256",
      ...overrides,
      header: { typ: undefined, ...overrides.header },
      claims
    })
    return yield* Effect.flatMap(TokenVerifier.TokenVerifier, (verifier) => verifier.verify(token))
  })

const behind = <A, E>(effect: Effect.Effect<A, E, TokenVerifier.TokenVerifier>, options: AuthKit.Options = good) =>
  Effect.flatMap(authkit, (net) => Effect.provide(effect, Layer.provide(AuthKit.layer(options), net.layer)))

describe("layer", () => {
  it.effect("verifies with the keys at /oauth2/jwks, asked for once", () =>
    Effect.gen(function* () {
      const net = yield* authkit
      yield* Effect.gen(function* () {
        expect(yield* verify()).toMatchObject({ issuer: domain, subject: "user-1", clientId: "client-1" })
        yield* verify()
      }).pipe(Effect.provide(Layer.provide(AuthKit.layer(good), net.layer)))
      expect(net.requests.map(({ url }) => url)).toEqual([`${domain}/oauth2/jwks`])
    })
  )

  it.effect.each([undefined, "at+jwt", "JWT", "application/at+jwt", "jwt"])("takes typ %s", (typ) =>
    Effect.map(behind(verify({ header: { typ } })), ({ subject }) => expect(subject).toBe("user-1"))
  )

  const notIndicated =
    "either the client sent no resource parameter, or the URL is not registered as a resource indicator at the authorization server"
  const typeMismatch = (actual?: string, hint?: string) =>
    new TokenError.TypeMismatch({
      expected: ["at+jwt", "JWT"],
      ...(actual !== undefined && { actual }),
      ...(hint !== undefined && { hint })
    })
  const nothingTells = (audience: string, cause: string) =>
    `nothing distinguishes it from an ID token (audience ${audience}, accessTokenClaims none): ${cause}`
  const clientId = `a client id or name where a URL belongs; ${notIndicated}`
  const idToken = { aud: "client_01", client_id: undefined, nonce: "nonce-1", at_hash: "hash", sid: "session_01" }
  const audienceMismatch = (actual: string, hint: string) =>
    new TokenError.AudienceMismatch({ expected: [resource], actual: [actual], hint })
  it.effect.each<{ what: string; given: Overrides; error: TokenError.TokenError }>([
    { what: "typ id_token", given: { header: { typ: "id_token" } }, error: typeMismatch("id_token") },
    { what: "typ id-token", given: { header: { typ: "id-token" } }, error: typeMismatch("other") },
    { what: "typ logout+jwt", given: { header: { typ: "logout+jwt" } }, error: typeMismatch("logout+jwt") },
    { what: "typ dpop+jwt", given: { header: { typ: "dpop+jwt" } }, error: typeMismatch("dpop+jwt") },
    { what: "typ id_token and our audience", given: { header: { typ: "id_token" } }, error: typeMismatch("id_token") },
    { what: "typ null", given: { header: { typ: null } }, error: typeMismatch("other") },
    {
      what: "the form of an ID token",
      given: { claims: idToken },
      error: typeMismatch(undefined, nothingTells('"client_01"', clientId))
    },
    {
      what: "the form of an ID token, and JWT",
      given: { header: { typ: "JWT" }, claims: idToken },
      error: typeMismatch("JWT", nothingTells('"client_01"', clientId))
    },
    {
      what: "no audience",
      given: { claims: { aud: undefined } },
      error: typeMismatch(undefined, nothingTells("none", `the token names no audience; ${notIndicated}`))
    },
    {
      what: "the base URL for its audience",
      given: { claims: { aud: "https://your-server.com" } },
      error: typeMismatch(undefined, nothingTells('"https://your-server.com"', "they differ only by the path"))
    },
    {
      what: "ES256",
      given: { algorithm: "ES256" },
      error: new TokenError.AlgorithmNotAllowed({ expected: ["RS256"], actual: "ES256" })
    },
    {
      what: "at+jwt and the client id for its audience",
      given: { header: { typ: "at+jwt" }, claims: { aud: "client_01" } },
      error: audienceMismatch("client_01", clientId)
    },
    {
      what: "at+jwt and the base URL for its audience",
      given: { header: { typ: "at+jwt" }, claims: { aud: "https://your-server.com" } },
      error: audienceMismatch("https://your-server.com", "they differ only by the path")
    },
    {
      what: "the issuer of user management",
      given: { claims: { iss: "https://api.workos.com/user_management/client_01" } },
      error: new TokenError.IssuerMismatch({
        expected: domain,
        actual: "https://api.workos.com/user_management/client_01"
      })
    }
  ])("rejects a token with $what", ({ error, given }) =>
    Effect.map(Effect.flip(behind(verify(given))), (actual) => expect(actual).toEqual(error))
  )

  it.effect.each<{ path?: string; aud: string; taken: boolean }>([
    { path: "/mcp", aud: "https://your-server.com/mcp", taken: true },
    { path: "mcp", aud: "https://your-server.com/mcp", taken: true },
    { path: "/mcp", aud: "https://your-server.com/mcp/", taken: false },
    { path: "/mcp/", aud: "https://your-server.com/mcp/", taken: true },
    { path: "/mcp/", aud: "https://your-server.com/mcp", taken: false },
    { path: "/", aud: "https://your-server.com", taken: true },
    { path: "/", aud: "https://your-server.com/", taken: true },
    { aud: "https://your-server.com", taken: true },
    { aud: "https://your-server.com/", taken: true },
    { aud: "https://your-server.com/mcp", taken: false }
  ])("at path $path, takes aud $aud: $taken", ({ aud, path, taken }) =>
    Effect.gen(function* () {
      const verified = yield* Effect.either(behind(verify({ claims: { aud } }), { ...good, path }))
      expect(verified).toMatchObject(taken ? { _tag: "Right" } : { _tag: "Left", left: { _tag: "TypeMismatch" } })
      const typed = yield* Effect.either(
        behind(verify({ header: { typ: "at+jwt" }, claims: { aud } }), { ...good, path })
      )
      expect(typed).toMatchObject(taken ? { _tag: "Right" } : { _tag: "Left", left: { _tag: "AudienceMismatch" } })
    })
  )

  it.effect("takes another audience of a token without typ only with a claim that ID tokens lack", () =>
    Effect.gen(function* () {
      const beside = { ...good, acceptedAudiences: { besideResource: ["client_01"] } } as const
      const claims = { aud: "client_01", org_id: "org_01" }
      expect((yield* Effect.flip(behind(verify({ claims }), beside)))._tag).toBe("TypeMismatch")
      const told = { ...beside, accessTokenClaims: ["client_id"] }
      expect((yield* behind(verify({ claims }), told)).subject).toBe("user-1")
      expect((yield* Effect.flip(behind(verify({ claims: idToken }), told)))._tag).toBe("TypeMismatch")
    })
  )

  it.effect(
    "is built once where one constant is used in two places, and its doors log one line: what to paste where",
    () =>
      Effect.gen(function* () {
        const net = yield* authkit
        const logs = captureLogs()
        const auth = AuthKit.layer(good)
        const user = () => Layer.provide(Layer.effectDiscard(Effect.zipRight(BearerAuth.make(), verify())), auth)
        const users = Layer.merge(user(), user())
        yield* Layer.build(users).pipe(Effect.scoped, Effect.provide(Layer.merge(net.layer, logs.layer)))
        const line = `INFO Access tokens are accepted for aud=${resource} (add this URL to "MCP resource indicators" in the WorkOS Dashboard)`
        expect(logs.lines).toEqual([line])
        expect(net.requests).toHaveLength(1)
      })
  )

  it("has no client id and no audience to give", () => {
    // @ts-expect-error a resource server has no client id
    AuthKit.layer({ ...good, clientId: "client_01" })
    // @ts-expect-error the audience is the resource's URL
    AuthKit.layer({ ...good, audience: "client_01" })
    // @ts-expect-error the algorithm is AuthKit's to choose
    AuthKit.layer({ ...good, algorithms: ["ES256"] })
  })

  const notHttps = "must be https (http is for loopback hosts only)"
  it.effect.each<{ given: Partial<AuthKit.Options>; error: readonly [string, string, string] }>([
    { given: { authkitDomain: "" }, error: ["authkitDomain", "", "is empty"] },
    {
      given: { authkitDomain: `${domain}?x=1` },
      error: ["authkitDomain", `${domain}?x=1`, "must not have a query"]
    },
    { given: { authkitDomain: `${domain}#x` }, error: ["authkitDomain", `${domain}#x`, "must not have a fragment"] },
    {
      given: { authkitDomain: "http://your-app.authkit.app" },
      error: ["authkitDomain", "http://your-app.authkit.app", notHttps]
    },
    {
      given: { authkitDomain: "ftp://your-app.authkit.app" },
      error: ["authkitDomain", "ftp://your-app.authkit.app", "is not an absolute https:// URL"]
    },
    { given: { baseUrl: "http://your-server.com" }, error: ["baseUrl", "http://your-server.com", notHttps] },
    {
      given: { resourceBaseUrl: "http://your-server.com" },
      error: ["resourceBaseUrl", "http://your-server.com", notHttps]
    },
    {
      given: { acceptedAudiences: { dangerouslyAcceptAnyAudience: " " } },
      error: ["acceptedAudiences.dangerouslyAcceptAnyAudience", " ", "is blank"]
    },
    {
      given: { acceptedAudiences: { insteadOfResource: ["client_01"] } },
      error: [
        "acceptMissingType",
        "true",
        "accepts no token: acceptedAudiences leaves out the resource, and accessTokenClaims names nothing that distinguishes an access token from an ID token"
      ]
    }
  ])("rejects $given when it is built", ({ error, given }) =>
    Effect.gen(function* () {
      const built = behind(TokenVerifier.TokenVerifier, { ...good, ...given })
      expect(yield* Effect.flip(built)).toEqual(ConfigurationError.make(...error))
    })
  )
})
