/**
 * The rules that this code means to keep bite where they are broken.
 */
import { execFile } from "node:child_process"
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { afterAll, describe, expect, it } from "vitest"
import { root } from "../support/compile.ts"

const folder = mkdtempSync(join(tmpdir(), "lint-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const write = (path: string, text: string) => {
  mkdirSync(dirname(join(folder, path)), { recursive: true })
  writeFileSync(join(folder, path), text)
}

interface Report {
  readonly diagnostics: ReadonlyArray<{ readonly code: string; readonly filename: string }>
}

/** The rules that a file breaks, each once. */
const broken = (path: string, text: string) =>
  new Promise<ReadonlyArray<string>>((resolve) => {
    write(path, text)
    execFile(
      join(root, "node_modules/.bin/oxlint"),
      ["--type-aware", "--format", "json", path],
      { cwd: folder },
      (_, stdout) => resolve([...new Set((JSON.parse(stdout) as Report).diagnostics.map(({ code }) => code))].sort())
    )
  })

cpSync(join(root, ".oxlintrc.json"), join(folder, ".oxlintrc.json"))
write(
  "tsconfig.json",
  '{ "compilerOptions": { "strict": true, "module": "NodeNext", "target": "ES2022", "noEmit": true } }'
)
write("src/Kind.ts", "export interface Kind {\n  readonly name: string\n}\n")

describe("npm run lint", () => {
  it.each([
    ["typescript(no-explicit-any)", "export const f = (x: any): string => String(x)"],
    ["import(no-default-export)", "export default 1"],
    ["eslint(no-console)", 'console.log("token")'],
    ["eslint(no-restricted-properties)", "export const now = () => Date.now()"],
    ["eslint(no-restricted-properties)", "export const chance = () => Math.random()"],
    ["eslint(no-restricted-properties)", "export const is = (text: string) => URL.canParse(text)"],
    ["eslint(no-restricted-globals)", 'export const home = process.env["HOME"]'],
    ["eslint(eqeqeq)", "export const f = (x: string, y: string) => x == y"],
    ["eslint(no-unused-vars)", "const left = 1"],
    ["eslint(no-param-reassign)", "export const f = (x: string) => {\n  x = `${x}!`\n  return x\n}"],
    [
      "typescript(consistent-type-imports)",
      'import { Kind } from "./Kind.js"\nexport const kind: Kind = { name: "k" }'
    ],
    ["typescript(no-floating-promises)", "export const f = () => {\n  Promise.resolve(1)\n}"],
    ["typescript(no-namespace)", "export namespace N {\n  export const x = 1\n}"],
    ["typescript(parameter-properties)", "export class A {\n  constructor(readonly x: string) {}\n}"]
  ])("finds %s in src: %s", async (rule, text) => {
    expect(await broken("src/planted.ts", `${text}\n`)).toEqual([rule])
  })

  it("finds nothing in a module that keeps them all", async () => {
    const text = 'import type { Kind } from "./Kind.js"\n\nexport const named = (kind: Kind): string => kind.name\n'
    expect(await broken("src/planted.ts", text)).toEqual([])
  })

  it("lets tests print and read the clock", async () => {
    expect(await broken("test/planted.ts", "console.log(Date.now(), process.pid)\n")).toEqual([])
  })
})
