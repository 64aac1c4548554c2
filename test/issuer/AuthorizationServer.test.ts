import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import { describe, expect, it } from "@effect/vitest"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as AuthorizationServer from "../../src/issuer/AuthorizationServer.ts"
import * as issuer from "../support/issuer.ts"

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
    it(`are that of RFC 8414, then those of OpenID Connect, for ${spelling}`, () => {
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
  const reasonOf = (...told: ReadonlyArray<string>) => `no metadata of "${tenant}" was found: ${told.join("; ")}`
  const notFound = (...told: ReadonlyArray<string>) => Either.left({ reason: reasonOf(...told) })

  for (const [count, place] of [oauth, appended, inserted].entries()) {
    it.effect(`finds metadata at ${place}, after the URLs before it`, () =>
      Effect.gen(function* () {
        const net = issuer.network((url) => (url === place ? issuer.json(metadata) : status(404)))
        expect(yield* discover(net)).toMatchObject(found)
        expect(urls(net)).toStrictEqual([oauth, appended, inserted].slice(0, count + 1))
      })
    )
  }

  const noMetadata = (type: string) => `did not answer with a JSON object (content type ${type})`
  const others: ReadonlyArray<readonly [what: string, answer: issuer.Answer, told: string]> = [
    ...[400, 401, 403, 404, 405, 410, 429, 451, 499, 500, 502, 503, 204, 206, 304].map(
      (code) => [`${code}`, () => status(code), `answered ${code}`] as const
    ),
    ["a redirect", () => status(302, { location: "https://evil.example/" }), "answered 302 (to evil.example)"],
    ["nothing, because it cannot be reached", () => "refuse", "cannot be reached"],
    ["HTML", () => new Response("<!doctype html>"), noMetadata("text/plain;charset=UTF-8")],
    ["nothing with 200", () => new Response(""), noMetadata("text/plain;charset=UTF-8")],
    ["an array", () => issuer.json([metadata]), noMetadata("application/json")],
    ["null", () => issuer.json(null), noMetadata("application/json")],
    ["an empty object", () => issuer.json({}), "names no issuer"],
    [
      "another issuer",
      () => issuer.json({ ...metadata, issuer: "https://evil.example" }),
      'names issuer "https://evil.example"'
    ],
    ["no jwks_uri", () => issuer.json({ issuer: tenant }), "has no jwks_uri"],
    ["a jwks_uri that is a list", () => issuer.json({ ...metadata, jwks_uri: [metadata.jwks_uri] }), "has no jwks_uri"],
    ["a jwks_uri of null", () => issuer.json({ ...metadata, jwks_uri: null }), "has no jwks_uri"],
    [
      "an endless body",
      () => new Response(new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(65_536)) })),
      "answered more than 1048576 bytes"
    ]
  ]
  for (const [what, answer, told] of others) {
    it.effect(`asks the next URL when one answers ${what}`, () =>
      Effect.gen(function* () {
        const net = issuer.network((url) => (url === appended ? issuer.json(metadata) : answer(url)))
        expect(yield* discover(net)).toMatchObject(found)
        expect(urls(net)).toStrictEqual([oauth, appended])
      })
    )

    it.effect(`fails with the reasons of all URLs when each answers ${what}`, () =>
      Effect.gen(function* () {
        const net = issuer.network(answer)
        expect(yield* discover(net)).toEqual(notFound(`${oauth} ${told}`, `${appended} ${told}`, `${inserted} ${told}`))
        expect(urls(net)).toStrictEqual([oauth, appended, inserted])
      })
    )
  }

  it.effect("fails with the reason of each URL, in their order, and the longest Retry-After", () =>
    Effect.gen(function* () {
      const answers: Record<string, () => Response> = {
        [oauth]: () => status(429, { "retry-after": "7" }),
        [appended]: () => status(503, { "retry-after": "90" }),
        [inserted]: () => new Response("<!doctype html>", { headers: { "content-type": "text/html" } })
      }
      const net = issuer.network((url) => answers[url]!())
      const reason = reasonOf(
        `${oauth} answered 429`,
        `${appended} answered 503`,
        `${inserted} ${noMetadata("text/html")}`
      )
      expect(yield* discover(net)).toEqual(Either.left({ reason, retryAfterMillis: 90_000 }))
    })
  )

  it.effect("fails with a short reason, whatever is answered and however long the issuer is", () =>
    Effect.gen(function* () {
      const long = `${tenant}/${"x".repeat(10_000)}`
      const net = issuer.network(() => issuer.json({ issuer: `\n${"y".repeat(10_000)}` }))
      const result = yield* discover(net, long)
      expect(result._tag === "Left" && result.left.reason.length).toBeLessThan(2000)
      expect(result).toHaveProperty("left.reason", expect.stringMatching(/^[\x20-\x7e]+$/))
    })
  )

  describe("gives each URL a share of 5 seconds", () => {
    /** Starts a discovery, and gives what was asked and found after each step of the clock. */
    const after = (net: issuer.Network, ...steps: ReadonlyArray<Duration.DurationInput>) =>
      Effect.gen(function* () {
        const fiber = yield* Effect.fork(discover(net))
        const asked: Array<number> = []
        for (const step of steps) {
          yield* TestClock.adjust(step)
          asked.push(net.requests.length)
        }
        return { asked, result: yield* Fiber.join(fiber) }
      })

    for (const [hanging, steps] of [
      [[oauth], ["1600 millis", "100 millis"]],
      [
        [oauth, appended],
        ["1600 millis", "1700 millis", "100 millis"]
      ]
    ] as const) {
      it.effect(`so that after ${hanging.length} that hang there is time for the next`, () =>
        Effect.gen(function* () {
          const net = issuer.network((url) => (hanging.some((one) => one === url) ? "hang" : issuer.json(metadata)))
          const { asked, result } = yield* after(net, ...steps)
          expect(asked).toEqual(steps.map((_, index) => index + 1))
          expect(result).toMatchObject(found)
        })
      )
    }

    it.effect("and interrupts those that hang when one has answered", () =>
      Effect.gen(function* () {
        let open = 0
        const client = HttpClient.make((request) =>
          request.url === oauth
            ? Effect.onInterrupt(
                Effect.zipRight(
                  Effect.sync(() => (open += 1)),
                  Effect.never
                ),
                () => Effect.sync(() => (open -= 1))
              )
            : Effect.succeed(HttpClientResponse.fromWeb(request, issuer.json(metadata)))
        )
        const fiber = yield* Effect.fork(AuthorizationServer.discover(client, tenant))
        yield* TestClock.adjust("1 second")
        expect(open).toBe(1)
        yield* TestClock.adjust("1 second")
        expect(yield* Fiber.join(fiber)).toMatchObject(found.right)
        expect(open).toBe(0)
      })
    )

    it.effect("and accepts a slow answer", () =>
      Effect.gen(function* () {
        let release = (_: Response) => {}
        const slow = new Promise<Response>((resolve) => (release = resolve))
        const net = issuer.network((url) => (url === oauth ? slow : "hang"))
        const fiber = yield* Effect.fork(discover(net))
        yield* TestClock.adjust("4900 millis")
        expect(urls(net)).toStrictEqual([oauth, appended, inserted])
        release(issuer.json(metadata))
        expect(yield* Fiber.join(fiber)).toMatchObject(found)
      })
    )

    it.effect("and all of them no more than 5 seconds", () =>
      Effect.gen(function* () {
        const net = issuer.network((url) => (url === appended ? status(404) : "hang"))
        const late = "did not answer within 5s"
        const { asked, result } = yield* after(net, "1600 millis", "100 millis", "3300 millis")
        // The third URL is asked as soon as the second has failed.
        expect(asked).toEqual([1, 3, 3])
        expect(result).toEqual(notFound(`${oauth} ${late}`, `${appended} answered 404`, `${inserted} ${late}`))
      })
    )

    it.effect("even if the client cannot be interrupted", () =>
      Effect.gen(function* () {
        const client = HttpClient.make(() => Effect.uninterruptible(Effect.never))
        const fiber = yield* Effect.fork(Effect.flip(AuthorizationServer.discover(client, "https://as.example")))
        yield* TestClock.adjust("5 seconds")
        expect((yield* Fiber.join(fiber)).reason).toContain("did not answer within 5s")
      })
    )
  })

  for (const [actual, shown] of [
    ["https://as.example/tenant/", 'issuer "https://as.example/tenant/"'],
    ["https://as.example/Tenant", 'issuer "https://as.example/Tenant"'],
    ["https://as.example:443/tenant", 'issuer "https://as.example:443/tenant"'],
    ["https://AS.example/tenant", 'issuer "https://AS.example/tenant"'],
    ["https://as.example/other", 'issuer "https://as.example/other"'],
    ["https://\u0430s.example/tenant", 'issuer "https://\\u0430s.example/tenant"'],
    ["", 'issuer ""'],
    [[tenant], 'issuer "(array)"'],
    [null, 'issuer "(null)"'],
    [undefined, "no issuer"]
  ] as const) {
    it.effect(`refuses metadata whose issuer is ${JSON.stringify(actual)}, wherever it is`, () =>
      Effect.gen(function* () {
        const net = issuer.network(() => issuer.json({ ...metadata, issuer: actual }))
        expect(yield* discover(net)).toEqual(
          notFound(`${oauth} names ${shown}`, `${appended} names ${shown}`, `${inserted} names ${shown}`)
        )
      })
    )
  }

  it.effect("requires other members than jwks_uri, or none, if it is told to", () =>
    Effect.gen(function* () {
      const net = issuer.network(() => issuer.json({ issuer: tenant, token_endpoint: `${tenant}/token` }))
      const client = yield* Effect.provide(HttpClient.HttpClient, net.layer)
      const required = (...members: ReadonlyArray<string>) =>
        Effect.either(AuthorizationServer.discover(client, tenant, members))
      expect((yield* required())._tag).toBe("Right")
      expect((yield* required("token_endpoint"))._tag).toBe("Right")
      expect(net.requests).toHaveLength(2)
      expect((yield* required("token_endpoint", "introspection_endpoint"))._tag).toBe("Left")
    })
  )

  it.effect.each(["", "as.example", "/tenant", "https://[::1", "https://\n"])("fails without a request for %j", (url) =>
    Effect.gen(function* () {
      const net = issuer.network(() => issuer.json(metadata))
      const shown = url.replace("\n", "\\u000a")
      expect(yield* discover(net, url)).toEqual(Either.left({ reason: `the issuer "${shown}" is not a URL` }))
      expect(urls(net)).toEqual([])
    })
  )

  it.effect("compares the issuer exactly, including a trailing slash", () =>
    Effect.gen(function* () {
      const net = issuer.network(() =>
        issuer.json({ issuer: "https://as.example/", jwks_uri: "https://as.example/jwks" })
      )
      expect((yield* discover(net, "https://as.example/"))._tag).toBe("Right")
      expect((yield* discover(net, "https://as.example"))._tag).toBe("Left")
    })
  )

  it.effect("does not accept an issuer that the document inherits", () =>
    Effect.gen(function* () {
      const net = issuer.network(() => new Response(`{"__proto__":{"issuer":"${tenant}"}}`))
      expect((yield* discover(net))._tag).toBe("Left")
    })
  )

  it.effect("gives the max-age of the answer", () =>
    Effect.gen(function* () {
      const net = issuer.network(() => issuer.json(metadata, { headers: { "cache-control": "max-age=60" } }))
      expect(yield* discover(net)).toMatchObject({ _tag: "Right", right: { maxAgeMillis: 60_000 } })
    })
  )
})
