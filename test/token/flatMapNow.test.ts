import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import { flatMapNow, isSucceeded } from "../../src/token/flatMapNow.ts"
import { TokenMissing } from "../../src/TokenError.ts"

describe("isSucceeded", () => {
  it.each<[string, Effect.Effect<unknown, unknown>, boolean]>([
    ["a value", Effect.succeed(1), true],
    ["nothing", Effect.void, true],
    ["a failure", Effect.fail("no"), false],
    ["an error that is an effect", new TokenMissing(), false],
    ["a defect", Effect.die("broken"), false],
    ["a computation", Effect.sync(() => 1), false],
    ["an Either, which is no Exit", Either.right(1), false]
  ])("of %s is %s", (_, effect, done) => {
    expect(isSucceeded(effect)).toBe(done)
  })
})

describe("flatMapNow", () => {
  it.effect.each<[string, Effect.Effect<number, string>, boolean, Exit.Exit<unknown, string>]>([
    ["a value, at once", Effect.succeed(1), true, Exit.succeed(2)],
    ["a computation, later", Effect.sync(() => 1), false, Exit.succeed(2)],
    ["a failure, never", Effect.fail("no"), false, Exit.fail("no")],
    ["an Either, later", Either.right(1), false, Exit.succeed(2)]
  ])("runs the next after %s", ([, effect, atOnce, expected]) =>
    Effect.gen(function* () {
      const given: Array<number> = []
      const next = flatMapNow(effect, (value) => {
        given.push(value)
        return Effect.succeed(value + 1)
      })
      expect(given).toEqual(atOnce ? [1] : [])
      expect(yield* Effect.exit(next)).toEqual(expected)
    })
  )
})
