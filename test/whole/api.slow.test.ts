/**
 * The reports of docs/api show what a package lets others import, and nothing else.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { problems, write } from "../api/files.ts"
import { publicModules } from "../api/publicModules.ts"
import { type Report, reports } from "../api/report.ts"

let folder: string
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), "api-"))))
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const add = (files: Readonly<Record<string, string>>) => {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
}

const row = (path: string) => ({ notes: `./src/${path}.ts`, default: `./dist/${path}.js` })

const manifest = (exports: object) => ({ "package.json": JSON.stringify({ name: "notes", exports }) })

const tsconfig = JSON.stringify({
  compilerOptions: {
    strict: true,
    target: "ES2022",
    lib: ["ES2022"],
    module: "NodeNext",
    allowImportingTsExtensions: true,
    rewriteRelativeImportExtensions: true,
    noEmit: true,
    types: []
  }
})

const byMap = {
  "./package.json": "./package.json",
  ".": row("index"),
  "./Pen": row("doors/Pen"),
  "./Book": row("resource/Book"),
  "./internal/*": null
}

const source = {
  "tsconfig.json": tsconfig,
  "src/index.ts": '/**\n * Notes. They are short.\n */\nexport * as Book from "./resource/Book.ts"\n',
  "src/resource/Book.ts": `/**
 * A book
 * of notes. It has pages.
 */
import type { Page } from "./page.ts"
export { tear } from "./page.ts"

/** Its title, e.g.\`A\`. Never empty. */
export const title: string = "A"

/** All pages. */
export interface Book {
  /** The first. */
  readonly first: Page
}

/** Opens it. */
export const open = (): Book => ({ first: { text: title } })

export const mute = 1
`,
  "src/resource/page.ts": `type Text = string

export interface Page {
  readonly text: Text
}

/** Takes a page out. */
export const tear = (page: Page): Text => page.text
`,
  "src/doors/Pen.ts": `/** A pen. */
import type { Book } from "../resource/Book.ts"

/** Writes into a book. */
export class Pen {
  readonly #ink = 1
  write(book: Book): number {
    return book.first.text.length + this.#ink
  }
}

/** A pen and the type of its ink. */
export const Ink = { blue: 1 } as const
/** A pen and the type of its ink. */
export type Ink = keyof typeof Ink
`
}

describe("publicModules", () => {
  it("are the rows of the map that have the package's own condition", () => {
    add({ ...manifest(byMap), ...source })
    expect(publicModules(folder)).toEqual([
      { name: "Book", path: "src/resource/Book.ts", about: "A book\nof notes. It has pages." },
      { name: "Pen", path: "src/doors/Pen.ts", about: "A pen." },
      { name: "index", path: "src/index.ts", about: "Notes. They are short." }
    ])
  })

  it("are not those of a row that leads nowhere", () => {
    add(manifest({ "./Pen": row("doors/Pen") }))
    expect(() => publicModules(folder)).toThrow("package.json exports Pen from src/doors/Pen.ts, which is not there")
  })
})

describe("reports", () => {
  const reported = async () => {
    add({ ...manifest(byMap), ...source })
    return reports(folder)
  }

  it("show every export with its first sentence and its signature, and what that names and nobody can import", async () => {
    const [book, pen, index] = await reported()
    expect(book?.text).toBe(`# Book

A book of notes.

<!-- Written by \`npm run api\`. -->

## Book

All pages.

\`\`\`ts
type Text = string

interface Page {
  readonly text: Text
}

interface Book {
  readonly first: Page
}
\`\`\`

## mute

\`\`\`ts
const mute = 1
\`\`\`

## open

Opens it.

\`\`\`ts
const open: () => Book
\`\`\`

## tear

Takes a page out.

\`\`\`ts
const tear: (page: Page) => Text
\`\`\`

## title

Its title, e.g.\`A\`.

\`\`\`ts
const title: string
\`\`\`
`)
    expect(pen?.text).toBe(`# Pen

A pen.

<!-- Written by \`npm run api\`. -->

## Ink

A pen and the type of its ink.

\`\`\`ts
const Ink: {
  readonly blue: 1
}

type Ink = keyof typeof Ink
\`\`\`

## Pen

Writes into a book.

\`\`\`ts
class Pen {
  #private
  write(book: Book): number
}
\`\`\`
`)
    expect(index?.text).toContain("## Book\n\nA book of notes.\n\n```ts\nexport * as Book\n```\n")
  })

  it("are the same for the same source, wherever its files lie", async () => {
    const before = await reported()
    rmSync(join(folder, "src"), { recursive: true })
    const moved = Object.entries(source).map(([path, text]) => [
      path.replace("resource/", "paper/"),
      text.replaceAll("resource/", "paper/")
    ])
    add({ ...manifest({ ...byMap, "./Book": row("paper/Book") }), ...(Object.fromEntries(moved) as typeof source) })
    expect(await reports(folder)).toEqual(before)
  })

  it("name the exports that have no docstring", async () => {
    expect((await reported()).map(({ file, undocumented }) => [file, undocumented])).toEqual([
      ["Book.md", ["mute"]],
      ["Pen.md", []],
      ["index.md", []]
    ])
  })
})

describe("files", () => {
  const one: Report = { file: "A.md", text: "# A\n\na\n", undocumented: [] }
  const other: Report = { file: "B.md", text: "# B\n", undocumented: [] }

  it("are the reports and no other file once they are written", () => {
    add({ "api/Old.md": "" })
    write(join(folder, "api"), [one, other])
    expect(readdirSync(join(folder, "api")).sort()).toEqual(["A.md", "B.md"])
    expect(readFileSync(join(folder, "api/A.md"), "utf8")).toBe(one.text)
    expect(problems(join(folder, "api"), [one, other])).toEqual([])
  })

  it.each<[string, Record<string, string>, ReadonlyArray<Report>, ReadonlyArray<string>]>([
    ["there is no folder", {}, [one], ["A.md is missing"]],
    ["a file is missing", { "api/A.md": one.text }, [one, other], ["B.md is missing"]],
    ["a file is left over", { "api/A.md": one.text, "api/Old.md": "" }, [one], ["Old.md is of no public module"]],
    ["a line differs", { "api/A.md": "# A\n\nb\n" }, [one], ["A.md differs from line 3 on: a"]],
    ["a line is missing", { "api/A.md": "# A\n" }, [one], ["A.md differs from line 3 on: a"]],
    ["a line is too many", { "api/A.md": `${one.text}\nb\n` }, [one], ["A.md differs from line 5 on: "]],
    [
      "a docstring is missing",
      { "api/A.md": one.text },
      [{ ...one, undocumented: ["x"] }],
      ["A.md shows no docstring of x"]
    ]
  ])("have a problem where %s", (_, files, written, expected) => {
    add(files)
    expect(problems(join(folder, "api"), written)).toEqual(expected)
  })
})
