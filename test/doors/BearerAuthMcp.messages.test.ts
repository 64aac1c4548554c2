/**
 * Bodies and JSON-RPC messages at the door of an MCP server: what is read, what runs, and under which id it is answered.
 */
import * as McpSchema from "@effect/ai/McpSchema"
import * as Tool from "@effect/ai/Tool"
import * as Toolkit from "@effect/ai/Toolkit"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServer from "@effect/platform/HttpServer"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import { describe, expect, it } from "@effect/vitest"
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client"
import * as BearerAuthMcp from "effect-resource-server/BearerAuthMcp"
import * as Testing from "effect-resource-server/Testing"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { mint } from "../support/issuer.ts"
import { Auth, challenge } from "../support/rejections.ts"
import { capture, serve } from "../support/server.ts"
import { chunk, exchange, head } from "../support/socket.ts"

/** What ran, by name. */
const ran: Array<string> = []
const runs = (name: string) => Effect.sync(() => (ran.push(name), name))

const Tools = Toolkit.make(
  Tool.make("look", { success: Schema.String }),
  Tool.make("body", { success: Schema.String }),
  Tool.make("change", { success: Schema.String }).annotate(BearerAuthMcp.Scopes, ["write"])
)

const bodyOfRequest = Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ text }) => Effect.orDie(text))

const mcp = (options?: Partial<BearerAuthMcp.Options>) =>
  BearerAuthMcp.toolkit(Tools).pipe(
    Layer.provide(
      Tools.toLayer({
        look: () => runs("look"),
        body: () => bodyOfRequest as Effect.Effect<string>,
        change: () => runs("change")
      })
    ),
    Layer.provide(BearerAuthMcp.layerHttpRouter({ name: "test", version: "1.0.0", ...options })),
    Layer.provide(Auth)
  )

const start = (options?: Partial<BearerAuthMcp.Options>) => serve(mcp(options))

const authorization = (scope = "mcp:tools") =>
  Effect.map(mint({ claims: { scope } }), (token) => Testing.bearer(token).authorization)

/** Sends a body with a token that the resource accepts. What ran is counted anew. */
const post = (url: string, body: unknown, scope?: string) =>
  Effect.gen(function* () {
    const headers = { authorization: yield* authorization(scope), "content-type": "application/json" }
    ran.length = 0
    return yield* Effect.promise(async () => {
      const text = typeof body === "string" ? body : JSON.stringify(body)
      const response = await fetch(`${url}/mcp`, { method: "POST", headers, body: text })
      const answer = await response.text()
      return {
        status: response.status,
        challenge: response.headers.get("www-authenticate"),
        answer: answer === "" ? undefined : JSON.parse(answer),
        ran: [...ran]
      }
    })
  })

const call = (name: string, id?: unknown) => ({
  jsonrpc: "2.0",
  id,
  method: "tools/call",
  params: { name, arguments: {} }
})
const error = (id: unknown, code: number, message: string) => ({ jsonrpc: "2.0", id, error: { code, message } })
const looked = (id: unknown) => ({ jsonrpc: "2.0", id, result: { content: [{ type: "text", text: '"look"' }] } })

