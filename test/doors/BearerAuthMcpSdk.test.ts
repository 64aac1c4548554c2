import { describe, expect, it } from "@effect/vitest"
import * as SdkV2Express from "@modelcontextprotocol/express"
import * as SdkV2 from "@modelcontextprotocol/server"
import * as SdkV1 from "@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js"
import type { OAuthTokenVerifier } from "@modelcontextprotocol/sdk/server/auth/provider.js"
import { ConfigurationError, TokenVerifier } from "effect-resource-server"
import * as V1 from "effect-resource-server/BearerAuthMcpSdk"
import * as V2 from "effect-resource-server/BearerAuthMcpSdkV2"
import * as Testing from "effect-resource-server/Testing"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import express from "express"
import { doorContract } from "../support/doorContract.ts"
import { mint, resource } from "../support/issuer.ts"
import {
  Auth,
  AuthDown,
  metadataUrl,
  refusedMissing,
  refusedScopes,
  rejections,
  Resource,
  shown
} from "../support/rejections.ts"
import { capture, get, type Line, listen } from "../support/server.ts"
import { exchange, head } from "../support/socket.ts"

const versions = [
  { name: "BearerAuthMcpSdk", make: V1.make, requireBearerAuth: SdkV1.requireBearerAuth },
  { name: "BearerAuthMcpSdkV2", make: V2.make, requireBearerAuth: SdkV2Express.requireBearerAuth }
]

/** An Express app that answers with the `auth` of its requests, until the scope ends. */
const serve = <E>(
  make: typeof V1.make,
  layer: Parameters<typeof V1.make<E>>[0],
  protect: (auth: V1.McpAuth) => express.RequestHandler
) =>
  Effect.gen(function* () {
    const lines: Array<Line> = []
    const auth = yield* Effect.acquireRelease(
      Effect.promise(() => make(layer.pipe(Layer.provideMerge(capture(lines))))),
      (auth) => Effect.promise(() => auth.dispose())
    )
    const app = express()
    app.use(auth.metadata)
    app.use(auth.path, protect(auth), (request, response) => void response.json(request.auth))
    const port = yield* listen(app)
    return { auth, lines, port, url: `http://127.0.0.1:${port}` }
  })

const json = (response: Response) => Effect.promise(() => response.json())

for (const { make, name } of versions) {
  doorContract({
    name,
    serve: (auth) => serve(make, auth, (mcpAuth) => mcpAuth.requireBearerAuth()),
    ask: { path: "/mcp" }
  })
}

