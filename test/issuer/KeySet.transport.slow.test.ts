/**
 * Key sets over real sockets, from a hostile issuer on 127.0.0.1, with each of the clients that users have.
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import { describe, expect, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Http from "node:http"
import type { AddressInfo, Socket } from "node:net"
import { gzipSync } from "node:zlib"
import * as Jwt from "../../src/token/Jwt.ts"
import * as KeySet from "../../src/issuer/KeySet.ts"
import * as issuer from "../support/issuer.ts"

const key = await issuer.generateKey("ES256", "first")
const good = JSON.stringify({ keys: [key.jwk] })

interface Server {
  readonly url: string
  readonly requests: Array<{ readonly path: string; readonly headers: Http.IncomingHttpHeaders }>
  /** The answers that have not ended and that the client still reads. */
  readonly open: () => number
}

/** A server with one answer for all requests, which knows whether clients still read its answers. */
const serve = (answer: (response: Http.ServerResponse, socket: Socket) => void) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const requests: Array<Server["requests"][number]> = []
      let open = 0
      const server = Http.createServer((request, response) => {
        requests.push({ path: request.url ?? "", headers: request.headers })
        open += 1
        response.on("close", () => (open -= 1))
        answer(response, request.socket)
      })
      server.on("clientError", (_, socket) => socket.destroy())
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
      return { server, url, requests, open: () => open }
    }),
    ({ server }) =>
      Effect.promise(async () => {
        server.closeAllConnections()
        await new Promise((resolve) => server.close(resolve))
      })
  )

const outcome = (url: string) =>
  Effect.flatMap(issuer.mint({ key }), Jwt.verify).pipe(
    Effect.match({ onSuccess: () => "verified" as const, onFailure: (error) => ({ ...error }) }),
    Effect.provide(KeySet.layerRemote({ jwksUri: `${url}/jwks` })),
    // Every outage here is logged, too.
    Logger.withMinimumLogLevel(LogLevel.None)
  )

const unavailable = (reason: string, retryAfter = 1) => ({ _tag: "VerificationUnavailable", reason, retryAfter })

/** Waits for a condition that the server notices a little later than the client. */
const eventually = (condition: () => boolean) =>
  Effect.promise(async () => {
    const end = Date.now() + 2000
    while (!condition() && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 5))
    expect(condition()).toBe(true)
  })

const repeat = (response: Http.ServerResponse, millis: number, chunk: string | Buffer) => {
  const timer = setInterval(() => response.write(chunk), millis)
  response.on("close", () => clearInterval(timer))
}

const tooLong = "answered more than 1048576 bytes"
const notAnObject = "did not answer with a JSON object (content type none)"

/** What the issuer does, and the reason in the error. */
const hostile: ReadonlyArray<
  readonly [what: string, reason: string, answer: (response: Http.ServerResponse, socket: Socket) => void]
> = [
  ["HTML with 200", notAnObject, (response) => response.end("<!doctype html><title>Sign in</title>")],
  ["an empty body", notAnObject, (response) => response.end()],
  ["truncated JSON", notAnObject, (response) => response.end(good.slice(0, -1))],
  ["204", "answered 204", (response) => response.writeHead(204).end()],
  ["206 with good keys", "answered 206", (response) => response.writeHead(206).end(good)],
  ["401 with good keys", "answered 401", (response) => response.writeHead(401).end(good)],
  ["304", "answered 304", (response) => response.writeHead(304).end()],
  ["503 and an endless body", "answered 503", (response) => repeat(response.writeHead(503), 1, Buffer.alloc(65_536))],
  ["503 and a body that never comes", "answered 503", (response) => response.writeHead(503).flushHeaders()],
  ["503 and a body that never ends", "answered 503", (response) => response.writeHead(503).write("x")],
  [
    "an endless body",
    tooLong,
    (response) => repeat(response.writeHead(200, { "content-type": "application/json" }), 1, Buffer.alloc(65_536, " "))
  ],
  ["1 MiB and one byte", tooLong, (response) => response.end(good.padEnd(1_048_577))],
  [
    "a Content-Length that is too high",
    "ended its answer early",
    (response, socket) => {
      response.writeHead(200, { "content-length": "100000" }).write(good)
      setTimeout(() => socket.destroy(), 20)
    }
  ],
  ["a connection that breaks before the answer", "cannot be reached", (_, socket) => socket.destroy()],
  ["an answer that is not HTTP", "cannot be reached", (_, socket) => socket.end("SSH-2.0-OpenSSH_9.6\r\n")],
  [
    "a header without end",
    "cannot be reached",
    (_, socket) => socket.write(`HTTP/1.1 200 OK\r\nx: ${"x".repeat(65_536)}`)
  ]
]

const clients: ReadonlyArray<readonly [name: string, layer: Layer.Layer<HttpClient.HttpClient>]> = [
  ["FetchHttpClient", FetchHttpClient.layer],
  ["NodeHttpClient", NodeHttpClient.layer]
]

