/**
 * Bodies as clients send them, to Node's server and to the web handler.
 */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FileSystem from "@effect/platform/FileSystem"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServer from "@effect/platform/HttpServer"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as UrlParams from "@effect/platform/UrlParams"
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { gzipSync } from "node:zlib"
import { bounded, closing, maxBodyBytes } from "../../src/doors/boundedBody.ts"
import { serve } from "../support/server.ts"
import { breakOff, chunk, exchange, head, lastChunk } from "../support/socket.ts"

const limit = 8

const request = HttpServerRequest.HttpServerRequest

const echo = Effect.flatMap(request, ({ text }) => Effect.map(text, (all) => HttpServerResponse.text(`got ${all}`)))

/** Every form of the body, from one request. */
const forms = Effect.gen(function* () {
  const asked = (yield* request).modify({ url: "/elsewhere" })
  const chunks = yield* Stream.runCollect(asked.stream)
  return HttpServerResponse.unsafeJson({
    url: asked.url,
    text: yield* asked.text,
    json: yield* Effect.orElseSucceed(asked.json, () => "none"),
    bytes: [...new Uint8Array(yield* asked.arrayBuffer)],
    stream: [...chunks].flatMap((part) => [...part]),
    params: UrlParams.toString(yield* asked.urlParamsBody),
    again: yield* asked.text
  })
})

const files = Effect.gen(function* () {
  const { multipart, multipartStream } = yield* request
  const names = yield* Stream.runCollect(Stream.map(multipartStream, (part) => part.key))
  const persisted = yield* multipart
  const [file] = persisted["file"] as ReadonlyArray<{ readonly path: string }>
  const content = yield* (yield* FileSystem.FileSystem).readFileString(file!.path)
  return HttpServerResponse.unsafeJson({ names: [...names], field: persisted["field"], content })
})

const routes = (ended: Deferred.Deferred<Exit.Exit<unknown, unknown>>) =>
  HttpLayerRouter.addAll([
    HttpLayerRouter.route("POST", "/echo", bounded(echo, limit)),
    HttpLayerRouter.route("POST", "/forms", bounded(forms, limit)),
    HttpLayerRouter.route("POST", "/files", bounded(files, 1000)),
    HttpLayerRouter.route(
      "POST",
      "/swallow",
      bounded(
        Effect.catchAllCause(echo, () => HttpServerResponse.text("never mind")),
        limit
      )
    ),
    HttpLayerRouter.route("POST", "/die", bounded(Effect.orDie(echo), limit)),
    HttpLayerRouter.route("POST", "/unread", bounded(HttpServerResponse.text("unread"), limit)),
    HttpLayerRouter.route(
      "POST",
      "/reject",
      Effect.map(request, (asked) => closing(asked, HttpServerResponse.empty({ status: 401 })))
    ),
    HttpLayerRouter.route(
      "POST",
      "/read-before",
      Effect.flatMap(request, ({ text }) => Effect.zipRight(text, bounded(echo, limit)))
    ),
    HttpLayerRouter.route(
      "POST",
      "/watched",
      bounded(
        Effect.onExit(echo, (exit) => Deferred.succeed(ended, exit)),
        limit
      )
    )
  ])

const start = Effect.gen(function* () {
  const ended = yield* Deferred.make<Exit.Exit<unknown, unknown>>()
  const { port } = yield* serve(Layer.provide(routes(ended), NodeContext.layer))
  const web = yield* Effect.acquireRelease(
    Effect.sync(() =>
      HttpLayerRouter.toWebHandler(
        Layer.provideMerge(routes(ended), Layer.merge(HttpServer.layerContext, NodeContext.layer)),
        {
          disableLogger: true
        }
      )
    ),
    ({ dispose }) => Effect.promise(dispose)
  )
  const fetchWeb = (path: string, init: RequestInit) =>
    Effect.promise(() => web.handler(new Request(`http://127.0.0.1${path}`, { method: "POST", ...init })))
  return { ended, port, fetchWeb }
})

const close = "Connection: close"

