import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientError from "@effect/platform/HttpClientError"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import { fetchJson } from "../../src/issuer/fetchJson.ts"
import { json, network } from "../support/issuer.ts"

const url = "https://as.example/jwks"

const fetched = (answer: Response, from = url) => {
  const net = network(() => answer)
  return Effect.flatMap(HttpClient.HttpClient, (client) => fetchJson(client, from)).pipe(
    Effect.either,
    Effect.map((result) => ({ ...result, requests: net.requests.length })),
    Effect.provide(net.layer)
  )
}
const failed = (reason: string, requests = 1) => ({ left: { reason }, requests })

describe("fetchJson", () => {
  it.effect.each(["http://as.example/jwks", "ftp://localhost/jwks", "jwks"])("makes no request to %s", (from) =>
    Effect.gen(function* () {
      expect(yield* fetched(json({}), from)).toMatchObject(failed(`${from} is not an https URL`, 0))
    })
  )

  it.effect("joins a body from its chunks", () =>
    Effect.gen(function* () {
      const pieces = ['{"keys":', '["one",', '"two"]}'].map((text) => new TextEncoder().encode(text))
      const answer = new Response(
        new ReadableStream({
          start: (controller) => {
            for (const piece of pieces) controller.enqueue(piece)
            controller.close()
          }
        })
      )
      expect(yield* fetched(answer)).toMatchObject({ right: { body: { keys: ["one", "two"] } } })
    })
  )

  it.effect.each<[string, ReadonlyArray<number>]>([
    ["bytes that are not UTF-8", [0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]],
    ["two byte order marks", [0xef, 0xbb, 0xbf, 0xef, 0xbb, 0xbf, 0x7b, 0x7d]],
    ["a byte order mark behind the start", [0x7b, 0xef, 0xbb, 0xbf, 0x7d]],
    ["UTF-16 with its byte order mark", [0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00]],
    ["half an object", [0x7b]]
  ])("refuses %s", ([, bytes]) =>
    Effect.gen(function* () {
      expect(yield* fetched(new Response(Uint8Array.from(bytes)))).toMatchObject(
        failed(`${url} did not answer with a JSON object (content type none)`)
      )
    })
  )

  it.effect("skips a byte order mark", () =>
    Effect.gen(function* () {
      expect(yield* fetched(new Response('\ufeff{"keys":[]}'))).toMatchObject({ right: { body: { keys: [] } } })
    })
  )

  it.effect.each(["application/jwk-set+json", "application/json; charset=utf-8", "text/plain", "text/html", ""])(
    "takes a JSON object that calls itself %j",
    (type) =>
      Effect.gen(function* () {
        const answer = new Response('{"keys":[]}', { headers: { "content-type": type } })
        expect(yield* fetched(answer)).toMatchObject({ right: { body: { keys: [] } } })
      })
  )

  it.effect("takes the last of two members with one name", () =>
    Effect.gen(function* () {
      const answer = new Response('{"keys":[1],"keys":[2]}')
      expect(yield* fetched(answer)).toMatchObject({ right: { body: { keys: [2] } } })
    })
  )

  it.effect("reads an object of as many levels as fit, and refuses an array of them", () =>
    Effect.gen(function* () {
      const deep = "[".repeat(500_000) + "]".repeat(500_000)
      expect(yield* fetched(new Response(`{"keys":${deep}}`))).toHaveProperty("right.body.keys")
      expect(yield* fetched(new Response(deep))).toMatchObject(
        failed(`${url} did not answer with a JSON object (content type text/plain;charset=UTF-8)`)
      )
    })
  )

  it.effect("accepts key sets by default, and the media type that it is given", () => {
    const net = network(() => json({}))
    return Effect.gen(function* () {
      const client = yield* HttpClient.HttpClient
      yield* fetchJson(client, url)
      yield* fetchJson(client, url, "application/json")
      expect(net.requests.map(({ headers }) => headers)).toEqual([
        { accept: "application/json, application/jwk-set+json" },
        { accept: "application/json" }
      ])
    }).pipe(Effect.provide(net.layer))
  })

  it.effect("cuts long texts in its reasons", () =>
    Effect.gen(function* () {
      const long = `${url}?${"x".repeat(10_000)}`
      const answers = [
        new Response(null, { status: 302, headers: { location: `https://${"a".repeat(10_000)}.example/` } }),
        new Response("", { headers: { "content-type": "x".repeat(10_000) } })
      ]
      for (const answer of answers) {
        const { left } = (yield* fetched(answer, long)) as unknown as { readonly left: { readonly reason: string } }
        expect(left.reason.length).toBeLessThan(600)
      }
    })
  )

  it.effect.each<[string, number | undefined]>([
    ["max-age=60", 60_000],
    ["public, max-age=60 , immutable", 60_000],
    ['no-cache="set-cookie", max-age=60', 60_000],
    ["max-age=60x", undefined],
    ["no-store , max-age=60", 0],
    ["public", undefined]
  ])("takes %s for a freshness of %s ms", ([cacheControl, maxAgeMillis]) =>
    Effect.gen(function* () {
      const answer = json({}, { headers: { "cache-control": cacheControl } })
      expect(yield* fetched(answer)).toHaveProperty("right.maxAgeMillis", maxAgeMillis)
    })
  )

  it.effect("counts a Retry-After that is a date from now", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("10 seconds")
      const answer = new Response(null, { status: 503, headers: { "retry-after": new Date(25_000).toUTCString() } })
      expect(yield* fetched(answer)).toMatchObject({ left: { retryAfterMillis: 15_000 } })
    })
  )

  it.effect.each<[string, string]>([
    ["https://10.0.0.7/latest?secret#fragment", " (to 10.0.0.7)"],
    ["https://user:secret@evil.example:8443/", " (to evil.example:8443)"],
    ["//evil.example/jwks", " (to evil.example)"],
    ["/elsewhere", " (to as.example)"],
    ["", " (to as.example)"],
    ["https://", ""]
  ])("does not follow %j, and names its host alone", ([location, named]) =>
    Effect.gen(function* () {
      const answer = new Response(null, { status: 302, headers: { location } })
      expect(yield* fetched(answer)).toMatchObject(failed(`${url} answered 302${named}`))
    })
  )

  it.effect("reads the status if the user's client treats it as an error", () =>
    Effect.gen(function* () {
      const client = HttpClient.filterStatusOk(yield* HttpClient.HttpClient)
      const failure = yield* Effect.flip(fetchJson(client, url))
      expect(failure).toEqual({ reason: `${url} answered 418` })
    }).pipe(Effect.provide(network(() => new Response(null, { status: 418 })).layer))
  )

  it.effect("reads no answer if the user's client fails for another reason than its status", () =>
    Effect.gen(function* () {
      const refusing = HttpClient.transformResponse(
        yield* HttpClient.HttpClient,
        Effect.flatMap(
          (response) => new HttpClientError.ResponseError({ request: response.request, response, reason: "Decode" })
        )
      )
      expect(yield* Effect.flip(fetchJson(refusing, url))).toEqual({ reason: `${url} cannot be reached` })
    }).pipe(Effect.provide(network(() => json({ keys: [] })).layer))
  )

  it.effect("tells fetch not to follow redirects, and keeps its other settings", () =>
    Effect.gen(function* () {
      let told: RequestInit | undefined
      const fetch = async (_: unknown, init?: RequestInit) => {
        told = init
        return json({})
      }
      const client = yield* HttpClient.HttpClient
      yield* fetchJson(client, url).pipe(
        Effect.provideService(FetchHttpClient.RequestInit, { redirect: "follow", keepalive: true }),
        Effect.provideService(FetchHttpClient.Fetch, fetch as typeof globalThis.fetch)
      )
      expect(told).toMatchObject({ redirect: "manual", keepalive: true })
    }).pipe(Effect.provide(FetchHttpClient.layer))
  )
})
