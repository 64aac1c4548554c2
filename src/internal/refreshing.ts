import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { VerificationUnavailable } from "../TokenError.ts"
import type { FetchFailure } from "./fetchJson.ts"

/** A remote value that is kept while its source is slow or down. */
export interface Refreshing<A> {
  /**
   * The value. The first call loads it, and all that come meanwhile share that one load. One past its freshness is
   * still served at once while a load goes on behind; one past its hard age never is.
   */
  readonly get: Effect.Effect<A, VerificationUnavailable>
  /** The value at a time, if it is there and nothing is due. */
  readonly fresh: (now: number) => A | undefined
  /**
   * The value after a new load, or as it is if the last load succeeded less than a cooldown ago. Fails while the last
   * load failed: what the source would say is then not known.
   */
  readonly renewed: Effect.Effect<A, VerificationUnavailable>
  /** How its loads went, for a log. */
  readonly state: (now: number) => State
}

export interface State {
  readonly loads: number
  /** Failures in a row since a load succeeded. */
  readonly failures: number
  /** Since what is in use was loaded. */
  readonly ageSeconds?: number
}

/** What a load brings: the value, and how long its source says it stays fresh. */
export interface Loaded<A> {
  readonly value: A
  readonly maxAgeMillis: number | undefined
}

/** The longest that a source may ask to be left alone by `Retry-After`. */
const longestRetryAfter = Duration.toMillis("10 minutes")

/**
 * Keeps a remote value. `usableFor` is the longest of its times.
 *
 * Its source is asked at most once per cooldown, whatever happens; after failures in a row the wait doubles, up to four
 * cooldowns, or lasts as long as `Retry-After` says, up to 10 minutes. A load belongs to the scope and not to its
 * first caller: that caller's interruption disturbs no other.
 */
export const make = <A>(options: {
  readonly load: Effect.Effect<Loaded<A>, FetchFailure>
  readonly freshFor: Duration.Duration
  readonly usableFor: Duration.Duration
  readonly cooldown: Duration.Duration
  /** A load that was asked for within the cooldown, and did not take place. */
  readonly onSuppressed?: Effect.Effect<void> | undefined
}): Effect.Effect<Refreshing<A>, never, Scope.Scope> =>
  Effect.map(Effect.scope, (scope) => {
    const freshFor = Duration.toMillis(options.freshFor)
    const usableFor = Duration.toMillis(options.usableFor)
    const cooldown = Duration.toMillis(options.cooldown)

    // Plain variables: what must not be torn apart is one synchronous step below.
    let current: { readonly value: A; readonly loadedAt: number; readonly staleAt: number } | undefined
    let pending: Deferred.Deferred<A, VerificationUnavailable> | undefined
    let lastLoadAt = Number.NEGATIVE_INFINITY
    let nextLoadAt = Number.NEGATIVE_INFINITY
    let loads = 0
    let failures = 0
    let lastFailure: string | undefined

    const succeeded = ({ maxAgeMillis, value }: Loaded<A>, now: number): A => {
      // Below a cooldown, `nextLoadAt` is the bound.
      current = { value, loadedAt: now, staleAt: now + Math.min(maxAgeMillis ?? freshFor, freshFor) }
      nextLoadAt = now + cooldown
      failures = 0
      lastFailure = undefined
      return value
    }

    const failed = ({ reason, retryAfterMillis = 0 }: FetchFailure, now: number): VerificationUnavailable => {
      const backoff = cooldown * Math.min(2 ** failures, 4)
      failures += 1
      lastFailure = reason
      nextLoadAt = now + Math.max(backoff, Math.min(retryAfterMillis, longestRetryAfter))
      return unavailable(now)
    }

    const unavailable = (now: number) =>
      new VerificationUnavailable({
        reason: lastFailure ?? "not loaded yet",
        retryAfter: Math.max(1, Math.ceil((nextLoadAt - now) / 1000))
      })

    const state = (now: number): State => ({
      loads,
      failures,
      ...(current !== undefined && { ageSeconds: Math.floor((now - current.loadedAt) / 1000) })
    })

    // A clock that was set back must not make what was loaded by it last until it has caught up.
    const mayLoad = (now: number): boolean => now >= nextLoadAt || now < lastLoadAt

    const fresh = (now: number): A | undefined =>
      current !== undefined && now >= current.loadedAt && now < current.staleAt ? current.value : undefined

    const settle = (exit: Exit.Exit<Loaded<A>, FetchFailure>, took: Duration.Duration, now: number) => {
      pending = undefined
      lastLoadAt = now
      loads += 1
      if (Exit.isSuccess(exit)) return Effect.succeed(succeeded(exit.value, now))
      // A defect, or the end of the scope, is an outage to those who wait: nobody's token is bad.
      const failure = Option.getOrElse(Cause.failureOption(exit.cause), () => ({ reason: "the load broke off" }))
      const outage = Effect.fail(failed(failure, now))
      if (Cause.isInterrupted(exit.cause) || current === undefined || now - current.loadedAt >= usableFor) {
        return outage
      }
      const age = Duration.format(Duration.millis(now - current.loadedAt))
      return Effect.zipRight(
        Effect.logWarning(`A refresh failed; what was loaded ${age} ago stays in use: ${failure.reason}`).pipe(
          Effect.annotateLogs({ ...state(now), tookMillis: Math.round(Duration.toMillis(took)) })
        ),
        outage
      )
    }

    /** Takes the load at once, in the step that found it due: no other fiber comes between. */
    const start = () => {
      const deferred = (pending = Deferred.unsafeMake<A, VerificationUnavailable>(FiberId.none))
      return Effect.interruptible(options.load).pipe(
        Effect.exit,
        Effect.timed,
        Effect.zip(Clock.currentTimeMillis),
        Effect.flatMap(([[took, exit], now]) => settle(exit, took, now)),
        Effect.intoDeferred(deferred),
        Effect.forkIn(scope),
        Effect.as(deferred)
      )
    }

    type Answer = Effect.Effect<A, VerificationUnavailable>

    // Uninterruptible but for its waiting: an interruption that fell between two steps of `start` would leave `pending`
    // forever.
    const step = (
      decide: (now: number, wait: (load: Deferred.Deferred<A, VerificationUnavailable>) => Answer) => Answer
    ) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) => decide(now, (load) => restore(Deferred.await(load))))
      )

    return {
      state,
      fresh,
      get: step((now, wait) => {
        if (current !== undefined && now - current.loadedAt < usableFor) {
          const { value } = current
          const due = fresh(now) === undefined && pending === undefined && mayLoad(now)
          return due ? Effect.as(start(), value) : Effect.succeed(value)
        }
        if (pending !== undefined) return wait(pending)
        return mayLoad(now) ? Effect.flatMap(start(), wait) : Effect.fail(unavailable(now))
      }),
      renewed: step((now, wait) => {
        if (pending !== undefined) return wait(pending)
        if (mayLoad(now)) return Effect.flatMap(start(), wait)
        return Effect.zipRight(
          options.onSuppressed ?? Effect.void,
          current === undefined || lastFailure !== undefined
            ? Effect.fail(unavailable(now))
            : Effect.succeed(current.value)
        )
      })
    }
  })