for (const [name, client] of clients) {
  describe(name, () => {
    it.scopedLive("fetches keys with only the necessary headers, and no trace headers", () =>
      Effect.gen(function* () {
        const server = yield* serve((response) => response.end(good))
        expect(yield* outcome(server.url).pipe(Effect.withSpan("request"))).toBe("verified")
        expect(server.requests.map(({ path }) => path)).toStrictEqual(["/jwks"])
        const headers = server.requests[0]!.headers
        expect(headers.accept).toBe("application/json, application/jwk-set+json")
        expect(Object.keys(headers).filter((header) => /trace|b3|baggage|authorization|cookie/i.test(header))).toEqual(
          []
        )
        yield* eventually(() => server.open() === 0)
      }).pipe(Effect.provide(client))
    )

    it.scopedLive("reads an answer of 1 MiB, in many pieces", () =>
      Effect.gen(function* () {
        const server = yield* serve((response) => {
          const body = good.padEnd(1_048_576)
          for (let from = 0; from < body.length; from += 10_000) response.write(body.slice(from, from + 10_000))
          response.end()
        })
        expect(yield* outcome(server.url)).toBe("verified")
      }).pipe(Effect.provide(client))
    )

    for (const [what, reason, answer] of hostile) {
      it.scopedLive(`treats ${what} as an outage, and releases the connection`, () =>
        Effect.gen(function* () {
          const server = yield* serve(answer)
          const started = yield* Clock.currentTimeMillis
          expect(yield* outcome(server.url)).toStrictEqual(unavailable(`${server.url}/jwks ${reason}`))
          expect((yield* Clock.currentTimeMillis) - started).toBeLessThan(4000)
          expect(server.requests.length).toBe(1)
          yield* eventually(() => server.open() === 0)
        }).pipe(Effect.provide(client))
      )
    }

    for (const status of [301, 302, 303, 307, 308]) {
      it.scopedLive(`does not follow a redirect with ${status}`, () =>
        Effect.gen(function* () {
          const target = yield* serve((response) => response.end(good))
          const server = yield* serve((response) =>
            response.writeHead(status, { location: `${target.url}/jwks` }).end(good)
          )
          const reason = `${server.url}/jwks answered ${status} (to ${new URL(target.url).host})`
          expect(yield* outcome(server.url)).toStrictEqual(unavailable(reason))
          expect(target.requests).toStrictEqual([])
          expect(server.requests.length).toBe(1)
        }).pipe(Effect.provide(client))
      )
    }

    it.scopedLive("honours Retry-After", () =>
      Effect.gen(function* () {
        const server = yield* serve((response) => response.writeHead(503, { "retry-after": "120" }).end())
        expect(yield* outcome(server.url)).toStrictEqual(unavailable(`${server.url}/jwks answered 503`, 120))
      }).pipe(Effect.provide(client))
    )

    it.scopedLive("counts the bytes of a compressed answer after decompression", () =>
      Effect.gen(function* () {
        const bomb = gzipSync(good.padEnd(50_000_000))
        const server = yield* serve((response) => response.writeHead(200, { "content-encoding": "gzip" }).end(bomb))
        const result = yield* outcome(server.url)
        // The Node client does not ask for compression and does not decompress.
        const reason = name === "FetchHttpClient" ? tooLong : notAnObject
        expect(result).toStrictEqual(unavailable(`${server.url}/jwks ${reason}`))
      }).pipe(Effect.provide(client))
    )

    it.scopedLive("gives up after 5 seconds in all, wherever the issuer stalls, and releases the connections", () =>
      Effect.gen(function* () {
        const silent = yield* serve(() => {})
        const stalled = yield* serve((response) => response.writeHead(200).write('{"keys":['))
        const dripping = yield* serve((response) => repeat(response.writeHead(200), 100, " "))
        const servers = [silent, stalled, dripping]
        const started = yield* Clock.currentTimeMillis
        expect(
          yield* Effect.all(
            servers.map(({ url }) => outcome(url)),
            { concurrency: "unbounded" }
          )
        ).toStrictEqual(servers.map(({ url }) => unavailable(`${url}/jwks did not answer within 5s`)))
        const took = (yield* Clock.currentTimeMillis) - started
        expect(took).toBeGreaterThan(4900)
        expect(took).toBeLessThan(6500)
        for (const { open } of servers) yield* eventually(() => open() === 0)
      }).pipe(Effect.provide(client))
    )
  })
}

describe("a client that treats other statuses as errors", () => {
  it.scopedLive("keeps the status and Retry-After", () =>
    Effect.gen(function* () {
      const server = yield* serve((response) => response.writeHead(429, { "retry-after": "90" }).end())
      expect(yield* outcome(server.url)).toStrictEqual(unavailable(`${server.url}/jwks answered 429`, 90))
    }).pipe(
      Effect.provide(
        Layer.provide(
          Layer.effect(HttpClient.HttpClient, Effect.map(HttpClient.HttpClient, HttpClient.filterStatusOk)),
          FetchHttpClient.layer
        )
      )
    )
  )
})
