import { loading } from "#loading"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import * as RuntimeFlags from "effect/RuntimeFlags"
import type * as Scope from "effect/Scope"
import { VerificationUnavailable } from "../TokenError.ts"
import type { FetchFailure } from "./fetchJson.ts"
import * as pace from "./pace.ts"

/** A remote value that is kept while its source is slow or down. */
export interface Refreshing<A> {
  /**
   * The value. The first call loads it. A call in the last fifth of the value's freshness starts a load and does not wait for
   * it. A call after that waits for one load; if that fails, the old value is used until its hard age.
   */
  readonly get: Effect.Effect<A, VerificationUnavailable>
  /** The value at a time, if it can be used and there is nothing to load or to wait for. */
  readonly atHand: (now: number) => A | undefined
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

export interface LoadFailure extends FetchFailure {
  /** The source answered, and has nothing any more: what was loaded before must not be used. */
  readonly withdrawn?: true
}

export interface Options<A> {
  /** Where the value is from, in words that are safe to log. */
  readonly source: string
  readonly load: Effect.Effect<Loaded<A>, LoadFailure>
  readonly freshFor: Duration.Duration
  readonly usableFor: Duration.Duration
  readonly cooldown: Duration.Duration
  /** Told of each load that ends, and of each that was asked for within the cooldown and did not take place. */
  readonly onOutcome?: ((outcome: "loaded" | "failed" | "suppressed") => Effect.Effect<void>) | undefined
}

type Running = Fiber.RuntimeFiber<void>

/** How requests share loads, which depends on what a runtime does with the I/O of a request that has ended. */
export interface Loading {
  /** Whether a load goes on after the request that started it. */
  readonly inBackground: boolean
  /** The load to wait for: the running one or a new one. */
  readonly join: (running: Running | undefined, start: () => Running) => Running
  /** Waits for a load that `join` gave, or that this request started. */
  readonly own: (load: Running, restore: Restore) => Effect.Effect<unknown>
  /** Waits for a load that another request started, without a load of its own. */
  readonly others: (load: Running, isOver: Effect.Effect<boolean>) => Effect.Effect<unknown>
}

type Restore = <A>(effect: Effect.Effect<A>) => Effect.Effect<A>

interface Kept<A> {
  readonly value: A
  readonly loadedAt: number
  /** From here on a call starts a load and does not wait. */
  readonly refreshAt: number
  /** From here on a call waits. */
  readonly staleAt: number
}

interface Load<A> {
  startedAt: number
  readonly limit: Duration.Duration
  readonly fiber: Running
  /** What was in use, and how many loads had ended, when it began. */
  readonly before: A | undefined
  readonly loads: number
}

/** The longest that calls wait while an old value can be used, and the longest for the two fetches of a first load. */
const limits = { refresh: Duration.seconds(5), first: Duration.seconds(10) }

/** How long after its limit a load that has not ended counts as lost: its runtime dropped it. */
const lostAfter = Duration.toMillis("1 second")

/** The part of its freshness after which a value in use is loaded ahead of the end. */
export const ahead = 0.8

/**
 * Keeps a remote value. `usableFor` is the longest of its times.
 *
 * Its source is asked at most once per cooldown, whatever happens, and after failures by `pace`. Loads run in the context in
 * which this is built, and not in that of the request that starts them; a load lasts 5 seconds at most while there is an old
 * value, and 10 seconds else. Ages count from the earlier of two times where the clock was set back. The first failure
 * of an outage is logged as a warning, or as an error if nothing can be used; later ones at Debug.
 */
export const make = <A>(options: Options<A>): Effect.Effect<Refreshing<A>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const freshFor = Duration.toMillis(options.freshFor)
    const usableFor = Duration.toMillis(options.usableFor)
    const cooldown = Duration.toMillis(options.cooldown)
    const { onOutcome = () => Effect.void, source } = options
    const asking = pace.make(cooldown)
    const fork = Runtime.runFork(
      (yield* Effect.runtime<never>()).pipe(
        // A load that is interrupted says so before it ends, and one that fails has its own line in the log.
        Runtime.disableRuntimeFlag(RuntimeFlags.Interruption),
        Runtime.setFiberRef(FiberRef.unhandledErrorLogLevel, Option.none<LogLevel.LogLevel>())
      )
    )

