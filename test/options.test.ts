/**
 * Options that no compiler has seen: each of every public function and Layer, with values of every wrong type.
 */
import * as Toolkit from "@effect/ai/Toolkit"
import * as Tool from "@effect/ai/Tool"
import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as RpcGroup from "@effect/rpc/RpcGroup"
import * as RpcSerialization from "@effect/rpc/RpcSerialization"
import { describe, expect, it } from "@effect/vitest"
import {
  AccessToken,
  AuthKit,
  BearerAuth,
  BearerAuthHttpApi,
  BearerAuthWeb,
  Check,
  ConfigurationError,
  Jwt,
  KeySet,
  ProtectedResource,
  ResourceServer,
  ResourceUrl,
  ScopeHierarchy,
  TokenVerifier
} from "effect-resource-server"
import * as BearerAuthMcp from "effect-resource-server/BearerAuthMcp"
import * as BearerAuthMcpSdk from "effect-resource-server/BearerAuthMcpSdk"
import * as BearerAuthRpc from "effect-resource-server/BearerAuthRpc"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { issuer, keyFor, network } from "./support/issuer.ts"

const { jwk } = await keyFor("ES256")
const jwks = { keys: [jwk] }
const offline = network(() => "refuse").layer
const baseUrl = "https://api.example"
const Resource = ProtectedResource.layer({ baseUrl, authorizationServers: [issuer] })
const Auth = ResourceServer.layer({ issuer, baseUrl, keys: { jwks } }).pipe(Layer.provide(offline))

/** A value of a wrong type, and how an error shows it. */
type Wrong = readonly [value: unknown, shown: string]

const missing: Wrong = [undefined, "(undefined)"]
const others: ReadonlyArray<Wrong> = [
  [null, "(null)"],
  [() => "x", "(function)"],
  [Symbol("x"), "(symbol)"],
  [10n, "(bigint)"]
]
const numbers: ReadonlyArray<Wrong> = [
  [0, "0"],
  [Number.NaN, "NaN"]
]
const booleans: ReadonlyArray<Wrong> = [
  [true, "true"],
  [false, "false"]
]
const text: Wrong = ["x", "x"]
const list: Wrong = [["https://a.example"], "(array)"]
const object: Wrong = [{ 0: "a", length: 1 }, "(object)"]
const set: Wrong = [new Set(["a"]), "(object)"]
const members: ReadonlyArray<Wrong> = [
  [["a", undefined], "(undefined)"],
  [["a", null], "(null)"],
  [["a", 1], "1"],
  [["a", ["b"]], "(array)"],
  [Array(1), "(undefined)"]
]

/** What is no value of a kind of option. */
const not = {
  text: [...others, ...numbers, ...booleans, list, object],
  texts: [...others, ...numbers, ...booleans, text, object, set, ...members],
  names: [...others, ...numbers, ...booleans, text, object, set, ...members, [[], ""], [["a", " "], " "]],
  number: [
    ...others,
    ...booleans,
    text,
    list,
    object,
    [-1, "-1"],
    [Number.NaN, "NaN"],
    [Number.POSITIVE_INFINITY, "Infinity"]
  ],
  bytes: [...others, ...booleans, text, list, object, [0, "0"], [-1, "-1"], [0.5, "0.5"], [Number.NaN, "NaN"]],
  boolean: [...others, ...numbers, ["true", "true"], list, object],
  duration: [
    ...others.filter(([, shown]) => shown !== "(bigint)"),
    ...booleans,
    text,
    ["-1 seconds", "-1 seconds"],
    [-1, "-1"],
    [-1n, "(bigint)"],
    [Number.NaN, "NaN"],
    [[-1, 0], "(array)"],
    list,
    object
  ],
  record: [...others, ...numbers, ...booleans, text, list, set],
  functions: [...others, ...numbers, ...booleans, text, object, set, [[() => {}, "a"], "a"], [Array(1), "(undefined)"]],
  required: [...others, ...numbers, ...booleans, text, object, set, [[1], "1"], [[[]], "(array)"], [[" "], " "]]
} satisfies Record<string, ReadonlyArray<Wrong>>