describe("a JSON-RPC message", () => {
  it.scopedLive.each([1, 0, -1, 1.5, 9007199254740991, 1e21, "1", "", "abc", "server-discover-probe-1"])(
    "is answered under its id: %j",
    (id) =>
      Effect.gen(function* () {
        const { url } = yield* start()
        const good = yield* post(url, call("look", id))
        expect([good.status, good.answer, good.ran]).toMatchObject([200, looked(id), ["look"]])
        expect(yield* post(url, { jsonrpc: "2.0", id, method: "server/discover", params: {} })).toEqual({
          status: 200,
          challenge: null,
          answer: error(id, -32601, "Method not found"),
          ran: []
        })
      })
  )

  it.scopedLive.each([
    ["server/discover", "x", error("x", -32601, "Method not found")],
    ["toString", 1, error(1, -32601, "Method not found")],
    ["@effect/rpc/Eof", 1, error(1, -32601, "Method not found")],
    ["notifications/initialized", 1, error(1, -32601, "Method not found")],
    ["sampling/createMessage", 1, error(1, -32601, "Method not found")]
  ])("of an unknown method is answered so: %s", ([method, id, answer]) =>
    Effect.gen(function* () {
      const { url } = yield* start()
      expect(yield* post(url, { jsonrpc: "2.0", id, method })).toMatchObject({ status: 200, answer })
    })
  )

  it.scopedLive.each([
    { jsonrpc: "2.0", method: "notifications/initialized" },
    { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 1 } },
    { jsonrpc: "2.0", method: "unknown" },
    { jsonrpc: "2.0", method: "@effect/rpc/Eof" },
    call("look"),
    { jsonrpc: "2.0", id: 1, result: {} },
    { jsonrpc: "2.0", id: 1, error: { code: 1, message: "no" } },
    [{ jsonrpc: "2.0", method: "notifications/initialized" }]
  ])("that wants no answer gets 202, and runs nothing: %j", (message) =>
    Effect.gen(function* () {
      const { url } = yield* start()
      expect(yield* post(url, message)).toEqual({ status: 202, challenge: null, answer: undefined, ran: [] })
    })
  )

  it.scopedLive.each([
    ["", error(null, -32700, "Parse error")],
    ["{", error(null, -32700, "Parse error")],
    ["null", error(null, -32600, "Invalid Request")],
    ['"look"', error(null, -32600, "Invalid Request")],
    ["{}", error(null, -32600, "Invalid Request")],
    ['{"id":1,"method":5}', error(null, -32600, "Invalid Request")],
    [JSON.stringify(call("look", null)), error(null, -32600, "The id is no string and no number")],
    [JSON.stringify(call("look", {})), error(null, -32600, "The id is no string and no number")],
    [JSON.stringify(call("look", [1])), error(null, -32600, "The id is no string and no number")],
    ["[]", error(null, -32600, "The batch is empty")]
  ])("that is none is answered 400: %s", ([body, answer]) =>
    Effect.gen(function* () {
      const { url } = yield* start()
      expect(yield* post(url, body)).toEqual({ status: 400, challenge: null, answer, ran: [] })
    })
  )

  it.scopedLive("of a tool that is unknown is answered under its id", () =>
    Effect.gen(function* () {
      const { url } = yield* start()
      for (const name of ["nothing", "toString", undefined, {}, ["look"]]) {
        const message = { ...call("", "x"), params: { name, arguments: {} } }
        expect((yield* post(url, message)).answer).toEqual(error("x", -32602, "Tool not found"))
      }
    })
  )
})

describe("a batch", () => {
  it.scopedLive("is answered in one array, each message under its id, with what was answered without the server", () =>
    Effect.gen(function* () {
      const { url } = yield* start()
      const batch = [
        call("look", "a"),
        { jsonrpc: "2.0", method: "notifications/initialized" },
        call("look", 0),
        call("look", 1),
        call("look", 1),
        { jsonrpc: "2.0", id: "b", method: "server/discover" },
        { jsonrpc: "2.0", id: 7, result: {} },
        null
      ]
      const { answer, ran, status } = yield* post(url, batch)
      expect([status, ran]).toEqual([200, ["look", "look", "look", "look"]])
      expect(answer).toMatchObject([
        looked("a"),
        looked(0),
        looked(1),
        looked(1),
        error("b", -32601, "Method not found"),
        error(null, -32600, "Invalid Request")
      ])
    })
  )

  it.scopedLive("of errors alone is answered so", () =>
    Effect.gen(function* () {
      const { url } = yield* start()
      expect(yield* post(url, [1, { jsonrpc: "2.0", id: 1, method: "x" }])).toMatchObject({
        status: 200,
        answer: [error(null, -32600, "Invalid Request"), error(1, -32601, "Method not found")]
      })
    })
  )

  it.scopedLive("has at most 100 messages, of whatever kind, or nothing of it runs", () =>
    Effect.gen(function* () {
      const { url } = yield* start()
      const most = Array.from({ length: 100 }, (_, index) => call("look", index))
      const { answer, ran } = yield* post(url, most)
      expect([answer.length, ran.length]).toEqual([100, 100])
      const refused = {
        status: 400,
        challenge: null,
        answer: error(null, -32600, "The batch has more than 100 messages"),
        ran: []
      }
      expect(yield* post(url, [...most, call("look", 100)])).toEqual(refused)
      expect(yield* post(url, Array(50_000).fill(1))).toEqual(refused)
    })
  )

  it.scopedLive("too large is 403 for a token that lacks the resource's scopes", () =>
    Effect.gen(function* () {
      const { url } = yield* start()
      expect(yield* post(url, Array(101).fill(call("change", 1)), "other")).toMatchObject({
        status: 403,
        challenge: challenge("insufficient_scope", "The access token lacks a required scope")
      })
    })
  )
})

