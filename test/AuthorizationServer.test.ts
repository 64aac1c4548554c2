import * as HttpClient from "@effect/platform/HttpClient"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as AuthorizationServer from "../src/AuthorizationServer.ts"
import * as issuer from "./support/issuer.ts"

const tenant = "https://as.example/tenant"
const [oauth, appended, inserted] = [
  "https://as.example/.well-known/oauth-authorization-server/tenant",
  "https://as.example/tenant/.well-known/openid-configuration",
  "https://as.example/.well-known/openid-configuration/tenant"
] as const

describe("metadataUrls", () => {
  for (const [spelling, origin, path] of [
    ["https://as.example/tenant", "https://as.example", "/tenant"],
    ["https://as.example/a/b/", "https://as.example", "/a/b"],
    ["https://as.example", "https://as.example", ""],
    ["https://as.example/", "https://as.example", ""],
    ["http://localhost:8080/realms/one", "http://localhost:8080", "/realms/one"]
  ] as const) {
    it(`are RFC 8414's, then those of OpenID Connect, for ${spelling}`, () => {
      expect(AuthorizationServer.metadataUrls(spelling)).toStrictEqual([
        `${origin}/.well-known/oauth-authorization-server${path}`,
        `${origin}${path}/.well-known/openid-configuration`,
        ...(path === "" ? [] : [`${origin}/.well-known/openid-configuration${path}`])
      ])
    })
  }
})

