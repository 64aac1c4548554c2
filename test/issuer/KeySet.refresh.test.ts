import { loading } from "#loading"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import { describe, expect, it } from "@effect/vitest"
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as HashMap from "effect/HashMap"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Scheduler from "effect/Scheduler"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import { reporter } from "../../src/issuer/keyIndex.ts"
import * as refreshing from "../../src/issuer/refreshing.ts"
import * as Jwt from "../../src/token/Jwt.ts"
import * as KeySet from "../../src/issuer/KeySet.ts"
import * as issuer from "../support/issuer.ts"
import { captureLogs } from "../support/logs.ts"

const [first, second] = await Promise.all([issuer.generateKey("ES256", "first"), issuer.generateKey("ES256", "second")])
const replacement = await issuer.generateKey("ES256", "first")
const unknown = { ...second, keyId: "unknown" }

const jwksUri = `${issuer.issuer}/jwks`

/** A remote key set on a fake network. */
const keySetOver = (net: { readonly layer: Layer.Layer<HttpClient.HttpClient> }) =>
  KeySet.layerRemote({ jwksUri }).pipe(Layer.provide(net.layer))

/** The URLs that discovery asks, and a discovered key set on a fake network. */
const metadataUrl = `${issuer.issuer}/.well-known/oauth-authorization-server`
const openIdUrl = `${issuer.issuer}/.well-known/openid-configuration`
const discovered = (net: issuer.Network) =>
  KeySet.layerDiscovery({ issuer: issuer.issuer }).pipe(Layer.provide(net.layer))
const urls = (net: issuer.Network) => net.requests.map(({ url }) => url)

/** The result for a token of a key: `verified`, or the fields of the error. */
const outcome = (key: issuer.Key, header: Readonly<Record<string, unknown>> = {}) =>
  Effect.flatMap(issuer.mint({ key, header }), Jwt.verify).pipe(
    Effect.match({ onSuccess: () => "verified" as const, onFailure: (error) => ({ ...error }) })
  )

/** These tests run with both implementations of `#loading`. A test says where they differ. */
const { inBackground } = loading

/** Joins a fiber. A request that polls whether the load of another is over needs time to pass. */
const joined = <A, E>(fiber: Fiber.RuntimeFiber<A, E>) =>
  inBackground
    ? Fiber.join(fiber)
    : turns.pipe(Effect.zipRight(TestClock.adjust("50 millis")), Effect.zipRight(Fiber.join(fiber)))

const atOnce = <A, E, R>(...effects: ReadonlyArray<Effect.Effect<A, E, R>>) =>
  Effect.flatMap(Effect.fork(Effect.all(effects, { concurrency: "unbounded" })), joined)

const keyNotFound = { _tag: "KeyNotFound", algorithm: "ES256", keyId: "unknown" }
const unavailable = (reason: string, retryAfter: number) => ({ _tag: "VerificationUnavailable", reason, retryAfter })
const down = () => new Response("down", { status: 503 })
const answered503 = `${jwksUri} answered 503`

/** Lets promises run until a condition holds. The test clock stands still. */
const until = (condition: () => boolean) =>
  Effect.promise(async () => {
    for (let turn = 0; turn < 100_000 && !condition(); turn++) await new Promise(setImmediate)
    expect(condition()).toBe(true)
  })

/** Lets promises run for a few turns of the event loop, in which nothing more should happen. */
const turns = Effect.promise(async () => {
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
})

/** An answer that arrives when the test releases it. */
const held = () => {
  let release = (_: Response) => {}
  const response = new Promise<Response>((resolve) => (release = resolve))
  return { response, release }
}

const jwks = (...keys: ReadonlyArray<issuer.Key>) => issuer.json({ keys: keys.map(({ jwk }) => jwk) })

describe("first use", () => {
  it.effect("makes no request while the Layer is built, and one for any number of first callers", () => {
    const net = issuer.network(issuer.publishes(first))
    return Effect.gen(function* () {
      yield* turns
      expect(net.requests).toStrictEqual([])
      const outcomes = yield* Effect.all(
        Array.from({ length: 50 }, () => outcome(first)),
        { concurrency: "unbounded" }
      )
      expect(outcomes).toStrictEqual(Array.from({ length: 50 }, () => "verified"))
      expect(net.requests).toEqual([
        { url: jwksUri, headers: { accept: "application/json, application/jwk-set+json" } }
      ])
    }).pipe(Effect.provide(keySetOver(net)))
  })

  it.effect("continues for the other callers when the first one is interrupted", () => {
    const { release, response } = held()
    const net = issuer.network(() => response)
    return Effect.gen(function* () {
      const leaving = yield* Effect.fork(outcome(first))
      yield* until(() => net.requests.length === 1)
      const staying = yield* Effect.fork(outcome(first))
      yield* turns
      expect(Exit.isInterrupted(yield* Fiber.interrupt(leaving))).toBe(true)
      release(jwks(first))
      expect(yield* Fiber.join(staying)).toBe("verified")
      expect(net.requests.length).toBe(inBackground ? 1 : 2)
    }).pipe(Effect.provide(keySetOver(net)))
  })

  it.effect("serves the next caller when every caller of the first load was interrupted", () => {
    const { release, response } = held()
    const net = issuer.network(() => response)
    return Effect.gen(function* () {
      const leaving = yield* Effect.fork(outcome(first))
      yield* until(() => net.requests.length === 1)
      yield* Fiber.interrupt(leaving)
      release(jwks(first))
      expect(yield* outcome(first)).toBe("verified")
      expect(net.requests.length).toBe(inBackground ? 1 : 2)
    }).pipe(Effect.provide(keySetOver(net)))
  })

  const counting = (arrives: Promise<unknown> | undefined) =>
    Effect.gen(function* () {
      let loads = 0
      const load = Effect.suspend(() => {
        loads += 1
        return arrives === undefined ? Effect.void : Effect.promise(() => arrives)
      })
      const { get, renewed } = yield* refreshing.make({
        source: "the source",
        load: Effect.as(load, { value: "value", maxAgeMillis: undefined }),
        freshFor: Duration.minutes(10),
        usableFor: Duration.hours(24),
        cooldown: Duration.seconds(30)
      })
      return { get, renewed, loads: () => loads }
    })
  const counted = Effect.suspend(() => counting(new Promise(setImmediate)))

  /** Suspends every fiber before the given steps, because a fiber may be suspended between any two of its steps. */
  const suspendedAt = (isOneOf: (step: number) => boolean) => {
    const steps = new Map<unknown, number>()
    return Effect.withScheduler({
      scheduleTask: (task, priority) => Scheduler.defaultScheduler.scheduleTask(task, priority),
      shouldYield: (fiber) => {
        const taken = (steps.get(fiber) ?? 0) + 1
        steps.set(fiber, taken)
        return isOneOf(taken) ? 0 : false
      }
    })
  }

  it.scoped.skipIf(!inBackground)("makes one request wherever the first callers are suspended", () =>
    Effect.gen(function* () {
      for (let step = 1; step < 60; step++) {
        const { get, loads } = yield* counted
        const callers = yield* Effect.all(
          Array.from({ length: 5 }, () => Effect.fork(suspendedAt((taken) => taken === step)(get)))
        )
        expect(yield* Fiber.join(Fiber.all(callers))).toStrictEqual(callers.map(() => "value"))
        expect(loads()).toBe(1)
      }
    })
  )

  it.scoped.skipIf(!inBackground)(
    "makes one request even if a caller is suspended until the load of another is over",
    () =>
      Effect.gen(function* () {
        for (let step = 1; step < 60; step++) {
          for (const late of ["get", "renewed"] as const) {
            const { get, loads, [late]: slow } = yield* counting(undefined)
            const caller = yield* Effect.fork(suspendedAt((taken) => taken >= step && taken < step + 30)(slow))
            yield* Effect.yieldNow()
            expect(yield* get).toBe("value")
            expect([step, late, yield* Fiber.join(caller), loads()]).toStrictEqual([step, late, "value", 1])
          }
        }
      })
  )

  it.scopedLive("serves the next caller wherever the first is interrupted", () =>
    Effect.gen(function* () {
      for (let step = 1; step < 60; step++) {
        const { get, loads } = yield* counted
        const leaving = yield* Effect.fork(suspendedAt((taken) => taken === step)(get))
        yield* Effect.yieldNow()
        yield* Fiber.interruptFork(leaving)
        expect(yield* Effect.timeout(get, "2 seconds")).toBe("value")
        expect(loads()).toBeLessThanOrEqual(inBackground ? 1 : 2)
      }
    })
  )
})

