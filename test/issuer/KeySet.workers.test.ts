/**
 * Loads on a runtime where I/O belongs to the request that started it, such as Cloudflare Workers.
 */
import { afterAll, describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { vi } from "vitest"
import type { Loaded, LoadFailure } from "../../src/issuer/loads.ts"
import * as refreshing from "../../src/issuer/refreshing.ts"

// Test files may share what they loaded: here it is loaded anew, and for the next file again.
vi.hoisted(() => vi.resetModules())
afterAll(() => void vi.resetModules())
vi.mock("#loading", () => import("../../src/issuer/loading.workerd.ts"))

type Answer = Effect.Effect<Loaded<string>, LoadFailure>

const value = (text: string): Answer => Effect.succeed({ value: text, maxAgeMillis: undefined })
const down: Answer = Effect.fail({ reason: "down" })
const later = (answer: Answer, seconds: number) => Effect.delay(answer, Duration.seconds(seconds))
const unavailable = (reason: string, retryAfter: number) =>
  expect.objectContaining({ _tag: "VerificationUnavailable", reason, retryAfter })

/** A value whose loads get these answers in this order, and then the last one again and again. */
const answered = (...answers: ReadonlyArray<Answer>) =>
  Effect.gen(function* () {
    let started = 0
    let interrupted = 0
    const kept = yield* refreshing.make({
      source: "the source",
      load: Effect.suspend(() => answers[Math.min(started++, answers.length - 1)]!).pipe(
        Effect.onInterrupt(() => Effect.sync(() => interrupted++))
      ),
      freshFor: Duration.minutes(10),
      usableFor: Duration.hours(24),
      cooldown: Duration.seconds(30)
    })
    return { ...kept, loads: () => ({ started, interrupted }) }
  })

/** Forks an effect, and lets it run until it waits for time to pass. */
const begin = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.fork(Effect.merge(effect)).pipe(Effect.zipLeft(Effect.promise(() => new Promise(setImmediate))))

const beginAll = <A, E, R>(count: number, effect: Effect.Effect<A, E, R>) =>
  Effect.map(
    Effect.all(Array.from({ length: count }, () => begin(effect))),
    (fibers) => Fiber.all(fibers) as Fiber.Fiber<ReadonlyArray<A | E>>
  )

describe("a first load", () => {
  it.scoped("belongs to its request, and no other request waits for it", () =>
    Effect.gen(function* () {
      const { get, loads } = yield* answered(Effect.never, value("second"))
      const stuck = yield* begin(get)
      expect(yield* get).toBe("second")
      expect(stuck.unsafePoll()).toBe(null)
      expect(loads()).toEqual({ started: 2, interrupted: 0 })
      yield* Fiber.interrupt(stuck)
      expect(yield* get).toBe("second")
      expect(loads()).toEqual({ started: 2, interrupted: 1 })
    })
  )

  it.scoped("ends with its request, which does not count as a failure of the source", () =>
    Effect.gen(function* () {
      const { get, loads, state } = yield* answered(Effect.never, Effect.never, value("third"))
      for (const count of [1, 2]) {
        const leaving = yield* begin(get)
        expect(Exit.isInterrupted(yield* Fiber.interrupt(leaving))).toBe(true)
        expect(loads()).toEqual({ started: count, interrupted: count })
      }
      expect(yield* get).toBe("third")
      expect(state(0)).toEqual({ loads: 1, failures: 0, ageSeconds: 0 })
    })
  )

  it.scoped("that fails for many requests at once counts as one failure", () =>
    Effect.gen(function* () {
      const { get, loads, state } = yield* answered(later(down, 1))
      const all = yield* beginAll(4, get)
      yield* TestClock.adjust("1 second")
      expect(yield* Fiber.join(all)).toEqual(Array.from({ length: 4 }, () => unavailable("down", 1)))
      expect(state(1000).failures).toBe(1)
      expect(yield* Effect.flip(get)).toEqual(unavailable("down", 1))
      expect(loads().started).toBe(4)
    })
  )

  it.scoped("that ends with its request does not hide that another load failed", () =>
    Effect.gen(function* () {
      const { get, loads, state } = yield* answered(Effect.never, later(down, 1))
      const leaving = yield* begin(get)
      const failing = yield* begin(get)
      yield* Fiber.interrupt(leaving)
      yield* TestClock.adjust("1 second")
      expect(yield* Fiber.join(failing)).toEqual(unavailable("down", 1))
      expect(state(1000).failures).toBe(1)
      expect(yield* Effect.flip(get)).toEqual(unavailable("down", 1))
      expect(loads()).toEqual({ started: 2, interrupted: 1 })
    })
  )

  it.scoped("that fails does not count when another one succeeds, and its request gets that value", () =>
    Effect.gen(function* () {
      for (const [failure, success] of [
        [2, 1],
        [1, 2]
      ] as const) {
        const { get, state } = yield* answered(later(down, failure), later(value("value"), success))
        const [failing, succeeding] = [yield* begin(get), yield* begin(get)]
        yield* TestClock.adjust("2 seconds")
        expect(yield* Fiber.join(succeeding)).toBe("value")
        expect(yield* Fiber.join(failing)).toEqual(failure === 2 ? "value" : unavailable("down", 1))
        expect(state(0).failures).toBe(0)
      }
    })
  )

  it.scoped("does not replace a newer value with an older one", () =>
    Effect.gen(function* () {
      const { get } = yield* answered(later(value("older"), 2), later(value("newer"), 1))
      const all = yield* beginAll(2, get)
      yield* TestClock.adjust("2 seconds")
      expect(yield* Fiber.join(all)).toEqual(["newer", "newer"])
      expect(yield* get).toBe("newer")
    })
  )
})

describe("a refresh", () => {
  it.scoped("before the end of the freshness makes one request wait, and not the others", () =>
    Effect.gen(function* () {
      const { get, loads } = yield* answered(value("old"), later(value("new"), 3))
      expect(yield* get).toBe("old")
      yield* TestClock.adjust("8 minutes")
      const waiting = yield* begin(get)
      expect(yield* Effect.all([get, get])).toEqual(["old", "old"])
      expect(loads().started).toBe(2)
      yield* TestClock.adjust("3 seconds")
      expect(yield* Fiber.join(waiting)).toBe("new")
      expect(yield* get).toBe("new")
    })
  )

  it.scoped("before the end of the freshness ends with its request, and is tried again after a cooldown", () =>
    Effect.gen(function* () {
      const { get, loads } = yield* answered(value("old"), Effect.never, value("new"))
      expect(yield* get).toBe("old")
      yield* TestClock.adjust("8 minutes")
      yield* Effect.flatMap(begin(get), Fiber.interrupt)
      expect(loads()).toEqual({ started: 2, interrupted: 1 })
      yield* TestClock.adjust("29999 millis")
      expect(yield* get).toBe("old")
      yield* TestClock.adjust("1 millis")
      expect(yield* get).toBe("new")
    })
  )

  it.scoped("that hangs makes its request wait 5 seconds at most, and no other until the next one is due", () =>
    Effect.gen(function* () {
      const { get, loads } = yield* answered(value("old"), Effect.never)
      expect(yield* get).toBe("old")
      yield* TestClock.adjust("1 hour")
      const all = yield* beginAll(3, get)
      yield* TestClock.adjust("5 seconds")
      expect(yield* Fiber.join(all)).toEqual(["old", "old", "old"])
      expect(loads()).toEqual({ started: 4, interrupted: 3 })
      yield* TestClock.adjust("29 seconds")
      expect(yield* get).toBe("old")
      expect(loads().started).toBe(4)
    })
  )
})

describe("a renewal", () => {
  it.scoped("is one load for any number of requests, which poll whether it is over", () =>
    Effect.gen(function* () {
      const { get, loads, renewed } = yield* answered(value("old"), later(value("new"), 1))
      expect(yield* get).toBe("old")
      yield* TestClock.adjust("30 seconds")
      const all = yield* beginAll(10, renewed)
      expect(loads().started).toBe(2)
      yield* TestClock.adjust("1050 millis")
      expect(yield* Fiber.join(all)).toEqual(Array.from({ length: 10 }, () => "new"))
      expect(loads().started).toBe(2)
    })
  )

  it.scoped("is over for the others when its request ends", () =>
    Effect.gen(function* () {
      const { get, loads, renewed } = yield* answered(value("old"), Effect.never)
      expect(yield* get).toBe("old")
      yield* TestClock.adjust("30 seconds")
      const leaving = yield* begin(renewed)
      const other = yield* begin(renewed)
      yield* Fiber.interrupt(leaving)
      yield* TestClock.adjust("50 millis")
      expect(yield* Fiber.join(other)).toEqual(unavailable("the load did not complete", 30))
      expect(loads()).toEqual({ started: 2, interrupted: 1 })
      expect(yield* get).toBe("old")
    })
  )
})
