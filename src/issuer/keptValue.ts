/** A value that was loaded, and what its age means. Times are milliseconds since 1970. */
export interface KeptValue<A> {
  readonly value: A
  readonly loadedAt: number
  /** From this time on a call starts a load and does not wait for it. */
  readonly refreshAt: number
  /** From this time on a call waits for a load. */
  readonly staleAt: number
  /** From this time on the value is not used any more. */
  readonly expiresAt: number
}

/** How long values are kept, in milliseconds. `usableFor` is the longest of the three. */
export interface Ages {
  readonly freshFor: number
  readonly usableFor: number
  readonly cooldown: number
}

/** The part of its freshness after which a value in use is refreshed. */
export const ahead = 0.8

/**
 * Keeps a value that was loaded now. `maxAge` is the freshness that its source asks for. A shorter one than the options say
 * counts, but the value always stays fresh for long enough to be refreshed once the cooldown is over.
 */
export const keep = <A>(ages: Ages, value: A, now: number, maxAge: number): KeptValue<A> => {
  const fresh = Math.min(Math.max(Math.min(maxAge, ages.freshFor), ages.cooldown / ahead), ages.usableFor)
  return {
    value,
    loadedAt: now,
    refreshAt: now + fresh * ahead,
    staleAt: now + fresh,
    expiresAt: now + ages.usableFor
  }
}

/**
 * A kept value after the clock was set back to `now`, which lies before the load. The value may be older than it seems by as
 * much as the clock was set back, so that its freshness is shortened by that.
 */
export const afterClockChange = <A>(
  ages: Ages,
  { loadedAt, staleAt, value }: KeptValue<A>,
  now: number
): KeptValue<A> => keep(ages, value, now, staleAt - loadedAt - (loadedAt - now))
