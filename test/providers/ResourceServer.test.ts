import { describe, expect, it } from "@effect/vitest"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as BearerAuth from "../../src/doors/BearerAuth.ts"
import * as ConfigurationError from "../../src/ConfigurationError.ts"
import * as ProtectedResource from "../../src/resource/ProtectedResource.ts"
import * as ResourceServer from "../../src/providers/ResourceServer.ts"
import * as TokenError from "../../src/TokenError.ts"
import * as TokenVerifier from "../../src/token/TokenVerifier.ts"
import { issuer, keyFor, mint, network, type Overrides, publishes, resource } from "../support/issuer.ts"
import { captureLogs } from "../support/logs.ts"

const good = { issuer, baseUrl: "https://api.example", path: "/mcp" }
const key = Effect.promise(() => keyFor("ES256"))
const issuerNetwork = Effect.map(key, (one) => network(publishes(one)))

const verify = (overrides?: Overrides) =>
  Effect.gen(function* () {
    const token = yield* mint(overrides)
    return yield* Effect.flatMap(TokenVerifier.TokenVerifier, (verifier) => verifier.verify(token))
  })

describe("layer", () => {
  it.effect("binds a verifier to the resource it provides", () =>
    Effect.gen(function* () {
      const net = yield* issuerNetwork
      const logs = captureLogs()
      yield* Effect.gen(function* () {
        yield* BearerAuth.make()
        const { metadata } = yield* ProtectedResource.ProtectedResource
        expect(metadata).toEqual({
          resource,
          authorization_servers: [issuer],
          scopes_supported: ["mcp:tools"],
          bearer_methods_supported: ["header"]
        })
        expect((yield* verify()).subject).toBe("user-1")
        expect(yield* Effect.flip(verify({ claims: { aud: "https://other.example" } }))).toEqual(
          new TokenError.AudienceMismatch({ expected: [resource], actual: ["https://other.example"] })
        )
        expect(yield* Effect.flip(verify({ claims: { scope: "" } }))).toEqual(
          new TokenError.ScopeMissing({ required: ["mcp:tools"], granted: [] })
        )
      }).pipe(
        Effect.provide(ResourceServer.layer({ ...good, requiredScopes: ["mcp:tools"] })),
        Effect.provide(Layer.merge(net.layer, logs.layer))
      )
      expect(logs.lines).toEqual([`INFO Access tokens are accepted for aud=${resource}`])
    })
  )

  it.effect.each<{ what: string; uri?: string; local?: true; requests: ReadonlyArray<string> }>([
    { what: "by discovery", requests: [`${issuer}/.well-known/oauth-authorization-server`, `${issuer}/jwks`] },
    { what: "at keys.jwksUri", uri: `${issuer}/jwks`, requests: [`${issuer}/jwks`] },
    { what: "in keys.jwks", local: true, requests: [] }
  ])("finds the keys $what", ({ local, requests, uri }) =>
    Effect.gen(function* () {
      const net = yield* issuerNetwork
      const jwks = { keys: [(yield* key).jwk] }
      const keys = local ? { jwks } : uri === undefined ? undefined : { jwksUri: uri }
      const layer = Layer.provide(ResourceServer.layer({ ...good, keys }), net.layer)
      expect((yield* Effect.provide(verify(), layer)).subject).toBe("user-1")
      expect(net.requests.map(({ url }) => url)).toEqual(requests)
    })
  )

  it.effect("hands its options to the key set and to the verifier", () =>
    Effect.gen(function* () {
      const net = yield* issuerNetwork
      const layer = ResourceServer.layer({ ...good, algorithms: ["RS256", "ES256"], tokenTypes: ["JWT"] })
      const rejected = (overrides: Overrides) =>
        Effect.flip(verify(overrides)).pipe(Effect.provide(layer), Effect.provide(net.layer))
      expect(yield* rejected({ algorithm: "PS256" })).toEqual(
        new TokenError.AlgorithmNotAllowed({ expected: ["RS256", "ES256"], actual: "PS256" })
      )
      expect(yield* rejected({})).toEqual(new TokenError.TypeMismatch({ expected: ["JWT"], actual: "at+jwt" }))
    })
  )

  it.effect("is built while the issuer is down; its tokens are then nobody's fault", () =>
    Effect.gen(function* () {
      const net = network(() => new Response(null, { status: 500 }))
      const error = yield* Effect.flip(verify()).pipe(
        Effect.provide(ResourceServer.layer({ ...good, keys: { jwksUri: `${issuer}/jwks` } })),
        Effect.provide(net.layer)
      )
      expect(error).toEqual(
        new TokenError.VerificationUnavailable({ reason: `${issuer}/jwks answered 500`, retryAfter: 1 })
      )
    })
  )

  const notHttps = "must be https (http is for loopback hosts only)"
  it.effect.each<{ given: Partial<ResourceServer.Options>; error: readonly [string, string, string] }>([
    { given: { baseUrl: "" }, error: ["baseUrl", "", "is empty"] },
    { given: { path: "/a?b" }, error: ["path", "/a?b", "must not have a query"] },
    { given: { issuer: "http://as.example" }, error: ["issuer", "http://as.example", notHttps] },
    { given: { keys: { jwksUri: "http://as.example/jwks" } }, error: ["jwksUri", "http://as.example/jwks", notHttps] },
    { given: { algorithms: [] }, error: ["algorithms", "", "is empty"] },
    { given: { clockTolerance: "1 hour" }, error: ["clockTolerance", "1 hour", "is not a time of at most 5 minutes"] }
  ])("rejects $given when it is built", ({ error, given }) =>
    Effect.gen(function* () {
      const net = yield* issuerNetwork
      const built = Layer.build(Layer.provide(ResourceServer.layer({ ...good, ...given }), net.layer))
      expect(yield* Effect.flip(built)).toEqual(ConfigurationError.make(...error))
    }).pipe(Effect.scoped)
  )

  it("has no audience and no client id to give", () => {
    // @ts-expect-error the audience is the resource's URL
    ResourceServer.layer({ ...good, audience: "client_01" })
    // @ts-expect-error a resource server has no client id
    ResourceServer.layer({ ...good, clientId: "client_01" })
  })
})

describe("layerConfig", () => {
  it.effect("reads every option from Config", () =>
    Effect.gen(function* () {
      const net = yield* issuerNetwork
      const layer = ResourceServer.layerConfig({
        issuer: Config.string("ISSUER"),
        baseUrl: Config.string("BASE_URL"),
        path: Config.string("RESOURCE_PATH"),
        keys: Config.map(Config.string("JWKS_URI"), (jwksUri) => ({ jwksUri }))
      })
      const env = { ISSUER: issuer, BASE_URL: "https://api.example", RESOURCE_PATH: "mcp", JWKS_URI: `${issuer}/jwks` }
      const token = yield* verify().pipe(
        Effect.provide(Layer.provide(layer, net.layer)),
        Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(env))))
      )
      expect(token.claims["aud"]).toBe(resource)
    })
  )
})