describe("an unknown kid", () => {
  it.effect("causes another fetch at most once in 30 seconds, while tokens of known keys stay verified", () => {
    const net = issuer.network(issuer.publishes(first))
    return Effect.gen(function* () {
      expect(yield* outcome(first)).toBe("verified")
      yield* TestClock.adjust("29999 millis")
      expect(yield* outcome(unknown)).toStrictEqual(keyNotFound)
      expect(net.requests.length).toBe(1)
      yield* TestClock.adjust("1 millis")
      for (let i = 0; i < 20; i++) expect(yield* outcome(unknown)).toStrictEqual(keyNotFound)
      expect(net.requests.length).toBe(2)
      expect(yield* outcome(first)).toBe("verified")
      yield* TestClock.adjust("30 seconds")
      expect(yield* atOnce(outcome(unknown), outcome(unknown))).toStrictEqual([keyNotFound, keyNotFound])
      expect(net.requests.length).toBe(3)
    }).pipe(Effect.provide(keySetOver(net)))
  })

  it.effect("is found when the issuer has rotated its keys", () => {
    const net = issuer.network(issuer.publishes(first))
    return Effect.gen(function* () {
      expect(yield* outcome(first)).toBe("verified")
      net.answer = issuer.publishes(first, second)
      expect(yield* outcome(second)).toStrictEqual({ ...keyNotFound, keyId: "second" })
      yield* TestClock.adjust("30 seconds")
      expect(yield* outcome(second)).toBe("verified")
      expect(yield* outcome(first)).toBe("verified")
      expect(net.requests.length).toBe(2)
    }).pipe(Effect.provide(keySetOver(net)))
  })

  it.effect("is unavailable, with the time left, and causes no fetch for a while after a refresh failed", () => {
    const net = issuer.network(issuer.publishes(first))
    return Effect.gen(function* () {
      expect(yield* outcome(first)).toBe("verified")
      yield* TestClock.adjust("30 seconds")
      net.answer = down
      expect(yield* outcome(unknown)).toStrictEqual(unavailable(answered503, 30))
      yield* TestClock.adjust("10500 millis")
      expect(yield* outcome(unknown)).toStrictEqual(unavailable(answered503, 20))
      expect(yield* outcome(first)).toBe("verified")
      expect(net.requests.length).toBe(2)
      yield* TestClock.adjust("19500 millis")
      expect(yield* outcome(unknown)).toStrictEqual(unavailable(answered503, 60))
      expect(net.requests.length).toBe(3)
      net.answer = issuer.publishes(first)
      yield* TestClock.adjust("1 minute")
      expect(yield* outcome(unknown)).toStrictEqual(keyNotFound)
      expect(net.requests.length).toBe(4)
      net.answer = down
      yield* TestClock.adjust("30 seconds")
      expect(yield* outcome(unknown)).toStrictEqual(unavailable(answered503, 30))
    }).pipe(Effect.provide(keySetOver(net)))
  })

  it.effect("waits for a running refresh, while tokens of known keys do not", () => {
    const { release, response } = held()
    const net = issuer.network(issuer.publishes(first))
    return Effect.gen(function* () {
      expect(yield* outcome(first)).toBe("verified")
      yield* TestClock.adjust("30 seconds")
      net.answer = () => response
      const waiting = yield* Effect.fork(Effect.all([outcome(second), outcome(second)], { concurrency: 2 }))
      yield* until(() => net.requests.length === 2)
      expect(yield* outcome(first)).toBe("verified")
      release(jwks(first, second))
      expect(yield* joined(waiting)).toStrictEqual(["verified", "verified"])
      expect(net.requests.length).toBe(2)
    }).pipe(Effect.provide(keySetOver(net)))
  })

  it.effect("waits 5 seconds at most while the issuer hangs, and tokens of known keys do not wait", () => {
    const net = issuer.network(issuer.publishes(first))
    return Effect.gen(function* () {
      expect(yield* outcome(first)).toBe("verified")
      yield* TestClock.adjust("30 seconds")
      net.answer = () => "hang"
      const waiting = yield* Effect.fork(outcome(unknown))
      yield* until(() => net.requests.length === 2)
      expect(yield* outcome(first)).toBe("verified")
      yield* TestClock.adjust("4999 millis")
      expect(waiting.unsafePoll()).toBe(null)
      yield* TestClock.adjust("1 millis")
      expect(yield* Fiber.join(waiting)).toStrictEqual(unavailable(`${jwksUri} did not answer within 5s`, 30))
      expect(yield* outcome(first)).toBe("verified")
      expect(net.requests.length).toBe(2)
    }).pipe(Effect.provide(keySetOver(net)))
  })
})

describe("a clock that was set back", () => {
  const year = Duration.toMillis("365 days")

  it.effect("causes another fetch after a cooldown, because the age of the keys is not known", () => {
    const net = issuer.network(issuer.publishes(first))
    return Effect.gen(function* () {
      yield* TestClock.setTime(year)
      expect(yield* outcome(first)).toBe("verified")
      net.answer = issuer.publishes(second)
      yield* TestClock.setTime(0)
      expect(yield* outcome(first)).toBe("verified")
      yield* TestClock.adjust("29999 millis")
      expect(yield* outcome(first)).toBe("verified")
      expect(yield* outcome(second)).toStrictEqual({ ...keyNotFound, keyId: "second" })
      expect(net.requests.length).toBe(1)
      yield* TestClock.adjust("1 millis")
      yield* outcome(first)
      yield* until(() => net.requests.length === 2)
      yield* turns
      expect(yield* outcome(first)).toStrictEqual({ ...keyNotFound, keyId: "first" })
      expect(net.requests.length).toBe(2)
    }).pipe(Effect.provide(keySetOver(net)))
  })

  it.effect("makes the keys older by no more than it was set back", () => {
    const net = issuer.network(issuer.publishes(first))
    return Effect.gen(function* () {
      yield* TestClock.setTime(year)
      expect(yield* outcome(first)).toBe("verified")
      yield* TestClock.setTime(year - 1000)
      expect(yield* outcome(first)).toBe("verified")
      // The keys are fresh for 599 seconds from now on, and are refreshed after four fifths of that.
      yield* TestClock.adjust("479199 millis")
      expect(yield* outcome(first)).toBe("verified")
      yield* turns
      expect(net.requests.length).toBe(1)
      yield* TestClock.adjust("1 millis")
      expect(yield* outcome(first)).toBe("verified")
      yield* until(() => net.requests.length === 2)
    }).pipe(Effect.provide(keySetOver(net)))
  })

  it.effect("makes a token wait for a refresh if the keys were not used for a minute", () => {
    const net = issuer.network(issuer.publishes(first))
    return Effect.gen(function* () {
      yield* TestClock.setTime(year)
      expect(yield* outcome(first)).toBe("verified")
      net.answer = issuer.publishes(second)
      yield* TestClock.setTime(0)
      expect(yield* outcome(first)).toBe("verified")
      yield* TestClock.adjust("1 minute")
      expect(yield* outcome(first)).toStrictEqual({ ...keyNotFound, keyId: "first" })
      expect(net.requests.length).toBe(2)
    }).pipe(Effect.provide(keySetOver(net)))
  })

  it.effect("lets keys be used for 24 hours from then on, and not until the clock has caught up", () => {
    const net = issuer.network(issuer.publishes(first))
    return Effect.gen(function* () {
      yield* TestClock.setTime(year)
      expect(yield* outcome(first)).toBe("verified")
      net.answer = down
      yield* TestClock.setTime(0)
      expect(yield* outcome(first)).toBe("verified")
      yield* TestClock.setTime(Duration.toMillis("24 hours") - 1)
      expect(yield* outcome(first)).toBe("verified")
      yield* TestClock.adjust("1 millis")
      expect(yield* outcome(first)).toStrictEqual(unavailable(answered503, 1))
    }).pipe(Effect.provide(keySetOver(net)))
  })

  it.effect("causes another fetch of the metadata, no matter how far the clock was set back", () => {
    const net = issuer.network(issuer.publishes(first))
    return Effect.gen(function* () {
      yield* TestClock.setTime(year)
      expect(yield* outcome(first)).toBe("verified")
      yield* TestClock.setTime(0)
      expect(yield* outcome(first)).toBe("verified")
      yield* TestClock.adjust("1 hour")
      expect(yield* outcome(first)).toBe("verified")
      expect(urls(net)).toStrictEqual([metadataUrl, jwksUri, metadataUrl, jwksUri])
    }).pipe(Effect.provide(discovered(net)))
  })

  for (const [what, answer] of [
    ["an issuer that answers", issuer.publishes(first)],
    ["an issuer that fails", down]
  ] as const) {
    it.effect(`does not shorten the wait between requests to ${what}, even in many small steps`, () => {
      const net = issuer.network(issuer.publishes(first))
      return Effect.gen(function* () {
        yield* TestClock.setTime(year)
        expect(yield* outcome(first)).toBe("verified")
        yield* TestClock.adjust("30 seconds")
        net.answer = answer
        for (let step = 1; step <= 50; step++) {
          yield* outcome(unknown)
          yield* outcome(replacement)
          yield* TestClock.setTime(year + 30_000 - step)
        }
        expect(net.requests.length).toBe(2)
        yield* outcome(unknown)
        yield* TestClock.adjust("30 seconds")
        yield* outcome(unknown)
        expect(net.requests.length).toBe(3)
      }).pipe(Effect.provide(keySetOver(net)))
    })
  }

  it.effect("neither shortens nor lengthens the wait after a first load that failed", () => {
    const net = issuer.network(down)
    return Effect.gen(function* () {
      yield* TestClock.setTime(year)
      for (let attempt = 0; attempt < 4; attempt++) {
        expect(yield* outcome(first)).toStrictEqual(unavailable(answered503, 2 ** attempt))
        yield* TestClock.adjust(Duration.seconds(2 ** attempt))
      }
      for (const time of [...Array.from({ length: 50 }, (_, step) => year - step), 0]) {
        yield* TestClock.setTime(time)
        expect(yield* outcome(first)).toStrictEqual(unavailable(answered503, 8))
      }
      expect(net.requests.length).toBe(4)
      net.answer = issuer.publishes(first)
      yield* TestClock.adjust("8 seconds")
      expect(yield* outcome(first)).toBe("verified")
    }).pipe(Effect.provide(keySetOver(net)))
  })
})

