import { loading } from "#loading"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { VerificationUnavailable } from "../TokenError.ts"
import { afterClockChange, type Ages, keep, type KeptValue } from "./keptValue.ts"
import type { Restore, Running } from "./loading.ts"
import * as loadsOf from "./loads.ts"
import * as outageLog from "./outageLog.ts"
import * as pace from "./pace.ts"

/** A remote value that is kept while its source is slow or down. */
export interface Refreshing<A> {
  /**
   * The value. The first call loads it. A call in the last fifth of the value's freshness starts a load and does not wait for
   * it. A later call waits for one load; if that fails, it gets the old value for as long as that is usable.
   */
  readonly get: Effect.Effect<A, VerificationUnavailable>
  /** The value at a time, if it is usable and nothing has to be loaded or waited for. */
  readonly atHand: (now: number) => A | undefined
  /**
   * The value after a new load, or the value in use if the last load succeeded less than a cooldown ago. Fails if the last
   * load failed, because it is not known what the source would answer.
   */
  readonly renewed: Effect.Effect<A, VerificationUnavailable>
  /** What the log says about the loads and the value. */
  readonly state: (now: number) => State
}

export interface State {
  readonly loads: number
  /** Failures in a row since a load succeeded. */
  readonly failures: number
  /** Since the value in use was loaded. */
  readonly ageSeconds?: number
}

export interface Options<A> {
  /** What is loaded, in words that are safe to log. */
  readonly source: string
  readonly load: Effect.Effect<loadsOf.Loaded<A>, loadsOf.LoadFailure>
  readonly freshFor: Duration.Duration
  readonly usableFor: Duration.Duration
  readonly cooldown: Duration.Duration
  /** Runs after each load, and where the cooldown did not allow one. */
  readonly onOutcome?: ((outcome: "loaded" | "failed" | "suppressed") => Effect.Effect<void>) | undefined
}

/** The longest that calls wait while an old value can be used, and the longest for the two fetches of a first load. */
const limits = { refresh: Duration.seconds(5), first: Duration.seconds(10) }

/**
 * Keeps a remote value. `usableFor` is the longest of its times.
 *
 * The source is asked at most once per cooldown, and less often after failures (`pace`). A load lasts 5 seconds at most while
 * there is an old value, and 10 seconds otherwise. If the clock was set back, ages count from the earlier of the two times.
 */
