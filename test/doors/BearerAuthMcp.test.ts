import * as McpServer from "@effect/ai/McpServer"
import * as Tool from "@effect/ai/Tool"
import * as Toolkit from "@effect/ai/Toolkit"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import { describe, expect, it } from "@effect/vitest"
import { AccessToken, ProtectedResource, TokenVerifier } from "effect-resource-server"
import * as BearerAuthMcp from "effect-resource-server/BearerAuthMcp"
import * as Testing from "effect-resource-server/Testing"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { doorContract } from "../support/doorContract.ts"
import { issuer, mint } from "../support/issuer.ts"
import { Keys } from "../support/rejections.ts"
import { get, serve } from "../support/server.ts"

const authAt = (path: string) =>
  TokenVerifier.layerJwt({ issuer }).pipe(
    Layer.provide(Keys),
    Layer.provideMerge(
      ProtectedResource.layer({ baseUrl: "https://api.example", path, authorizationServers: [issuer] })
    )
  )

const subject = Effect.map(AccessToken.AccessToken, (token) => token.subject ?? "nobody")

/** An MCP server whose tool, prompt and resource all say whose token they were called with. */
const mcp = (tool: string, options?: { readonly path: `/${string}` }) => {
  const tools = Toolkit.make(Tool.make(tool, { success: Schema.String, dependencies: [AccessToken.AccessToken] }))
  return Layer.mergeAll(
    BearerAuthMcp.toolkit(tools).pipe(
      Layer.provide(tools.toLayer({ [tool]: () => Effect.delay(subject, "5 millis") }))
    ),
    McpServer.resource({ uri: "file:///whoami", name: "whoami", content: subject }),
    McpServer.prompt({ name: "whoami", content: () => subject })
  ).pipe(Layer.provide(BearerAuthMcp.layerHttpRouter({ name: "test", version: "1.0.0", ...options })))
}

/** One JSON-RPC call, and what it answered. */
const call = (url: string, sub: string, aud: string, method: string, params: object) =>
  Effect.gen(function* () {
    const token = yield* mint({ claims: { sub, aud: `https://api.example${aud}` } })
    return yield* Effect.promise(async () => {
      const response = await fetch(url, {
        method: "POST",
        headers: { authorization: `Bearer ${Redacted.value(token)}`, "content-type": "application/json" },
        body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params })
      })
      const text = await response.text()
      return response.status === 200 ? JSON.parse(text).result : response.status
    })
  })

const callTool = (url: string, sub: string, aud: string, name: string) =>
  call(url, sub, aud, "tools/call", { name, arguments: {} })

doorContract({
  name: "BearerAuthMcp",
  serve: (auth) => serve(mcp("whoami").pipe(Layer.provide(auth))),
  ask: {
    path: "/mcp",
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "whoami", arguments: {} } })
  }
})