describe.each(versions)("$name: its own requireBearerAuth", ({ make }) => {
  const own = (auth: V1.McpAuth) => auth.requireBearerAuth()

  it.scopedLive("lets the handler read the token in the SDK's words", () =>
    Effect.gen(function* () {
      const { auth, url } = yield* serve(make, Auth, own)
      expect([auth.path, auth.resourceMetadataUrl]).toEqual(["/mcp", metadataUrl])
      const token = yield* mint()
      const response = yield* get(`${url}/mcp`, Testing.bearer(token), "POST")
      const claims = JSON.parse(atob(Redacted.value(token).split(".")[1]!))
      expect([response.status, yield* json(response)]).toEqual([
        200,
        {
          token: Redacted.value(token),
          clientId: "client-1",
          scopes: ["mcp:tools"],
          expiresAt: claims.exp,
          resource,
          extra: { subject: "user-1", claims }
        }
      ])
    })
  )

  it.scopedLive("asks for the scopes of the route and of the resource in one challenge", () =>
    Effect.gen(function* () {
      const { url } = yield* serve(make, Auth, (auth) => auth.requireBearerAuth({ scopes: ["admin"] }))
      expect(yield* shown(yield* get(`${url}/mcp`, Testing.bearer(yield* mint())))).toEqual(
        refusedScopes("mcp:tools admin")
      )
      const both = yield* mint({ claims: { scope: "mcp:tools admin" } })
      expect((yield* get(`${url}/mcp`, Testing.bearer(both))).status).toBe(200)
    })
  )

  it.scopedLive("serves the metadata document, and does not challenge preflights", () =>
    Effect.gen(function* () {
      const { auth, url } = yield* serve(make, Auth, own)
      const root = "/.well-known/oauth-protected-resource"
      for (const path of [`${root}/mcp`, root, `${root}?x=1`, `${root}/mcp/`, `${root}/`]) {
        const response = yield* get(url + path)
        expect([
          response.status,
          response.headers.get("content-type"),
          response.headers.get("access-control-allow-origin"),
          yield* json(response)
        ]).toMatchObject([200, "application/json", "*", { resource }])
      }
      const head = yield* get(`${url}${root}/mcp`, {}, "HEAD")
      expect([head.status, head.headers.get("cache-control")]).toEqual([200, "public, max-age=3600"])
      expect((yield* get(`${url}${root}/mcp`, {}, "POST")).status).toBe(405)
      expect((yield* get(`${url}${root}/other`)).status).toBe(404)
      const preflight = { origin: "https://page.example", "access-control-request-method": "POST" }
      expect((yield* get(`${url}/mcp`, preflight, "OPTIONS")).status).toBe(204)
      expect((yield* get(`${url}/mcp`, preflight)).status).toBe(401)
      expect(() => auth.requireBearerAuth({ scopes: ["two words"] })).toThrow(ConfigurationError.ConfigurationError)
    })
  )

  it.scopedLive("leaves a handler that throws to Express, which runs it once", () =>
    Effect.gen(function* () {
      const runs: Array<string> = []
      const auth = yield* Effect.acquireRelease(
        Effect.promise(() => make(Auth.pipe(Layer.provideMerge(capture([]))))),
        (auth) => Effect.promise(() => auth.dispose())
      )
      const app = express()
      app.post(auth.path, auth.requireBearerAuth(), () => {
        runs.push("handler")
        throw new Error("the handler's own")
      })
      app.use(((error, _request, response, _next) => {
        runs.push(error.message)
        response.status(500).end()
      }) as express.ErrorRequestHandler)
      const port = yield* listen(app)
      const response = yield* get(`http://127.0.0.1:${port}/mcp`, Testing.bearer(yield* mint()), "POST")
      expect([response.status, runs]).toEqual([500, ["handler", "the handler's own"]])
    })
  )

  it.scopedLive("hands what dies to Express", () =>
    Effect.gen(function* () {
      const Dying = TokenVerifier.layer(() => Effect.dieMessage("a verifier of one's own")).pipe(
        Layer.provideMerge(Resource)
      )
      const { url } = yield* serve(make, Dying, own)
      expect((yield* get(`${url}/mcp`, Testing.bearer(yield* mint()))).status).toBe(500)
    })
  )

  it.scopedLive("keeps the connection of a rejection that has no body to read", () =>
    Effect.gen(function* () {
      const { port } = yield* serve(make, Auth, own)
      const [kept, next] = yield* exchange(port, head("/mcp"), head("/mcp", "Connection: close"))
      expect([kept?.headers["connection"], next?.status]).toEqual(["keep-alive", 401])
    })
  )

  it.scopedLive("says so in the SDK's way when a token names no client and never expires", () =>
    Effect.gen(function* () {
      const Own = TokenVerifier.layer(() => Effect.succeed({ claims: {}, scopes: new Set(["mcp:tools"]) }))
      const { auth, url } = yield* serve(make, Layer.provideMerge(Own, Resource), own)
      const info = yield* Effect.promise(() => auth.verifier.verifyAccessToken("abc"))
      expect(Object.keys(info)).not.toContain("expiresAt")
      const response = yield* get(`${url}/mcp`, { authorization: "bearer  abc" })
      expect(yield* json(response)).toEqual({
        token: "abc",
        clientId: "",
        scopes: ["mcp:tools"],
        resource,
        extra: { claims: {} }
      })
    })
  )
})

