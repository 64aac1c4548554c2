/**
 * What verification costs, beside its floor and its peers: `npm run bench`.
 *
 * Every figure is a ratio of two things measured in this very run, in interleaved rounds: the median, and the middle
 * half of the rounds behind it. A line fails that misses its target. `npm run bench -- distinct same` runs these alone. What is
 * measured is the built package: a loader that rewrites sources on the fly adds calls of its own.
 */
import { distinct, manyKeys, same } from "./verification.ts"
import { growth } from "./growth.ts"
import { overHttp } from "./http.ts"
import { refusals } from "./refusals.ts"
import { startUp } from "./startUp.ts"
import { type Figure, print } from "./report.ts"

const sections: Readonly<Record<string, () => Promise<ReadonlyArray<Figure>>>> = {
  distinct,
  same,
  refusals,
  keys: manyKeys,
  http: overHttp,
  growth,
  startUp
}

const chosen = process.argv.slice(2)
let missed = 0
for (const [name, run] of Object.entries(sections)) {
  if (chosen.length > 0 && !chosen.includes(name)) continue
  missed += print(name, await run())
}
console.log(missed === 0 ? "\nevery target met" : `\n${missed} targets missed`)
process.exit(missed === 0 ? 0 : 1)
