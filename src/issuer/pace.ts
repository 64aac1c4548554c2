import * as Duration from "effect/Duration"

/** When a source may be asked again. Times are milliseconds since 1970. `kept` is whether an earlier answer is usable. */
export interface Pace {
  readonly mayAsk: (now: number, kept: boolean) => boolean
  /** The time from which on `mayAsk` is true. */
  readonly dueAt: (kept: boolean) => number
  /** When the source was last asked or last answered. */
  readonly askedAt: () => number
  /** Failures in a row since the source answered. */
  readonly failures: () => number
  readonly asked: (now: number) => void
  readonly succeeded: (now: number) => void
  readonly failed: (now: number, retryAfterMillis: number | undefined) => void
  /** Takes note of the time, so that a clock that was set back neither shortens nor lengthens a wait. */
  readonly observe: (now: number) => void
}

/** The longest `Retry-After` that counts. */
const longestRetryAfter = Duration.toMillis("10 minutes")

/** The wait after the first failure while no answer is usable. An issuer that restarts is back within seconds. */
const shortest = Duration.toMillis("1 second")

/**
 * The waits between requests to one source. The wait is the cooldown, in milliseconds. After failures in a row it is 1, 2, 4
 * and again 4 cooldowns, or while no earlier answer is usable 1, 2, 4, ... seconds up to the cooldown. `Retry-After` lengthens
 * these waits, up to 10 minutes.
 */
export const make = (cooldown: number): Pace => {
  let askedAt = Number.NEGATIVE_INFINITY
  let failures = 0
  let retryAfter = 0

  const wait = (kept: boolean): number => {
    if (failures === 0) return cooldown
    const doubled = 2 ** (failures - 1)
    return kept ? cooldown * Math.min(doubled, 4) : Math.min(shortest * doubled, cooldown)
  }

  const dueAt = (kept: boolean): number => askedAt + Math.max(wait(kept), retryAfter)

  return {
    dueAt,
    mayAsk: (now, kept) => now >= dueAt(kept),
    askedAt: () => askedAt,
    failures: () => failures,
    asked: (now) => {
      askedAt = now
    },
    succeeded: (now) => {
      askedAt = now
      failures = 0
      retryAfter = 0
    },
    failed: (now, retryAfterMillis = 0) => {
      askedAt = now
      failures += 1
      retryAfter = Math.min(retryAfterMillis, longestRetryAfter)
    },
    observe: (now) => {
      askedAt = Math.min(askedAt, now)
    }
  }
}