describe("a failing issuer", () => {
  it.effect(
    "is asked after 1, 2, 4, 8, 16, 30 and 30 seconds while there are no keys, by any number of callers",
    () => {
      const net = issuer.network(down)
      return Effect.gen(function* () {
        let requests = 0
        for (const wait of [1, 2, 4, 8, 16, 30, 30]) {
          requests += 1
          expect(
            yield* Effect.all([outcome(first), outcome(unknown), outcome(first)], { concurrency: "unbounded" })
          ).toStrictEqual([
            unavailable(answered503, wait),
            unavailable(answered503, wait),
            unavailable(answered503, wait)
          ])
          expect(net.requests.length).toBe(requests)
          yield* TestClock.adjust(Duration.millis(wait * 1000 - 1))
          expect(yield* outcome(first)).toStrictEqual(unavailable(answered503, 1))
          expect(net.requests.length).toBe(requests)
          yield* TestClock.adjust("1 millis")
        }
        net.answer = issuer.publishes(first)
        expect(yield* outcome(first)).toBe("verified")
        expect(net.requests.length).toBe(8)
      }).pipe(Effect.provide(keySetOver(net)))
    }
  )

  it.effect("is asked after 30, 60, 120 and 120 seconds while there are keys, and as before when it is back", () => {
    const net = issuer.network(issuer.publishes(first))
    return Effect.gen(function* () {
      expect(yield* outcome(first)).toBe("verified")
      yield* TestClock.adjust("30 seconds")
      net.answer = down
      let requests = 1
      for (const wait of [30, 60, 120, 120]) {
        requests += 1
        expect(yield* Effect.all([outcome(unknown), outcome(first)])).toStrictEqual([
          unavailable(answered503, wait),
          "verified"
        ])
        yield* TestClock.adjust(Duration.millis(wait * 1000 - 1))
        expect(yield* outcome(unknown)).toStrictEqual(unavailable(answered503, 1))
        expect(net.requests.length).toBe(requests)
        yield* TestClock.adjust("1 millis")
      }
      net.answer = issuer.publishes(first)
      expect(yield* outcome(unknown)).toStrictEqual(keyNotFound)
      net.answer = down
      yield* TestClock.adjust("30 seconds")
      expect(yield* outcome(unknown)).toStrictEqual(unavailable(answered503, 30))
    }).pipe(Effect.provide(keySetOver(net)))
  })

  // The test clock starts at 1970-01-01T00:00:00Z.
  for (const [retryAfter, wait] of [
    ["300", 300],
    ["Thu, 01 Jan 1970 00:05:00 GMT", 300],
    ["86400", 600],
    ["Fri, 02 Jan 1970 00:00:00 GMT", 600],
    ["10", 10],
    ["1", 1],
    ["0", 1],
    ["-300", 1],
    ["soon", 1],
    ["99999999999999999999", 1],
    ["Wed, 31 Dec 1969 23:00:00 GMT", 1]
  ] as const) {
    it.effect(`is not asked for ${wait} seconds after "Retry-After: ${retryAfter}"`, () => {
      const net = issuer.network(() => new Response(null, { status: 429, headers: { "retry-after": retryAfter } }))
      return Effect.gen(function* () {
        const reason = `${jwksUri} answered 429`
        expect(yield* outcome(first)).toStrictEqual(unavailable(reason, wait))
        yield* TestClock.adjust(Duration.millis(wait * 1000 - 1))
        expect(yield* outcome(first)).toStrictEqual(unavailable(reason, 1))
        expect(net.requests.length).toBe(1)
        yield* TestClock.adjust("1 millis")
        net.answer = issuer.publishes(first)
        expect(yield* outcome(first)).toBe("verified")
        expect(net.requests.length).toBe(2)
      }).pipe(Effect.provide(keySetOver(net)))
    })
  }

  for (const [retryAfter, wait] of [
    ["300", 300],
    ["45", 45],
    ["1", 30]
  ] as const) {
    it.effect(`is not asked for ${wait} seconds after "Retry-After: ${retryAfter}" while there are keys`, () => {
      const net = issuer.network(issuer.publishes(first))
      return Effect.gen(function* () {
        expect(yield* outcome(first)).toBe("verified")
        yield* TestClock.adjust("30 seconds")
        net.answer = () => new Response(null, { status: 429, headers: { "retry-after": retryAfter } })
        expect(yield* outcome(unknown)).toStrictEqual(unavailable(`${jwksUri} answered 429`, wait))
        yield* TestClock.adjust(Duration.millis(wait * 1000 - 1))
        expect(yield* outcome(unknown)).toStrictEqual(unavailable(`${jwksUri} answered 429`, 1))
        net.answer = issuer.publishes(first)
        yield* TestClock.adjust("1 millis")
        expect(yield* outcome(unknown)).toStrictEqual(keyNotFound)
        expect(net.requests.length).toBe(3)
      }).pipe(Effect.provide(keySetOver(net)))
    })
  }

  it.effect("makes the first caller wait 5 seconds at most", () => {
    const net = issuer.network(() => "hang")
    return Effect.gen(function* () {
      const waiting = yield* Effect.fork(outcome(first))
      yield* until(() => net.requests.length === 1)
      yield* TestClock.adjust("5 seconds")
      expect(yield* Fiber.join(waiting)).toStrictEqual(unavailable(`${jwksUri} did not answer within 5s`, 1))
    }).pipe(Effect.provide(keySetOver(net)))
  })

  it.effect("makes the first caller wait 5 seconds at most when the client cannot be interrupted", () => {
    let requests = 0
    const client = HttpClient.make(() =>
      Effect.zipRight(
        Effect.sync(() => requests++),
        Effect.never
      )
    ).pipe(HttpClient.transformResponse(Effect.uninterruptible))
    return Effect.gen(function* () {
      const waiting = yield* Effect.fork(outcome(first))
      yield* until(() => requests === 1)
      yield* TestClock.adjust("5 seconds")
      expect(yield* Fiber.join(waiting)).toStrictEqual(unavailable(`${jwksUri} did not answer within 5s`, 1))
    }).pipe(Effect.provide(keySetOver({ layer: Layer.succeed(HttpClient.HttpClient, client) })))
  })

  it.effect("is unavailable, and not a defect, when the client throws", () => {
    const net = issuer.network(() => {
      throw new Error("broken")
    })
    return Effect.gen(function* () {
      const failure = unavailable(`${jwksUri} cannot be reached`, 1)
      expect(yield* outcome(first)).toStrictEqual(failure)
      expect(yield* outcome(first)).toStrictEqual(failure)
      expect(net.requests.length).toBe(1)
    }).pipe(Effect.provide(keySetOver(net)))
  })

  it.scoped("is unavailable, and is asked after the usual waits, when a load dies", () =>
    Effect.gen(function* () {
      let loads = 0
      const { get } = yield* refreshing.make({
        source: "the source",
        load: Effect.suspend(() => Effect.die(`defect ${loads++}`)),
        freshFor: Duration.minutes(10),
        usableFor: Duration.hours(24),
        cooldown: Duration.seconds(30)
      })
      for (const retryAfter of [1, 1]) {
        expect({ ...(yield* Effect.flip(get)) }).toStrictEqual(unavailable("the load did not complete", retryAfter))
      }
      expect(loads).toBe(1)
    })
  )

  it.effect("is unavailable, and does not interrupt callers, when the scope closes while they wait", () => {
    const net = issuer.network(() => "hang")
    const logs = captureLogs()
    return Effect.gen(function* () {
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(keySetOver(net), scope)
      const find = Context.get(context, KeySet.KeySet).find({ algorithm: "ES256", keyId: "first" })
      const waiting = yield* Effect.fork(Effect.flip(find))
      yield* until(() => net.requests.length === 1)
      yield* Scope.close(scope, Exit.void)
      expect({ ...(yield* Fiber.join(waiting)) }).toStrictEqual(unavailable("the load did not complete", 1))
      yield* TestClock.adjust("30 seconds")
      expect({ ...(yield* Effect.flip(find)) }).toStrictEqual(unavailable("the load did not complete", 1))
      expect(net.requests.length).toBe(1)
      expect(logs.lines).toStrictEqual([])
    }).pipe(Effect.provide(logs.layer))
  })

  it.effect("leaves the keys in use and logs nothing when the scope closes during a refresh", () => {
    const net = issuer.network(issuer.publishes(first))
    const logs = captureLogs()
    return Effect.gen(function* () {
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(keySetOver(net), scope)
      const verified = Effect.provide(outcome(first), context)
      expect(yield* verified).toBe("verified")
      net.answer = () => "hang"
      yield* TestClock.adjust("10 minutes")
      const waiting = yield* Effect.fork(verified)
      yield* until(() => net.requests.length === 2)
      yield* Scope.close(scope, Exit.void)
      expect(yield* Fiber.join(waiting)).toBe("verified")
      expect(yield* verified).toBe("verified")
      expect(net.requests.length).toBe(2)
      expect(logs.lines).toStrictEqual([])
    }).pipe(Effect.provide(logs.layer))
  })
})

