import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"

/** Whether an effect is a value already. */
export const isDone = <A, E, R>(
  effect: Effect.Effect<A, E, R>
): effect is Effect.Effect<A, E, R> & Exit.Success<A, E> =>
  // What `Exit.isExit` and `Exit.isSuccess` come to for an effect: a token passes here a dozen times.
  (effect as { readonly _tag?: unknown })._tag === "Success"

/**
 * `Effect.flatMap`, but after a value the next runs at once, not as a step of the fiber's: a verification is a dozen such
 * steps, and often nothing to wait for. Call it inside an effect, and let nothing throw.
 */
export const andThen = <A, E, R, B, E2, R2>(
  effect: Effect.Effect<A, E, R>,
  next: (value: A, atOnce: boolean) => Effect.Effect<B, E2, R2>
): Effect.Effect<B, E | E2, R | R2> =>
  isDone(effect) ? next(effect.value, true) : Effect.flatMap(effect, (value) => next(value, false))
