/**
 * How a verifier is built: its options, what it logs at start-up, and which resource it is bound to.
 */
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import { describe, expect, it } from "@effect/vitest"
import * as Testing from "effect-resource-server/Testing"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type { AccessToken } from "../../src/token/AccessToken.ts"
import * as AuthKit from "../../src/providers/AuthKit.ts"
import * as BearerAuth from "../../src/doors/BearerAuth.ts"
import * as ConfigurationError from "../../src/ConfigurationError.ts"
import * as KeySet from "../../src/issuer/KeySet.ts"
import * as ProtectedResource from "../../src/resource/ProtectedResource.ts"
import * as TokenError from "../../src/TokenError.ts"
import * as TokenVerifier from "../../src/token/TokenVerifier.ts"
import { issuer, keyFor, mint, network, type Overrides, publishes, resource } from "../support/issuer.ts"
import { captureLogs } from "../support/logs.ts"

const keys = Layer.unwrapEffect(
  Effect.map(
    Effect.promise(() => keyFor("ES256")),
    ({ jwk }) => KeySet.layerLocal({ jwks: { keys: [jwk] } })
  )
)
const resourceAt = (baseUrl: string, path?: string) =>
  ProtectedResource.layer({ baseUrl, path, authorizationServers: [issuer] })
const mcp = resourceAt("https://api.example", "/mcp")

const layer = (options: Partial<TokenVerifier.JwtOptions>, at = mcp) =>
  TokenVerifier.layerJwt({ issuer, ...options }).pipe(Layer.provide(keys), Layer.provide(at))

const verify = (aud: unknown) =>
  Effect.gen(function* () {
    const token = yield* mint({ claims: { aud } })
    return yield* Effect.flatMap(TokenVerifier.TokenVerifier, (verifier) => verifier.verify(token))
  })

/** The audiences of these that are taken. */
const takenBy = (options: Partial<TokenVerifier.JwtOptions>, audiences: ReadonlyArray<unknown>) =>
  Effect.filter(audiences, (aud) =>
    verify(aud).pipe(
      Effect.as(true),
      Effect.catchTag("AudienceMismatch", () => Effect.succeed(false))
    )
  ).pipe(Effect.provide(layer(options)))