describe("fetched keys", () => {
  const endless = () =>
    new Response(
      new ReadableStream<Uint8Array>({ pull: (controller) => controller.enqueue(new Uint8Array(65_536).fill(0x20)) })
    )
  const broken = () =>
    new Response(
      new ReadableStream<Uint8Array>({
        start: (controller) => controller.enqueue(new TextEncoder().encode('{"keys":[')),
        pull: (controller) => controller.error(new Error("reset"))
      })
    )
  const notAnObject = (type: string) => `${jwksUri} did not answer with a JSON object (content type ${type})`
  const bad: ReadonlyArray<readonly [what: string, answer: issuer.Answer, reason: string]> = [
    ["a refused connection", () => "refuse", `${jwksUri} cannot be reached`],
    ["a rejected promise", () => Promise.reject(new Error("broken")), `${jwksUri} cannot be reached`],
    ["500", () => new Response(null, { status: 500 }), `${jwksUri} answered 500`],
    ["404", () => issuer.json({ keys: [] }, { status: 404 }), `${jwksUri} answered 404`],
    ["204", () => new Response(null, { status: 204 }), `${jwksUri} answered 204`],
    ["206 with good keys", () => issuer.json({ keys: [first.jwk] }, { status: 206 }), `${jwksUri} answered 206`],
    [
      "a redirect",
      () => new Response(null, { status: 302, headers: { location: "https://evil.example/jwks" } }),
      `${jwksUri} answered 302 (to evil.example)`
    ],
    ["no body", () => new Response(null, { status: 200 }), `${jwksUri} ended its answer early`],
    ["an empty body", () => new Response("", { status: 200 }), notAnObject("text/plain;charset=UTF-8")],
    [
      "HTML with 200",
      () => new Response("<!doctype html>", { headers: { "content-type": "text/html" } }),
      notAnObject("text/html")
    ],
    [
      "truncated JSON",
      () => new Response(JSON.stringify({ keys: [first.jwk] }).slice(0, -2)),
      notAnObject("text/plain;charset=UTF-8")
    ],
    [
      "bytes that are not UTF-8",
      () => new Response(new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x7d])),
      notAnObject("none")
    ],
    ["an array", () => issuer.json([first.jwk]), notAnObject("application/json")],
    ["null", () => issuer.json(null), notAnObject("application/json")],
    ["an empty object", () => issuer.json({}), `the key set of ${jwksUri} has no keys`],
    ["keys that are not an array", () => issuer.json({ keys: first.jwk }), `the key set of ${jwksUri} has no keys`],
    [
      "1001 keys",
      () => issuer.json({ keys: Array.from({ length: 1001 }, () => first.jwk) }),
      `the key set of ${jwksUri} has over 1000 keys`
    ],
    [
      "an answer of 1 MiB and one byte",
      () => new Response(JSON.stringify({ keys: [first.jwk] }).padEnd(1_048_577)),
      `${jwksUri} answered more than 1048576 bytes`
    ],
    ["an endless answer", endless, `${jwksUri} answered more than 1048576 bytes`],
    ["an answer that ends early", broken, `${jwksUri} ended its answer early`]
  ]

  for (const [what, answer, reason] of bad) {
    it.effect(`are used for 24 hours, and not longer, while the issuer gives ${what}`, () => {
      const net = issuer.network(issuer.publishes(first))
      const logs = captureLogs()
      return Effect.gen(function* () {
        expect(yield* outcome(first)).toBe("verified")
        net.answer = answer
        yield* TestClock.adjust("10 minutes")
        expect(yield* outcome(first)).toBe("verified")
        expect(net.requests.length).toBe(2)
        yield* TestClock.adjust(Duration.subtract(Duration.minutes(24 * 60 - 10), Duration.millis(1)))
        expect(yield* outcome(first)).toBe("verified")
        expect(net.requests.length).toBe(3)
        expect(yield* outcome(unknown)).toStrictEqual(unavailable(reason, 60))
        yield* TestClock.adjust("1 millis")
        expect(yield* outcome(first)).toStrictEqual(unavailable(reason, 2))
        expect(net.requests.length).toBe(3)
        expect(logs.lines).toStrictEqual([`WARN Refreshing failed; the value loaded 10m ago stays in use: ${reason}`])
        net.answer = issuer.publishes(first)
        yield* TestClock.adjust("2 seconds")
        expect(yield* outcome(first)).toBe("verified")
      }).pipe(Effect.provide(keySetOver(net)), Effect.provide(logs.layer))
    })
  }

  for (const [what, answer, reasonOfUri] of bad) {
    it.effect(
      `from discovery are used for 24 hours while the issuer gives ${what} for its metadata and its keys`,
      () => {
        const net = issuer.network(issuer.publishes(first))
        const logs = captureLogs()
        // A problem of a whole set names the configured issuer.
        const reason = reasonOfUri.replace(`set of ${jwksUri}`, `set of ${issuer.issuer}`)
        return Effect.gen(function* () {
          expect(yield* outcome(first)).toBe("verified")
          net.answer = answer
          yield* TestClock.adjust("10 minutes")
          expect(yield* outcome(first)).toBe("verified")
          yield* TestClock.adjust(Duration.subtract(Duration.minutes(24 * 60 - 10), Duration.millis(1)))
          expect(yield* outcome(first)).toBe("verified")
          yield* TestClock.adjust("1 millis")
          expect(yield* outcome(first)).toStrictEqual(unavailable(reason, 2))
          expect(logs.lines).toStrictEqual([`WARN Refreshing failed; the value loaded 10m ago stays in use: ${reason}`])
          const asked = new Set(urls(net))
          asked.delete(openIdUrl)
          expect([...asked]).toStrictEqual([metadataUrl, jwksUri])
          net.answer = issuer.publishes(second)
          yield* TestClock.adjust("2 seconds")
          expect(yield* outcome(second)).toBe("verified")
        }).pipe(Effect.provide(discovered(net)), Effect.provide(logs.layer))
      }
    )
  }

  it.effect("are read up to 1 MiB and 1000 keys", () => {
    const keys = [first.jwk, ...Array.from({ length: 999 }, (_, i) => ({ ...second.jwk, kid: `key-${i}` }))]
    const net = issuer.network(() => new Response(JSON.stringify({ keys }).padEnd(1_048_576)))
    return Effect.gen(function* () {
      expect(yield* outcome(first)).toBe("verified")
      expect(yield* outcome({ ...second, keyId: "key-998" })).toBe("verified")
    }).pipe(Effect.provide(keySetOver(net)))
  })

  it.effect.skipIf(!inBackground)(
    "are fetched again in the background after 8 minutes of use, and no caller waits",
    () => {
      const net = issuer.network(issuer.publishes(first))
      return Effect.gen(function* () {
        expect(yield* outcome(first)).toBe("verified")
        yield* TestClock.adjust("479999 millis")
        expect(yield* outcome(first)).toBe("verified")
        yield* turns
        expect(net.requests.length).toBe(1)
        net.answer = () => "hang"
        yield* TestClock.adjust("1 millis")
        for (let i = 0; i < 5; i++) expect(yield* outcome(first)).toBe("verified")
        yield* turns
        expect(net.requests.length).toBe(2)
      }).pipe(Effect.provide(keySetOver(net)))
    }
  )

  it.effect.skipIf(!inBackground)("do not make a caller wait while they are in use, whatever the issuer does", () => {
    const net = issuer.network(issuer.publishes(first))
    return Effect.gen(function* () {
      expect(yield* outcome(first)).toBe("verified")
      net.answer = () => "hang"
      for (let minute = 1; minute <= 60; minute++) {
        yield* TestClock.adjust("1 minute")
        // The clock stands still here, so that a caller that waits for the issuer waits for ever.
        expect(yield* outcome(first)).toBe("verified")
      }
      expect(net.requests.length).toBeGreaterThan(15)
    }).pipe(Effect.provide(keySetOver(net)))
  })

  it.effect("are not fetched while there are no tokens", () => {
    const net = issuer.network(issuer.publishes(first))
    return Effect.gen(function* () {
      expect(yield* outcome(first)).toBe("verified")
      yield* TestClock.adjust("23 hours")
      yield* turns
      expect(net.requests.length).toBe(1)
    }).pipe(Effect.provide(keySetOver(net)))
  })

  it.effect("are not used after the next successful refresh when the issuer removed them", () => {
    const net = issuer.network(issuer.publishes(first, second))
    return Effect.gen(function* () {
      expect(yield* outcome(first)).toBe("verified")
      net.answer = issuer.publishes(second)
      yield* TestClock.adjust("30 seconds")
      expect(yield* outcome(unknown)).toStrictEqual(keyNotFound)
      expect(yield* outcome(first)).toStrictEqual({ ...keyNotFound, keyId: "first" })
      expect(yield* outcome(second)).toBe("verified")
      expect(net.requests.length).toBe(2)
    }).pipe(Effect.provide(keySetOver(net)))
  })

  it.effect("are not used after the next successful refresh when the issuer replaced them under the same kid", () => {
    const net = issuer.network(issuer.publishes(first))
    return Effect.gen(function* () {
      expect(yield* outcome(first)).toBe("verified")
      net.answer = issuer.publishes(replacement)
      yield* TestClock.adjust("10 minutes")
      expect(yield* outcome(first)).toStrictEqual({ _tag: "SignatureInvalid" })
      expect(yield* outcome(replacement)).toBe("verified")
      expect(net.requests.length).toBe(2)
    }).pipe(Effect.provide(keySetOver(net)))
  })

  for (const [cacheControl, seconds] of [
    ["max-age=60", 48],
    ["public, MAX-AGE=120, must-revalidate", 96],
    ["public,max-age=120", 96],
    ['max-age="90"', 72],
    ["max-age=1", 30],
    ["max-age=0", 30],
    ["no-store", 30],
    ["private, no-cache, max-age=300", 30],
    ["max-age=86400", 480],
    ["max-age=99999999999999999999", 480],
    ["s-maxage=60", 480],
    ["max-age=-1", 480],
    ["max-age=abc", 480],
    ["x-no-store", 480]
  ] as const) {
    it.effect(`are fetched again after ${seconds} seconds of use by "Cache-Control: ${cacheControl}"`, () => {
      const net = issuer.network(() =>
        issuer.json({ keys: [first.jwk] }, { headers: { "cache-control": cacheControl } })
      )
      return Effect.gen(function* () {
        expect(yield* outcome(first)).toBe("verified")
        yield* TestClock.adjust(Duration.millis(seconds * 1000 - 1))
        expect(yield* outcome(first)).toBe("verified")
        yield* turns
        expect(net.requests.length).toBe(1)
        yield* TestClock.adjust("1 millis")
        expect(yield* outcome(first)).toBe("verified")
        yield* until(() => net.requests.length === 2)
      }).pipe(Effect.provide(keySetOver(net)))
    })
  }

  it.effect("are kept for the times in the options", () => {
    const net = issuer.network(issuer.publishes(first))
    const logs = captureLogs()
    return Effect.gen(function* () {
      expect(yield* outcome(first)).toBe("verified")
      net.answer = down
      yield* TestClock.adjust("2 minutes")
      expect(yield* outcome(first)).toBe("verified")
      expect(logs.lines.length).toBe(1)
      expect(yield* outcome(unknown)).toStrictEqual(unavailable(answered503, 5))
      yield* TestClock.adjust("1 minute")
      for (const wait of [2, 4, 5, 5]) {
        expect(yield* outcome(first)).toStrictEqual(unavailable(answered503, wait))
        yield* TestClock.adjust(Duration.seconds(wait))
      }
      expect(net.requests.length).toBe(6)
    }).pipe(
      Effect.provide(
        Layer.provide(
          KeySet.layerRemote({ jwksUri, freshFor: "2 minutes", usableFor: "3 minutes", cooldown: "5 seconds" }),
          net.layer
        )
      ),
      Effect.provide(logs.layer)
    )
  })
})