type Kind = keyof typeof not

interface Subject {
  readonly name: string
  readonly good: object
  /** Each option with what it is; an exclamation mark means that it cannot be left out. */
  readonly options: Readonly<Record<string, Kind | `${Kind}!`>>
  readonly build: (options: never) => Effect.Effect<unknown, unknown>
}

const built = <A, E>(layer: Layer.Layer<A, E>) => Effect.scoped(Layer.build(layer))

/** What a promise rejects with, as an error. */
const thrown = (run: () => Promise<unknown>) => Effect.tryPromise({ try: run, catch: (error) => error })

const resourceOptions = {
  baseUrl: "text!",
  path: "text",
  resourceBaseUrl: "text",
  requiredScopes: "texts",
  scopesSupported: "texts",
  challengeScopes: "texts",
  scopeHierarchy: "record",
  resourceName: "text",
  resourceDocumentation: "text"
} as const

const jwtOptions = {
  issuer: "text!",
  tokenTypes: "names",
  acceptMissingType: "boolean",
  accessTokenClaims: "required",
  requiredClaims: "required",
  checks: "functions",
  acceptedAudiences: "record",
  clockTolerance: "duration",
  maxTokenLength: "number",
  signatureCacheEntries: "number",
  signatureCacheBytes: "number",
  registrationHint: "text"
} as const

const remoteOptions = {
  algorithms: "texts",
  freshFor: "duration",
  usableFor: "duration",
  cooldown: "duration"
} as const

const { issuer: _, tokenTypes: __, acceptMissingType: ___, ...someJwtOptions } = jwtOptions
const {
  registrationHint: ____,
  signatureCacheBytes: _____,
  signatureCacheEntries: ______,
  ...authKitOptions
} = someJwtOptions