describe("acceptedAudiences", () => {
  const tried = [resource, "client_01", "https://other.example", undefined]

  it.effect("is the resource alone by default", () =>
    Effect.map(takenBy({}, tried), (taken) => expect(taken).toEqual([resource]))
  )

  it.effect("adds besideResource to the resource", () =>
    Effect.gen(function* () {
      const options = { acceptedAudiences: { besideResource: ["client_01"] } } as const
      expect(yield* takenBy(options, tried)).toEqual([resource, "client_01"])
      const error = yield* Effect.flip(Effect.provide(verify("client_02"), layer(options)))
      expect(error).toMatchObject({
        _tag: "AudienceMismatch",
        expected: [resource, "client_01"],
        actual: ["client_02"]
      })
    })
  )

  it.effect("puts insteadOfResource in its place", () =>
    Effect.gen(function* () {
      const options = { acceptedAudiences: { insteadOfResource: ["client_01"] } } as const
      expect(yield* takenBy(options, tried)).toEqual(["client_01"])
      expect(yield* Effect.flip(Effect.provide(verify("client_02"), layer(options)))).toEqual(
        new TokenError.AudienceMismatch({ expected: ["client_01"], actual: ["client_02"] })
      )
    })
  )

  it.effect("takes any audience, and none, with dangerouslyAcceptAnyAudience", () =>
    Effect.gen(function* () {
      const options = { acceptedAudiences: { dangerouslyAcceptAnyAudience: "one server, one issuer" } }
      expect(yield* takenBy(options, tried)).toEqual(tried)
    })
  )

  const notOneChoice = "must have exactly one of besideResource, insteadOfResource, dangerouslyAcceptAnyAudience"

  it.effect.each<{ given: object; option: string; value: string; reason: string }>([
    { given: {}, option: "", value: "", reason: notOneChoice },
    { given: { insteadOf: ["a"] }, option: "", value: "insteadOf", reason: notOneChoice },
    { given: { constructor: "a" }, option: "", value: "constructor", reason: notOneChoice },
    { given: { insteadOfResource: undefined }, option: "", value: "", reason: notOneChoice },
    { given: { besideResource: [] }, option: ".besideResource", value: "", reason: "is empty" },
    { given: { besideResource: ["a", ""] }, option: ".besideResource", value: "", reason: "is blank" },
    { given: { insteadOfResource: [] }, option: ".insteadOfResource", value: "", reason: "is empty" },
    { given: { insteadOfResource: ["  "] }, option: ".insteadOfResource", value: "  ", reason: "is blank" },
    {
      given: { dangerouslyAcceptAnyAudience: "" },
      option: ".dangerouslyAcceptAnyAudience",
      value: "",
      reason: "is blank"
    },
    {
      given: { dangerouslyAcceptAnyAudience: "\t" },
      option: ".dangerouslyAcceptAnyAudience",
      value: "\t",
      reason: "is blank"
    },
    {
      given: { besideResource: ["a"], dangerouslyAcceptAnyAudience: "b" },
      option: "",
      value: "besideResource, dangerouslyAcceptAnyAudience",
      reason: notOneChoice
    }
  ])("rejects $given", ({ given, option, reason, value }) =>
    Effect.gen(function* () {
      const acceptedAudiences = given as TokenVerifier.AcceptedAudiences
      const error = yield* Effect.flip(Layer.build(layer({ acceptedAudiences })))
      expect(error).toEqual(ConfigurationError.make(`acceptedAudiences${option}`, value, reason))
    }).pipe(Effect.scoped)
  )
})