/** A response that takes what it is given, or fails to. */
const responseThat = (fails: boolean) => {
  const written: Array<unknown> = []
  const write = (...values: ReadonlyArray<unknown>) => {
    if (fails) throw new Error("headers are sent already")
    written.push(...values)
  }
  return { written, response: { writeHead: write, end: write } }
}

describe.each(versions)("$name: middleware without Express", ({ make }) => {
  const start = (layer: Parameters<typeof V1.make<unknown>>[0] = Auth) =>
    Effect.acquireRelease(
      Effect.promise(() => make(layer.pipe(Layer.provideMerge(capture([]))))),
      (auth) => Effect.promise(() => auth.dispose())
    )
  const thrown = new Error("the handler's own")
  /** Calls a middleware; gives what `next` got, call by call, and what the middleware left to its server. */
  const calls = (
    middleware: V1.Middleware,
    request: Partial<V1.IncomingRequest>,
    response: V1.OutgoingResponse,
    throws: boolean
  ) =>
    Effect.promise(async () => {
      const nexts: Array<unknown> = []
      const next = (error?: unknown) => {
        nexts.push(error)
        if (throws) throw thrown
      }
      const left = await Promise.resolve()
        .then(() => middleware({ headers: {}, rawHeaders: [], ...request }, response, next))
        .then(
          () => undefined,
          (error: unknown) => error
        )
      return { nexts, left }
    })

  it.scopedLive("calls next once, and leaves what that throws to the server", () =>
    Effect.gen(function* () {
      const auth = yield* start()
      const headers = Testing.bearer(yield* mint())
      const { response } = responseThat(false)
      const middleware = auth.requireBearerAuth()
      expect(yield* calls(middleware, { headers }, response, true)).toEqual({ nexts: [undefined], left: thrown })
      expect(yield* calls(middleware, { headers }, response, false)).toEqual({ nexts: [undefined], left: undefined })
      const other = { method: "GET", url: "/other" }
      expect(yield* calls(auth.metadata, other, response, true)).toEqual({ nexts: [undefined], left: thrown })
    })
  )

  it.scopedLive("calls next once with what dies, also if next throws", () =>
    Effect.gen(function* () {
      const Dying = TokenVerifier.layer(() => Effect.die(new Error("died"))).pipe(Layer.provideMerge(Resource))
      const auth = yield* start(Dying)
      const headers = Testing.bearer(yield* mint())
      const { nexts, left } = yield* calls(auth.requireBearerAuth(), { headers }, responseThat(false).response, true)
      expect([nexts.length, String(nexts[0]), left]).toEqual([1, expect.stringContaining("Error: died"), thrown])
    })
  )

  it.scopedLive("never calls next after a rejection or the metadata, also if they cannot be written", () =>
    Effect.gen(function* () {
      const auth = yield* start()
      const requests: ReadonlyArray<readonly [V1.Middleware, Partial<V1.IncomingRequest>, status: number]> = [
        [auth.requireBearerAuth(), {}, 401],
        [auth.requireBearerAuth(), preflight, 204],
        [auth.metadata, { method: "GET", url: new URL(metadataUrl).pathname }, 200]
      ]
      for (const [middleware, request, status] of requests) {
        const { response, written } = responseThat(false)
        expect(yield* calls(middleware, request, response, true)).toEqual({ nexts: [], left: undefined })
        expect(written[0]).toBe(status)
        expect(yield* calls(middleware, request, responseThat(true).response, true)).toEqual({
          nexts: [],
          left: undefined
        })
      }
    })
  )
})

const preflight = {
  method: "OPTIONS",
  headers: { origin: "https://page.example", "access-control-request-method": "POST" }
}