describe("discover", () => {
  const discover = (net: issuer.Network, url: string = tenant) =>
    Effect.flatMap(HttpClient.HttpClient, (client) => AuthorizationServer.discover(client, url)).pipe(
      Effect.either,
      Effect.provide(net.layer)
    )
  const urls = (net: issuer.Network) => net.requests.map(({ url }) => url)
  const status = (code: number, headers: Record<string, string> = {}) => new Response(null, { status: code, headers })
  const metadata = { issuer: tenant, jwks_uri: `${tenant}/jwks` }
  const found = { _tag: "Right", right: { body: metadata, maxAgeMillis: undefined } }

  for (const [count, place] of [oauth, appended, inserted].entries()) {
    it.effect(`finds metadata at ${place}, after the places before it`, () =>
      Effect.gen(function* () {
        const net = issuer.network((url) => (url === place ? issuer.json(metadata) : status(404)))
        expect(yield* discover(net)).toMatchObject(found)
        expect(urls(net)).toStrictEqual([oauth, appended, inserted].slice(0, count + 1))
      })
    )
  }

  for (const code of [400, 401, 403, 404, 405, 410, 451, 499]) {
    it.effect(`asks the next place when one answers ${code}`, () =>
      Effect.gen(function* () {
        const net = issuer.network((url) => (url === appended ? issuer.json(metadata) : status(code)))
        expect(yield* discover(net)).toMatchObject(found)
        expect(urls(net)).toStrictEqual([oauth, appended])
      })
    )
  }

  const notAnObject = (type: string) => `${oauth} did not answer a JSON object (content type ${type})`
  const stops: ReadonlyArray<readonly [what: string, answer: issuer.Answer, failure: object]> = [
    ["answers 429", () => status(429, { "retry-after": "7" }), { status: 429, retryAfterMillis: 7000 }],
    ["answers 503", () => status(503), { status: 503, retryAfterMillis: undefined }],
    ["answers 500", () => status(500), { status: 500, retryAfterMillis: undefined }],
    ["answers 204", () => status(204), { status: 204, retryAfterMillis: undefined }],
    [
      "redirects",
      () => status(302, { location: "https://evil.example/" }),
      { reason: `${oauth} answered 302 (to evil.example)`, status: 302, retryAfterMillis: undefined }
    ],
    ["cannot be reached", () => "refuse", { reason: `${oauth} cannot be reached` }],
    ["answers HTML", () => new Response("<!doctype html>"), { reason: notAnObject("text/plain;charset=UTF-8") }],
    ["answers an array", () => issuer.json([metadata]), { reason: notAnObject("application/json") }],
    [
      "answers an endless body",
      () => new Response(new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(65_536)) })),
      { reason: `${oauth} answered more than 1048576 bytes` }
    ]
  ]
  for (const [what, answer, failure] of stops) {
    it.effect(`asks no other place when one ${what}`, () =>
      Effect.gen(function* () {
        const net = issuer.network((url) => (url === oauth ? answer(url) : issuer.json(metadata)))
        const expected =
          "status" in failure ? { reason: `${oauth} answered ${String(failure.status)}`, ...failure } : failure
        expect(yield* discover(net)).toMatchObject({ _tag: "Left", left: expected })
        expect(urls(net)).toStrictEqual([oauth])
      })
    )
  }

  it.effect("asks no other place when one hangs for 5 seconds", () =>
    Effect.gen(function* () {
      const net = issuer.network((url) => (url === oauth ? "hang" : issuer.json(metadata)))
      const fiber = yield* Effect.fork(discover(net))
      yield* TestClock.adjust("5 seconds")
      expect(yield* Fiber.join(fiber)).toMatchObject({
        _tag: "Left",
        left: { reason: `${oauth} did not answer within 5s` }
      })
      expect(urls(net)).toStrictEqual([oauth])
    })
  )

  it.effect("waits 5 seconds for all places together", () =>
    Effect.gen(function* () {
      let release = (_: Response) => {}
      const slow = new Promise<Response>((resolve) => (release = resolve))
      const net = issuer.network((url) => (url === oauth ? slow : new Promise(() => {})))
      const fiber = yield* Effect.fork(discover(net))
      yield* TestClock.adjust("4 seconds")
      release(status(404))
      while (net.requests.length < 2) yield* Effect.promise(() => new Promise(setImmediate))
      yield* TestClock.adjust("1 second")
      expect(yield* Fiber.join(fiber)).toMatchObject({
        _tag: "Left",
        left: { reason: `the metadata of "${tenant}" did not answer within 5s` }
      })
      expect(urls(net)).toStrictEqual([oauth, appended])
    })
  )

  it.effect("tells of the last place when none has metadata", () =>
    Effect.gen(function* () {
      const net = issuer.network(() => status(404))
      expect(yield* discover(net)).toMatchObject({
        _tag: "Left",
        left: { reason: `${inserted} answered 404`, status: 404 }
      })
      expect(urls(net)).toStrictEqual([oauth, appended, inserted])
    })
  )

  for (const [actual, shown] of [
    ["https://as.example/tenant/", "https://as.example/tenant/"],
    ["https://as.example/Tenant", "https://as.example/Tenant"],
    ["https://as.example:443/tenant", "https://as.example:443/tenant"],
    ["https://AS.example/tenant", "https://AS.example/tenant"],
    ["https://as.example/other", "https://as.example/other"],
    ["https://\u0430s.example/tenant", "https://\\u0430s.example/tenant"],
    ["", ""],
    [[tenant], "(array)"],
    [null, "(null)"],
    [undefined, ""]
  ] as const) {
    it.effect(`refuses metadata whose issuer is ${JSON.stringify(actual)}, and asks no other place`, () =>
      Effect.gen(function* () {
        const net = issuer.network(() => issuer.json({ ...metadata, issuer: actual }))
        expect(yield* discover(net)).toMatchObject({
          _tag: "Left",
          left: { reason: `the metadata of "${tenant}" names issuer "${shown}"` }
        })
        expect(urls(net)).toStrictEqual([oauth])
      })
    )
  }

  it.effect("compares the issuer as it is configured, trailing slash included", () =>
    Effect.gen(function* () {
      const net = issuer.network(() => issuer.json({ issuer: "https://as.example/" }))
      expect((yield* discover(net, "https://as.example/"))._tag).toBe("Right")
      expect((yield* discover(net, "https://as.example"))._tag).toBe("Left")
    })
  )

  it.effect("is not fooled by an issuer that the document inherits", () =>
    Effect.gen(function* () {
      const net = issuer.network(() => new Response(`{"__proto__":{"issuer":"${tenant}"}}`))
      expect((yield* discover(net))._tag).toBe("Left")
    })
  )

  it.effect("tells how long the answer stays fresh", () =>
    Effect.gen(function* () {
      const net = issuer.network(() => issuer.json(metadata, { headers: { "cache-control": "max-age=60" } }))
      expect(yield* discover(net)).toMatchObject({ _tag: "Right", right: { maxAgeMillis: 60_000 } })
    })
  )
})
