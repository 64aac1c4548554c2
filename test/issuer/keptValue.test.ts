import { describe, expect, it } from "vitest"
import { afterClockChange, keep } from "../../src/issuer/keptValue.ts"

const seconds = 1000
const ages = { freshFor: 600 * seconds, usableFor: 3600 * seconds, cooldown: 30 * seconds }
const now = 1_000_000

/** The times of a kept value in seconds from now. */
const times = ({ expiresAt, refreshAt, staleAt }: ReturnType<typeof keep>) =>
  [refreshAt, staleAt, expiresAt].map((at) => (at - now) / seconds)

describe("keep", () => {
  it.each<{ what: string; maxAge: number; options?: Partial<typeof ages>; expected: ReadonlyArray<number> }>([
    { what: "the max-age of the option", maxAge: 600, expected: [480, 600, 3600] },
    { what: "a longer max-age", maxAge: 601, expected: [480, 600, 3600] },
    { what: "a shorter max-age", maxAge: 100, expected: [80, 100, 3600] },
    { what: "a max-age below the cooldown", maxAge: 0, expected: [30, 37.5, 3600] },
    { what: "a freshness below the cooldown", maxAge: 600, options: { freshFor: 1 }, expected: [30, 37.5, 3600] },
    {
      what: "a cooldown that is longer than the value is usable",
      maxAge: 600,
      options: { usableFor: 20 * seconds },
      expected: [16, 20, 20]
    }
  ])("gives the times of a value with $what", ({ expected, maxAge, options }) => {
    expect(times(keep({ ...ages, ...options }, "value", now, maxAge * seconds))).toEqual(expected)
  })
})

describe("afterClockChange", () => {
  it.each([
    { setBack: 1, expected: [479.2, 599, 3600] },
    { setBack: 500, expected: [80, 100, 3600] },
    { setBack: 100_000, expected: [30, 37.5, 3600] }
  ])("shortens the freshness by the $setBack seconds that the clock was set back", ({ expected, setBack }) => {
    const kept = keep(ages, "value", now + setBack * seconds, ages.freshFor)
    const after = afterClockChange(ages, kept, now)
    expect(times(after)).toEqual(expected)
    expect([after.value, after.loadedAt]).toEqual(["value", now])
  })
})
