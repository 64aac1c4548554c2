import { describe, expect, it, vi } from "@effect/vitest"
import {
  AuthorizationServer,
  BearerAuth,
  ConfigurationError,
  ProtectedResource,
  TokenVerifier
} from "effect-resource-server"
import { VerificationUnavailable } from "effect-resource-server/TokenError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import { issuer, json, network, publishes } from "../support/issuer.ts"
import { get, serve } from "../support/server.ts"

const resourceAt = (path: string, more?: Partial<ProtectedResource.Options>) =>
  ProtectedResource.layer({ baseUrl: "https://api.example", path, authorizationServers: [issuer], ...more })

const body = (response: Response) => Effect.promise(() => response.text())

describe("ProtectedResource.layerMetadataRoute", () => {
  const App = ProtectedResource.layerMetadataRoute.pipe(
    Layer.provide(resourceAt("/mcp", { scopesSupported: ["a", "b"], resourceName: "Notes" }))
  )
  const wellKnown = "/.well-known/oauth-protected-resource"
  const document = {
    resource: "https://api.example/mcp",
    authorization_servers: [issuer],
    scopes_supported: ["a", "b"],
    bearer_methods_supported: ["header"],
    resource_name: "Notes"
  }

  it.scopedLive(
    "serves the document at the resource's well-known URL, and without the path for the only resource",
    () =>
      Effect.gen(function* () {
        const { url } = yield* serve(App)
        for (const path of [`${wellKnown}/mcp`, wellKnown, `${wellKnown}/mcp/`, `${wellKnown}/`]) {
          const response = yield* get(url + path)
          expect([
            response.status,
            response.headers.get("content-type"),
            response.headers.get("cache-control"),
            response.headers.get("access-control-allow-origin")
          ]).toEqual([200, "application/json", "public, max-age=3600", "*"])
          expect(JSON.parse(yield* body(response))).toEqual(document)
        }
        expect((yield* get(`${url}/mcp${wellKnown}`)).status).toBe(404)
        expect((yield* get(`${url}${wellKnown}/other`)).status).toBe(404)
      })
  )

  it.scopedLive(
    "answers HEAD without a body, allows MCP-Protocol-Version in preflights, and answers other methods with 405",
    () =>
      Effect.gen(function* () {
        const { url } = yield* serve(App)
        const at = `${url}${wellKnown}/mcp`
        const head = yield* get(at, {}, "HEAD")
        expect([head.status, head.headers.get("content-type"), yield* body(head)]).toEqual([
          200,
          "application/json",
          ""
        ])
        const preflight = yield* get(
          at,
          { origin: "https://page.example", "access-control-request-method": "GET" },
          "OPTIONS"
        )
        expect([
          preflight.status,
          preflight.headers.get("access-control-allow-origin"),
          preflight.headers.get("access-control-allow-methods"),
          preflight.headers.get("access-control-allow-headers"),
          preflight.headers.get("access-control-max-age")
        ]).toEqual([204, "*", "GET, HEAD, OPTIONS", "MCP-Protocol-Version", "86400"])
        for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
          const response = yield* get(at, {}, method)
          expect([method, response.status, response.headers.get("allow")]).toEqual([method, 405, "GET, HEAD, OPTIONS"])
        }
      })
  )

  it.scopedLive("needs no token even inside BearerAuth", () =>
    Effect.gen(function* () {
      const None = TokenVerifier.layer(() => new VerificationUnavailable({ reason: "", retryAfter: 1 }))
      const { url } = yield* serve(
        ProtectedResource.layerMetadataRoute.pipe(
          Layer.provide(BearerAuth.layer),
          Layer.provide(Layer.provideMerge(None, resourceAt("/mcp")))
        )
      )
      expect((yield* get(`${url}${wellKnown}/mcp`)).status).toBe(200)
      expect((yield* get(`${url}${wellKnown}`)).status).toBe(200)
    })
  )

  it.scopedLive("serves a bare origin at the URL without a path, and no other resource there", () =>
    Effect.gen(function* () {
      const both = yield* serve(
        Layer.merge(
          ProtectedResource.layerMetadataRoute.pipe(Layer.provide(resourceAt("/mcp"))),
          ProtectedResource.layerMetadataRoute.pipe(Layer.provide(resourceAt("/")))
        )
      )
      const root = yield* get(`${both.url}${wellKnown}`)
      expect(JSON.parse(yield* body(root))).toMatchObject({ resource: "https://api.example" })
      const mcp = yield* get(`${both.url}${wellKnown}/mcp`)
      expect(JSON.parse(yield* body(mcp))).toMatchObject({ resource: "https://api.example/mcp" })
    })
  )

  it.scopedLive("serves a path behind a prefix that a proxy strips at the public well-known URL", () =>
    Effect.gen(function* () {
      const { url } = yield* serve(
        ProtectedResource.layerMetadataRoute.pipe(
          Layer.provide(resourceAt("/mcp/", { baseUrl: "https://api.example/v1/" }))
        )
      )
      const response = yield* get(`${url}${wellKnown}/v1/mcp/`)
      expect(JSON.parse(yield* body(response))).toMatchObject({ resource: "https://api.example/v1/mcp/" })
    })
  )

  const routeFor = (resource: ReturnType<typeof resourceAt>) =>
    ProtectedResource.layerMetadataRoute.pipe(Layer.provide(resource))

  it.scopedLive("serves the same document once, however often it is added, also at the URL without a path", () =>
    Effect.gen(function* () {
      const { url } = yield* serve(
        Layer.mergeAll(routeFor(resourceAt("/mcp")), routeFor(resourceAt("/mcp")), routeFor(resourceAt("/mcp")))
      )
      for (const path of [`${wellKnown}/mcp`, wellKnown]) {
        expect(JSON.parse(yield* body(yield* get(url + path)))).toMatchObject({ resource: "https://api.example/mcp" })
      }
    })
  )

  // Each resource differs from the first in one property.
  it.scopedLive.each<{ what: string; other: ReturnType<typeof resourceAt> }>([
    { what: "of another origin", other: resourceAt("/mcp", { baseUrl: "https://other.example" }) },
    { what: "with another slash at the end", other: resourceAt("/mcp/") },
    { what: "of another issuer", other: resourceAt("/mcp", { authorizationServers: ["https://b.example"] }) },
    { what: "with other scopes", other: resourceAt("/mcp", { scopesSupported: ["a"] }) },
    { what: "with another name", other: resourceAt("/mcp", { resourceName: "Notes" }) }
  ])("refuses a resource $what at the URL of the first one when the Layer is built", ({ other }) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(serve(Layer.merge(routeFor(resourceAt("/mcp")), routeFor(other))))
      expect(error).toBeInstanceOf(ConfigurationError.ConfigurationError)
      expect(error.message).toMatch(
        /^path "\/mcp\/?": is the path of another resource on this router: both need \/\.well-known\/oauth-protected-resource\/mcp\/?$/
      )
    })
  )
})

