/**
 * Bodies at the doors of RPC, HttpApi and plain routes: nothing is read before the token is accepted, then at most the limit.
 */
import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Rpc from "@effect/rpc/Rpc"
import * as RpcGroup from "@effect/rpc/RpcGroup"
import * as RpcSerialization from "@effect/rpc/RpcSerialization"
import { describe, expect, it } from "@effect/vitest"
import { AccessToken, BearerAuth, BearerAuthHttpApi } from "effect-resource-server"
import * as BearerAuthRpc from "effect-resource-server/BearerAuthRpc"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { gzipSync } from "node:zlib"
import { mint } from "../support/issuer.ts"
import { Auth } from "../support/rejections.ts"
import { serve } from "../support/server.ts"
import { chunk, exchange, head, lastChunk } from "../support/socket.ts"

const limit = 1000

const echo = Schema.Struct({ text: Schema.String })

const Api = HttpApi.make("api").add(
  HttpApiGroup.make("notes")
    .add(HttpApiEndpoint.post("save", "/notes").setPayload(echo).addSuccess(Schema.Number))
    .middleware(BearerAuthHttpApi.Protected)
)
const ApiHandlers = HttpApiBuilder.group(Api, "notes", (handlers) =>
  handlers.handle("save", ({ payload }) => Effect.succeed(payload.text.length))
)
const ApiApp = BearerAuthHttpApi.add(Api, ApiHandlers, { maxBodyBytes: limit }).pipe(
  Layer.provide(BearerAuthHttpApi.layer(BearerAuthHttpApi.Protected)),
  Layer.provide(Auth)
)

const Notes = RpcGroup.make(Rpc.make("save", { payload: { text: Schema.String }, success: Schema.Number }))
const NotesHandlers = Notes.toLayer({ save: ({ text }) => Effect.succeed(text.length) })
const Protected = Notes.middleware(BearerAuthRpc.Protected)
const rpcWith = (serialization: Layer.Layer<RpcSerialization.RpcSerialization>) =>
  BearerAuthRpc.add(Protected, { maxBodyBytes: limit }).pipe(
    Layer.provide([NotesHandlers, serialization]),
    Layer.provide(BearerAuthRpc.layer(BearerAuthRpc.Protected)),
    Layer.provide(Auth)
  )
const RpcApp = rpcWith(RpcSerialization.layerNdjson)
const GuardedRpcApp = BearerAuthRpc.add(Notes, { maxBodyBytes: limit }).pipe(
  Layer.provide([NotesHandlers, RpcSerialization.layerNdjson]),
  Layer.provide(AccessToken.layerRequest),
  Layer.provide(BearerAuth.layer),
  Layer.provide(Auth)
)
const RouteApp = BearerAuth.add(
  "POST",
  "/",
  Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ text }) =>
    Effect.map(text, (all) => HttpServerResponse.text(String(all.length)))
  )
).pipe(Layer.provide(BearerAuth.layer), Layer.provide(Auth))

const call = (text: string, id = "1") =>
  `${JSON.stringify({ _tag: "Request", id, tag: "save", payload: { text }, headers: [] })}\n`

const save = (text: string) => JSON.stringify({ text })

/** A body of this many bytes that the app understands. */
const padded = (write: (text: string) => string, bytes: number) => write("x".repeat(bytes - write("").length))

const doors = [
  { door: "BearerAuthHttpApi", app: ApiApp, path: "/mcp/notes", write: save },
  { door: "BearerAuthRpc, BearerAuth.layer", app: GuardedRpcApp, path: "/mcp", write: (text: string) => call(text) },
  { door: "BearerAuthRpc, tags", app: RpcApp, path: "/mcp", write: (text: string) => call(text) }
] as const

/** Apps of several types in one table. */
const served = (app: unknown) => serve(app as typeof RouteApp)

const bearer = Effect.map(mint(), (token) => `Authorization: Bearer ${Redacted.value(token)}`)
const json = "Content-Type: application/json"

