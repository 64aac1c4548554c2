/**
 * The cost of verification, compared with its minimum and with other libraries: `npm run bench`.
 *
 * Every figure is a ratio of two things that were measured in the same run, in interleaved rounds: the median, and the middle
 * half of the rounds. The run fails if a figure misses its target. `npm run bench -- distinct same` runs only these sections.
 * The built package is measured, because a loader that rewrites the sources would add calls.
 */
import { distinct, manyKeys, same } from "./verification.ts"
import { growth } from "./growth.ts"
import { overHttp } from "./http.ts"
import { rejections } from "./rejections.ts"
import { startUp } from "./startUp.ts"
import { type Figure, print } from "./report.ts"

const sections: Readonly<Record<string, () => Promise<ReadonlyArray<Figure>>>> = {
  distinct,
  same,
  rejections,
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
console.log(missed === 0 ? "\nall targets met" : `\n${missed} targets missed`)
process.exit(missed === 0 ? 0 : 1)