const subjects: ReadonlyArray<Subject> = [
  {
    name: "ProtectedResource.layer",
    good: { baseUrl, authorizationServers: [issuer] },
    options: { ...resourceOptions, authorizationServers: "texts!" },
    build: (options) => built(ProtectedResource.layer(options))
  },
  {
    name: "AuthKit.layer",
    good: { baseUrl, authkitDomain: "as.example" },
    options: { ...resourceOptions, ...authKitOptions, authkitDomain: "text!" },
    build: (options) => built(Layer.provide(AuthKit.layer(options), offline))
  },
  {
    name: "AuthKit.layerResource",
    good: { baseUrl, authkitDomain: "as.example" },
    options: { ...resourceOptions, authkitDomain: "text!" },
    build: (options) => built(AuthKit.layerResource(options))
  },
  {
    name: "ResourceServer.layer",
    good: { baseUrl, issuer },
    options: { ...resourceOptions, ...jwtOptions, ...remoteOptions, keys: "record" },
    build: (options) => built(Layer.provide(ResourceServer.layer(options), offline))
  },
  {
    name: "TokenVerifier.layerJwt",
    good: { issuer },
    options: jwtOptions,
    build: (options) =>
      built(TokenVerifier.layerJwt(options).pipe(Layer.provide(KeySet.layerLocal({ jwks })), Layer.provide(Resource)))
  },
  {
    name: "KeySet.layerLocal",
    good: { jwks },
    options: { algorithms: "texts", jwks: "record!" },
    build: (options) => built(KeySet.layerLocal(options))
  },
  {
    name: "KeySet.layerRemote",
    good: { jwksUri: `${issuer}/jwks` },
    options: { ...remoteOptions, jwksUri: "text!" },
    build: (options) => built(Layer.provide(KeySet.layerRemote(options), offline))
  },
  {
    name: "KeySet.layerDiscovery",
    good: { issuer },
    options: { ...remoteOptions, issuer: "text!" },
    build: (options) => built(Layer.provide(KeySet.layerDiscovery(options), offline))
  },
  {
    name: "ResourceUrl.make",
    good: { baseUrl },
    options: { baseUrl: "text!", path: "text" },
    build: (options) => ResourceUrl.make(options)
  },
  {
    name: "BearerAuth.make",
    good: {},
    options: { scopes: "texts" },
    build: (options) => Effect.provide(BearerAuth.make(options), Auth)
  },
  {
    name: "BearerAuthHttpApi.Tag",
    good: {},
    options: { scopes: "texts" },
    build: (options) => {
      class Tag extends BearerAuthHttpApi.Tag<Tag>()("test/option/HttpApi", options) {}
      return built(Layer.provide(BearerAuthHttpApi.layer(Tag), Auth))
    }
  },
  {
    name: "BearerAuthRpc.Tag",
    good: {},
    options: { scopes: "texts" },
    build: (options) => {
      class Tag extends BearerAuthRpc.Tag<Tag>()("test/option/Rpc", options) {}
      return built(Layer.provide(BearerAuthRpc.layer(Tag), Auth))
    }
  },
  {
    name: "BearerAuthHttpApi.add",
    good: {},
    options: { maxBodyBytes: "bytes" },
    build: (options) =>
      built(
        BearerAuthHttpApi.add(HttpApi.make("empty"), Layer.empty, options).pipe(
          Layer.provide(HttpLayerRouter.layer),
          Layer.provide(Auth)
        ) as Layer.Layer<never, unknown>
      )
  },
  {
    name: "BearerAuthRpc.add",
    good: {},
    options: { maxBodyBytes: "bytes" },
    build: (options) =>
      built(
        BearerAuthRpc.add(RpcGroup.make(), options).pipe(
          Layer.provide([HttpLayerRouter.layer, RpcSerialization.layerJson]),
          Layer.provide(Auth)
        ) as Layer.Layer<never, unknown>
      )
  },
  {
    name: "BearerAuthWeb.Guard.protect",
    good: {},
    options: { scopes: "texts" },
    build: (options) => thrown(async () => (await BearerAuthWeb.make(Auth)).protect(() => new Response(), options))
  },
  {
    name: "BearerAuthMcpSdk.McpAuth.requireBearerAuth",
    good: {},
    options: { scopes: "texts" },
    build: (options) => thrown(async () => (await BearerAuthMcpSdk.make(Auth)).requireBearerAuth(options))
  },
  {
    name: "BearerAuthMcpSdk.McpAuth.protect",
    good: {},
    options: { scopes: "texts", maxBodyBytes: "bytes" },
    build: (options) => thrown(async () => (await BearerAuthMcpSdk.make(Auth)).protect(() => new Response(), options))
  },
  {
    name: "BearerAuthMcp.layerHttpRouter",
    good: { name: "notes", version: "1.0.0" },
    options: { name: "text!", version: "text!", path: "text", hideForbidden: "boolean", maxBodyBytes: "bytes" },
    build: (options) =>
      built(
        BearerAuthMcp.layerHttpRouter(options).pipe(
          Layer.provide(HttpLayerRouter.layer),
          Layer.provide(Auth)
        ) as Layer.Layer<never, unknown>
      )
  }
]

/** The error that building fails with. A defect fails the test. */
const failure = (build: Effect.Effect<unknown, unknown>) =>
  Effect.map(Effect.exit(build), (exit) => {
    const error = Exit.isFailure(exit) && exit.cause._tag === "Fail" ? exit.cause.error : exit
    expect(error).toBeInstanceOf(ConfigurationError.ConfigurationError)
    return error as ConfigurationError.ConfigurationError
  })