describe.each(versions)("$name: protect", ({ make }) => {
  const start = (options?: V1.ProtectOptions) =>
    Effect.gen(function* () {
      const auth = yield* Effect.acquireRelease(
        Effect.promise(() => make(Auth.pipe(Layer.provideMerge(capture([]))))),
        (auth) => Effect.promise(() => auth.dispose())
      )
      const seen: Array<string> = []
      const read = auth.protect(async (request) => {
        const text = await request.text()
        seen.push(text)
        return new Response(text)
      }, options)
      const swallow = auth.protect(
        (request) =>
          request.text().then(
            () => new Response("read"),
            () => new Response("never mind")
          ),
        options
      )
      return { auth, read, swallow, seen, headers: Testing.bearer(yield* mint()) }
    })
  const post = (headers: Readonly<Record<string, string>>, body: BodyInit | null) =>
    new Request(resource, { method: "POST", headers, body, duplex: "half" } as RequestInit)
  /** A body that no `Content-Length` announces. */
  const stream = (...parts: ReadonlyArray<string>) =>
    new ReadableStream<Uint8Array>({
      start: (controller) => {
        for (const part of parts) controller.enqueue(new TextEncoder().encode(part))
        controller.close()
      }
    })

  it.scopedLive("lets the handler read at most maxBodyBytes, and answers 413 beyond, whatever it makes of that", () =>
    Effect.gen(function* () {
      const { headers, read, seen, swallow } = yield* start({ maxBodyBytes: 8 })
      const answer = (serve: typeof read, body: BodyInit | null, more = {}) =>
        Effect.promise(async () => {
          const response = await serve(post({ ...headers, ...more }, body))
          return [response.status, await response.text()]
        })
      for (const body of ["12345678", stream("1234", "5678"), stream(..."12345678")]) {
        expect(yield* answer(read, body)).toEqual([200, "12345678"])
      }
      for (const body of ["", stream(), null]) expect(yield* answer(read, body)).toEqual([200, ""])
      seen.length = 0
      for (const serve of [read, swallow]) {
        for (const body of ["123456789", stream("123456789"), stream(..."123456789")]) {
          expect(yield* answer(serve, body)).toEqual([413, ""])
        }
        expect(yield* answer(serve, "1", { "content-length": "9" })).toEqual([413, ""])
        expect(yield* answer(serve, stream("123456789"), { "content-length": "1" })).toEqual([413, ""])
      }
      expect(seen).toEqual([])
    })
  )

  it.scopedLive("has a limit of 1 MiB by default, and one that is a number of bytes", () =>
    Effect.gen(function* () {
      const { auth, headers, read } = yield* start()
      const status = (length: number) =>
        Effect.promise(async () => (await read(post(headers, "x".repeat(length)))).status)
      expect([yield* status(2 ** 20), yield* status(2 ** 20 + 1)]).toEqual([200, 413])
      expect(() => auth.protect(() => new Response(), { maxBodyBytes: 0 })).toThrow(
        'maxBodyBytes "0": is not a whole number of bytes above zero'
      )
    })
  )

  it.scopedLive("leaves what the handler throws to the server, and reads nothing for a rejection", () =>
    Effect.gen(function* () {
      const { auth, headers } = yield* start()
      const fails = auth.protect(() => Promise.reject(new Error("the handler's own")))
      const error = yield* Effect.promise(() => fails(post(headers, "x")).then(String, (error: Error) => error.message))
      expect(error).toBe("the handler's own")
      const request = post({}, stream("x"))
      expect((yield* Effect.promise(() => fails(request))).status).toBe(401)
      expect(request.bodyUsed).toBe(false)
    })
  )
})

