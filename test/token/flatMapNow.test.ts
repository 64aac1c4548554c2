import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import { andThen, isDone } from "../../src/token/flatMapNow.ts"
import { TokenMissing } from "../../src/TokenError.ts"

describe("isDone", () => {
  it.each<[string, Effect.Effect<unknown, unknown>, boolean]>([
    ["a value", Effect.succeed(1), true],
    ["nothing", Effect.void, true],
    ["a failure", Effect.fail("no"), false],
    ["an error that is an effect", new TokenMissing(), false],
    ["a defect", Effect.die("broken"), false],
    ["a computation", Effect.sync(() => 1), false],
    ["an Either, which is no Exit", Either.right(1), false]
  ])("of %s is %s", (_, effect, done) => {
    expect(isDone(effect)).toBe(done)
  })
})

describe("andThen", () => {
  it.effect.each<[string, Effect.Effect<number, string>, Exit.Exit<unknown, string>]>([
    ["a value, at once", Effect.succeed(1), Exit.succeed([1, true])],
    ["a computation, later", Effect.sync(() => 1), Exit.succeed([1, false])],
    ["a failure, never", Effect.fail("no"), Exit.fail("no")],
    ["an Either, later", Either.right(1), Exit.succeed([1, false])]
  ])("runs the next after %s", ([, effect, expected]) =>
    Effect.gen(function* () {
      const next = andThen(effect, (value, atOnce) => Effect.succeed([value, atOnce]))
      expect(yield* Effect.exit(next)).toEqual(expected)
    })
  )
})
