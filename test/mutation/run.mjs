/**
 * `npm run mutation [-- src/Check.ts ...]`: changes src in small ways, one at a time, and asks the tests. Prints the score, and
 * beside it why each survivor may live; fails if one has no explanation, or an explanation no survivor.
 */
import { Stryker } from "@stryker-mutator/core"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const read = (path) => JSON.parse(readFileSync(path, "utf8"))

const files = process.argv.slice(2)
const started = Date.now()
const minutes = () => ((Date.now() - started) / 60_000).toFixed(1)

/** Mutates these files, and gives each file's mutants. */
const mutate = async (patterns) => {
  const temp = mkdtempSync(join(tmpdir(), "mutation-"))
  const fileName = join(temp, "report.json")
  try {
    await new Stryker({
      configFile: "test/mutation/stryker.config.json",
      tempDirName: join(temp, "sandbox"),
      jsonReporter: { fileName },
      mutate: patterns
    }).runMutationTest()
    return read(fileName).files
  } finally {
    rmSync(temp, { recursive: true, force: true })
  }
}

/** Group by group, so that a crash of a test process costs one, which is tried once more, and not the whole half hour. */
const groups =
  files.length > 0 ? [files] : read(new URL("stryker.config.json", import.meta.url)).mutate.map((one) => [one])
const report = { files: {} }
for (const group of groups) {
  const mutated = await mutate(group).catch(() => mutate(group))
  Object.assign(report.files, mutated)
  console.log(`${Object.keys(report.files).length} files after ${minutes()} minutes`)
}

/** Mutants that no test noticed, as survivors.json names them: by their line's text, so that they may move. */
const survivors = []
const late = []
const rows = []
for (const [file, { mutants, source }] of Object.entries(report.files)) {
  const lines = source.split("\n")
  const count = (...statuses) => mutants.filter(({ status }) => statuses.includes(status)).length
  const [killed, timeout, survived, uncovered] = ["Killed", "Timeout", "Survived", "NoCoverage"].map((one) =>
    count(one)
  )
  rows.push({ file, killed, timeout, survived, uncovered, broken: count("RuntimeError", "CompileError", "Pending") })
  for (const { location, mutatorName, replacement, status } of mutants) {
    const mutant = {
      at: `${file}:${location.start.line}:${location.start.column}`,
      file,
      mutator: mutatorName,
      line: lines[location.start.line - 1].trim(),
      replacement: replacement.replace(/\s+/g, " ").trim()
    }
    if (status === "Survived" || status === "NoCoverage") survivors.push(mutant)
    // On a busy machine a mutant that changes nothing may be late too: that says nothing against its explanation.
    if (status === "Timeout") late.push(mutant)
  }
}

const score = ({ killed, survived, timeout, uncovered }) =>
  `${((100 * (killed + timeout)) / Math.max(1, killed + timeout + survived + uncovered)).toFixed(2)} %`
const sum = (name) => rows.reduce((total, row) => total + row[name], 0)
const total = { file: "all" }
for (const name of ["killed", "timeout", "survived", "uncovered", "broken"]) total[name] = sum(name)
const columns = ["killed", "timeout", "survived", "uncovered"]
const print = (name, cells) => console.log(name.padEnd(30) + cells.map((cell) => String(cell).padStart(11)).join(""))

print("", [...columns, "score"])
for (const row of [...rows, total]) print(row.file, [...columns.map((name) => row[name]), score(row)])

const same = (one, other) => ["file", "mutator", "line", "replacement"].every((name) => one[name] === other[name])
const explanations = read(new URL("survivors.json", import.meta.url)).filter(({ file }) => file in report.files)
const unexplained = survivors.filter((survivor) => !explanations.some((one) => same(one, survivor)))
const stale = explanations.filter((one) => ![...survivors, ...late].some((mutant) => same(one, mutant)))

const show = ({ at, file, line, mutator, reason, replacement }) =>
  console.log(
    `\n${at ?? file} ${mutator}\n  ${line}\n  -> ${replacement}${reason === undefined ? "" : `\n  ${reason}`}`
  )
const list = (title, mutants) => {
  if (mutants.length === 0) return
  console.log(`\n${title}: ${mutants.length}`)
  mutants.forEach(show)
}

const explained = survivors.flatMap((survivor) => {
  const explanation = explanations.find((one) => same(one, survivor))
  return explanation === undefined ? [] : [{ ...survivor, reason: explanation.reason }]
})
list("Survivors that are explained", explained)
list("Survivors without an explanation", unexplained)
list("Explanations without a survivor", stale)

console.log(
  `\n${score(total)} killed; ${explained.length} survivors explained, ${unexplained.length} not; ` +
    `${stale.length} explanations stale; ${total.broken} mutants could not be run; ${minutes()} minutes`
)
process.exit(unexplained.length + stale.length + total.broken > 0 ? 1 : 0)