describe("layerJwt", () => {
  const info = "INFO Access tokens are accepted for aud"
  it.effect.each<{ what: string; options?: Partial<TokenVerifier.JwtOptions>; at?: typeof mcp; line: string }>([
    { what: "the resource", line: `${info}=https://api.example/mcp` },
    {
      what: "the advertised one of two spellings",
      at: resourceAt("https://api.example"),
      line: `${info}=https://api.example`
    },
    {
      what: "what an operator does with it",
      options: { registrationHint: "add it to the dashboard" },
      line: `${info}=https://api.example/mcp (add it to the dashboard)`
    },
    {
      what: "besideResource",
      options: { acceptedAudiences: { besideResource: ["client_01"] } },
      line: `${info} in "https://api.example/mcp", "client_01"; the resource is https://api.example/mcp`
    },
    {
      what: "insteadOfResource",
      options: { acceptedAudiences: { insteadOfResource: ["client_01"] } },
      line: `${info} in "client_01"; the resource is https://api.example/mcp`
    },
    {
      what: "dangerouslyAcceptAnyAudience",
      options: { acceptedAudiences: { dangerouslyAcceptAnyAudience: "one server, one issuer" } },
      line: `WARN Access tokens of ${issuer} are accepted FOR ANY AUDIENCE, because: one server, one issuer`
    }
  ])("has one line for the log, that tells $what", ({ at, line, options = {} }) =>
    Effect.gen(function* () {
      const logs = captureLogs()
      yield* Effect.gen(function* () {
        const { announce } = yield* TokenVerifier.TokenVerifier
        expect(logs.lines).toEqual([])
        yield* announce ?? Effect.dieMessage("nothing to announce")
      }).pipe(Effect.provide(layer(options, at)), Effect.provide(logs.layer))
      expect(logs.lines).toEqual([line])
    })
  )

  it.effect.each<{
    what: string
    options: Partial<TokenVerifier.JwtOptions>
    error: readonly [string, string, string]
  }>([
    { what: "a blank issuer", options: { issuer: " " }, error: ["issuer", " ", "is blank"] },
    {
      what: "no token type",
      options: { tokenTypes: [] as unknown as readonly [string] },
      error: ["tokenTypes", "", "is empty"]
    },
    ...(
      [{ acceptMissingType: true }, { tokenTypes: ["JWT"] }, { tokenTypes: ["at+jwt", "application/jwt"] }] as const
    ).map((options) => ({
      what: `${JSON.stringify(options)} that no token could meet`,
      options: { ...options, acceptedAudiences: { insteadOfResource: ["client_01"] } } as const,
      error: [
        "acceptMissingType" in options ? "acceptMissingType" : "tokenTypes",
        "acceptMissingType" in options ? "true" : options.tokenTypes[options.tokenTypes.length - 1]!,
        "accepts no token: acceptedAudiences leaves out the resource, and accessTokenClaims names nothing that distinguishes an access token from an ID token"
      ] as const
    })),
    {
      what: "a clockTolerance below zero",
      options: { clockTolerance: -1 },
      error: ["clockTolerance", "-1", "is not a time of at most 5 minutes"]
    },
    {
      what: "a clockTolerance that is none",
      options: { clockTolerance: "soon" as Duration.DurationInput },
      error: ["clockTolerance", "soon", "is not a time of at most 5 minutes"]
    },
    ...(["signatureCacheEntries", "signatureCacheBytes"] as const).flatMap((option) =>
      [-1, Number.NaN, Number.POSITIVE_INFINITY].map((value) => ({
        what: `${option} of ${value}`,
        options: { [option]: value },
        error: [option, String(value), "is not a finite number of at least 0"] as const
      }))
    ),
    { what: "an empty issuer", options: { issuer: "" }, error: ["issuer", "", "is blank"] },
    {
      what: "a clockTolerance over the bound",
      options: { clockTolerance: "301 seconds" },
      error: ["clockTolerance", "301 seconds", "is not a time of at most 5 minutes"]
    },
    {
      what: "a clockTolerance without end",
      options: { clockTolerance: Number.POSITIVE_INFINITY satisfies Duration.DurationInput },
      error: ["clockTolerance", "Infinity", "is not a time of at most 5 minutes"]
    }
  ])("rejects $what when it is built, and logs nothing", ({ error, options }) =>
    Effect.gen(function* () {
      const logs = captureLogs()
      const built = Effect.provide(Layer.build(layer(options)), logs.layer)
      expect(yield* Effect.flip(built)).toEqual(ConfigurationError.make(...error))
      expect(logs.lines).toEqual([])
    }).pipe(Effect.scoped)
  )
})

