/**
 * AuthKit from `Config`, and beside a verifier of the user's own.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as AuthKit from "../../src/providers/AuthKit.ts"
import * as ConfigurationError from "../../src/ConfigurationError.ts"
import * as ProtectedResource from "../../src/resource/ProtectedResource.ts"
import * as TokenVerifier from "../../src/token/TokenVerifier.ts"
import { mint, network } from "../support/issuer.ts"
import { captureLogs } from "../support/logs.ts"

const domain = "https://your-app.authkit.app"
const good = { AUTHKIT_DOMAIN: "your-app.authkit.app", BASE_URL: "https://your-server.com" }
const offline = network(() => "refuse")

const optional = (name: string) => Config.string(name).pipe(Config.withDefault(undefined))
const scopes = (name: string) => Config.array(Config.string(), name).pipe(Config.withDefault(undefined))
const resourceOptions = {
  authkitDomain: Config.string("AUTHKIT_DOMAIN"),
  baseUrl: Config.string("BASE_URL"),
  path: optional("RESOURCE_PATH"),
  resourceBaseUrl: optional("RESOURCE_BASE_URL"),
  requiredScopes: scopes("REQUIRED_SCOPES"),
  scopesSupported: scopes("SCOPES_SUPPORTED"),
  challengeScopes: scopes("CHALLENGE_SCOPES"),
  resourceName: optional("RESOURCE_NAME"),
  resourceDocumentation: optional("RESOURCE_DOCUMENTATION")
}
const configured = (env: Readonly<Record<string, string>>) =>
  Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(env))))

describe.each([
  { name: "layerConfig", layer: Layer.provide(AuthKit.layerConfig(resourceOptions), offline.layer) },
  { name: "layerResourceConfig", layer: AuthKit.layerResourceConfig(resourceOptions) }
])("$name", ({ layer }) => {
  const resourceOf = (env: Readonly<Record<string, string>>) =>
    ProtectedResource.ProtectedResource.pipe(Effect.provide(layer), configured(env))

  it.effect.each<{ what: string; env: Readonly<Record<string, string>>; resource: string; path: string }>([
    { what: "no path", env: {}, resource: "https://your-server.com", path: "/" },
    { what: "path /", env: { RESOURCE_PATH: "/" }, resource: "https://your-server.com", path: "/" },
    { what: "path /mcp", env: { RESOURCE_PATH: "/mcp" }, resource: "https://your-server.com/mcp", path: "/mcp" },
    { what: "path mcp", env: { RESOURCE_PATH: "mcp" }, resource: "https://your-server.com/mcp", path: "/mcp" },
    {
      what: "a resource base URL",
      env: { RESOURCE_BASE_URL: "https://gateway.example/x", RESOURCE_PATH: "/mcp" },
      resource: "https://gateway.example/x/mcp",
      path: "/mcp"
    },
    { what: "localhost", env: { BASE_URL: "http://localhost:3000" }, resource: "http://localhost:3000", path: "/" },
    { what: "127.0.0.1", env: { BASE_URL: "http://127.0.0.1:3000" }, resource: "http://127.0.0.1:3000", path: "/" }
  ])("derives $resource with $what", ({ env, path, resource }) =>
    Effect.map(resourceOf({ ...good, ...env }), (made) => {
      expect({ resource: made.resource, path: made.path }).toEqual({ resource, path })
    })
  )

  it.effect.each([
    ["your-app.authkit.app", domain],
    ["https://your-app.authkit.app", domain],
    ["https://your-app.authkit.app/", domain],
    ["HTTPS://Your-App.AuthKit.app:443", domain],
    ["localhost:8080", "https://localhost:8080"],
    ["http://localhost:8080", "http://localhost:8080"]
  ])("takes the domain %s for the issuer %s", ([given = "", issuer = ""]) =>
    Effect.map(resourceOf({ ...good, AUTHKIT_DOMAIN: given }), ({ metadata }) => {
      expect(metadata.authorization_servers).toEqual([issuer])
    })
  )

  it.effect("reads scopes, name and documentation", () =>
    Effect.gen(function* () {
      const made = yield* resourceOf({
        ...good,
        REQUIRED_SCOPES: "mcp:tools",
        SCOPES_SUPPORTED: "mcp:tools,mcp:admin",
        CHALLENGE_SCOPES: "openid,mcp:tools",
        RESOURCE_NAME: "Notes",
        RESOURCE_DOCUMENTATION: "https://docs.example/notes"
      })
      expect(made.metadata).toEqual({
        resource: "https://your-server.com",
        authorization_servers: [domain],
        scopes_supported: ["mcp:tools", "mcp:admin"],
        bearer_methods_supported: ["header"],
        resource_name: "Notes",
        resource_documentation: "https://docs.example/notes"
      })
      expect(made.requiredScopes).toEqual(["mcp:tools"])
      expect(made.challengeScopes).toEqual(["openid", "mcp:tools"])
    })
  )

  it.effect.each<{ env: Readonly<Record<string, string>>; message: string }>([
    { env: { AUTHKIT_DOMAIN: "" }, message: 'authkitDomain "": is empty' },
    { env: { AUTHKIT_DOMAIN: `${domain}?x` }, message: `authkitDomain "${domain}?x": must not have a query` },
    { env: { AUTHKIT_DOMAIN: `${domain}#x` }, message: `authkitDomain "${domain}#x": must not have a fragment` },
    {
      env: { AUTHKIT_DOMAIN: "http://your-app.authkit.app" },
      message: 'authkitDomain "http://your-app.authkit.app": must be https (http is for loopback hosts only)'
    },
    {
      env: { AUTHKIT_DOMAIN: "user:secret@a.example" },
      message: 'authkitDomain "***@a.example": must not have user info'
    },
    {
      env: { AUTHKIT_DOMAIN: "https://your-app.authkit.app/oauth2" },
      message: 'authkitDomain "https://your-app.authkit.app/oauth2": must not have a path'
    },
    { env: { BASE_URL: "" }, message: 'baseUrl "": is empty' },
    { env: { BASE_URL: "your-server.com" }, message: 'baseUrl "your-server.com": is not an absolute https:// URL' },
    { env: { RESOURCE_PATH: "/a?b" }, message: 'path "/a?b": must not have a query' },
    { env: { RESOURCE_DOCUMENTATION: "docs" }, message: 'resourceDocumentation "docs": is not an absolute http(s) URL' }
  ])("fails with: $message", ({ env, message }) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(resourceOf({ ...good, ...env }))
      expect(error).toBeInstanceOf(ConfigurationError.ConfigurationError)
      expect((error as ConfigurationError.ConfigurationError).message).toBe(message)
    })
  )

  it.effect("fails with the name of a variable that is not there", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(resourceOf({ BASE_URL: "https://your-server.com" }))
      expect(String(error)).toBe(
        '(Missing data at AUTHKIT_DOMAIN: "Expected AUTHKIT_DOMAIN to exist in the provided map")'
      )
    })
  )
})

describe("layerResource", () => {
  it.effect("stands beside a verifier of the user's own, which is used as it is; nothing is logged", () =>
    Effect.gen(function* () {
      const logs = captureLogs()
      const accessToken = { claims: { aud: "https://other.example" }, scopes: new Set<string>() }
      const own = TokenVerifier.layer(() => Effect.succeed(accessToken))
      const auth = Layer.provideMerge(
        own,
        AuthKit.layerResource({
          authkitDomain: domain,
          baseUrl: "https://your-server.com",
          requiredScopes: ["mcp:tools"]
        })
      )
      yield* Effect.gen(function* () {
        const token = yield* mint({ claims: { exp: 0 } })
        const verifier = yield* TokenVerifier.TokenVerifier
        expect(yield* verifier.verify(token)).toBe(accessToken)
        expect((yield* ProtectedResource.ProtectedResource).metadata.authorization_servers).toEqual([domain])
      }).pipe(Effect.provide(auth), Effect.provide(logs.layer))
      expect(logs.lines).toEqual([])
    })
  )
})