describe.each(subjects)("$name", ({ build, good, options }) => {
  it.effect("is built of good options, and of any that is undefined where it can be left out", () =>
    Effect.gen(function* () {
      yield* build(good as never)
      for (const [option, kind] of Object.entries(options)) {
        if (!kind.endsWith("!")) yield* build({ ...good, [option]: undefined } as never)
      }
    })
  )

  it.effect.each(Object.entries(options))("refuses an %s that is not %s, by its name", ([option, kind]) =>
    Effect.gen(function* () {
      const wrong = [...not[kind.replace("!", "") as Kind], ...(kind.endsWith("!") ? [missing] : [])]
      for (const [value, shown] of wrong) {
        const error = yield* failure(build({ ...good, [option]: value } as never))
        expect([error.option, error.value]).toEqual([option, shown])
        expect(error.message).toBe(`${option} "${shown}": ${error.reason}`)
      }
    })
  )

  it.effect("refuses an option that is unknown, by its name and that of the one it resembles, without its value", () =>
    Effect.gen(function* () {
      for (const option of Object.keys(options)) {
        const error = yield* failure(build({ ...good, [`${option}x`]: "s3cret" } as never))
        const reason = `is not an option; did you mean ${option}?`
        expect(error).toEqual(
          new ConfigurationError.ConfigurationError({ option: `${option}x`, value: "(string)", reason })
        )
      }
      for (const option of ["clientSecret", "__proto__x", "constructor", "toString"]) {
        const error = yield* failure(build({ ...good, [option]: ["s3cret"] } as never))
        expect(error.message).toBe(`${option} "(object)": is not an option`)
      }
      // As an option that is left out.
      yield* build({ ...good, unset: undefined } as never)
    })
  )

  it.effect("refuses what is no object of options", () =>
    Effect.gen(function* () {
      const optional = Object.keys(good).length === 0
      for (const [value, shown] of optional ? not.record : [...not.record, missing]) {
        const error = yield* failure(build(value as never))
        // A tag keeps what it is given until its Layer is built, and says it then of its scopes.
        if (error.option !== "scopes") expect([error.option, error.reason]).toEqual(["options", "is not an object"])
        expect(["scopes", "options"]).toContain(error.option)
        if (error.option === "options") expect(error.value).toBe(shown)
      }
    })
  )
})