    // Plain variables: what must not be torn apart is one synchronous step below.
    let kept: Kept<A> | undefined
    let pending: Load<A> | undefined
    let loads = 0
    let lastFailure: string | undefined
    let told: LogLevel.Literal | undefined
    let closed = false

    /** A value is kept for so long that it can be refreshed ahead, however soon its source wants it to be asked again. */
    const keep = (value: A, now: number, maxAge: number): Kept<A> => {
      const fresh = Math.min(Math.max(Math.min(maxAge, freshFor), cooldown / ahead), usableFor)
      return { value, loadedAt: now, refreshAt: now + fresh * ahead, staleAt: now + fresh }
    }

    /** What was loaded at a time that the clock has not reached: it was set back, and may hide as much of the age. */
    const aged = ({ loadedAt, staleAt, value }: Kept<A>, now: number): Kept<A> =>
      keep(value, now, staleAt - loadedAt - (loadedAt - now))

    const usable = (now: number): Kept<A> | undefined =>
      kept !== undefined && now - kept.loadedAt < usableFor ? kept : undefined

    const running = (now: number): Running | undefined =>
      pending !== undefined && now - pending.startedAt <= Duration.toMillis(pending.limit) + lostAfter
        ? pending.fiber
        : undefined

    const isDue = (now: number): boolean => running(now) === undefined && asking.mayAsk(now, usable(now) !== undefined)

    /**
     * Whether the source is known to be down, so that nobody waits for it: a load failed, and others followed it. Where calls
     * stop, so do loads, and then nothing is known any more.
     */
    const isDown = (now: number, { refreshAt, staleAt }: Kept<A>): boolean => {
      const remembered = asking.askedAt() < staleAt ? staleAt - refreshAt : freshFor
      return asking.failures() > 0 && now < asking.dueAt(true) + remembered
    }

    const atHand = (now: number): A | undefined => {
      if (kept === undefined || now < kept.loadedAt) return undefined
      if (now < kept.refreshAt) return kept.value
      if (usable(now) === undefined || isDue(now)) return undefined
      const waits = now >= kept.staleAt && running(now) !== undefined && !isDown(now, kept)
      return waits ? undefined : kept.value
    }

    /** Takes note of a clock that was set back, and of a load that was lost. */
    const observe = (now: number): void => {
      asking.observe(now)
      if (kept !== undefined && now < kept.loadedAt) kept = aged(kept, now)
      if (pending === undefined) return
      pending.startedAt = Math.min(pending.startedAt, now)
      if (running(now) !== undefined) return
      pending = undefined
      lastFailure ??= brokeOff
    }

    const unavailable = (now: number) => {
      const wait = asking.dueAt(usable(now) !== undefined) - now
      return new VerificationUnavailable({
        reason: lastFailure ?? "not loaded yet",
        retryAfter: Math.max(1, Math.ceil(wait / 1000))
      })
    }

    const state = (now: number): State => ({
      loads,
      failures: asking.failures(),
      ...(kept !== undefined && { ageSeconds: Math.floor((now - kept.loadedAt) / 1000) })
    })

    const succeeded = ({ maxAgeMillis, value }: Loaded<A>, now: number): Effect.Effect<void> => {
      kept = keep(value, now, maxAgeMillis ?? freshFor)
      asking.succeeded(now)
      pending = undefined
      lastFailure = undefined
      told = undefined
      return onOutcome("loaded")
    }