describe("bounded on Node", () => {
  const rows: ReadonlyArray<
    readonly [name: string, parts: ReadonlyArray<string | Uint8Array>, status: number, body: string]
  > = [
    ["exactly the limit", [head("/echo", close, "Content-Length: 8"), "12345678"], 200, "got 12345678"],
    ["one byte more", [head("/echo", "Content-Length: 9"), "123456789"], 413, ""],
    ["an empty body", [head("/echo", close, "Content-Length: 0")], 200, "got "],
    ["no body", [head("/echo", close)], 200, "got "],
    ["a Content-Length above the limit, without a byte", [head("/echo", "Content-Length: 9")], 413, ""],
    ["a huge Content-Length", [head("/echo", "Content-Length: 99999999999")], 413, ""],
    ["a Content-Length that is no number", [head("/echo", "Content-Length: many"), "12345678"], 400, ""],
    ["dripped bytes", [head("/echo", close, "Content-Length: 8"), ..."12345678"], 200, "got 12345678"],
    [
      "dripped bytes, one too many",
      [head("/echo", "Transfer-Encoding: chunked"), ...[..."123456789"].map(chunk)],
      413,
      ""
    ],
    [
      "chunks",
      [head("/echo", close, "Transfer-Encoding: chunked"), chunk("1234"), chunk("5678"), lastChunk],
      200,
      "got 12345678"
    ],
    [
      "chunks that never end",
      [head("/echo", "Transfer-Encoding: chunked"), ...Array.from({ length: 500 }, () => chunk("x".repeat(1000)))],
      413,
      ""
    ]
  ]

  it.scopedLive.each(rows)("%s", ([, parts, status, body]) =>
    Effect.gen(function* () {
      const { port } = yield* start
      expect((yield* exchange(port, ...parts))[0]).toMatchObject({ status, body })
    })
  )

  it.scopedLive("takes what follows a Content-Length that is too small for another request", () =>
    Effect.gen(function* () {
      const { ended, port } = yield* start
      const answers = yield* exchange(port, head("/watched", "Content-Length: 3"), "123456789")
      expect(answers.at(-1)?.status).toBe(400)
      const exit = yield* Deferred.await(ended)
      if (Exit.isSuccess(exit)) expect(exit.value).toMatchObject({ body: HttpServerResponse.text("got 123").body })
      expect((yield* exchange(port, head("/echo", close, "Content-Length: 1"), "x"))[0]?.body).toBe("got x")
    })
  )

  it.scopedLive("counts a compressed body as it comes, and inflates nothing", () =>
    Effect.gen(function* () {
      const { port } = yield* start
      const small = gzipSync("")
      const [reply] = yield* exchange(
        port,
        head("/echo", "Content-Encoding: gzip", `Content-Length: ${small.length}`),
        small
      )
      expect([small.length > limit, reply?.status]).toEqual([true, 413])
      const bomb = gzipSync(Buffer.alloc(100_000))
      const within = bomb.subarray(0, limit)
      const [echoed] = yield* exchange(
        port,
        head("/forms", close, "Content-Encoding: gzip", "Content-Length: 8"),
        within
      )
      expect(JSON.parse(echoed!.body).bytes).toEqual([...within])
    })
  )

  it.scopedLive.each(["/swallow", "/die"])("answers 413 whatever the handler made of it: %s", (path) =>
    Effect.gen(function* () {
      const { port } = yield* start
      const [reply, ...more] = yield* exchange(
        port,
        head(path, "Content-Length: 100000"),
        "123456789",
        head(path, close)
      )
      expect([reply, more]).toEqual([
        { status: 413, body: "", headers: expect.objectContaining({ connection: "close" }) },
        []
      ])
    })
  )

  it.scopedLive("reads nothing for a handler that asks for nothing", () =>
    Effect.gen(function* () {
      const { port } = yield* start
      const long = "x".repeat(100_000)
      const [reply, next] = yield* exchange(
        port,
        head("/unread", `Content-Length: ${long.length}`),
        long,
        head("/echo", close)
      )
      expect([reply?.body, next?.body]).toEqual(["unread", "got "])
    })
  )

  it.scopedLive("leaves a body alone that was read before", () =>
    Effect.gen(function* () {
      const { port, fetchWeb } = yield* start
      const [reply] = yield* exchange(port, head("/read-before", close, "Content-Length: 9"), "123456789")
      expect(reply?.body).toBe("got 123456789")
      const response = yield* fetchWeb("/read-before", { body: "123456789" })
      expect(yield* Effect.promise(() => response.text())).toBe("got 123456789")
    })
  )

  it.scopedLive("ends a handler whose client broke off, and goes on serving", () =>
    Effect.gen(function* () {
      const { ended, port } = yield* start
      yield* breakOff(port, head("/watched", "Content-Length: 8") + "123")
      expect(Exit.isFailure(yield* Deferred.await(ended))).toBe(true)
      expect((yield* exchange(port, head("/echo", close, "Content-Length: 1"), "x"))[0]?.body).toBe("got x")
    })
  )
})