describe("options with members", () => {
  const server = (options: object) =>
    built(Layer.provide(ResourceServer.layer({ baseUrl, issuer, ...options }), offline))
  const jwksUri = `${issuer}/jwks`

  it.effect.each<{ given: object; option: string; value: string }>([
    {
      given: { acceptedAudiences: { besideResource: "https://b.example" } },
      option: "acceptedAudiences.besideResource",
      value: "https://b.example"
    },
    {
      given: { acceptedAudiences: { besideResource: null } },
      option: "acceptedAudiences.besideResource",
      value: "(null)"
    },
    {
      given: { acceptedAudiences: { insteadOfResource: ["a", 1] } },
      option: "acceptedAudiences.insteadOfResource",
      value: "1"
    },
    {
      given: { acceptedAudiences: { dangerouslyAcceptAnyAudience: true } },
      option: "acceptedAudiences.dangerouslyAcceptAnyAudience",
      value: "true"
    },
    { given: { scopeHierarchy: { admin: "write" } }, option: "scopeHierarchy.admin", value: "write" },
    { given: { scopeHierarchy: { admin: undefined } }, option: "scopeHierarchy.admin", value: "(undefined)" },
    { given: { scopeHierarchy: { admin: ["write", null] } }, option: "scopeHierarchy.admin", value: "(null)" },
    { given: { keys: {} }, option: "keys", value: "" },
    { given: { keys: { jwksUri: undefined } }, option: "keys", value: "" },
    { given: { keys: { jwksUri, jwks } }, option: "keys", value: "jwksUri, jwks" },
    { given: { keys: { jwksURI: jwksUri } }, option: "keys", value: "jwksURI" },
    { given: { keys: { jwksUri, more: 1 } }, option: "keys", value: "jwksUri, more" },
    { given: { keys: { jwksUri: null } }, option: "jwksUri", value: "(null)" },
    { given: { keys: { jwks: null } }, option: "jwks", value: "(null)" },
    { given: { keys: { jwks: { keys: "none" } } }, option: "jwks", value: "" },
    { given: { requiredClaims: [{ values: ["a"] }] }, option: "requiredClaims.name", value: "(undefined)" },
    { given: { requiredClaims: [{ name: " ", values: ["a"] }] }, option: "requiredClaims.name", value: " " },
    { given: { requiredClaims: [{ name: "a" }] }, option: "requiredClaims.values", value: "(undefined)" },
    { given: { requiredClaims: [{ name: "a", values: "abc" }] }, option: "requiredClaims.values", value: "abc" },
    { given: { requiredClaims: [{ name: "a", values: [] }] }, option: "requiredClaims.values", value: "" },
    {
      given: { requiredClaims: [{ name: "a", values: ["b", null] }] },
      option: "requiredClaims.values",
      value: "(null)"
    },
    { given: { requiredClaims: [{ name: "a", values: [Number.NaN] }] }, option: "requiredClaims.values", value: "NaN" },
    { given: { accessTokenClaims: [{ name: "a", values: "b" }] }, option: "accessTokenClaims.values", value: "b" },
    { given: { tokenTypes: [""] }, option: "tokenTypes", value: "" },
    { given: { maxTokenLength: 65_537 }, option: "maxTokenLength", value: "65537" },
    { given: { maxTokenLength: 1.5 }, option: "maxTokenLength", value: "1.5" },
    { given: { maxTokenLength: 0 }, option: "maxTokenLength", value: "0" }
  ])("refuses $given", ({ given, option, value }) =>
    Effect.map(failure(server(given)), (error) => expect([error.option, error.value]).toEqual([option, value]))
  )

  it.effect("are not those of a list that is changed later", () =>
    Effect.gen(function* () {
      const authorizationServers: [string] = [issuer]
      const { metadata } = yield* ProtectedResource.make({ baseUrl, authorizationServers })
      authorizationServers[0] = "https://other.example"
      expect(metadata.authorization_servers).toEqual([issuer])
    })
  )
})

describe("layerConfig", () => {
  const layers: ReadonlyArray<{
    name: string
    good: object
    layerConfig: (options: never) => Layer.Layer<never, unknown>
  }> = [
    {
      name: "ProtectedResource",
      good: { baseUrl: Config.succeed(baseUrl), authorizationServers: Config.succeed([issuer]) },
      layerConfig: (options) => ProtectedResource.layerConfig(options) as never
    },
    {
      name: "AuthKit",
      good: { baseUrl: Config.succeed(baseUrl), authkitDomain: Config.succeed("as.example") },
      layerConfig: (options) => Layer.provide(AuthKit.layerConfig(options), offline) as never
    },
    {
      name: "ResourceServer",
      good: { baseUrl: Config.succeed(baseUrl), issuer: Config.succeed(issuer) },
      layerConfig: (options) => Layer.provide(ResourceServer.layerConfig(options), offline) as never
    }
  ]

  it.effect.each(layers)("of $name refuses what is no Config, by its name", ({ good, layerConfig }) =>
    Effect.gen(function* () {
      yield* built(layerConfig(good as never))
      for (const [value, shown] of [missing, ...others, ...numbers, ...booleans, text, list, set] as const) {
        const error = yield* failure(built(layerConfig({ ...good, path: value } as never)))
        expect(error).toEqual(
          new ConfigurationError.ConfigurationError({ option: "path", value: shown, reason: "is not a Config" })
        )
        const whole = yield* failure(built(layerConfig(value as never)))
        expect([whole.option, whole.reason]).toEqual(["options", "is not a Config"])
      }
      const mistyped = { ...good, requiredScope: Config.succeed(["notes:read"]) } as never
      expect((yield* failure(built(layerConfig(mistyped)))).message).toBe(
        'requiredScope "(object)": is not an option; did you mean requiredScopes?'
      )
    })
  )

  it.effect("reads members of an option one by one, and the whole from one Config", () =>
    Effect.gen(function* () {
      const good = { baseUrl: Config.succeed(baseUrl), authorizationServers: Config.succeed([issuer] as const) }
      const nested = { ...good, scopeHierarchy: { admin: Config.succeed(["write"]) } }
      yield* built(ProtectedResource.layerConfig(nested))
      yield* built(ProtectedResource.layerConfig(Config.succeed({ baseUrl, authorizationServers: [issuer] as const })))
      const wrong = { ...good, scopeHierarchy: { admin: undefined } } as never
      expect(yield* failure(built(ProtectedResource.layerConfig(wrong)))).toMatchObject({
        option: "scopeHierarchy.admin"
      })
    })
  )
})

