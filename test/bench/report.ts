import type { Ratio } from "./measure.ts"

/** One line of the report. */
export interface Figure {
  readonly what: string
  readonly ratio: Ratio
  /** The highest ratio that is allowed, or with `atLeast` the lowest. Without a target the ratio is only printed. */
  readonly target?: number
  readonly atLeast?: true
  readonly note?: string
}

/** Prints a section, and returns how many targets were missed. */
export const print = (section: string, figures: ReadonlyArray<Figure>): number => {
  console.log(`\n${section}`)
  const missed = figures.filter(({ atLeast, ratio, target }) =>
    target === undefined ? false : atLeast ? ratio.median < target : ratio.median > target
  )
  for (const figure of figures) {
    const { atLeast, note = "", ratio, target, what } = figure
    const spread = `(${ratio.low.toFixed(3)} .. ${ratio.high.toFixed(3)})`
    const goal = target === undefined ? "" : `${atLeast ? "at least" : "at most"} ${target}`
    const result = target === undefined ? "" : missed.includes(figure) ? "MISSED" : "met"
    console.log(
      `  ${what.padEnd(52)} ${ratio.median.toFixed(3).padStart(7)} ${spread.padEnd(19)} ${goal.padEnd(14)} ${result.padEnd(7)} ${note}`.trimEnd()
    )
  }
  return missed.length
}
