import { describe, expect, it } from "@effect/vitest"
import { BearerAuthWeb, ConfigurationError, ProtectedResource, TokenError, TokenVerifier } from "effect-resource-server"
import * as Testing from "effect-resource-server/Testing"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { listen } from "../../examples/web/listen.ts"
import { doorContract } from "../support/doorContract.ts"
import { issuer, mint, resource } from "../support/issuer.ts"
import { Auth, metadataUrl, refusedScopes, Resource, shown } from "../support/rejections.ts"
import { capture, get, type Line } from "../support/server.ts"

/** Serves what a guard protects on a free port until the scope ends, with the log that the Layer's loggers get. */
const serve = <E>(
  auth: Layer.Layer<ProtectedResource.ProtectedResource | TokenVerifier.TokenVerifier, E>,
  options?: Parameters<BearerAuthWeb.Guard["protect"]>[1]
) =>
  Effect.gen(function* () {
    const lines: Array<Line> = []
    const guard = yield* Effect.acquireRelease(
      Effect.promise(() => BearerAuthWeb.make(auth.pipe(Layer.provideMerge(capture(lines))))),
      (guard) => Effect.promise(() => guard.dispose())
    )
    const whoami = guard.protect((request, { subject }) => {
      if (request.url.endsWith("/throws")) throw new Error("the handler's own")
      return new Response(`${request.method} by ${subject}`, { headers: { "x-own": "kept" } })
    }, options)
    const { port } = yield* Effect.acquireRelease(
      Effect.promise(() => listen(whoami, 0)),
      (server) => Effect.sync(server.close)
    )
    return { guard, lines, port, url: `http://127.0.0.1:${port}` }
  })

const text = (response: Response) => Effect.promise(() => response.text())

doorContract({ name: "BearerAuthWeb", serve, ask: { path: "/mcp" }, closes: false })