describe("scopes of MCP operations", () => {
  const Server = BearerAuthMcp.layerHttpRouter({ name: "notes", version: "1.0.0" })
  const build = (operations: Layer.Layer<never, unknown, never>) =>
    built(
      operations.pipe(Layer.provide(Server), Layer.provide(HttpLayerRouter.layer), Layer.provide(Auth)) as Layer.Layer<
        never,
        unknown
      >
    )

  it.effect.each(["notes:admin", [1], [["notes:admin"]], 1, true, {}, null, []])("of a tool are not %j", (scopes) =>
    Effect.gen(function* () {
      const Tools = Toolkit.make(Tool.make("erase").annotate(BearerAuthMcp.Scopes, scopes as never))
      const tools = Layer.provide(BearerAuthMcp.toolkit(Tools), Tools.toLayer({ erase: () => Effect.void }))
      const error = yield* failure(build(tools as never))
      expect(error.option).toBe("BearerAuthMcp scopes")
    })
  )

  it.effect.each<ReadonlyArray<unknown>>([[["notes:admin"]], [1], [undefined], []])(
    "of a prompt are not %j",
    (scopes) =>
      Effect.gen(function* () {
        const prompt = BearerAuthMcp.layerScopes(...(scopes as [string]))(Effect.void)
        expect((yield* failure(build(prompt as never))).option).toBe("BearerAuthMcp scopes")
      })
  )
})

