/**
 * `npm run mutation [-- src/token/Check.ts ...]` changes src in small ways, one at a time, and runs the tests against each
 * change. It prints the score and why each survivor may stay. It fails if a survivor has no explanation, or an explanation no
 * survivor.
 */
import { Stryker } from "@stryker-mutator/core"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"

const read = (path) => JSON.parse(readFileSync(path, "utf8"))

const files = process.argv.slice(2)
const started = Date.now()
const minutes = () => ((Date.now() - started) / 60_000).toFixed(1)

/** The runtime of a file that is loaded in one alone: `web` of `signature.web.ts`. */
const runtimeOf = (file) => /\.(web|workerd)\.ts\b/.exec(file)?.[1]

/** Mutates these files, and gives each file's mutants. A file of another runtime is tested as it is loaded there. */
const mutate = async (patterns) => {
  const runtimes = patterns.map(runtimeOf)
  process.env.BACKEND = runtimes.includes("web") ? "web" : "node"
  process.env.LOADING = runtimes.includes("workerd") ? "workerd" : "shared"
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

/** All of src but the index, which runs nothing, and the test kit, which decides about no token. */
const all = readdirSync("src", { recursive: true, encoding: "utf8" })
  .map((path) => `src/${path}`)
  .filter((path) => path.endsWith(".ts") && path !== "src/index.ts" && !path.startsWith("src/testing/"))
  .sort()

/**
 * Folder by folder, and the files of another runtime by themselves. A test process that crashes costs one group, which is tried
 * once more, and not the whole run.
 */
const groups = new Map()
for (const file of files.length > 0 ? files : all) {
  const key = runtimeOf(file) ?? dirname(file)
  groups.set(key, [...(groups.get(key) ?? []), file])
}

/** A mutant as survivors.json names it: by its line's text, so that it may move. */
const named = (file, source, { location: { start }, mutatorName, replacement }) => ({
  at: `${file}:${start.line}:${start.column}`,
  file,
  mutator: mutatorName,
  line: source.split("\n")[start.line - 1].trim(),
  replacement: replacement.replace(/\s+/g, " ").trim()
})

const show = ({ at, file, line, mutator, reason, replacement }) =>
  console.log(
    `\n${at ?? file} ${mutator}\n  ${line}\n  -> ${replacement}${reason === undefined ? "" : `\n  ${reason}`}`
  )

const same = (one, other) => ["file", "mutator", "line", "replacement"].every((name) => one[name] === other[name])
const explanations = read(new URL("survivors.json", import.meta.url))
const explanationOf = (survivor) => explanations.find((one) => same(one, survivor))

/** Mutants that no test noticed; and those that were late: on a busy machine one that changes nothing may be late, too. */
const survivors = []
const late = []
const rows = []
for (const group of groups.values()) {
  const mutated = await mutate(group).catch(() => mutate(group))
  for (const [file, { mutants, source }] of Object.entries(mutated)) {
    const of = (...statuses) => mutants.filter(({ status }) => statuses.includes(status))
    const count = (...statuses) => of(...statuses).length
    const [killed, timeout, survived, uncovered] = ["Killed", "Timeout", "Survived", "NoCoverage"].map((one) =>
      count(one)
    )
    rows.push({ file, killed, timeout, survived, uncovered, broken: count("RuntimeError", "CompileError", "Pending") })
    survivors.push(...of("Survived", "NoCoverage").map((mutant) => named(file, source, mutant)))
    late.push(...of("Timeout").map((mutant) => named(file, source, mutant)))
  }
  console.log(`${rows.length} files after ${minutes()} minutes`)
  // Printed at once, because the rest may take an hour, and again at the end.
  survivors.filter(({ file }) => file in mutated).forEach((one) => explanationOf(one) === undefined && show(one))
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

const unexplained = survivors.filter((survivor) => explanationOf(survivor) === undefined)
const mutatedFiles = new Set(rows.map(({ file }) => file))
const stale = explanations.filter(
  (one) => mutatedFiles.has(one.file) && ![...survivors, ...late].some((mutant) => same(one, mutant))
)

const list = (title, mutants) => {
  if (mutants.length === 0) return
  console.log(`\n${title}: ${mutants.length}`)
  mutants.forEach(show)
}

const explained = survivors.flatMap((survivor) => {
  const explanation = explanationOf(survivor)
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