describe("BearerAuthWeb.make", () => {
  it.scopedLive("calls the handler with the request and the verified token, and leaves its response alone", () =>
    Effect.gen(function* () {
      const { guard, lines, url } = yield* serve(Auth)
      expect([guard.resource.resource, guard.resource.path]).toEqual([resource, "/mcp"])
      for (const path of ["/mcp", "/anywhere?x=1"]) {
        const response = yield* get(url + path, Testing.bearer(yield* mint()), "POST")
        expect([response.status, response.headers.get("x-own"), yield* text(response)]).toEqual([
          200,
          "kept",
          "POST by user-1"
        ])
      }
      expect(lines.map(({ message }) => message)).toEqual([`Access tokens are accepted for aud=${resource}`])
    })
  )

  it.scopedLive("asks for the scopes of the guard and of the resource in one challenge", () =>
    Effect.gen(function* () {
      const { url } = yield* serve(Auth, { scopes: ["admin"] })
      const response = yield* get(`${url}/mcp`, Testing.bearer(yield* mint()))
      expect(yield* shown(response)).toEqual(refusedScopes("mcp:tools admin"))
      const both = yield* mint({ claims: { scope: "mcp:tools admin" } })
      expect((yield* get(`${url}/mcp`, Testing.bearer(both))).status).toBe(200)
    })
  )

  it.scopedLive("does not challenge preflights, and challenges every other OPTIONS", () =>
    Effect.gen(function* () {
      const { url } = yield* serve(Auth)
      const preflight = { origin: "https://page.example", "access-control-request-method": "POST" }
      const response = yield* get(`${url}/mcp`, preflight, "OPTIONS")
      expect([response.status, response.headers.get("www-authenticate")]).toEqual([204, null])
      expect((yield* get(`${url}/mcp`, { origin: preflight.origin }, "OPTIONS")).status).toBe(401)
      expect((yield* get(`${url}/mcp`, preflight)).status).toBe(401)
    })
  )

  it.scopedLive("serves the metadata document at the well-known URL and at the root, and nowhere else", () =>
    Effect.gen(function* () {
      const { lines, url } = yield* serve(Auth)
      lines.length = 0
      const root = "/.well-known/oauth-protected-resource"
      for (const path of [`${root}/mcp`, root, `${root}/mcp?x=1`, `${root}/mcp/`, `${root}/`]) {
        const response = yield* get(url + path)
        expect([
          response.status,
          response.headers.get("content-type"),
          response.headers.get("cache-control"),
          response.headers.get("access-control-allow-origin"),
          JSON.parse(yield* text(response))
        ]).toEqual([
          200,
          "application/json",
          "public, max-age=3600",
          "*",
          {
            resource,
            authorization_servers: [issuer],
            scopes_supported: ["mcp:tools"],
            bearer_methods_supported: ["header"]
          }
        ])
      }
      const head = yield* get(`${url}${root}/mcp`, {}, "HEAD")
      expect([head.status, head.headers.get("content-type"), yield* text(head)]).toEqual([200, "application/json", ""])
      const preflight = yield* get(`${url}${root}/mcp`, { origin: "https://page.example" }, "OPTIONS")
      expect([preflight.status, preflight.headers.get("access-control-allow-headers")]).toEqual([
        204,
        "MCP-Protocol-Version"
      ])
      const post = yield* get(`${url}${root}/mcp`, {}, "POST")
      expect([post.status, post.headers.get("allow")]).toEqual([405, "GET, HEAD, OPTIONS"])
      expect(lines).toEqual([])
      expect((yield* get(`${url}${root}/other`)).status).toBe(401)
    })
  )

  it("rejects with the Layer's own error", async () => {
    const wrong = BearerAuthWeb.make(
      TokenVerifier.layer(() => new TokenError.TokenMalformed({ reason: "" })).pipe(
        Layer.provideMerge(ProtectedResource.layer({ baseUrl: "http://api.example", authorizationServers: [issuer] }))
      )
    )
    await expect(wrong).rejects.toEqual(
      ConfigurationError.make("baseUrl", "http://api.example", "must be https (http is for loopback hosts only)")
    )
  })

  const Foreign = Layer.succeed(TokenVerifier.TokenVerifier, {
    verify: () => new TokenError.TokenMalformed({ reason: "" }),
    resource: "https://other.example"
  })
  const Failing = Layer.effect(TokenVerifier.TokenVerifier, new TokenError.TokenMissing())
  it.each([
    { what: "a Layer that fails", verifier: Failing, error: new TokenError.TokenMissing() },
    {
      what: "a verifier that is bound to another resource",
      verifier: Foreign,
      error: ConfigurationError.make(
        "TokenVerifier",
        "https://other.example",
        `is bound to another resource than ${resource}: share no TokenVerifier Layer, or wrap it in Layer.fresh`
      )
    }
  ])("rejects $what, and lets go of what was acquired before", async ({ error, verifier }) => {
    const held: Array<string> = []
    const Held = Layer.scopedDiscard(
      Effect.acquireRelease(
        Effect.sync(() => held.push("acquired")),
        () => Effect.sync(() => held.push("released"))
      )
    )
    const auth: Layer.Layer<ProtectedResource.ProtectedResource | TokenVerifier.TokenVerifier, unknown> = verifier.pipe(
      Layer.provideMerge(Resource),
      Layer.provideMerge(Held)
    )
    await expect(BearerAuthWeb.make(auth)).rejects.toEqual(error)
    expect(held).toEqual(["acquired", "released"])
  })

  it("answers HEAD without a body, and a preflight with 204, by itself", async () => {
    const guard = await BearerAuthWeb.make(Auth.pipe(Layer.provideMerge(capture([]))))
    const answer = guard.protect(() => new Response())
    const head = await answer(new Request(metadataUrl, { method: "HEAD" }))
    expect([head.status, head.body]).toEqual([200, null])
    expect((await answer(new Request(metadataUrl))).body).not.toBeNull()
    const headers = { origin: "https://page.example", "access-control-request-method": "POST" }
    expect((await answer(new Request(resource, { method: "OPTIONS", headers }))).status).toBe(204)
    await guard.dispose()
  })

  it("throws for a scope that is none", async () => {
    const guard = await BearerAuthWeb.make(Auth.pipe(Layer.provideMerge(capture([]))))
    expect(() => guard.protect(() => new Response(), { scopes: ["two words"] })).toThrow(
      ConfigurationError.make("scopes", "two words", "is not a scope (printable ASCII, no space, quote, backslash)")
    )
    await guard.dispose()
  })

  it.scopedLive("rejects what the handler throws, what dies, and everything once it is disposed of", () =>
    Effect.gen(function* () {
      const good = Testing.bearer(yield* mint())
      const { guard, url } = yield* serve(Auth)
      expect((yield* get(`${url}/throws`, good)).status).toBe(500)
      yield* Effect.promise(() => guard.dispose())
      expect((yield* get(`${url}/mcp`, good)).status).toBe(500)
      const dying = yield* serve(
        TokenVerifier.layer(() => Effect.dieMessage("a verifier of one's own")).pipe(Layer.provideMerge(Resource))
      )
      expect((yield* get(`${dying.url}/mcp`, good)).status).toBe(500)
    })
  )
})