describe("tokens whose typ does not tell their kind", () => {
  const untyped = { tokenTypes: ["at+jwt", "JWT"], acceptMissingType: true } as const
  const claims = ["cid"] as const
  const client = { aud: "client_01" }

  const decision = (options: Partial<TokenVerifier.JwtOptions>, overrides: Overrides) =>
    mint(overrides).pipe(
      Effect.flatMap((token) => Effect.flatMap(TokenVerifier.TokenVerifier, (verifier) => verifier.verify(token))),
      Effect.match({
        onSuccess: () => "accepted",
        onFailure: (error) => (error._tag === "ClaimInvalid" ? `${error.claim} ${error.reason}` : error._tag)
      }),
      Effect.provide(layer(options))
    )

  const beside = { besideResource: ["client_01"] } as const
  const instead = { insteadOfResource: ["client_01"] } as const
  const any = { dangerouslyAcceptAnyAudience: "one server" }
  const value = { name: "token_use", values: ["access"] } as const
  const none = { typ: undefined }
  const jwt = { typ: "JWT" }
  it.effect.each<{ options: Partial<TokenVerifier.JwtOptions>; given: Overrides; expected: string }>([
    { options: {}, given: { header: none }, expected: "TypeMismatch" },
    { options: untyped, given: { header: none }, expected: "accepted" },
    { options: untyped, given: { header: jwt }, expected: "accepted" },
    { options: untyped, given: { header: none, claims: client }, expected: "TypeMismatch" },
    { options: { acceptMissingType: true }, given: { header: jwt }, expected: "TypeMismatch" },
    { options: { tokenTypes: ["JWT"] }, given: { header: none }, expected: "TypeMismatch" },
    {
      options: { ...untyped, acceptedAudiences: beside },
      given: { header: none, claims: client },
      expected: "TypeMismatch"
    },
    { options: { ...untyped, acceptedAudiences: beside }, given: { header: none }, expected: "accepted" },
    { options: { ...untyped, acceptedAudiences: beside }, given: { claims: client }, expected: "accepted" },
    {
      options: { ...untyped, acceptedAudiences: any },
      given: { header: none, claims: client },
      expected: "TypeMismatch"
    },
    { options: { ...untyped, acceptedAudiences: any }, given: { claims: client }, expected: "accepted" },
    {
      options: { ...untyped, acceptedAudiences: beside, accessTokenClaims: claims },
      given: { header: none, claims: { ...client, cid: "c" } },
      expected: "accepted"
    },
    {
      options: { ...untyped, acceptedAudiences: instead, accessTokenClaims: claims },
      given: { header: jwt, claims: { ...client, cid: "c" } },
      expected: "accepted"
    },
    {
      options: { ...untyped, acceptedAudiences: any, accessTokenClaims: [value] },
      given: { header: none, claims: { aud: undefined, token_use: "access" } },
      expected: "accepted"
    },
    {
      options: { ...untyped, acceptedAudiences: any, accessTokenClaims: [value] },
      given: { header: none, claims: { ...client, token_use: "id" } },
      expected: "TypeMismatch"
    },
    // What an access token must have it must have also where its type or its audience tells it.
    {
      options: { ...untyped, accessTokenClaims: [value] },
      given: { header: none, claims: { token_use: "id" } },
      expected: 'token_use is not one of "access"'
    },
    { options: { accessTokenClaims: claims }, given: {}, expected: "cid is missing" },
    // A claim that ID tokens have, too, tells nothing.
    {
      options: { ...untyped, acceptedAudiences: beside, requiredClaims: [value] },
      given: { header: none, claims: { ...client, token_use: "access" } },
      expected: "TypeMismatch"
    },
    { options: { requiredClaims: ["sub", value] }, given: { claims: { token_use: "access" } }, expected: "accepted" },
    {
      options: { requiredClaims: ["sub", value] },
      given: { claims: { token_use: "id" } },
      expected: 'token_use is not one of "access"'
    },
    { options: { requiredClaims: [value] }, given: {}, expected: "token_use is missing" },
    {
      options: { ...untyped, acceptedAudiences: { insteadOfResource: [resource, "client_01"] } },
      given: { header: none },
      expected: "accepted"
    }
  ])("$options of $given: $expected", ({ expected, given, options }) =>
    Effect.map(decision(options, given), (actual) => expect(actual).toBe(expected))
  )
})