describe("AuthorizationServer.layerMetadataRoute", () => {
  const wellKnown = "/.well-known/oauth-authorization-server"
  const upstream = { issuer, jwks_uri: `${issuer}/jwks`, extra: { kept: true } }

  it.scopedLive("serves the issuer's document, fetched once, at both URLs and to any origin", () =>
    Effect.gen(function* () {
      const net = network(() => json(upstream))
      const { url } = yield* serve(
        AuthorizationServer.layerMetadataRoute.pipe(Layer.provide(resourceAt("/mcp")), Layer.provide(net.layer))
      )
      expect(net.requests).toEqual([])
      for (const path of [wellKnown, `${wellKnown}/mcp`]) {
        const response = yield* get(url + path, { origin: "https://page.example" })
        expect([
          response.status,
          response.headers.get("cache-control"),
          response.headers.get("access-control-allow-origin")
        ]).toEqual([200, "public, max-age=3600", "*"])
        expect(JSON.parse(yield* body(response))).toEqual(upstream)
      }
      expect(net.requests.map((request) => request.url)).toEqual([issuer + wellKnown])
    })
  )

  it.scopedLive("answers 502 without the reason, logs that once, and asks the issuer again later", () =>
    Effect.gen(function* () {
      const net = network(() => new Response("secret words", { status: 500, headers: { "retry-after": "30" } }))
      const { lines, url } = yield* serve(
        AuthorizationServer.layerMetadataRoute.pipe(Layer.provide(resourceAt("/mcp")), Layer.provide(net.layer))
      )
      for (let i = 0; i < 3; i++) {
        const response = yield* get(`${url}${wellKnown}`)
        expect([
          response.status,
          response.headers.get("cache-control"),
          response.headers.get("retry-after"),
          response.headers.get("access-control-allow-origin"),
          yield* body(response)
        ]).toEqual([502, "no-store", "30", "*", ""])
      }
      const openId = `${issuer}/.well-known/openid-configuration`
      expect(net.requests.map((request) => request.url)).toEqual([issuer + wellKnown, openId])
      const reason = `no metadata of "${issuer}" was found: ${issuer}${wellKnown} answered 500; ${openId} answered 500`
      expect(lines.map(({ level, message }) => [level, message])).toEqual([
        ["ERROR", `Loading failed, and there is no earlier value to use: ${reason}`]
      ])
    })
  )

  it.scopedLive("also serves a document without jwks_uri", () =>
    Effect.gen(function* () {
      const net = network(() => json({ issuer }))
      const { url } = yield* serve(
        AuthorizationServer.layerMetadataRoute.pipe(Layer.provide(resourceAt("/mcp")), Layer.provide(net.layer))
      )
      expect(JSON.parse(yield* body(yield* get(url + wellKnown)))).toEqual({ issuer })
    })
  )

  it.scoped("keeps the document fresh for 10 minutes, and for 24 hours while the issuer is down", () =>
    Effect.gen(function* () {
      const net = network(() => json(upstream))
      const { lines, url } = yield* serve(
        AuthorizationServer.layerMetadataRoute.pipe(Layer.provide(resourceAt("/mcp")), Layer.provide(net.layer))
      )
      const status = Effect.map(get(url + wellKnown), (response) => response.status)
      const times = () => net.requests.filter((request) => request.url === issuer + wellKnown).length
      const asked = (expected: number) => Effect.promise(() => vi.waitFor(() => expect(times()).toBe(expected)))
      expect(yield* status).toBe(200)
      yield* TestClock.adjust("479 seconds")
      expect(yield* status).toBe(200)
      expect(times()).toBe(1)
      net.answer = () => "refuse"
      yield* TestClock.adjust("1 second")
      expect(yield* status).toBe(200)
      yield* asked(2)
      yield* TestClock.adjust("29 seconds")
      expect(yield* status).toBe(200)
      expect(times()).toBe(2)
      yield* TestClock.adjust("1 second")
      expect(yield* status).toBe(200)
      yield* asked(3)
      yield* TestClock.adjust(Duration.subtract("24 hours", "511 seconds"))
      expect(yield* status).toBe(200)
      yield* asked(4)
      yield* TestClock.adjust("1 second")
      expect(yield* status).toBe(502)
      expect(lines.map(({ level, message }) => `${level} ${message}`)).toEqual(
        [
          ["WARN", "8m"],
          ["DEBUG", "8m 30s"],
          ["DEBUG", "23h 59m 59s"]
        ].map(
          ([level, age]) =>
            `${level} Refreshing failed; the value loaded ${age} ago stays in use: no metadata of "${issuer}" was found: ` +
            `${issuer}${wellKnown} cannot be reached; ${issuer}/.well-known/openid-configuration cannot be reached`
        )
      )
    })
  )

  it.scoped("keeps the document while the new one cannot be written as JSON", () =>
    Effect.gen(function* () {
      const net = network(() => json(upstream))
      const { lines, url } = yield* serve(
        AuthorizationServer.layerMetadataRoute.pipe(Layer.provide(resourceAt("/mcp")), Layer.provide(net.layer))
      )
      const answer = Effect.flatMap(get(url + wellKnown), body)
      const before = yield* answer
      const deep = 100_000
      net.answer = () =>
        new Response(`${JSON.stringify(upstream).slice(0, -1)},"deep":${"[".repeat(deep)}${"]".repeat(deep)}}`)
      yield* TestClock.adjust("10 minutes")
      expect(yield* answer).toBe(before)
      yield* Effect.promise(() => vi.waitFor(() => expect(lines.length).toBe(1)))
      expect(lines[0]!.message).toBe(
        `Refreshing failed; the value loaded 10m ago stays in use: the metadata of "${issuer}" cannot be written as JSON`
      )
      expect(yield* answer).toBe(before)
    })
  )

  it.scopedLive("serves a bare origin at the URL without a path, and no other resource there", () =>
    Effect.gen(function* () {
      const other = "https://other.example"
      const net = network((url) => json({ issuer: new URL(url).origin }))
      const { url } = yield* serve(
        Layer.merge(
          AuthorizationServer.layerMetadataRoute.pipe(Layer.provide(resourceAt("/mcp/"))),
          AuthorizationServer.layerMetadataRoute.pipe(Layer.provide(resourceAt("/", { authorizationServers: [other] })))
        ).pipe(Layer.provide(net.layer))
      )
      expect(JSON.parse(yield* body(yield* get(url + wellKnown)))).toEqual({ issuer: other })
      expect(JSON.parse(yield* body(yield* get(`${url}${wellKnown}/mcp/`)))).toEqual({ issuer })
    })
  )

  const forwardedFor = (more?: Partial<ProtectedResource.Options>) =>
    AuthorizationServer.layerMetadataRoute.pipe(Layer.provide(resourceAt("/mcp/", more)))

  it.scopedLive("serves the document of one issuer once, however often it is added", () =>
    Effect.gen(function* () {
      const net = network(() => json(upstream))
      const { url } = yield* serve(Layer.merge(forwardedFor(), forwardedFor()).pipe(Layer.provide(net.layer)))
      expect(JSON.parse(yield* body(yield* get(`${url}${wellKnown}/mcp/`)))).toEqual(upstream)
      expect(net.requests.length).toBe(1)
    })
  )

  it.scopedLive("refuses the document of another issuer at the same URL when the Layer is built", () =>
    Effect.gen(function* () {
      const both = Layer.merge(forwardedFor(), forwardedFor({ authorizationServers: ["https://other.example"] }))
      const error = yield* Effect.flip(serve(both.pipe(Layer.provide(network(publishes()).layer))))
      expect(error).toEqual(
        ConfigurationError.make(
          "path",
          "/mcp/",
          `is the path of another resource on this router: both need ${wellKnown}/mcp/`
        )
      )
    })
  )

  it.scopedLive("answers 502 for a document of another issuer", () =>
    Effect.gen(function* () {
      const net = network(() => json({ ...upstream, issuer: `${issuer}/` }))
      const { url } = yield* serve(
        AuthorizationServer.layerMetadataRoute.pipe(Layer.provide(resourceAt("/mcp")), Layer.provide(net.layer))
      )
      expect((yield* get(`${url}${wellKnown}`)).status).toBe(502)
    })
  )

  it.scopedLive("answers 502 for a document that cannot be written as JSON", () =>
    Effect.gen(function* () {
      const levels = 200_000
      const deep = `{"issuer":"${issuer}","x":${"[".repeat(levels)}${"]".repeat(levels)}}`
      const net = network(() => new Response(deep))
      const { url } = yield* serve(
        AuthorizationServer.layerMetadataRoute.pipe(Layer.provide(resourceAt("/mcp")), Layer.provide(net.layer))
      )
      expect((yield* get(`${url}${wellKnown}`)).status).toBe(502)
    })
  )

  it.scopedLive("works beside the resource's own metadata", () =>
    Effect.gen(function* () {
      const { url } = yield* serve(
        Layer.merge(AuthorizationServer.layerMetadataRoute, ProtectedResource.layerMetadataRoute).pipe(
          Layer.provide(resourceAt("/")),
          Layer.provide(network(publishes()).layer)
        )
      )
      expect((yield* get(`${url}${wellKnown}`)).status).toBe(200)
      expect((yield* get(`${url}/.well-known/oauth-protected-resource`)).status).toBe(200)
    })
  )
})