describe.each(doors)("$door", ({ app, path, write }) => {
  const rows = [
    ["of the limit", padded(write, limit), 200],
    ["of one byte more", padded(write, limit + 1), 413]
  ] as const

  it.scopedLive.each(rows)("answers a body %s with %s", ([, body, status]) =>
    Effect.gen(function* () {
      const { port } = yield* served(app)
      const authorization = yield* bearer
      const whole = yield* exchange(
        port,
        head(path, authorization, json, `Content-Length: ${body.length}`, "Connection: close") + body
      )
      expect(whole.map(({ status }) => status)).toEqual([status])
      const dripped = yield* exchange(
        port,
        head(path, authorization, json, "Transfer-Encoding: chunked", "Connection: close"),
        ...[0, 1, 2, 3]
          .map((piece) => chunk(body.slice(piece * 300, (piece + 1) * 300)))
          .filter((one) => one.length > 5),
        lastChunk
      )
      expect(dripped.map(({ status }) => status)).toEqual([status])
      expect([whole[0]?.headers["www-authenticate"], dripped[0]?.headers["www-authenticate"]]).toEqual([
        undefined,
        undefined
      ])
    })
  )

  it.scopedLive("answers a Content-Length over the limit without a byte of the body", () =>
    Effect.gen(function* () {
      const { port } = yield* served(app)
      const answers = yield* exchange(port, head(path, yield* bearer, json, "Content-Length: 555745280"))
      expect(answers.map(({ headers, status }) => [status, headers["connection"]])).toEqual([[413, "close"]])
    })
  )

  it.scopedLive("counts a compressed body as it comes, and inflates nothing", () =>
    Effect.gen(function* () {
      const { port } = yield* served(app)
      const bomb = gzipSync("x".repeat(limit * 1000))
      const lines = [`Content-Length: ${bomb.length}`, "Content-Encoding: gzip", "Connection: close"]
      const [answer] = yield* exchange(port, head(path, yield* bearer, json, ...lines), bomb)
      expect(bomb.length).toBeGreaterThan(limit)
      expect(answer?.status).toBe(413)
    })
  )
})

describe("BearerAuthRpc.add", () => {
  it.scopedLive("reads at most the limit of a body before it looks at a token", () =>
    Effect.gen(function* () {
      const { port } = yield* serve(RpcApp)
      const [declared] = yield* exchange(port, head("/mcp", json, "Content-Length: 555745280"))
      const [dripped] = yield* exchange(
        port,
        head("/mcp", json, "Transfer-Encoding: chunked"),
        ...Array.from({ length: 5 }, () => chunk("x".repeat(300)))
      )
      expect([declared?.status, dripped?.status]).toEqual([413, 413])
    })
  )

  const batchOf = (calls: number) => Array.from({ length: calls }, (_, index) => call("", String(index))).join("")

  it.scopedLive("runs a hundred messages of one body, and none of more", () =>
    Effect.gen(function* () {
      const App = BearerAuthRpc.add(Protected).pipe(
        Layer.provide([NotesHandlers, RpcSerialization.layerNdjson]),
        Layer.provide(BearerAuthRpc.layer(BearerAuthRpc.Protected)),
        Layer.provide(Auth)
      )
      const { url } = yield* serve(App)
      const token = yield* mint()
      const post = (body: string) =>
        Effect.promise(async () => {
          const headers = { authorization: `Bearer ${Redacted.value(token)}`, "content-type": "application/ndjson" }
          return (await fetch(`${url}/mcp`, { method: "POST", headers, body })).text()
        })
      expect((yield* post(batchOf(100))).match(/"_tag":"Success"/g)?.length).toBe(100)
      const refused = yield* post(batchOf(101))
      expect(refused).toContain("more than 100 messages in one body")
      expect(refused).not.toContain('"_tag":"Success"')
    })
  )
})
