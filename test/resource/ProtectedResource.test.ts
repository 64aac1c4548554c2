import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServer from "@effect/platform/HttpServer"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { describe, expect, it } from "@effect/vitest"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { BearerAuth } from "effect-resource-server"
import * as ConfigurationError from "../../src/ConfigurationError.ts"
import * as ProtectedResource from "../../src/resource/ProtectedResource.ts"

const good: ProtectedResource.Options = {
  baseUrl: "https://api.example.com",
  path: "/mcp",
  authorizationServers: ["https://as.example"]
}

describe("make", () => {
  it.effect("derives everything from the base URL and the path", () =>
    Effect.gen(function* () {
      expect(yield* ProtectedResource.make(good)).toStrictEqual({
        resource: "https://api.example.com/mcp",
        audiences: ["https://api.example.com/mcp"],
        path: "/mcp",
        metadataUrl: "https://api.example.com/.well-known/oauth-protected-resource/mcp",
        metadata: {
          resource: "https://api.example.com/mcp",
          authorization_servers: ["https://as.example"],
          bearer_methods_supported: ["header"]
        },
        requiredScopes: [],
        challengeScopes: []
      })
    })
  )

  it.effect("writes the metadata document with the names of RFC 9728 and the values of the options", () =>
    Effect.gen(function* () {
      const { metadata } = yield* ProtectedResource.make({
        ...good,
        authorizationServers: ["https://as.example/", "https://AS2.example"],
        requiredScopes: ["read"],
        scopesSupported: ["read", "write"],
        resourceName: "Notes",
        resourceDocumentation: "https://docs.example/notes?v=1"
      })
      expect(metadata).toEqual({
        resource: "https://api.example.com/mcp",
        authorization_servers: ["https://as.example/", "https://AS2.example"],
        scopes_supported: ["read", "write"],
        bearer_methods_supported: ["header"],
        resource_name: "Notes",
        resource_documentation: "https://docs.example/notes?v=1"
      })
    })
  )

  it.effect.each([
    { given: { requiredScopes: ["a", "b", "a"] }, required: ["a", "b"], supported: ["a", "b"], challenge: ["a", "b"] },
    { given: { requiredScopes: ["a"], scopesSupported: [] }, required: ["a"], supported: undefined, challenge: ["a"] },
    {
      given: { requiredScopes: ["a"], challengeScopes: ["x:a"] },
      required: ["a"],
      supported: ["a"],
      challenge: ["x:a"]
    },
    { given: { scopesSupported: ["b"] }, required: [], supported: ["b"], challenge: [] }
  ])("takes scopes from $given", ({ challenge, given, required, supported }) =>
    Effect.gen(function* () {
      const made = yield* ProtectedResource.make({ ...good, ...given })
      expect(made.requiredScopes).toEqual(required)
      expect(made.metadata.scopes_supported).toEqual(supported)
      expect(made.challengeScopes).toEqual(challenge)
    })
  )

  it.effect("accepts an http URL of documentation", () =>
    Effect.gen(function* () {
      const resourceDocumentation = "http://docs.example"
      const { metadata } = yield* ProtectedResource.make({ ...good, resourceDocumentation })
      expect(metadata.resource_documentation).toBe(resourceDocumentation)
    })
  )

  it.effect("uses resourceBaseUrl instead of baseUrl if it is given", () =>
    Effect.gen(function* () {
      const made = yield* ProtectedResource.make({
        ...good,
        baseUrl: "http://127.0.0.1:3000",
        resourceBaseUrl: "https://gateway.example/notes"
      })
      expect(made.resource).toBe("https://gateway.example/notes/mcp")
      expect(made.metadataUrl).toBe("https://gateway.example/.well-known/oauth-protected-resource/notes/mcp")
      expect(made.path).toBe("/mcp")
    })
  )

  it.effect.each(["localhost", "127.0.0.1", "[::1]"])(
    "accepts %s as a base URL, and no other loopback host as its audience",
    (host) =>
      Effect.gen(function* () {
        const made = yield* ProtectedResource.make({ ...good, baseUrl: `http://${host}:3000`, path: undefined })
        expect(made.audiences).toEqual([`http://${host}:3000`, `http://${host}:3000/`])
      })
  )

  const notAScope = "is not a scope (printable ASCII, no space, quote, backslash)"
  const notOurs = "is between the client and the authorization server; a resource server must not ask for it"
  const notHttps = "must be https (http is for loopback hosts only)"
  it.effect.each<{ given: object; option: string; value: string; reason: string }>([
    { given: { baseUrl: "" }, option: "baseUrl", value: "", reason: "is empty" },
    { given: { baseUrl: "http://a.example" }, option: "baseUrl", value: "http://a.example", reason: notHttps },
    {
      given: { baseUrl: "http://a.example", resourceBaseUrl: "https://b.example" },
      option: "baseUrl",
      value: "http://a.example",
      reason: notHttps
    },
    { given: { resourceBaseUrl: "" }, option: "resourceBaseUrl", value: "", reason: "is empty" },
    {
      given: { resourceBaseUrl: "https://b.example?x" },
      option: "resourceBaseUrl",
      value: "https://b.example?x",
      reason: "must not have a query"
    },
    {
      given: { baseUrl: "https://a.example/b//c" },
      option: "baseUrl",
      value: "https://a.example/b//c",
      reason: "has an empty path segment"
    },
    { given: { path: "/a?b" }, option: "path", value: "/a?b", reason: "must not have a query" },
    { given: { authorizationServers: [] }, option: "authorizationServers", value: "", reason: "is empty" },
    {
      given: { authorizationServers: ["https://as.example", "http://as.example"] },
      option: "authorizationServers",
      value: "http://as.example",
      reason: notHttps
    },
    {
      given: { resourceDocumentation: "/docs" },
      option: "resourceDocumentation",
      value: "/docs",
      reason: "is not an absolute http(s) URL"
    },
    {
      given: { resourceDocumentation: "javascript:alert(1)" },
      option: "resourceDocumentation",
      value: "javascript:alert(1)",
      reason: "is not an absolute http(s) URL"
    },
    {
      given: { resourceDocumentation: "javascript:'https:'" },
      option: "resourceDocumentation",
      value: "javascript:'https:'",
      reason: "is not an absolute http(s) URL"
    },
    { given: { requiredScopes: ["a b"] }, option: "requiredScopes", value: "a b", reason: notAScope },
    { given: { requiredScopes: [""] }, option: "requiredScopes", value: "", reason: notAScope },
    { given: { scopesSupported: ["é"] }, option: "scopesSupported", value: "é", reason: notAScope },
    { given: { challengeScopes: ['a"'] }, option: "challengeScopes", value: 'a"', reason: notAScope },
    {
      given: { scopesSupported: ["offline_access"] },
      option: "scopesSupported",
      value: "offline_access",
      reason: notOurs
    },
    {
      given: { challengeScopes: ["offline_access"] },
      option: "challengeScopes",
      value: "offline_access",
      reason: notOurs
    }
  ])("refuses $given", ({ given, option, reason, value }) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(ProtectedResource.make({ ...good, ...given }))
      expect(error).toEqual(ConfigurationError.make(option, value, reason))
    })
  )
})

