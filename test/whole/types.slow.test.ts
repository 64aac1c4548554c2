/**
 * What must not compile does not: test/types holds the cases.
 */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { format, problems, root, type Source } from "../support/compile.ts"

const directive = /^( *)\/\/ @ts-expect-error (.+)$/

const sources: ReadonlyArray<Source> = readdirSync(join(root, "test/types")).map((name) => {
  const path = `test/types/${name}`
  return { path, text: readFileSync(join(root, path), "utf8") }
})

/** The same texts, line by line, in which nothing is expected to fail. */
const stripped = sources.map(({ path, text }) => ({
  path: path.replace(/\.ts$/, ".stripped.ts"),
  text: text.replace(new RegExp(directive, "gm"), "$1//")
}))

/** Where the errors are: in the line after the directive, with the directive's text in the message. */
const cases = sources.flatMap(({ path, text }) =>
  text.split("\n").flatMap((line, index) => {
    const expected = directive.exec(line)?.[2]
    return expected === undefined ? [] : [{ path: path.replace(/\.ts$/, ".stripped.ts"), line: index + 2, expected }]
  })
)

describe("test/types", () => {
  const found = problems([...sources, ...stripped])
  const ofStripped = found.filter(({ path }) => path.endsWith(".stripped.ts"))
  const at = (line: { readonly path: string; readonly line: number }) => `${line.path}:${line.line}`

  it("compiles with the directives", () => {
    expect(found.filter((problem) => !ofStripped.includes(problem)).map(format)).toEqual([])
  })

  it("does not compile without them, at exactly their spots", () => {
    expect(cases.length).toBeGreaterThan(25)
    expect([...new Set(ofStripped.map(at))].sort()).toEqual(cases.map(at).sort())
  })

  it.each(cases)("$path:$line fails because of: $expected", ({ expected, ...spot }) => {
    const messages = ofStripped.filter((problem) => at(problem) === at(spot)).map(({ message }) => message)
    expect(messages.join("\n")).toContain(expected)
  })

  it("says why in the paragraph of every directive", () => {
    const paragraphs = sources
      .flatMap(({ text }) => text.split("\n\n"))
      .filter((one) => one.includes("@ts-expect-error"))
    expect(paragraphs.filter((one) => !/^ *\/\/ [A-Z"`].*\.$/m.test(one))).toEqual([])
    expect(paragraphs.filter((one) => one.split("@ts-expect-error").length !== 2)).toEqual([])
  })
})