describe("BearerAuthMcp.layerHttpRouter", () => {
  it.scopedLive(
    "gives each call of tools, prompts and resources its own caller's token, interleaved as they may be",
    () =>
      Effect.gen(function* () {
        const { url } = yield* serve(mcp("whoami").pipe(Layer.provide(authAt("/mcp"))))
        const at = `${url}/mcp`
        const people = Array.from({ length: 12 }, (_, index) => `user-${index}`)
        const answers = yield* Effect.forEach(
          people,
          (sub) =>
            Effect.all([
              callTool(at, sub, "/mcp", "whoami"),
              call(at, sub, "/mcp", "resources/read", { uri: "file:///whoami" }),
              call(at, sub, "/mcp", "prompts/get", { name: "whoami", arguments: {} })
            ]),
          { concurrency: "unbounded" }
        )
        expect(
          answers.map(([tool, resource, prompt]) => [
            tool.content[0].text,
            resource.contents[0].text,
            prompt.messages[0].content.text
          ])
        ).toEqual(people.map((sub) => [`"${sub}"`, sub, sub]))
      })
  )

  it.scopedLive("is mounted at the resource's path, refuses without a token, and answers GET and DELETE with 405", () =>
    Effect.gen(function* () {
      const { url } = yield* serve(mcp("whoami").pipe(Layer.provide(authAt("/deep/mcp"))))
      const refused = yield* get(`${url}/deep/mcp`, {}, "POST")
      expect([refused.status, refused.headers.get("www-authenticate")]).toEqual([
        401,
        'Bearer resource_metadata="https://api.example/.well-known/oauth-protected-resource/deep/mcp"'
      ])
      const token = yield* mint({ claims: { aud: "https://api.example/deep/mcp" } })
      for (const method of ["GET", "DELETE"]) {
        const headers = { authorization: `Bearer ${Redacted.value(token)}` }
        const response = yield* get(`${url}/deep/mcp`, headers, method)
        expect([method, response.status, response.headers.get("allow")]).toEqual([method, 405, "POST"])
      }
      expect((yield* get(`${url}/mcp`, {}, "POST")).status).toBe(404)
    })
  )

  it.scopedLive("answers CORS preflights with an empty 204, and leaves the headers of CORS to the app", () =>
    Effect.gen(function* () {
      const app = mcp("whoami").pipe(Layer.provide(authAt("/mcp")))
      const preflight = {
        origin: "https://page.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization"
      }
      const cors = (response: Response) =>
        [...response.headers]
          .filter(([name]) => name.startsWith("access-control-"))
          .map(([name, value]) => [name, value])
      const { url } = yield* serve(app)
      const alone = yield* get(`${url}/mcp`, preflight, "OPTIONS")
      expect([alone.status, yield* Effect.promise(() => alone.text()), cors(alone)]).toEqual([204, "", []])
      const other = yield* get(`${url}/mcp`, {}, "OPTIONS")
      expect([other.status, other.headers.get("www-authenticate")]).toEqual([
        401,
        'Bearer resource_metadata="https://api.example/.well-known/oauth-protected-resource/mcp"'
      ])
      const token = yield* mint()
      expect((yield* get(`${url}/mcp`, Testing.bearer(token), "OPTIONS")).status).toBe(405)

      const within = yield* serve(Layer.merge(app, HttpLayerRouter.cors({ allowedOrigins: ["https://page.example"] })))
      const answered = yield* get(`${within.url}/mcp`, preflight, "OPTIONS")
      expect([answered.status, cors(answered)]).toEqual([
        204,
        [
          ["access-control-allow-headers", "authorization"],
          ["access-control-allow-methods", "GET, HEAD, PUT, PATCH, POST, DELETE"],
          ["access-control-allow-origin", "https://page.example"]
        ]
      ])
    })
  )

  it.scopedLive("can be given another path", () =>
    Effect.gen(function* () {
      const { url } = yield* serve(mcp("whoami", { path: "/inside" }).pipe(Layer.provide(authAt("/outside"))))
      expect((yield* callTool(`${url}/inside`, "ada", "/outside", "whoami")).content[0].text).toBe('"ada"')
    })
  )

  it.scopedLive("keeps two servers of one process apart, each in its own Layer.fresh", () =>
    Effect.gen(function* () {
      const { url } = yield* serve(
        Layer.merge(
          Layer.fresh(mcp("a")).pipe(Layer.provide(authAt("/a"))),
          Layer.fresh(mcp("b")).pipe(Layer.provide(authAt("/b")))
        )
      )
      expect((yield* callTool(`${url}/a`, "ada", "/a", "a")).content[0].text).toBe('"ada"')
      expect((yield* callTool(`${url}/b`, "bob", "/b", "b")).content[0].text).toBe('"bob"')
      expect(yield* callTool(`${url}/b`, "ada", "/a", "b")).toBe(401)
      expect(yield* callTool(`${url}/a`, "bob", "/b", "a")).toBe(401)
      const listed = yield* call(`${url}/a`, "ada", "/a", "tools/list", {})
      expect(listed.tools.map(({ name }: { name: string }) => name)).toEqual(["a"])
    })
  )
})