describe("odd members of a key set", () => {
  const secret = { ...first.jwk, kid: "leaked", d: "c2VjcmV0LXNjYWxhcg" }
  const symmetric = { kty: "oct", kid: "shared", k: "c2VjcmV0LW9jdGV0cw" }

  it.effect("are reported once and not at each refresh, private and symmetric ones as an error without the key", () => {
    const net = issuer.network(() =>
      issuer.json({ keys: [{ ...first.jwk, use: "enc" }, secret, symmetric, second.jwk] })
    )
    const logs = captureLogs()
    return Effect.gen(function* () {
      for (let i = 1; i <= 3; i++) {
        expect(yield* outcome({ ...unknown })).toStrictEqual(keyNotFound)
        expect(net.requests.length).toBe(i)
        yield* TestClock.adjust("30 seconds")
      }
      expect(logs.lines).toStrictEqual([
        `ERROR The issuer publishes secret key material at ${jwksUri}: ` +
          "key 2 is private material; key 3 is a symmetric key; key 1 is not for signatures (use)"
      ])
      net.answer = () => issuer.json({ keys: [{ ...first.jwk, use: "enc" }, second.jwk] })
      expect(yield* outcome({ ...unknown })).toStrictEqual(keyNotFound)
      expect(logs.lines.slice(1)).toStrictEqual([
        `INFO Some keys of ${jwksUri} are not usable or not unique: key 1 is not for signatures (use)`
      ])
    }).pipe(Effect.provide(keySetOver(net)), Effect.provide(logs.layer))
  })

  it.effect("are reported once if the nodes of an issuer publish different keys, in any order", () => {
    const [odd, good] = [{ ...first.jwk, use: "enc" }, second.jwk]
    const logs = captureLogs()
    const answers = [[secret, odd, good], [good], [good, odd, secret], [good, odd], [odd, good]]
    const net = issuer.network(() => issuer.json({ keys: answers[net.requests.length % answers.length] }))
    return Effect.gen(function* () {
      for (let i = 0; i < 2 * answers.length; i++) {
        expect(yield* outcome({ ...unknown })).toStrictEqual(keyNotFound)
        yield* TestClock.adjust("30 seconds")
      }
      expect(net.requests.length).toBe(2 * answers.length)
      expect(logs.lines.map((line) => line.slice(0, 4)).sort()).toStrictEqual(["ERRO", "INFO"])
    }).pipe(Effect.provide(keySetOver(net)), Effect.provide(logs.layer))
  })

  it.effect("are reported again after twenty other reports, because only so many are remembered", () => {
    const logs = captureLogs()
    return Effect.gen(function* () {
      const report = reporter("jwks")
      const trouble = (kind: number) => report([{ key: "key 1", reason: `odd (${kind})`, logLevel: "Info" }])
      for (let kind = 0; kind < 20; kind++) yield* trouble(kind)
      yield* trouble(0)
      expect(logs.lines.length).toBe(20)
      yield* trouble(20)
      yield* trouble(0)
      expect(logs.lines.slice(20)).toStrictEqual(
        [20, 0].map((kind) => `INFO Some keys of jwks are not usable or not unique: key 1 is odd (${kind})`)
      )
    }).pipe(Effect.provide(logs.layer))
  })

  it.effect("are also reported for keys that are given by value", () => {
    const logs = captureLogs()
    return Effect.gen(function* () {
      yield* Layer.build(KeySet.layerLocal({ jwks: { keys: [first.jwk, { ...first.jwk, use: "enc" }] } }))
      expect(logs.lines).toStrictEqual([
        "INFO Some keys of jwks are not usable or not unique: key 2 is not for signatures (use)"
      ])
    }).pipe(Effect.scoped, Effect.provide(logs.layer))
  })

  it.effect("are reported as an error even when a private one comes after many that are only unusable", () => {
    const odd = Array.from({ length: 30 }, () => 0)
    const net = issuer.network(() => issuer.json({ keys: [...odd, second.jwk] }))
    const logs = captureLogs()
    return Effect.gen(function* () {
      expect(yield* outcome(second)).toBe("verified")
      net.answer = () => issuer.json({ keys: [...odd, second.jwk, secret] })
      yield* TestClock.adjust("30 seconds")
      expect(yield* outcome({ ...first, keyId: "leaked" })).toStrictEqual({ ...keyNotFound, keyId: "leaked" })
      const shown = (count: number) =>
        Array.from({ length: count }, (_, i) => `key ${i + 1} is not an object`).join("; ")
      expect(logs.lines).toStrictEqual([
        `INFO Some keys of ${jwksUri} are not usable or not unique: ${shown(20)}; 10 more`,
        `ERROR The issuer publishes secret key material at ${jwksUri}: key 32 is private material; ${shown(19)}; 11 more`
      ])
    }).pipe(Effect.provide(keySetOver(net)), Effect.provide(logs.layer))
  })
})

describe("layerDiscovery", () => {
  it.effect("makes no request while the Layer is built, and fetches the metadata once", () => {
    const net = issuer.network(issuer.publishes(first))
    return Effect.gen(function* () {
      yield* turns
      expect(urls(net)).toStrictEqual([])
      yield* Effect.all([outcome(first), outcome(first)], { concurrency: 2 })
      yield* TestClock.adjust("30 seconds")
      expect(yield* outcome(unknown)).toStrictEqual(keyNotFound)
      expect(urls(net)).toStrictEqual([metadataUrl, jwksUri, jwksUri])
    }).pipe(Effect.provide(discovered(net)))
  })

  it.effect("fetches the metadata again when its jwks_uri has stopped answering", () => {
    const net = issuer.network(issuer.publishes(first))
    const moved = `${issuer.issuer}/moved`
    return Effect.gen(function* () {
      expect(yield* outcome(first)).toBe("verified")
      net.answer = (url) => {
        if (url === metadataUrl) return issuer.json({ issuer: issuer.issuer, jwks_uri: moved })
        return url === moved ? jwks(second) : new Response(null, { status: 410 })
      }
      yield* TestClock.adjust("30 seconds")
      expect(yield* outcome(second)).toStrictEqual(unavailable(`${jwksUri} answered 410`, 30))
      yield* TestClock.adjust("30 seconds")
      expect(yield* outcome(second)).toBe("verified")
      expect(urls(net)).toStrictEqual([metadataUrl, jwksUri, jwksUri, metadataUrl, moved])
    }).pipe(Effect.provide(discovered(net)))
  })
})

