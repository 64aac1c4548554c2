/**
 * What is shown is compiled, and what is said about errors is what the table of errors says.
 */
import { TokenError } from "effect-resource-server"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { dirname, join, normalize } from "node:path"
import * as prettier from "prettier"
import { describe, expect, it } from "vitest"
import { format, problems, root, type Source } from "../support/compile.ts"

const files = (directory: string): ReadonlyArray<string> =>
  readdirSync(join(root, directory), { recursive: true, encoding: "utf8" }).map((name) => `${directory}/${name}`)

const read = (path: string): Source => ({ path, text: readFileSync(join(root, path), "utf8") })

const isText = (path: string) => /\.(ts|md|json|env.*|ya?ml)$/.test(path) && !path.includes("node_modules")

const readme = read("README.md")
const examples = files("examples").filter(isText).map(read)
// What is written by a program, from code that compiles, has no blocks to compile and no links of its own.
const isWritten = (path: string) => /^docs\/(api|reference)\//.test(path)
const documents = [
  readme,
  ...["CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"].map(read),
  ...files("docs")
    .filter((path) => path.endsWith(".md") && !isWritten(path))
    .map(read),
  ...examples.filter(({ path }) => path.endsWith("README.md"))
]
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
    expect(shown.map(({ path }) => path)).toContainEqual(expect.stringMatching(/^docs\/architecture\.md/))
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

describe("documents", () => {
  const scripts = Object.keys((JSON.parse(read("package.json").text) as { readonly scripts: object }).scripts)
  const workflows = files(".github")
    .filter((path) => /\.(ya?ml|md)$/.test(path))
    .map(read)

  it("name commands that are there", () => {
    const commands = [...documents, ...workflows].flatMap(({ text }) =>
      [...text.matchAll(/npm run (?:-s )?([\w:-]+)/g)].map(([, script = ""]) => script)
    )
    expect(commands.length).toBeGreaterThan(20)
    expect(commands.filter((script) => !scripts.includes(script))).toEqual([])
  })

  it("name test files that are there", () => {
    const tests = documents.flatMap(({ path, text }) =>
      [...text.matchAll(/test\/[\w./-]+\.(?:test\.ts|json|sh)/g)].map(([test]) => ({ path, test }))
    )
    expect(tests.length).toBeGreaterThan(50)
    expect(tests.filter(({ test }) => !/NAME/.test(test) && !existsSync(join(root, test)))).toEqual([])
  })

  it("link to what is there", () => {
    const links = documents.flatMap(({ path, text }) =>
      [...text.matchAll(/\]\((?!https?:|#|mailto:)([^)#]+)[^)]*\)/g)].map(([, to = ""]) => ({
        path,
        to: normalize(join(dirname(path), to))
      }))
    )
    expect(links.length).toBeGreaterThan(5)
    expect(links.filter(({ to }) => !existsSync(join(root, to)))).toEqual([])
  })
})