describe.each(versions)("$name: the SDK's own requireBearerAuth", ({ make, requireBearerAuth }) => {
  const sdk = (auth: V1.McpAuth) => requireBearerAuth(auth)

  it.scopedLive("accepts what the verifier accepts", () =>
    Effect.gen(function* () {
      const { url } = yield* serve(make, Auth, sdk)
      const response = yield* get(`${url}/mcp`, Testing.bearer(yield* mint()))
      expect([response.status, yield* json(response)]).toMatchObject([200, { extra: { subject: "user-1" }, resource }])
    })
  )

  it.scopedLive.each(rejections.filter(({ tag }) => tag !== "CredentialsMalformed"))(
    "answers $tag with its status and code, in the SDK's own challenge",
    (expected) =>
      Effect.gen(function* () {
        const { lines, url } = yield* serve(make, Auth, sdk)
        lines.length = 0
        const response = yield* get(`${url}/mcp`, yield* expected.headers)
        const { code, description, status } = expected
        expect([response.status, response.headers.get("www-authenticate"), yield* json(response)]).toEqual([
          status,
          `Bearer error="${code}", error_description="${description}", resource_metadata="${metadataUrl}"`,
          { error: code, error_description: description }
        ])
        expect(lines.map(({ annotations }) => annotations["error"])).toEqual([expected.tag])
      })
  )

  it.scopedLive("gives up 503, and the difference between no token and a bad one", () =>
    Effect.gen(function* () {
      const down = yield* serve(make, AuthDown, sdk)
      const outage = yield* get(`${down.url}/mcp`, Testing.bearer(yield* mint()))
      expect([outage.status, outage.headers.get("retry-after"), yield* json(outage)]).toEqual([
        500,
        null,
        { error: "server_error", error_description: "The access token cannot be verified now" }
      ])
      const { url } = yield* serve(make, Auth, sdk)
      expect((yield* get(`${url}/mcp`)).headers.get("www-authenticate")).toMatch(/error="invalid_token"/)
    })
  )

  it.scopedLive("gets an error, too, for what no header can carry", () =>
    Effect.gen(function* () {
      const { auth } = yield* serve(make, Auth, sdk)
      for (const token of ["", "one two", "a\nb", "\u{1f511}"]) {
        const error = yield* Effect.promise(() => auth.verifier.verifyAccessToken(token).then(String, (e: Error) => e))
        expect(error).toMatchObject({ message: "The Authorization header is malformed" })
      }
    })
  )
})

describe("the verifier", () => {
  it("has the type that each version asks for", async () => {
    const logged = Auth.pipe(Layer.provideMerge(capture([])))
    const v1 = await V1.make(logged)
    const v2 = await V2.make(logged)
    const asked: readonly [OAuthTokenVerifier, SdkV2.OAuthTokenVerifier] = [v1.verifier, v2.verifier]
    await expect(asked[0].verifyAccessToken("x")).rejects.toMatchObject({ errorCode: "invalid_token" })
    await expect(asked[1].verifyAccessToken("x")).rejects.toMatchObject({ code: "invalid_token" })
    await v1.dispose()
    await v2.dispose()
  })

  it.scopedLive("stands before a version 2 server of web-standard requests, with the library's own answers", () =>
    Effect.gen(function* () {
      const auth = yield* Effect.acquireRelease(
        Effect.promise(() => V2.make(Auth.pipe(Layer.provideMerge(capture([]))))),
        (auth) => Effect.promise(() => auth.dispose())
      )
      const mcp = SdkV2.createMcpHandler(() => {
        const server = new SdkV2.McpServer({ name: "notes", version: "1.0.0" })
        server.registerTool("whoami", {}, ({ http }) => ({
          content: [{ type: "text", text: JSON.stringify(http?.authInfo) }]
        }))
        return server
      })
      const serve = auth.protect((request, authInfo) => mcp.fetch(request, { authInfo }))
      const call = (headers: Readonly<Record<string, string>>) =>
        Effect.promise(() =>
          serve(
            new Request(resource, {
              method: "POST",
              headers: {
                "content-type": "application/json",
                accept: "application/json, text/event-stream",
                ...headers
              },
              body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "whoami" } })
            })
          )
        )
      const token = yield* mint()
      const good = yield* call(Testing.bearer(token))
      expect(good.status).toBe(200)
      const said = yield* Effect.promise(() => good.text())
      expect(said).toContain(`\\"token\\":\\"${Redacted.value(token)}\\"`)
      expect(said).toContain('\\"subject\\":\\"user-1\\"')
      expect(yield* shown(yield* call({}))).toEqual(refusedMissing)
      const metadata = yield* Effect.promise(() => serve(new Request(metadataUrl)))
      expect(yield* json(metadata)).toMatchObject({ resource })
    })
  )
})