describe("a jwks_uri that has changed", () => {
  const moved = `${issuer.issuer}/moved`

  for (const [what, body, reason, wait] of [
    ["an empty object", {}, "has no keys", 30],
    ["an empty key set", { keys: [] }, "has no usable key", 1],
    ["too many keys", { keys: Array.from({ length: 1001 }, () => first.jwk) }, "has over 1000 keys", 30]
  ] as const) {
    it.effect(`is read again from the metadata when the old one answers ${what}`, () => {
      const net = issuer.network(issuer.publishes(first))
      return Effect.gen(function* () {
        expect(yield* outcome(first)).toBe("verified")
        net.answer = (url) => {
          if (url === metadataUrl) return issuer.json({ issuer: issuer.issuer, jwks_uri: moved })
          return url === moved ? jwks(second) : issuer.json(body)
        }
        yield* TestClock.adjust("30 seconds")
        expect(yield* outcome(second)).toStrictEqual(unavailable(`the key set of ${issuer.issuer} ${reason}`, wait))
        yield* TestClock.adjust(Duration.seconds(wait))
        expect(yield* outcome(second)).toBe("verified")
        expect(urls(net)).toStrictEqual([metadataUrl, jwksUri, jwksUri, metadataUrl, moved])
      }).pipe(Effect.provide(discovered(net)))
    })
  }

  it.effect("is read again from the metadata when the old one hangs", () => {
    const net = issuer.network(issuer.publishes(first))
    return Effect.gen(function* () {
      expect(yield* outcome(first)).toBe("verified")
      net.answer = (url) => {
        if (url === metadataUrl) return issuer.json({ issuer: issuer.issuer, jwks_uri: moved })
        return url === moved ? jwks(second) : "hang"
      }
      yield* TestClock.adjust("30 seconds")
      const waiting = yield* Effect.fork(outcome(second))
      yield* until(() => net.requests.length === 3)
      yield* TestClock.adjust("5 seconds")
      expect(yield* Fiber.join(waiting)).toMatchObject({ _tag: "VerificationUnavailable", retryAfter: 30 })
      yield* TestClock.adjust("30 seconds")
      expect(yield* outcome(second)).toBe("verified")
      expect(urls(net)).toStrictEqual([metadataUrl, jwksUri, jwksUri, metadataUrl, moved])
    }).pipe(Effect.provide(discovered(net)))
  })

  it.effect("is read once if the issuer needs more than 5 seconds for its metadata and keys together", () => {
    const net = issuer.network(issuer.publishes(first))
    return Effect.gen(function* () {
      expect(yield* outcome(first)).toBe("verified")
      const [metadata, late, keys] = [held(), held(), held()]
      const answers = [metadata, late, keys]
      net.answer = () => answers.shift()!.response
      yield* TestClock.adjust("1 hour")
      const waiting = yield* Effect.fork(outcome(first))
      yield* until(() => net.requests.length === 3)
      // This is before the second URL of the metadata is asked.
      yield* TestClock.adjust("2 seconds")
      metadata.release(issuer.json({ issuer: issuer.issuer, jwks_uri: moved }))
      yield* until(() => net.requests.length === 4)
      yield* TestClock.adjust("3 seconds")
      expect(yield* Fiber.join(waiting)).toBe("verified")
      yield* TestClock.adjust("30 seconds")
      const next = yield* Effect.fork(outcome(second))
      yield* until(() => net.requests.length === 5)
      yield* TestClock.adjust("3 seconds")
      keys.release(jwks(second))
      expect(yield* Fiber.join(next)).toBe("verified")
      expect(urls(net)).toStrictEqual([metadataUrl, jwksUri, metadataUrl, moved, moved])
    }).pipe(Effect.provide(discovered(net)))
  })

  it.effect("is read again with the refresh before 10 minutes, although the old one still answers", () => {
    const net = issuer.network(issuer.publishes(first))
    return Effect.gen(function* () {
      expect(yield* outcome(first)).toBe("verified")
      net.answer = (url) => {
        if (url === metadataUrl) return issuer.json({ issuer: issuer.issuer, jwks_uri: moved })
        return url === moved ? jwks(second) : jwks(first)
      }
      yield* TestClock.adjust(Duration.subtract(Duration.minutes(8), Duration.millis(1)))
      expect(yield* outcome({ ...unknown })).toStrictEqual(keyNotFound)
      yield* TestClock.adjust("30 seconds")
      expect(yield* outcome(second)).toBe("verified")
      expect(urls(net)).toStrictEqual([metadataUrl, jwksUri, jwksUri, metadataUrl, moved])
    }).pipe(Effect.provide(discovered(net)))
  })

  it.effect("is still used while the metadata cannot be fetched", () => {
    const net = issuer.network(issuer.publishes(first))
    return Effect.gen(function* () {
      expect(yield* outcome(first)).toBe("verified")
      net.answer = (url) => (url === jwksUri ? jwks(second) : down())
      yield* TestClock.adjust("10 minutes")
      expect(yield* outcome(second)).toBe("verified")
      expect(urls(net)).toStrictEqual([metadataUrl, jwksUri, metadataUrl, openIdUrl, jwksUri])
    }).pipe(Effect.provide(discovered(net)))
  })
})

describe("atHand", () => {
  const atHandAt = (options: { readonly freshFor: Duration.DurationInput; readonly maxAgeMillis?: number }) =>
    Effect.gen(function* () {
      const { atHand, get } = yield* refreshing.make({
        source: "the source",
        load: Effect.succeed({ value: "value", maxAgeMillis: options.maxAgeMillis }),
        freshFor: Duration.decode(options.freshFor),
        usableFor: Duration.minutes(5),
        cooldown: Duration.seconds(30)
      })
      expect(atHand(0)).toBeUndefined()
      yield* get
      return [-1, 0, 47_999, 48_000, 299_999, 300_000].filter((now) => atHand(now) === "value")
    })

  it.scoped("is the value until the time of its refresh", () =>
    Effect.gen(function* () {
      expect(yield* atHandAt({ freshFor: "1 minute" })).toEqual([0, 47_999])
      expect(yield* atHandAt({ freshFor: "2 minutes", maxAgeMillis: 60_000 })).toEqual([0, 47_999])
    })
  )

  it.scoped("is the value during a refresh, and after one that failed for as long as the source is asked again", () =>
    Effect.gen(function* () {
      let loads = 0
      const { atHand, get } = yield* refreshing.make({
        source: "the source",
        load: Effect.suspend(() =>
          loads++ === 0
            ? Effect.succeed({ value: "value", maxAgeMillis: undefined })
            : Effect.delay(Effect.fail({ reason: "down" }), "1 second")
        ),
        freshFor: Duration.minutes(10),
        usableFor: Duration.hours(24),
        cooldown: Duration.seconds(30)
      })
      yield* get
      const at = (seconds: number) => atHand(seconds * 1000)
      yield* TestClock.adjust("590 seconds")
      const waiting = yield* Effect.fork(get)
      yield* turns
      expect([at(590), at(599)]).toEqual(["value", "value"])
      yield* TestClock.adjust("1 second")
      expect(yield* Fiber.join(waiting)).toBe("value")
      // The next load is due 30 seconds later.
      expect([at(591), at(620.999), at(621)]).toEqual(["value", "value", undefined])
    })
  )
})

describe("a refresh that fails", () => {
  /** A value that is fresh for 1 minute and usable for 5, from a source that then takes 250 milliseconds to fail. */
  const failing = Effect.gen(function* () {
    let down = false
    const { get } = yield* refreshing.make({
      source: "the source",
      load: Effect.suspend(() =>
        down
          ? Effect.delay(Effect.fail({ reason: "down" }), "250 millis")
          : Effect.succeed({ value: "value", maxAgeMillis: undefined })
      ),
      freshFor: Duration.minutes(1),
      usableFor: Duration.minutes(5),
      cooldown: Duration.seconds(1)
    })
    yield* get
    const later = Effect.gen(function* () {
      const waiting = yield* Effect.fork(Effect.either(get))
      yield* turns
      yield* TestClock.adjust("250 millis")
      return yield* Effect.map(Fiber.join(waiting), Either.merge)
    })
    return { later, setDown: (is: boolean) => (down = is) }
  })

  const warning = (age: string) => `Refreshing failed; the value loaded ${age} ago stays in use: down`
  const error = "Loading failed, and there is no earlier value to use: down"

  it.scoped("is logged once while a value stays in use and once when none does, and otherwise at Debug", () => {
    const logs = captureLogs()
    return Effect.gen(function* () {
      yield* TestClock.adjust("1 minute")
      const { later, setDown } = yield* failing
      setDown(true)
      yield* TestClock.adjust("90 seconds")
      expect(yield* later).toBe("value")
      yield* TestClock.adjust("208500 millis")
      expect(yield* later).toBe("value")
      yield* TestClock.adjust("2 seconds")
      for (const wait of [1, 1]) {
        expect({ ...((yield* later) as object) }).toStrictEqual(unavailable("down", wait))
        yield* TestClock.adjust("1 second")
      }
      expect(logs.lines).toEqual([
        `WARN ${warning("1m 30s 250ms")}`,
        `DEBUG ${warning("4m 59s")}`,
        `ERROR ${error}`,
        `DEBUG ${error}`
      ])
      expect(logs.annotations[0]).toEqual({ loads: 2, failures: 1, ageSeconds: 90, tookMillis: 250 })
      setDown(false)
      expect(yield* later).toBe("value")
      setDown(true)
      yield* TestClock.adjust("1 minute")
      expect(yield* later).toBe("value")
      expect(logs.lines.slice(4)).toEqual([`WARN ${warning("1m 500ms")}`])
    }).pipe(Effect.provide(logs.layer), Logger.withMinimumLogLevel(LogLevel.Debug))
  })

  it.scoped("is an error when it fails at the moment at which the value expires", () => {
    const logs = captureLogs()
    return Effect.gen(function* () {
      const { later, setDown } = yield* failing
      setDown(true)
      yield* TestClock.adjust("299750 millis")
      expect({ ...((yield* later) as object) }).toStrictEqual(unavailable("down", 1))
      expect(logs.lines).toEqual([`ERROR ${error}`])
    }).pipe(Effect.provide(logs.layer))
  })

  it.effect("is logged once, with its reason, if the outage begins before there are keys", () => {
    const net = issuer.network(down)
    const logs = captureLogs()
    return Effect.gen(function* () {
      for (let i = 0; i < 10; i++) {
        expect(yield* outcome(first)).toMatchObject({ _tag: "VerificationUnavailable" })
        yield* TestClock.adjust("30 seconds")
      }
      expect(net.requests.length).toBe(10)
      expect(logs.lines).toEqual([`ERROR Loading failed, and there is no earlier value to use: ${answered503}`])
    }).pipe(Effect.provide(keySetOver(net)), Effect.provide(logs.layer))
  })

  for (const [what, answer] of [
    ["fails", down],
    ["hangs", () => "hang"],
    ["refuses", () => "refuse"],
    ["answers no key set", () => issuer.json({})]
  ] as ReadonlyArray<readonly [string, issuer.Answer]>) {
    it.effect(`is not logged as a failed fiber at any level when the issuer ${what}`, () => {
      const net = issuer.network(answer)
      const logs = captureLogs()
      return Effect.gen(function* () {
        for (const layer of [keySetOver(net), discovered(net)]) {
          yield* Effect.gen(function* () {
            const waiting = yield* Effect.fork(outcome(first))
            const asked = net.requests.length
            yield* until(() => net.requests.length > asked)
            yield* turns
            yield* TestClock.adjust("10 seconds")
            expect(yield* Fiber.join(waiting)).toMatchObject({ _tag: "VerificationUnavailable" })
          }).pipe(Effect.provide(layer))
        }
        expect(logs.lines.map((line) => line.replace(/:.*/, ""))).toEqual(
          Array.from({ length: 2 }, () => "ERROR Loading failed, and there is no earlier value to use")
        )
      }).pipe(Effect.provide(logs.layer), Logger.withMinimumLogLevel(LogLevel.All))
    })
  }
})