describe("bounded in a web handler", () => {
  /** A body in pieces, which says whether it was let go of. */
  const dripped = (pieces: ReadonlyArray<string>, end: (controller: ReadableStreamDefaultController) => void) => {
    const state = { cancelled: false }
    const left = [...pieces]
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        const piece = left.shift()
        if (piece === undefined) end(controller)
        else controller.enqueue(new TextEncoder().encode(piece))
      },
      cancel: () => {
        state.cancelled = true
      }
    })
    return { init: { body, duplex: "half" } as RequestInit, state }
  }
  const text = (response: Response) => Effect.promise(() => response.text())

  const rows: ReadonlyArray<readonly [name: string, init: RequestInit, status: number, body: string]> = [
    ["exactly the limit", { body: "12345678" }, 200, "got 12345678"],
    ["one byte more", { body: "123456789" }, 413, ""],
    ["an empty body", { body: "" }, 200, "got "],
    ["no body", {}, 200, "got "],
    ["a Content-Length above the limit", { body: "1", headers: { "content-length": "9" } }, 413, ""],
    ["a Content-Length that is too small", { body: "123456789", headers: { "content-length": "1" } }, 413, ""],
    [
      "a Content-Length that is no number",
      { body: "12345678", headers: { "content-length": "many" } },
      200,
      "got 12345678"
    ],
    ["a compressed body", { body: gzipSync("x"), headers: { "content-encoding": "gzip" } }, 413, ""]
  ]

  it.scopedLive.each(rows)("%s", ([, init, status, body]) =>
    Effect.gen(function* () {
      const { fetchWeb } = yield* start
      const response = yield* fetchWeb("/echo", init)
      expect([response.status, yield* text(response)]).toEqual([status, body])
    })
  )

  it.scopedLive("reads pieces to their end, or to the limit, and lets go of the rest", () =>
    Effect.gen(function* () {
      const { fetchWeb } = yield* start
      const whole = dripped([..."12345678"], (controller) => controller.close())
      expect(yield* text(yield* fetchWeb("/echo", whole.init))).toBe("got 12345678")
      const endless = dripped(Array(1000).fill("12"), () => undefined)
      expect((yield* fetchWeb("/swallow", endless.init)).status).toBe(413)
      expect([whole.state.cancelled, endless.state.cancelled]).toEqual([false, true])
    })
  )

  it.scopedLive("answers 400 where the body broke off", () =>
    Effect.gen(function* () {
      const { fetchWeb } = yield* start
      const broken = dripped(["123"], (controller) => controller.error(new Error("gone")))
      expect((yield* fetchWeb("/echo", broken.init)).status).toBe(400)
    })
  )
})

describe("a bounded request", () => {
  const both = (path: string, headers: Readonly<Record<string, string>>, body: string) =>
    Effect.gen(function* () {
      const { fetchWeb, port } = yield* start
      const lines = Object.entries({ ...headers, connection: "close", "content-length": String(body.length) })
      const [onNode] = yield* exchange(port, head(path, ...lines.map(([name, value]) => `${name}: ${value}`)), body)
      const onWeb = yield* fetchWeb(path, { headers, body })
      return [JSON.parse(onNode!.body), yield* Effect.promise(() => onWeb.json())]
    })

  it.scopedLive("gives its body in every form, as often as it is asked, also after `modify`", () =>
    Effect.gen(function* () {
      const answer = (text: string, json: unknown, params: string) => ({
        url: "/elsewhere",
        text,
        json,
        bytes: [...Buffer.from(text)],
        stream: [...Buffer.from(text)],
        params,
        again: text
      })
      const object = answer('{"a":1}', { a: 1 }, "%7B%22a%22%3A1%7D=")
      expect(yield* both("/forms", {}, '{"a":1}')).toEqual([object, object])
      const form = answer("a=1&b=2", "none", "a=1&b=2")
      expect(yield* both("/forms", {}, "a=1&b=2")).toEqual([form, form])
      const empty = answer("", null, "")
      expect(yield* both("/forms", {}, "")).toEqual([empty, empty])
    })
  )

  it.scopedLive("gives forms with files", () =>
    Effect.gen(function* () {
      const part = (disposition: string, content: string) =>
        `--x\r\nContent-Disposition: form-data; ${disposition}\r\n\r\n${content}\r\n`
      const body =
        part('name="field"', "value") +
        part('name="file"; filename="a.txt"\r\nContent-Type: text/plain', "content") +
        "--x--\r\n"
      const answer = { names: ["field", "file"], field: "value", content: "content" }
      expect(yield* both("/files", { "content-type": "multipart/form-data; boundary=x" }, body)).toEqual([
        answer,
        answer
      ])
    })
  )
})

describe("closing", () => {
  it.scopedLive("closes the connection of a request whose body has not arrived, at once", () =>
    Effect.gen(function* () {
      const { port } = yield* start
      for (const framing of ["Content-Length: 100000000", "Transfer-Encoding: chunked"]) {
        expect(yield* exchange(port, head("/reject", framing))).toEqual([
          { status: 401, body: "", headers: expect.objectContaining({ connection: "close" }) }
        ])
      }
    })
  )

  it.scopedLive("keeps the connection of a request without a body", () =>
    Effect.gen(function* () {
      const { port } = yield* start
      for (const framing of [[], ["Content-Length: 0"]]) {
        const [first, second] = yield* exchange(port, head("/reject", ...framing), head("/reject", close))
        expect([first?.headers["connection"], second?.status]).toEqual(["keep-alive", 401])
      }
    })
  )

  it.scopedLive("leaves answers of web handlers as they are", () =>
    Effect.gen(function* () {
      const { fetchWeb } = yield* start
      const response = yield* fetchWeb("/reject", { body: "{}" })
      expect([response.status, response.headers.get("connection")]).toEqual([401, null])
    })
  )
})

describe("maxBodyBytes", () => {
  it.effect("is 1 MiB by default", () => Effect.map(maxBodyBytes(), (bytes) => expect(bytes).toBe(1_048_576)))

  it.effect.each([0, -1, 1.5, NaN, Infinity, "1024"])("refuses %s", (option) =>
    Effect.map(Effect.flip(maxBodyBytes(option as number)), (error) =>
      expect(error.message).toBe(`maxBodyBytes "${option}": is not a whole number of bytes above zero`)
    )
  )
})
