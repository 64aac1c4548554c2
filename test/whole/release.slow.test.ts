/**
 * What keeps the package from being released is named, and nothing does once it is filled in.
 */
import { execFile } from "node:child_process"
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { root } from "../support/compile.ts"

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "release-"))
  for (const file of ["package.json", "SECURITY.md", "CHANGELOG.md"]) cpSync(join(root, file), join(folder, file))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const edit = (file: string, change: (text: string) => string) =>
  writeFileSync(join(folder, file), change(readFileSync(join(folder, file), "utf8")))

const set = (members: object) =>
  edit("package.json", (text) => JSON.stringify({ ...(JSON.parse(text) as object), ...members }))

const report = (text: string) =>
  edit("SECURITY.md", (all) =>
    all.replace(/<!-- report -->[^]*<!-- \/report -->/, `<!-- report -->${text}<!-- /report -->`)
  )

const release = (heading: string) => edit("CHANGELOG.md", (text) => text.replace(/^## \[.*$/m, heading))

/** A copy that a release waits for nothing of. */
const fillIn = () => {
  set({
    version: "0.1.0",
    repository: { type: "git", url: "git+https://git.acme.dev/acme/effect-resource-server.git" },
    bugs: "https://git.acme.dev/acme/effect-resource-server/issues",
    homepage: "https://git.acme.dev/acme/effect-resource-server#readme",
    author: "Acme"
  })
  report("Write to <security@acme.dev>.")
  release("## [0.1.0] - 2026-01-31")
}

const check = (...tag: ReadonlyArray<string>) =>
  new Promise<object>((resolve) => {
    execFile(process.execPath, [join(root, "test/release.mjs"), ...tag], { cwd: folder }, (error, stdout, stderr) =>
      resolve({ code: error?.code ?? 0, said: `${stdout}${stderr}`.trim().split("\n") })
    )
  })

const waitsFor = (...said: ReadonlyArray<string>) => ({ code: 1, said })
const canBeReleased = { code: 0, said: ["effect-resource-server 0.1.0 can be released"] }

describe("npm run check:release", () => {
  it("names all that is missing today", async () => {
    expect(await check()).toEqual(
      waitsFor(
        "package.json: repository has no https URL",
        "package.json: bugs has no https URL",
        "package.json: homepage is no https URL",
        "package.json: author is nobody",
        "SECURITY.md: there is no address for reports",
        "CHANGELOG.md: version 0.1.0 has no date"
      )
    )
  })

  it("passes once all is filled in, with the tag of the version, too", async () => {
    fillIn()
    expect(await check()).toEqual(canBeReleased)
    expect(await check("v0.1.0")).toEqual(canBeReleased)
  })

  it.each<[string, () => void]>([
    ["an author with a name and more", () => set({ author: { name: "Acme", url: "https://acme.dev" } })],
    ["a repository as one text", () => set({ repository: "https://git.acme.dev/acme/effect-resource-server" })],
    ["an e-mail address for bugs", () => set({ bugs: { email: "bugs@acme.dev" } })],
    ["a form for reports", () => report("Use [the form](https://acme.dev/security).")],
    ["a link to an e-mail address", () => report("Use [e-mail](mailto:security@acme.dev).")]
  ])("takes %s", async (_, change) => {
    fillIn()
    change()
    expect(await check()).toEqual(canBeReleased)
  })

  it.each<[string, () => void, string]>([
    [
      "a repository without a URL",
      () => set({ repository: { type: "git" } }),
      "package.json: repository has no https URL"
    ],
    ["a repository by http", () => set({ repository: "http://a.dev/b" }), "package.json: repository has no https URL"],
    ["bugs that are null", () => set({ bugs: null }), "package.json: bugs has no https URL"],
    [
      "a homepage of an example",
      () => set({ homepage: "https://example.com/x" }),
      "package.json: homepage is no https URL"
    ],
    ["a blank author", () => set({ author: " " }), "package.json: author is nobody"],
    ["an author that is a list", () => set({ author: ["Acme"] }), "package.json: author is nobody"],
    ["no address", () => report("Write to us."), "SECURITY.md: there is no address for reports"],
    ["an address of an example", () => report("<a@acme.example>"), "SECURITY.md: there is no address for reports"],
    [
      "an address elsewhere",
      () => edit("SECURITY.md", () => "a@acme.dev"),
      "SECURITY.md: there is no address for reports"
    ],
    ["no file for reports", () => rmSync(join(folder, "SECURITY.md")), "SECURITY.md: there is no address for reports"],
    ["an unreleased version", () => release("## [0.1.0] - Unreleased"), "CHANGELOG.md: version 0.1.0 has no date"],
    ["another version", () => release("## [0.1.1] - 2026-01-31"), "CHANGELOG.md: version 0.1.0 has no entry"],
    [
      "a version that looks like it",
      () => release("## [0-1.0] - 2026-01-31"),
      "CHANGELOG.md: version 0.1.0 has no entry"
    ],
    ["no changelog", () => rmSync(join(folder, "CHANGELOG.md")), "CHANGELOG.md: version 0.1.0 has no entry"]
  ])("names %s", async (_, change, said) => {
    fillIn()
    change()
    expect(await check()).toEqual(waitsFor(said))
  })

  it("names a tag of another version", async () => {
    fillIn()
    expect(await check("v0.2.0")).toEqual(waitsFor("the tag v0.2.0 is not v0.1.0"))
    expect(await check("0.1.0")).toEqual(waitsFor("the tag 0.1.0 is not v0.1.0"))
  })
})
