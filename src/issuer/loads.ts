import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import type * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import * as RuntimeFlags from "effect/RuntimeFlags"
import type * as Scope from "effect/Scope"
import type { FetchFailure } from "./fetchJson.ts"
import type { Running } from "./loading.ts"

/** The result of a load: the value, and the time for which its source says that it stays fresh. */
export interface Loaded<A> {
  readonly value: A
  readonly maxAgeMillis: number | undefined
}

export interface LoadFailure extends FetchFailure {
  /** The source answered that it has nothing any more, so that an earlier value must not be used. */
  readonly withdrawn?: true
}

/** A load that has ended. */
export interface Ended<A> {
  readonly exit: Exit.Exit<Loaded<A>, LoadFailure>
  readonly took: Duration.Duration
  readonly now: number
  /** Whether no other load ended while this one ran. */
  readonly alone: boolean
}

/** The loads of one source. Times are milliseconds since 1970. */
export interface Loads<A> {
  /** The load that requests can wait for, unless it is lost. */
  readonly running: (now: number) => Running | undefined
  /** Starts a load in the same synchronous step, and runs `onEnd` when it has ended. */
  readonly start: (now: number, limit: Duration.Duration, onEnd: (ended: Ended<A>) => Effect.Effect<void>) => Running
  /** Whether this is the load that was started last, and it has not ended. */
  readonly isPending: (load: Running) => boolean
  /** Takes note of the time, for a clock that was set back. Returns whether the running load was lost. */
  readonly observe: (now: number) => boolean
  /** Forgets the running load, so that no request waits for it, because another load has already brought a value. */
  readonly forget: () => void
  /** How many loads have ended, without those that were interrupted. */
  readonly count: () => number
}

/** How long after its limit a load that has not ended counts as lost, because its runtime dropped it. */
const lostAfter = Duration.toMillis("1 second")

interface Pending {
  startedAt: number
  readonly limit: Duration.Duration
  readonly fiber: Running
}

/**
 * Runs loads of a source in the context in which this is built, and not in that of the request that starts one. The running
 * load is interrupted when the scope closes, and no load starts after that.
 */
export const make = <A>(
  source: string,
  load: Effect.Effect<Loaded<A>, LoadFailure>
): Effect.Effect<Loads<A>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const fork = Runtime.runFork(
      (yield* Effect.runtime<never>()).pipe(
        // The load itself is interruptible. What follows it is not: it takes note of how the load ended.
        Runtime.disableRuntimeFlag(RuntimeFlags.Interruption),
        // A load that fails has a log line of its own.
        Runtime.setFiberRef(FiberRef.unhandledErrorLogLevel, Option.none<LogLevel.LogLevel>())
      )
    )
    let pending: Pending | undefined
    let count = 0
    let closed = false

    const running: Loads<A>["running"] = (now) =>
      pending !== undefined && now - pending.startedAt <= Duration.toMillis(pending.limit) + lostAfter
        ? pending.fiber
        : undefined

    const limited = (limit: Duration.Duration) =>
      Effect.suspend(() => (closed ? Effect.interrupt : load)).pipe(
        Effect.timeoutFail({
          duration: limit,
          onTimeout: (): LoadFailure => ({ reason: `${source} did not answer within ${Duration.format(limit)}` })
        }),
        Effect.interruptible
      )

    const start: Loads<A>["start"] = (now, limit, onEnd) => {
      const countBefore = count
      const run = limited(limit).pipe(
        Effect.exit,
        Effect.timed,
        Effect.zip(Clock.currentTimeMillis),
        Effect.flatMap(([[took, exit], now]) => {
          if (pending === started) pending = undefined
          const alone = count === countBefore
          if (!Exit.isInterrupted(exit)) count += 1
          return onEnd({ exit, took, now, alone })
        })
      )
      // The fiber takes its first step later, so that `pending` is set before the load ends, even if it takes no time.
      const started: Pending = { startedAt: now, limit, fiber: fork(run, { immediate: false }) }
      pending = started
      return started.fiber
    }

    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        closed = true
        return pending === undefined ? Effect.void : Fiber.interrupt(pending.fiber)
      })
    )

    return {
      running,
      start,
      isPending: (load) => pending?.fiber === load,
      observe: (now) => {
        if (pending === undefined) return false
        pending.startedAt = Math.min(pending.startedAt, now)
        if (running(now) !== undefined) return false
        pending = undefined
        return true
      },
      forget: () => {
        pending = undefined
      },
      count: () => count
    }
  })