export const make = <A>(options: Options<A>): Effect.Effect<Refreshing<A>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const ages: Ages = {
      freshFor: Duration.toMillis(options.freshFor),
      usableFor: Duration.toMillis(options.usableFor),
      cooldown: Duration.toMillis(options.cooldown)
    }
    const { onOutcome = () => Effect.void, source } = options
    const asking = pace.make(ages.cooldown)
    const loads = yield* loadsOf.make(source, options.load)
    const log = outageLog.make()

    // Plain variables are enough, because each decision below is one synchronous step.
    let kept: KeptValue<A> | undefined
    let lastFailure: string | undefined

    const usable = (now: number): KeptValue<A> | undefined =>
      kept !== undefined && now < kept.expiresAt ? kept : undefined

    const isDue = (now: number): boolean =>
      loads.running(now) === undefined && asking.mayAsk(now, usable(now) !== undefined)

    /**
     * Whether the source is known to be down, so that no call waits for it: a load failed, and others followed it. When there
     * are no calls there are no loads either, and after some time this is not known any more.
     */
    const isDown = (now: number, { refreshAt, staleAt }: KeptValue<A>): boolean => {
      const remembered = asking.askedAt() < staleAt ? staleAt - refreshAt : ages.freshFor
      return asking.failures() > 0 && now < asking.dueAt(true) + remembered
    }

    const atHand = (now: number): A | undefined => {
      if (kept === undefined || now < kept.loadedAt) return undefined
      if (now < kept.refreshAt) return kept.value
      if (usable(now) === undefined || isDue(now)) return undefined
      const waits = now >= kept.staleAt && loads.running(now) !== undefined && !isDown(now, kept)
      return waits ? undefined : kept.value
    }

    /** Takes note of a clock that was set back, and of a load that was lost. */
    const observe = (now: number): void => {
      asking.observe(now)
      if (kept !== undefined && now < kept.loadedAt) kept = afterClockChange(ages, kept, now)
      if (loads.observe(now)) lastFailure ??= incomplete
    }

    const unavailable = (now: number) => {
      const wait = asking.dueAt(usable(now) !== undefined) - now
      return new VerificationUnavailable({
        reason: lastFailure ?? "not loaded yet",
        retryAfter: Math.max(1, Math.ceil(wait / 1000))
      })
    }

    const state = (now: number): State => ({
      loads: loads.count(),
      failures: asking.failures(),
      ...(kept !== undefined && { ageSeconds: Math.floor((now - kept.loadedAt) / 1000) })
    })

    const succeeded = (
      { maxAgeMillis = ages.freshFor, value }: loadsOf.Loaded<A>,
      now: number
    ): Effect.Effect<void> => {
      kept = keep(ages, value, now, maxAgeMillis)
      asking.succeeded(now)
      loads.forget()
      lastFailure = undefined
      log.succeeded()
      return onOutcome("loaded")
    }

    const failed = (failure: loadsOf.LoadFailure, took: Duration.Duration, now: number): Effect.Effect<void> => {
      if (failure.withdrawn === true) kept = undefined
      asking.failed(now, failure.retryAfterMillis)
      lastFailure = failure.reason
      const inUse = usable(now)
      const line = log.failed(failure.reason, inUse === undefined ? undefined : now - inUse.loadedAt)
      const annotations = { ...state(now), tookMillis: Math.round(Duration.toMillis(took)) }
      return Effect.zipRight(onOutcome("failed"), Effect.annotateLogs(line, annotations))
    }

    /** Takes note of how a load ended that started while `before` was in use. */
    const settle = (before: A | undefined, { alone, exit, now, took }: loadsOf.Ended<A>): Effect.Effect<void> => {
      if (Exit.isInterrupted(exit)) {
        // The request or the Layer that the load belongs to has ended. The source did not fail.
        lastFailure ??= incomplete
        return Effect.void
      }
      // A value of a later load is not replaced by that of an earlier load that took longer.
      if (Exit.isSuccess(exit)) return kept?.value === before ? succeeded(exit.value, now) : Effect.void
      // Loads that run side by side and fail count as one failure.
      if (!alone) return Effect.void
      // A load that dies counts as an outage, because it says nothing about any token.
      return failed(
        Option.getOrElse(Cause.failureOption(exit.cause), () => ({ reason: incomplete })),
        took,
        now
      )
    }

    const start = (now: number): Running => {
      const inUse = usable(now)
      const before = kept?.value
      // If this load is lost, or its request ends, the next one still has to wait for the cooldown.
      if (inUse !== undefined) asking.asked(now)
      return loads.start(now, inUse === undefined ? limits.first : limits.refresh, (ended) => settle(before, ended))
    }

    const isOver = (load: Running) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        observe(now)
        return !loads.isPending(load)
      })

    type Answer = Effect.Effect<A, VerificationUnavailable>

    const afterwards = (answer: (now: number) => Answer) => Effect.flatMap(Clock.currentTimeMillis, answer)

    // Only the waiting is interruptible: an interruption must not come between the start of a load and the wait for it.
    const step = (decide: (now: number, restore: Restore) => Answer) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) => {
          observe(now)
          return decide(now, restore)
        })
      )

    const inUse = (now: number): Answer => {
      const { value } = usable(now) ?? {}
      return value === undefined ? Effect.fail(unavailable(now)) : Effect.succeed(value)
    }

    const inUseIfCurrent = (now: number): Answer =>
      lastFailure === undefined ? inUse(now) : Effect.fail(unavailable(now))

    return {
      state,
      atHand,
      get: step((now, restore) => {
        const value = atHand(now)
        if (value !== undefined) return Effect.succeed(value)
        const old = usable(now)
        if (old !== undefined && loading.inBackground && (now < old.staleAt || isDown(now, old))) {
          start(now)
          return Effect.succeed(old.value)
        }
        const running = loads.running(now)
        if (running === undefined && !isDue(now)) return Effect.fail(unavailable(now))
        const load = loading.join(running, () => start(now))
        return Effect.zipRight(loading.own(load, restore), afterwards(inUse))
      }),
      renewed: step((now, restore) => {
        const other = loads.running(now)
        if (other === undefined && !isDue(now)) return Effect.zipRight(onOutcome("suppressed"), inUseIfCurrent(now))
        const wait =
          other === undefined ? loading.own(start(now), restore) : restore(loading.others(other, isOver(other)))
        return Effect.zipRight(wait, afterwards(inUseIfCurrent))
      })
    }
  })

const incomplete = "the load did not complete"