describe("a value that is usable for less than the cooldown", () => {
  it.scoped("is unavailable until the source may be asked again", () =>
    Effect.gen(function* () {
      const { get } = yield* refreshing.make({
        source: "the source",
        load: Effect.succeed({ value: "value", maxAgeMillis: undefined }),
        freshFor: Duration.seconds(10),
        usableFor: Duration.seconds(10),
        cooldown: Duration.seconds(30)
      })
      yield* get
      yield* TestClock.adjust("10 seconds")
      expect({ ...(yield* Effect.flip(get)) }).toStrictEqual(unavailable("not loaded yet", 20))
    })
  )
})

describe("keys that the issuer withdrew", () => {
  const gone = { ...keyNotFound, keyId: "first" }
  const empty = `the key set of ${jwksUri} has no usable key`

  it.effect("are not used by the first token after an idle time", () => {
    const net = issuer.network(issuer.publishes(first, second))
    return Effect.gen(function* () {
      for (const idle of ["10 minutes", "1 hour", "23 hours"] as const) {
        net.answer = issuer.publishes(first, second)
        yield* TestClock.adjust("30 seconds")
        expect(yield* outcome(unknown)).toStrictEqual(keyNotFound)
        net.answer = issuer.publishes(second)
        yield* TestClock.adjust(idle)
        expect(yield* atOnce<unknown, never, KeySet.KeySet>(outcome(first), outcome(second))).toStrictEqual([
          gone,
          "verified"
        ])
      }
    }).pipe(Effect.provide(keySetOver(net)))
  })

  it.effect("are not used after an idle time that followed a failed refresh", () => {
    const net = issuer.network(issuer.publishes(first))
    return Effect.gen(function* () {
      expect(yield* outcome(first)).toBe("verified")
      net.answer = down
      yield* TestClock.adjust("8 minutes")
      expect(yield* outcome(first)).toBe("verified")
      yield* until(() => net.requests.length === 2)
      yield* turns
      net.answer = issuer.publishes(second)
      yield* TestClock.adjust("4 minutes")
      expect(yield* outcome(first)).toStrictEqual(gone)
    }).pipe(Effect.provide(keySetOver(net)))
  })

  it.effect("stay in use if the issuer does not answer within 5 seconds, and later tokens do not wait", () => {
    const net = issuer.network(issuer.publishes(first))
    return Effect.gen(function* () {
      expect(yield* outcome(first)).toBe("verified")
      net.answer = () => "hang"
      yield* TestClock.adjust("1 hour")
      const waiting = yield* Effect.fork(outcome(first))
      yield* until(() => net.requests.length === 2)
      yield* TestClock.adjust("4999 millis")
      expect(waiting.unsafePoll()).toBe(null)
      yield* TestClock.adjust("1 millis")
      expect(yield* Fiber.join(waiting)).toBe("verified")
      for (const wait of inBackground ? [30, 60, 120, 120] : []) {
        expect(yield* outcome(first)).toBe("verified")
        const asked = net.requests.length
        yield* TestClock.adjust(Duration.seconds(wait))
        expect(yield* outcome(first)).toBe("verified")
        yield* until(() => net.requests.length === asked + 1)
        yield* TestClock.adjust("5 seconds")
      }
      net.answer = issuer.publishes(second)
      yield* TestClock.adjust("2 minutes")
      yield* outcome(first)
      yield* turns
      expect(yield* outcome(first)).toStrictEqual(gone)
    }).pipe(Effect.provide(keySetOver(net)))
  })

  it.effect.skipIf(!inBackground)("make all tokens wait for the same refresh", () => {
    const { release, response } = held()
    const net = issuer.network(issuer.publishes(first))
    return Effect.gen(function* () {
      expect(yield* outcome(first)).toBe("verified")
      net.answer = () => response
      yield* TestClock.adjust("1 hour")
      const waiting = yield* Effect.fork(
        Effect.all([outcome(first), outcome(first), outcome(second)], { concurrency: "unbounded" })
      )
      yield* until(() => net.requests.length === 2)
      yield* turns
      release(jwks(second))
      expect(yield* Fiber.join(waiting)).toStrictEqual([gone, gone, "verified"])
      expect(net.requests.length).toBe(2)
    }).pipe(Effect.provide(keySetOver(net)))
  })

  for (const [what, keys] of [
    ["an empty key set", []],
    ["a key set without a usable key", [{ ...first.jwk, use: "enc" }, null, 1]],
    ["a key set of a private key", [{ ...first.jwk, d: "c2VjcmV0LXNjYWxhcg" }]]
  ] as const) {
    it.effect(`are not used after ${what}`, () => {
      const net = issuer.network(issuer.publishes(first))
      const logs = captureLogs()
      return Effect.gen(function* () {
        expect(yield* outcome(first)).toBe("verified")
        net.answer = () => issuer.json({ keys })
        yield* TestClock.adjust("10 minutes")
        for (const wait of [1, 2, 4, 8, 16, 30, 30]) {
          expect(yield* outcome(first)).toStrictEqual(unavailable(empty, wait))
          expect(yield* outcome(unknown)).toStrictEqual(unavailable(empty, wait))
          yield* TestClock.adjust(Duration.seconds(wait))
        }
        expect(net.requests.length).toBe(8)
        expect(logs.lines.filter((line) => line.includes("Loading failed"))).toStrictEqual([
          `ERROR Loading failed, and there is no earlier value to use: ${empty}`
        ])
        // An answer that is not a key set does not withdraw keys.
        net.answer = down
        expect(yield* outcome(first)).toStrictEqual(unavailable(answered503, 30))
        net.answer = issuer.publishes(second)
        yield* TestClock.adjust("30 seconds")
        expect(yield* outcome(first)).toStrictEqual(gone)
        expect(yield* outcome(second)).toBe("verified")
      }).pipe(Effect.provide(keySetOver(net)), Effect.provide(logs.layer))
    })

    it.effect(`are not used after ${what} that was fetched because of an unknown kid or a bad signature`, () =>
      Effect.gen(function* () {
        for (const token of [unknown, replacement]) {
          const net = issuer.network(issuer.publishes(first))
          yield* Effect.gen(function* () {
            expect(yield* outcome(first)).toBe("verified")
            net.answer = () => issuer.json({ keys })
            yield* TestClock.adjust("30 seconds")
            expect(yield* outcome(token)).toStrictEqual(unavailable(empty, 1))
            expect(yield* outcome(first)).toStrictEqual(unavailable(empty, 1))
          }).pipe(Effect.provide(keySetOver(net)))
        }
      })
    )
  }
})

