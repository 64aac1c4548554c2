import type * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"

/** The fiber of a load. It never fails: the result of the load is handled inside it. */
export type Running = Fiber.RuntimeFiber<void>

/** Makes an effect interruptible again inside an uninterruptible region. */
export type Restore = <A>(effect: Effect.Effect<A>) => Effect.Effect<A>

/** How requests share loads. This depends on what a runtime does with the I/O of a request that has ended. */
export interface Loading {
  /** Whether a load continues after the request that started it has ended. */
  readonly inBackground: boolean
  /** The load that a request waits for: the running one, or a new one. */
  readonly join: (running: Running | undefined, start: () => Running) => Running
  /** Waits for a load that `join` returned, or that this request started. */
  readonly own: (load: Running, restore: Restore) => Effect.Effect<unknown>
  /** Waits until a load that another request started is over, without starting one. */
  readonly others: (load: Running, isOver: Effect.Effect<boolean>) => Effect.Effect<unknown>
}