describe("functions without an effect to fail with", () => {
  const unset = undefined as never
  const resource = { audiences: [baseUrl] } as const
  it.each<{ what: string; call: () => unknown; option: string; value: string }>([
    {
      what: "tokenType()",
      call: () => Check.tokenType(...([] as unknown as [string])),
      option: "tokenTypes",
      value: ""
    },
    { what: "tokenType of undefined", call: () => Check.tokenType(unset), option: "tokenTypes", value: "(undefined)" },
    { what: "tokenType of nothing", call: () => Check.tokenType(""), option: "tokenTypes", value: "" },
    { what: "accessTokenType()", call: () => Check.accessTokenType(unset), option: "options", value: "(undefined)" },
    {
      what: "accessTokenType of no resource",
      call: () => Check.accessTokenType({ resource: unset }),
      option: "resource",
      value: "(undefined)"
    },
    {
      what: "accessTokenType of a text for a list",
      call: () => Check.accessTokenType({ resource, tokenTypes: "JWT" as never }),
      option: "tokenTypes",
      value: "JWT"
    },
    {
      what: "accessTokenType of a text for a boolean",
      call: () => Check.accessTokenType({ resource, acceptMissingType: "no" as never }),
      option: "acceptMissingType",
      value: "no"
    },
    {
      what: "accessTokenType of a text for claims",
      call: () => Check.accessTokenType({ resource, accessTokenClaims: "cid" as never }),
      option: "accessTokenClaims",
      value: "cid"
    },
    { what: "issuer of undefined", call: () => Check.issuer(unset), option: "issuer", value: "(undefined)" },
    { what: "issuer of blanks", call: () => Check.issuer(" "), option: "issuer", value: " " },
    { what: "audience of undefined", call: () => Check.audience(unset), option: "resource", value: "(undefined)" },
    {
      what: "audience of none",
      call: () => Check.audience({ audiences: [] as never }),
      option: "audiences",
      value: ""
    },
    {
      what: "audience of a text for a list",
      call: () => Check.audience({ audiences: baseUrl as never }),
      option: "audiences",
      value: baseUrl
    },
    {
      what: "audience of an unset member",
      call: () => Check.audience({ audiences: [unset] }),
      option: "audiences",
      value: "(undefined)"
    },
    { what: "lifetime of a number", call: () => Check.lifetime(30 as never), option: "options", value: "30" },
    {
      what: "lifetime of no time",
      call: () => Check.lifetime({ clockTolerance: "soon" as never }),
      option: "clockTolerance",
      value: "soon"
    },
    {
      what: "lifetime of NaN",
      call: () => Check.lifetime({ clockTolerance: Number.NaN }),
      option: "clockTolerance",
      value: "NaN"
    },
    {
      what: "requiredClaims of a text",
      call: () => Check.requiredClaims("sub" as never),
      option: "requiredClaims",
      value: "sub"
    },
    {
      what: "lifetime of an unknown option",
      call: () => Check.lifetime({ clockTolerence: "1 second" } as never),
      option: "clockTolerence",
      value: "(string)"
    },
    {
      what: "accessTokenType of an unknown option",
      call: () => Check.accessTokenType({ resource, acceptMissingTypes: true } as never),
      option: "acceptMissingTypes",
      value: "(boolean)"
    },
    {
      what: "verify of an unknown option",
      call: () => Jwt.verify(Redacted.make("x"), { maxTokenLenght: 1 } as never),
      option: "maxTokenLenght",
      value: "(number)"
    },
    {
      what: "requireScopes()",
      call: () => AccessToken.requireScopes(...([] as unknown as [string])),
      option: "scopes",
      value: ""
    },
    {
      what: "requireScopes of a list",
      call: () => AccessToken.requireScopes(["admin"] as never),
      option: "scopes",
      value: "(array)"
    },
    { what: "scopes of a text", call: () => Check.scopes("read" as never), option: "scopes", value: "read" },
    {
      what: "scopes of null for a resource",
      call: () => Check.scopes([], null as never),
      option: "resource",
      value: "(null)"
    },
    {
      what: "scopes of implications",
      call: () => Check.scopes([], { scopeHierarchy: { admin: ["read"] } as never }),
      option: "scopeHierarchy",
      value: "(object)"
    },
    {
      what: "verify of a size over the limit",
      call: () => Jwt.verify(Redacted.make("x"), { maxTokenLength: 1e6 }),
      option: "maxTokenLength",
      value: "1000000"
    },
    {
      what: "verify of null",
      call: () => Jwt.verify(Redacted.make("x"), null as never),
      option: "options",
      value: "(null)"
    }
  ])("throw the error: $what", ({ call, option, value }) => {
    expect(call).toThrow(expect.objectContaining({ _tag: "ConfigurationError", option, value }))
  })

  it.effect("of which these return it: ScopeHierarchy.make, ResourceUrl.parse", () =>
    Effect.gen(function* () {
      expect(yield* failure(ScopeHierarchy.make(unset))).toMatchObject({
        option: "scopeHierarchy",
        value: "(undefined)"
      })
      expect(yield* failure(ScopeHierarchy.make(new Map() as never))).toMatchObject({ value: "(object)" })
      expect(yield* failure(ResourceUrl.parse("url", unset))).toMatchObject({ option: "url", value: "(undefined)" })
    })
  )
})