    const failed = (failure: LoadFailure, took: Duration.Duration, now: number): Effect.Effect<void> => {
      if (failure.withdrawn === true) kept = undefined
      asking.failed(now, failure.retryAfterMillis)
      lastFailure = failure.reason
      const inUse = usable(now)
      const level = inUse === undefined ? "Error" : "Warning"
      const logLevel = told === level ? "Debug" : level
      told = level
      const line =
        inUse === undefined
          ? "A load failed, and nothing that was loaded before can be used"
          : `A refresh failed; what was loaded ${Duration.format(Duration.millis(now - inUse.loadedAt))} ago stays in use`
      return Effect.zipRight(
        onOutcome("failed"),
        Effect.logWithLevel(LogLevel.fromLiteral(logLevel), `${line}: ${failure.reason}`).pipe(
          Effect.annotateLogs({ ...state(now), tookMillis: Math.round(Duration.toMillis(took)) })
        )
      )
    }

    const settle = (
      load: Load<A>,
      exit: Exit.Exit<Loaded<A>, LoadFailure>,
      took: Duration.Duration,
      now: number
    ): Effect.Effect<void> => {
      if (pending === load) pending = undefined
      if (Exit.isInterrupted(exit)) {
        // Its request, or the Layer, came to an end: that is no failure of the source.
        lastFailure ??= brokeOff
        return Effect.void
      }
      const isLatest = loads === load.loads
      loads += 1
      if (Exit.isSuccess(exit)) {
        // What a later load brought is not replaced by what an earlier one brings late.
        return kept?.value === load.before ? succeeded(exit.value, now) : Effect.void
      }
      // Loads that run side by side fail as one.
      if (!isLatest) return Effect.void
      // A defect is an outage to those who wait: nobody's token is bad.
      const failure = Option.getOrElse(Cause.failureOption(exit.cause), () => ({ reason: brokeOff }))
      return failed(failure, took, now)
    }

    /** Starts a load in the same step that found it due: no other fiber comes between. */
    const start = (now: number): Running => {
      const inUse = usable(now)
      // A load that is lost, or whose request goes away, is not followed by the next one at once.
      if (inUse !== undefined) asking.asked(now)
      const limit = inUse === undefined ? limits.first : limits.refresh
      const run = Effect.suspend(() =>
        (closed ? Effect.interrupt : options.load).pipe(
          Effect.timeoutFail({
            duration: limit,
            onTimeout: (): LoadFailure => ({ reason: `${source} did not answer within ${Duration.format(limit)}` })
          }),
          Effect.interruptible,
          Effect.exit,
          Effect.timed,
          Effect.zip(Clock.currentTimeMillis),
          Effect.flatMap(([[took, exit], now]) => settle(load, exit, took, now))
        )
      )
      // Not at once: it ends after `pending` is set, even if it takes no time.
      const fiber = fork(run, { immediate: false })
      const load: Load<A> = { startedAt: now, limit, fiber, before: kept?.value, loads }
      pending = load
      return fiber
    }

    type Answer = Effect.Effect<A, VerificationUnavailable>

    const isOver = (load: Running) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        observe(now)
        return pending?.fiber !== load
      })

    const then = (answer: (now: number) => Answer) => Effect.flatMap(Clock.currentTimeMillis, answer)

    // Uninterruptible but for its waiting: an interruption must not come between the start of a load and the wait for it.
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

    const known = (now: number): Answer => (lastFailure === undefined ? inUse(now) : Effect.fail(unavailable(now)))

    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        closed = true
        return pending === undefined ? Effect.void : Fiber.interrupt(pending.fiber)
      })
    )

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
        if (running(now) === undefined && !isDue(now)) return Effect.fail(unavailable(now))
        const load = loading.join(running(now), () => start(now))
        return Effect.zipRight(loading.own(load, restore), then(inUse))
      }),
      renewed: step((now, restore) => {
        const other = running(now)
        if (other === undefined && !isDue(now)) return Effect.zipRight(onOutcome("suppressed"), known(now))
        const wait =
          other === undefined ? loading.own(start(now), restore) : restore(loading.others(other, isOver(other)))
        return Effect.zipRight(wait, then(known))
      })
    }
  })

const brokeOff = "the load broke off"
