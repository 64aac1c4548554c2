/**
 * The `exports` of package.json lead to the same modules in the source and in the package. What the modules export, docs/api
 * shows.
 */
import { readFileSync } from "node:fs"
import { join, posix } from "node:path"
import { describe, expect, it } from "vitest"
import { root } from "../support/compile.ts"
import { exported, imports, isOptionalPeer, reach } from "../support/modules.ts"

const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { readonly exports: object }

describe("the exports of package.json", () => {
  it.each(Object.entries(manifest.exports).filter(([subpath]) => subpath !== "./package.json"))(
    "lead from %s to one module, its source for this repository and what is built of it for others",
    (subpath, row) => {
      const name = exported.find((one) => posix.basename(one) === (subpath === "." ? "index" : subpath.slice(2)))
      expect(row).toEqual({ "effect-resource-server": `./src/${name}.ts`, default: `./dist/${name}.js` })
      // Conditions count in their order.
      expect(Object.keys(row as object)).toEqual(["effect-resource-server", "default"])
    }
  )
})

describe("effect-resource-server", () => {
  it("exports a namespace for each public module that needs no optional peer, but for the test kit", () => {
    const needsPeer = (name: string) => [...reach(name, imports)].some(isOptionalPeer)
    const whole = exported.filter((name) => name !== "index" && name !== "testing/Testing" && !needsPeer(name))
    expect(imports.flatMap(({ from, to }) => (from === "index" ? [to] : [])).sort()).toEqual([...whole].sort())
  })
})