describe("a signature that fails under a known kid", () => {
  const signatureInvalid = { _tag: "SignatureInvalid" }

  for (const [what, header] of [
    ["under its kid", {}],
    ["and the token has no kid", { kid: undefined }]
  ] as const) {
    it.effect(`causes another fetch, and is verified if the key was replaced ${what}`, () => {
      const net = issuer.network(issuer.publishes(first))
      return Effect.gen(function* () {
        expect(yield* outcome(first, header)).toBe("verified")
        net.answer = issuer.publishes(replacement)
        yield* TestClock.adjust("30 seconds")
        expect(yield* atOnce(outcome(replacement, header), outcome(replacement, header))).toStrictEqual([
          "verified",
          "verified"
        ])
        expect(yield* outcome(first, header)).toStrictEqual(signatureInvalid)
        expect(net.requests.length).toBe(2)
      }).pipe(Effect.provide(keySetOver(net)))
    })
  }

  it.effect("causes another fetch, and is verified if the key was replaced by one for another algorithm", () => {
    const net = issuer.network(issuer.publishes(first))
    return Effect.gen(function* () {
      const other = { ...(yield* Effect.promise(() => issuer.keyFor("Ed25519"))), keyId: "first" }
      expect(yield* outcome(first)).toBe("verified")
      expect(yield* outcome(other)).toStrictEqual({ _tag: "KeyNotFound", algorithm: "Ed25519", keyId: "first" })
      yield* TestClock.adjust("30 seconds")
      net.answer = down
      expect(yield* outcome(other)).toStrictEqual({ _tag: "KeyNotFound", algorithm: "Ed25519", keyId: "first" })
      net.answer = () => issuer.json({ keys: [{ ...other.jwk, kid: "first" }] })
      yield* TestClock.adjust("30 seconds")
      expect(yield* outcome(other)).toBe("verified")
      expect(net.requests.length).toBe(3)
    }).pipe(Effect.provide(keySetOver(net)))
  })

  it.effect("causes another fetch at most once in 30 seconds, and is invalid otherwise", () => {
    const net = issuer.network(issuer.publishes(first))
    return Effect.gen(function* () {
      expect(yield* outcome(first)).toBe("verified")
      yield* TestClock.adjust("29999 millis")
      for (let i = 0; i < 5; i++) expect(yield* outcome(replacement)).toStrictEqual(signatureInvalid)
      expect(net.requests.length).toBe(1)
      yield* TestClock.adjust("1 millis")
      for (let i = 0; i < 5; i++) {
        expect(yield* outcome(replacement)).toStrictEqual(signatureInvalid)
        expect(yield* outcome(unknown)).toStrictEqual(keyNotFound)
        expect(yield* outcome(first)).toBe("verified")
      }
      expect(net.requests.length).toBe(2)
    }).pipe(Effect.provide(keySetOver(net)))
  })

  it.effect("is invalid, and not unavailable like an unknown kid, while the issuer fails or hangs", () => {
    const net = issuer.network(issuer.publishes(first))
    return Effect.gen(function* () {
      expect(yield* outcome(first)).toBe("verified")
      net.answer = down
      yield* TestClock.adjust("30 seconds")
      expect(yield* outcome(replacement)).toStrictEqual(signatureInvalid)
      expect(yield* outcome(unknown)).toStrictEqual(unavailable(answered503, 30))
      net.answer = () => "hang"
      yield* TestClock.adjust("30 seconds")
      const waiting = yield* Effect.fork(outcome(replacement))
      yield* until(() => net.requests.length === 3)
      yield* TestClock.adjust("5 seconds")
      expect(yield* Fiber.join(waiting)).toStrictEqual(signatureInvalid)
      expect(yield* outcome(unknown)).toStrictEqual(unavailable(`${jwksUri} did not answer within 5s`, 60))
      expect(yield* outcome(first)).toBe("verified")
    }).pipe(Effect.provide(keySetOver(net)))
  })

  it.effect("is checked once with each key, and not again with a key that was not replaced", () => {
    let checked = 0
    const key = { keyId: undefined, verify: () => (checked++, false) }
    const other = { keyId: undefined, verify: () => true }
    const keySet = {
      algorithms: new Set(["ES256"] as const),
      find: () => Effect.succeed([key]),
      findAnew: (): Effect.Effect<ReadonlyArray<KeySet.VerificationKey>> => Effect.succeed([key])
    }
    const given = (set: KeySet.KeySet["Type"]) => Effect.provideService(outcome(first), KeySet.KeySet, set)
    return Effect.gen(function* () {
      expect(yield* given(keySet)).toStrictEqual(signatureInvalid)
      expect(checked).toBe(1)
      expect(yield* given({ ...keySet, findAnew: () => Effect.succeed([key, other]) })).toBe("verified")
      expect(checked).toBe(2)
      const { findAnew: _, ...without } = keySet
      expect(yield* given(without)).toStrictEqual(signatureInvalid)
      for (const findAnew of [
        () => Effect.dieMessage("on purpose"),
        () => {
          throw new Error("on purpose")
        }
      ]) {
        expect(yield* given({ ...keySet, findAnew })).toStrictEqual(signatureInvalid)
      }
    })
  })
})

describe("an issuer that is down for a second at the first load", () => {
  it.effect("is unavailable for a second", () => {
    const net = issuer.network(() => "refuse")
    return Effect.gen(function* () {
      const places = `${metadataUrl} cannot be reached; ${issuer.issuer}/.well-known/openid-configuration cannot be reached`
      expect(yield* outcome(first)).toStrictEqual(
        unavailable(`no metadata of "${issuer.issuer}" was found: ${places}`, 1)
      )
      net.answer = issuer.publishes(first)
      yield* TestClock.adjust("1 second")
      expect(yield* outcome(first)).toBe("verified")
    }).pipe(Effect.provide(discovered(net)))
  })
})

describe("a load", () => {
  const secret = { headers: { "x-tenant": "request" } }
  const own = { headers: { "x-tenant": "layer" } }

  /** A network that records the context in which its requests run. */
  const observing = (net: issuer.Network) => {
    const seen: Array<object> = []
    const layer = Layer.map(net.layer, (context) =>
      Context.make(
        HttpClient.HttpClient,
        HttpClient.transform(Context.get(context, HttpClient.HttpClient), (response) =>
          Effect.zipRight(
            Effect.gen(function* () {
              const init = yield* Effect.serviceOption(FetchHttpClient.RequestInit)
              const spans: Array<string> = []
              for (let span = yield* Effect.option(Effect.currentParentSpan); Option.isSome(span);) {
                spans.push(span.value._tag === "Span" ? span.value.name : "external")
                span = span.value._tag === "Span" ? span.value.parent : Option.none()
              }
              yield* Effect.logDebug("asked")
              seen.push({
                init: Option.map(init, ({ headers }) => headers),
                annotations: HashMap.toEntries(yield* FiberRef.get(FiberRef.currentLogAnnotations)),
                spans
              })
            }),
            response
          )
        )
      )
    )
    return { layer, seen }
  }

  it.effect("runs in the context in which the Layer was built, and not in that of the request that starts it", () => {
    const net = issuer.network(issuer.publishes(first))
    const { layer, seen } = observing(net)
    const [logs, requestLogs] = [captureLogs(), captureLogs()]
    const inRequest = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
      effect.pipe(
        Effect.annotateLogs("tenant", "request"),
        Effect.withSpan("request"),
        Effect.provideService(FetchHttpClient.RequestInit, secret),
        Effect.provide(requestLogs.layer),
        Logger.withMinimumLogLevel(LogLevel.None)
      )
    return Effect.gen(function* () {
      const context = yield* Layer.build(keySetOver({ layer })).pipe(
        Effect.annotateLogs("part", "keys"),
        Effect.withSpan("start"),
        Effect.provideService(FetchHttpClient.RequestInit, own),
        Effect.provide(logs.layer),
        Logger.withMinimumLogLevel(LogLevel.Debug)
      )
      const verified = (key: issuer.Key) => inRequest(Effect.provide(outcome(key), context))
      expect(yield* verified(first)).toBe("verified")
      yield* TestClock.adjust("8 minutes")
      expect(yield* verified(first)).toBe("verified")
      yield* until(() => seen.length === 2)
      yield* turns
      yield* TestClock.adjust("30 seconds")
      expect(yield* verified(unknown)).toStrictEqual(keyNotFound)
      net.answer = down
      yield* TestClock.adjust("1 hour")
      expect(yield* verified(first)).toBe("verified")
      const around = {
        init: Option.some(own.headers),
        annotations: [["part", "keys"]],
        spans: ["start"]
      }
      expect(seen).toEqual(Array.from({ length: 4 }, () => around))
      const warning = `WARN Refreshing failed; the value loaded 1h ago stays in use: ${answered503}`
      expect(logs.lines).toEqual([...Array.from({ length: 4 }, () => "DEBUG asked"), warning])
      expect(logs.annotations[4]).toMatchObject({ part: "keys" })
      expect(logs.annotations[4]).not.toHaveProperty("tenant")
      expect(requestLogs.lines).toEqual([])
    }).pipe(Effect.scoped)
  })

  it.scoped("that was dropped by its runtime does not prevent the next one", () =>
    Effect.gen(function* () {
      const live = yield* Effect.clock
      let lost = true
      let loads = 0
      // The timers of a request that a runtime dropped never fire.
      const sleep: Clock.Clock["sleep"] = (time) => (lost ? Effect.never : live.sleep(time))
      const dropping = Object.create(live, { sleep: { value: sleep } }) as Clock.Clock
      const { get, renewed } = yield* refreshing
        .make({
          source: "the source",
          load: Effect.suspend(() => {
            loads += 1
            return lost ? Effect.never : Effect.succeed({ value: `value ${loads}`, maxAgeMillis: undefined })
          }),
          freshFor: Duration.minutes(10),
          usableFor: Duration.hours(24),
          cooldown: Duration.seconds(30)
        })
        .pipe(Effect.withClock(dropping))
      const cold = yield* Effect.fork(get)
      yield* turns
      lost = false
      yield* TestClock.adjust("11001 millis")
      expect(yield* get).toBe("value 2")
      yield* Fiber.interrupt(cold)

      lost = true
      yield* TestClock.adjust("30 seconds")
      const warm = yield* Effect.fork(renewed)
      yield* turns
      expect(loads).toBe(3)
      yield* TestClock.adjust("6001 millis")
      expect(yield* get).toBe("value 2")
      expect({ ...(yield* Effect.flip(renewed)) }).toStrictEqual(unavailable("the load did not complete", 24))
      lost = false
      yield* TestClock.adjust("24 seconds")
      expect(yield* renewed).toBe("value 4")
      yield* Fiber.interrupt(warm)
    })
  )
})