describe("maxTokenLength", () => {
  const padded = (length: number) =>
    Effect.map(mint({ claims: { pad: "" } }), Redacted.value).pipe(
      Effect.flatMap((empty) => {
        const pad = Math.floor(((length - empty.length) * 3) / 4)
        return mint({ claims: { pad: "x".repeat(pad) } })
      })
    )
  const decision = (length: number, options: Partial<TokenVerifier.JwtOptions>) =>
    Effect.gen(function* () {
      const token = yield* padded(length)
      const { verify } = yield* TokenVerifier.TokenVerifier
      return yield* Effect.match(verify(token), { onSuccess: () => "accepted", onFailure: ({ message }) => message })
    }).pipe(Effect.provide(layer(options)))
  const longer = (than: number) => `the token is longer than ${than} characters`

  it.effect.each<{ length: number; maxTokenLength?: number; expected: string }>([
    { length: 16_380, expected: "accepted" },
    { length: 16_390, expected: longer(16_384) },
    { length: 16_390, maxTokenLength: 17_000, expected: "accepted" },
    { length: 65_530, maxTokenLength: 65_536, expected: "accepted" },
    { length: 65_542, maxTokenLength: 65_536, expected: longer(65_536) },
    { length: 1_010, maxTokenLength: 1_000, expected: longer(1_000) }
  ])("of $maxTokenLength: a token of about $length characters is $expected", ({ expected, length, maxTokenLength }) =>
    Effect.map(decision(length, { maxTokenLength }), (actual) => expect(actual).toBe(expected))
  )
})

describe("the line that a verifier has for the log", () => {
  const line = `INFO Access tokens are accepted for aud=${resource}`
  const Auth = Layer.provideMerge(TokenVerifier.layerJwt({ issuer }).pipe(Layer.provide(keys)), mcp)
  const door = (options?: BearerAuth.Options) => Effect.asVoid(BearerAuth.make(options))
  const logged = <E>(
    program: Effect.Effect<void, E, ProtectedResource.ProtectedResource | TokenVerifier.TokenVerifier>,
    auth: Layer.Layer<
      ProtectedResource.ProtectedResource | TokenVerifier.TokenVerifier,
      ConfigurationError.ConfigurationError
    >
  ) =>
    Effect.gen(function* () {
      const logs = captureLogs()
      yield* program.pipe(Effect.provide(auth), Effect.provide(logs.layer))
      return logs.lines
    })

  it.effect("is logged once by all of its doors", () =>
    Effect.gen(function* () {
      const doors = Effect.all([door(), door({ scopes: ["admin"] }), door()], {
        concurrency: "unbounded",
        discard: true
      })
      expect(yield* logged(doors, Auth)).toEqual([line])
    })
  )

  it.effect("is logged for each verifier that is built", () =>
    Effect.gen(function* () {
      const another = Layer.build(Auth).pipe(
        Effect.flatMap((context) => Effect.provide(door(), context)),
        Effect.scoped
      )
      expect(yield* logged(Effect.zipRight(door(), another), Auth)).toEqual([line, line])
    })
  )

  it.effect("is not logged for a verifier that no door uses", () =>
    Effect.gen(function* () {
      expect(yield* logged(Effect.asVoid(Effect.either(verify(resource))), Auth)).toEqual([])
    })
  )

  it.effect("is not logged by a door that rejects the verifier", () =>
    Effect.gen(function* () {
      const Other = Layer.merge(resourceAt("https://api.example", "/other"), layer({}))
      expect(yield* logged(Effect.ignore(door()), Other)).toEqual([])
      expect(yield* logged(Effect.ignore(door({ scopes: ["two words"] })), Auth)).toEqual([])
    })
  )

  it.effect("is not logged for the verifier of a preset in whose place another one stands", () =>
    Effect.gen(function* () {
      const net = network(publishes(yield* Effect.promise(() => keyFor("RS256"))))
      const preset = AuthKit.layer({ authkitDomain: "app.authkit.app", baseUrl: "https://api.example", path: "/mcp" })
      const accessToken: AccessToken["Type"] = { claims: {}, subject: "own", scopes: new Set() }
      const own = TokenVerifier.layer(() => Effect.succeed(accessToken))
      const both = Layer.provideMerge(own, preset).pipe(Layer.provide(net.layer))
      const asked = Effect.gen(function* () {
        const { authenticate } = yield* BearerAuth.make()
        const headers = Testing.bearer(yield* mint())
        const request = HttpServerRequest.fromWeb(new Request(resource, { headers }))
        expect((yield* authenticate(request)).subject).toBe("own")
      })
      expect(yield* logged(asked, both)).toEqual([])
    })
  )
})

