/**
 * The reports as files of a folder.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Report } from "./report.ts"

/** Makes the reports the only files of the folder. */
export const write = (folder: string, reports: ReadonlyArray<Report>): void => {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  for (const { file, text } of reports) writeFileSync(join(folder, file), text)
}

/** What keeps the folder from being what `write` would make of it, a line for each file. */
export const problems = (folder: string, reports: ReadonlyArray<Report>): ReadonlyArray<string> => {
  const files = existsSync(folder) ? readdirSync(folder) : []
  return [
    ...files
      .filter((name) => !reports.some(({ file }) => file === name))
      .map((name) => `${name} is of no public module`),
    ...reports.flatMap(({ file, undocumented }) => undocumented.map((name) => `${file} shows no docstring of ${name}`)),
    ...reports.flatMap(({ file, text }) => {
      if (!files.includes(file)) return [`${file} is missing`]
      const line = firstDifference(readFileSync(join(folder, file), "utf8"), text)
      return line === undefined ? [] : [`${file} differs from line ${line} on: ${text.split("\n")[line - 1] ?? ""}`]
    })
  ]
}

const firstDifference = (one: string, other: string): number | undefined => {
  if (one === other) return undefined
  const lines = other.split("\n")
  const index = one.split("\n").findIndex((line, at) => line !== lines[at])
  return (index === -1 ? one.split("\n").length : index) + 1
}
