/**
 * What is shown is compiled, and what is said about errors is what the table of errors says.
 */
import { TokenError } from "effect-resource-server"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import * as prettier from "prettier"
import { describe, expect, it } from "vitest"
import { format, problems, root, type Source } from "./support/compile.ts"

const files = (directory: string): ReadonlyArray<string> =>
  readdirSync(join(root, directory), { recursive: true, encoding: "utf8" }).map((name) => `${directory}/${name}`)

const read = (path: string): Source => ({ path, text: readFileSync(join(root, path), "utf8") })

const isText = (path: string) => /\.(ts|md|json|env.*|ya?ml)$/.test(path) && !path.includes("node_modules")

const readme = read("README.md")
const examples = files("examples").filter(isText).map(read)
const documents = [readme, ...examples.filter(({ path }) => path.endsWith("README.md"))]
const modules = files("src").filter(isText).map(read)

/**
 * The TypeScript blocks of a text, each as a module beside it. A block keeps its place by the blank lines before it, so
 * that a line of the module is a line of the document.
 */
const blocks = ({ path, text }: Source): ReadonlyArray<Source> => {
  const lines = text.split("\n").map((line) => (path.endsWith(".ts") ? line.replace(/^ *\* ?/, "") : line))
  return lines.flatMap((line, start) => {
    if (!/^ *```(ts|tsx|typescript)\b/.test(line)) return []
    const end = lines.findIndex((other, index) => index > start && /^ *```/.test(other))
    const code = lines.slice(start + 1, end === -1 ? undefined : end)
    return [{ path: `${path}.${start + 1}.ts`, text: "\n".repeat(start + 1) + code.join("\n") }]
  })
}

describe("TypeScript blocks", () => {
  const shown = [...documents, ...modules].flatMap(blocks)

  const text = 'Text.\n\n```ts\nimport { Nothing } from "effect-resource-server"\nNothing.at(all)\n```\n'
  const planted = [
    { path: "planted.md", text },
    { path: "src/planted.ts", text: `/**\n * ${text.replaceAll("\n", "\n * ")}\n */\n` }
  ].flatMap(blocks)

  const found = problems([...shown, ...planted])
  const isPlanted = ({ path }: Source | (typeof found)[number]) => planted.some((block) => block.path === path)

  it("are there", () => {
    expect(blocks(readme).length).toBeGreaterThan(0)
  })

  it("compile", () => {
    expect(found.filter((problem) => !isPlanted(problem)).map(format)).toEqual([])
  })

  it("would be found at their line if they did not", () => {
    const spots = found.filter(isPlanted).map(({ line, path }) => `${path}:${line}`)
    expect(new Set(spots)).toEqual(
      new Set(["planted.md.3.ts:4", "planted.md.3.ts:5", "src/planted.ts.4.ts:5", "src/planted.ts.4.ts:6"])
    )
  })
})

describe("README.md", () => {
  it("shows the table of errors as it is", async () => {
    const rows = Object.entries(TokenError.answers).map(
      ([tag, { code, logLevel, status, when }]) =>
        `| \`${tag}\` | ${status} | ${code === undefined ? "none" : `\`${code}\``} | ${logLevel} | ${when} |`
    )
    const table = ["| tag | status | RFC 6750 code | log | when |", "| --- | --- | --- | --- | --- |", ...rows].join(
      "\n"
    )
    const shown = /<!-- errors -->\n([^]*?)<!-- \/errors -->/.exec(readme.text)?.[1]
    expect(shown?.trim()).toBe((await prettier.format(table, { parser: "markdown", printWidth: 120 })).trim())
  })

  it("is short", () => {
    expect(readme.text.trimEnd().split("\n").length).toBeLessThan(200)
  })

  it("names 127.0.0.1, as the examples do: a name can have two addresses", () => {
    // The authorization server of the examples also knows web apps by this name, which their browsers send as the origin.
    const named = ({ text }: { readonly text: string }) => /localhost/i.test(text.replace("(localhost|127", ""))
    expect([readme, ...examples].filter(named).map(({ path }) => path)).toEqual([])
  })
})