describe("one Layer given to two resources", () => {
  class First extends Context.Tag("test/First")<First, TokenVerifier.TokenVerifier["Type"]>() {}
  class Second extends Context.Tag("test/Second")<Second, TokenVerifier.TokenVerifier["Type"]>() {}

  const own = (_: Redacted.Redacted) =>
    Effect.map(ProtectedResource.ProtectedResource, ({ audiences }): AccessToken["Type"] => ({
      claims: { aud: audiences[0] },
      scopes: new Set()
    }))

  it.effect.each([
    { name: "layerJwt", verifier: TokenVerifier.layerJwt({ issuer }) },
    { name: "layerJwtConfig", verifier: TokenVerifier.layerJwtConfig({ issuer: Config.succeed(issuer) }) },
    { name: "layer", verifier: TokenVerifier.layer(own) }
  ])("$name is bound to each on its own", ({ name, verifier }) => {
    const both = Layer.merge(
      Layer.effect(First, TokenVerifier.TokenVerifier).pipe(Layer.provide(verifier), Layer.provide(mcp)),
      Layer.effect(Second, TokenVerifier.TokenVerifier).pipe(
        Layer.provide(verifier),
        Layer.provide(resourceAt("https://b.example"))
      )
    ).pipe(Layer.provide(keys))
    return Effect.gen(function* () {
      const first = yield* First
      const second = yield* Second
      const [a, b] = [yield* mint(), yield* mint({ claims: { aud: "https://b.example" } })]
      expect((yield* first.verify(a)).claims["aud"]).toBe(resource)
      expect((yield* second.verify(b)).claims["aud"]).toBe("https://b.example")
      if (name === "layer") return
      expect((yield* Effect.flip(first.verify(b)))._tag).toBe("AudienceMismatch")
      expect((yield* Effect.flip(second.verify(a)))._tag).toBe("AudienceMismatch")
    }).pipe(Effect.provide(both))
  })
})

describe("layerJwtConfig", () => {
  it.effect("reads every option from Config", () => {
    const configured = TokenVerifier.layerJwtConfig({
      issuer: Config.string("ISSUER"),
      clockTolerance: Config.duration("TOLERANCE"),
      acceptedAudiences: Config.map(Config.nonEmptyString("AUDIENCE"), (one) => ({ insteadOfResource: [one] as const }))
    }).pipe(Layer.provide(keys), Layer.provide(mcp))
    const env = { ISSUER: issuer, TOLERANCE: "1 minute", AUDIENCE: "client_01" }
    return Effect.gen(function* () {
      expect((yield* verify("client_01")).subject).toBe("user-1")
      expect((yield* Effect.flip(verify(resource)))._tag).toBe("AudienceMismatch")
    }).pipe(Effect.provide(configured), Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(env)))))
  })
})

describe("layer", () => {
  it.effect("uses a verifier of the user's own as it is, and logs nothing", () =>
    Effect.gen(function* () {
      const logs = captureLogs()
      const accessToken: AccessToken["Type"] = { claims: {}, scopes: new Set() }
      const rejected = new TokenError.ScopeMissing({ required: ["a"], granted: [] })
      const own = TokenVerifier.layer((token) =>
        token === first ? Effect.succeed(accessToken) : Effect.fail(rejected)
      )
      const first = yield* mint({ claims: { aud: "https://other.example" } })
      const second = yield* mint()
      yield* Effect.gen(function* () {
        const verifier = yield* TokenVerifier.TokenVerifier
        expect(yield* verifier.verify(first)).toBe(accessToken)
        expect(yield* Effect.flip(verifier.verify(second))).toBe(rejected)
      }).pipe(Effect.provide(Layer.provide(own, mcp)), Effect.provide(logs.layer))
      expect(logs.lines).toEqual([])
    })
  )
})