describe("a body", () => {
  const padded = (length: number) => {
    const body = JSON.stringify(call("look", 1))
    return body + " ".repeat(length - body.length)
  }

  it.scopedLive("has at most maxBodyBytes", () =>
    Effect.gen(function* () {
      const { url } = yield* start({ maxBodyBytes: 200 })
      expect(yield* post(url, padded(200))).toMatchObject({ status: 200, ran: ["look"] })
      expect(yield* post(url, padded(201))).toEqual({ status: 413, challenge: null, answer: undefined, ran: [] })
      expect(yield* post(url, padded(201), "other")).toMatchObject({ status: 413, challenge: null })
    })
  )

  it.scopedLive("has at most 1 MiB by default", () =>
    Effect.gen(function* () {
      const { url } = yield* start()
      expect(yield* post(url, padded(2 ** 20))).toMatchObject({ status: 200, ran: ["look"] })
      expect(yield* post(url, padded(2 ** 20 + 1))).toMatchObject({ status: 413, ran: [] })
    })
  )

  it.scopedLive("is dropped at the limit, and not drained: with a token, with and without its scopes", () =>
    Effect.gen(function* () {
      const { port } = yield* start({ maxBodyBytes: 1000 })
      for (const scope of ["mcp:tools", "other"]) {
        const credentials = `Authorization: ${yield* authorization(scope)}`
        expect(yield* exchange(port, head("/mcp", credentials, "Content-Length: 500000000"))).toMatchObject([
          { status: 413, headers: { connection: "close" } }
        ])
        const chunks = Array.from({ length: 20 }, () => chunk("x".repeat(100)))
        expect(yield* exchange(port, head("/mcp", credentials, "Transfer-Encoding: chunked"), ...chunks)).toMatchObject(
          [{ status: 413, headers: { connection: "close" } }]
        )
      }
    })
  )

  it.scopedLive("reaches tools as the server got it", () =>
    Effect.gen(function* () {
      const { url } = yield* start()
      const untouched = JSON.stringify(call("body", 5))
      const { answer } = yield* post(url, untouched)
      expect(JSON.parse(answer.result.content[0].text)).toBe(untouched)
    })
  )

  it.scopedLive("is bounded in a web handler too", () =>
    Effect.gen(function* () {
      const { dispose, handler } = HttpLayerRouter.toWebHandler(
        Layer.provideMerge(mcp({ maxBodyBytes: 200 }), Layer.merge(HttpServer.layerContext, capture([]))),
        { disableLogger: true }
      )
      yield* Effect.addFinalizer(() => Effect.promise(dispose))
      const headers = { authorization: yield* authorization() }
      const send = (body: string) =>
        Effect.promise(() => handler(new Request("http://127.0.0.1/mcp", { method: "POST", headers, body })))
      expect((yield* send(padded(201))).status).toBe(413)
      const good = yield* send(padded(200))
      expect([good.status, yield* Effect.promise(() => good.json())]).toMatchObject([200, looked(1)])
    })
  )

  it.scopedLive.each([0, -1, 0.5])("has a limit that is a number of bytes: %s", (maxBodyBytes) =>
    Effect.gen(function* () {
      const failure = yield* Effect.flip(start({ maxBodyBytes }))
      expect(failure).toHaveProperty(
        "message",
        `maxBodyBytes "${maxBodyBytes}": is not a whole number of bytes above zero`
      )
    })
  )
})

describe("a client of the 2026-07-28 era", () => {
  it.scopedLive("connects in auto mode, and calls tools", () =>
    Effect.gen(function* () {
      const { url } = yield* start()
      const headers = { authorization: yield* authorization() }
      const result = yield* Effect.promise(async () => {
        const client = new Client({ name: "test", version: "1.0.0" }, { versionNegotiation: { mode: "auto" } })
        await client.connect(new StreamableHTTPClientTransport(new URL(`${url}/mcp`), { requestInit: { headers } }))
        const { tools } = await client.listTools()
        const called = await client.callTool({ name: "look", arguments: {} })
        await client.close()
        return { tools: tools.map(({ name }) => name), called }
      })
      expect(result).toMatchObject({
        tools: ["look", "body", "change"],
        called: { content: [{ type: "text", text: '"look"' }] }
      })
    })
  )
})

describe("methods", () => {
  it("are those that the server of @effect/ai answers", () => {
    expect([...McpSchema.ClientRequestRpcs.requests.keys()].sort()).toEqual([
      "completion/complete",
      "initialize",
      "logging/setLevel",
      "ping",
      "prompts/get",
      "prompts/list",
      "resources/list",
      "resources/read",
      "resources/subscribe",
      "resources/templates/list",
      "resources/unsubscribe",
      "tools/call",
      "tools/list"
    ])
  })
})