describe("layer", () => {
  it.effect("provides what make derives", () =>
    Effect.gen(function* () {
      expect(yield* ProtectedResource.ProtectedResource).toEqual(yield* ProtectedResource.make(good))
    }).pipe(Effect.provide(ProtectedResource.layer(good)))
  )

  it.effect("fails when it is built", () =>
    Effect.gen(function* () {
      const built = Effect.provide(Effect.void, ProtectedResource.layer({ ...good, baseUrl: "example.com" }))
      expect(yield* Effect.flip(built)).toEqual(
        ConfigurationError.make("baseUrl", "example.com", "is not an absolute https:// URL")
      )
    })
  )
})

describe("ProtectedResource", () => {
  it("has a key of its own", () => {
    expect(ProtectedResource.ProtectedResource.key).toBe("effect-resource-server/ProtectedResource")
  })
})

describe("add", () => {
  it.each<{ path: string; route: `/${string}`; at: string; beside: string }>([
    { path: "/mcp", route: "/", at: "/mcp", beside: "/mcp/" },
    { path: "/mcp", route: "/notes", at: "/mcp/notes", beside: "/notes" },
    { path: "/mcp/", route: "/", at: "/mcp/", beside: "/mcp" },
    { path: "/mcp/", route: "/notes", at: "/mcp/notes", beside: "/mcp//notes" },
    { path: "/", route: "/", at: "/", beside: "//" },
    { path: "/", route: "/notes", at: "/notes", beside: "//notes" },
    { path: "/a/b", route: "/", at: "/a/b", beside: "/ab" },
    { path: "/a/b", route: "/c", at: "/a/b/c", beside: "/ab/c" }
  ])("mounts $route of a resource at $path at $at", async ({ at, beside, path, route }) => {
    const app = BearerAuth.addOpen("GET", route, HttpServerResponse.text("found")).pipe(
      Layer.provide(ProtectedResource.layer({ ...good, path }))
    )
    const { dispose, handler } = HttpLayerRouter.toWebHandler(Layer.provideMerge(app, HttpServer.layerContext), {
      disableLogger: true,
      routerConfig: { ignoreTrailingSlash: false, ignoreDuplicateSlashes: false }
    })
    const status = async (url: string) => (await handler(new Request(`http://localhost${url}`))).status
    expect([await status(at), await status(beside)]).toEqual([200, 404])
    await dispose()
  })
})

describe("layerConfig", () => {
  const layer = ProtectedResource.layerConfig({
    baseUrl: Config.string("BASE_URL"),
    path: Config.string("RESOURCE_PATH").pipe(Config.withDefault("/")),
    authorizationServers: Config.map(Config.string("ISSUER"), (issuer) => [issuer] as const),
    requiredScopes: Config.array(Config.string(), "SCOPES").pipe(Config.withDefault([]))
  })
  const resourceOf = (env: ReadonlyArray<readonly [string, string]>) =>
    ProtectedResource.ProtectedResource.pipe(
      Effect.provide(layer),
      Effect.withConfigProvider(ConfigProvider.fromMap(new Map(env)))
    )

  it.effect("reads every option from Config", () =>
    Effect.gen(function* () {
      const made = yield* resourceOf([
        ["BASE_URL", "https://api.example.com"],
        ["RESOURCE_PATH", "mcp"],
        ["ISSUER", "https://as.example"],
        ["SCOPES", "read,write"]
      ])
      expect(made).toEqual(yield* ProtectedResource.make({ ...good, requiredScopes: ["read", "write"] }))
    })
  )

  it.effect("distinguishes a missing value from a wrong one", () =>
    Effect.gen(function* () {
      const missing = yield* Effect.flip(resourceOf([["ISSUER", "https://as.example"]]))
      expect(String(missing)).toBe('(Missing data at BASE_URL: "Expected BASE_URL to exist in the provided map")')
      const wrong = yield* Effect.flip(
        resourceOf([
          ["BASE_URL", "http://api.example.com"],
          ["ISSUER", "https://as.example"]
        ])
      )
      expect(wrong).toEqual(
        ConfigurationError.make("baseUrl", "http://api.example.com", "must be https (http is for loopback hosts only)")
      )
    })
  )
})
