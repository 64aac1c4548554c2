import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as TestClock from "effect/TestClock"
import * as Tracer from "effect/Tracer"
import * as fiber from "../src/fiber.ts"

class Service extends Context.Tag("test/Service")<Service, number>() {}

const inFiber = <A>(read: (running: Fiber.RuntimeFiber<unknown, unknown>) => A) =>
  Effect.withFiberRuntime<A>((running) => Effect.succeed(read(running)))

describe("contextOf", () => {
  it.effect("is the context that the fiber runs with", () =>
    Effect.gen(function* () {
      const read = Effect.provideService(inFiber(fiber.contextOf), Service, 1)
      expect(Context.unsafeGet(yield* read, Service)).toBe(1)
    })
  )
})

describe("contextOfCurrentFiber", () => {
  it.effect("is the context of the fiber that calls it, and empty outside of fibers", () =>
    Effect.gen(function* () {
      const read = Effect.provideService(Effect.sync(fiber.contextOfCurrentFiber), Service, 1)
      expect(Context.unsafeGet(yield* read, Service)).toBe(1)
      const outside = Effect.promise(
        () => new Promise((resolve) => setImmediate(() => resolve(fiber.contextOfCurrentFiber())))
      )
      expect(yield* outside).toEqual(Context.empty())
    })
  )
})

describe("clockOf", () => {
  it.effect("is the clock of the fiber", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(5)
      expect((yield* inFiber(fiber.clockOf)).unsafeCurrentTimeMillis()).toBe(5)
    })
  )
})

describe("hasDefaultTracer", () => {
  it.effect("is false where the program has a tracer", () =>
    Effect.gen(function* () {
      const own = Tracer.make({
        span: () => {
          throw new Error("asked for a span")
        },
        context: (run) => run()
      })
      expect(yield* inFiber(fiber.hasDefaultTracer)).toBe(true)
      expect(yield* Effect.withTracer(inFiber(fiber.hasDefaultTracer), own)).toBe(false)
    })
  )
})

describe("minimumLogLevelOf", () => {
  it.effect("is what the program asks for", () =>
    Effect.gen(function* () {
      const read = inFiber(fiber.minimumLogLevelOf)
      expect(yield* Logger.withMinimumLogLevel(read, LogLevel.Warning)).toBe(LogLevel.Warning)
    })
  )
})
