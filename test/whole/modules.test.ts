/**
 * Which way the modules of src depend on each other, and on what.
 */
import { posix } from "node:path"
import { describe, expect, it } from "vitest"
import { exported, type Import, imports, importsOf, isOptionalPeer, modules, reach } from "../support/modules.ts"

/** Each folder uses those before it. The vocabulary lies in src itself. */
const folders = [".", "resource", "issuer", "token", "binding", "doors", "providers", "diagnosis", "testing"]

/** The index uses all. */
const level = (name: string): number => (name === "index" ? folders.length : folders.indexOf(posix.dirname(name)))

const isOurs = (name: string): boolean => modules.includes(name)

const upward = (all: ReadonlyArray<Import>) =>
  all.filter(({ from, to }) => isOurs(to) && level(to) > level(from)).map(({ from, to }) => `${from} -> ${to}`)

/** The circles of modules, each once. */
const circles = (all: ReadonlyArray<Import>): ReadonlyArray<string> => {
  const reached = new Map(modules.map((name) => [name, reach(name, all)]))
  const uses = (one: string, other: string) => reached.get(one)?.has(other) === true
  const circleOf = (one: string) => modules.filter((other) => uses(one, other) && uses(other, one))
  return [...new Set(modules.map((name) => circleOf(name).join(" <-> ")))].filter((circle) => circle !== "")
}

/** The modules that load a package or a part of one. */
const loaders = (pattern: RegExp) => [
  ...new Set(imports.filter(({ isType, to }) => !isType && pattern.test(to)).map(({ from }) => from))
]

describe("the modules of src", () => {
  it("lie in folders that depend in one direction, by types too", () => {
    expect(modules.filter((name) => level(name) === -1)).toEqual([])
    expect(upward(imports)).toEqual([])
  })

  it("import each other in no circle, by types too", () => {
    expect(circles(imports)).toEqual([])
  })

  it("have a row of `exports` if and only if they are Capitalised", () => {
    expect(modules.filter((name) => /^[A-Z]/.test(posix.basename(name)) || name === "index")).toEqual(
      [...exported].sort()
    )
  })

  it("are public by a name of their own", () => {
    expect(new Set(exported.map((name) => posix.basename(name))).size).toBe(exported.length)
  })

  it("load jose in two files at most", () => {
    expect(loaders(/^jose($|\/)/).length).toBeLessThanOrEqual(2)
  })

  it("load HTTP server modules only in doors, and where a Layer serves a document", () => {
    const server = /^@effect\/platform\/(HttpLayerRouter|HttpServer.*|HttpApp|HttpRouter|HttpApi(?!Schema$).*)$/
    expect(loaders(server).filter((name) => !name.startsWith("doors/"))).toEqual([
      "issuer/AuthorizationServer",
      "resource/ProtectedResource",
      "resource/published",
      "resource/wellKnown"
    ])
  })

  it("load Effect's modules one by one, so that servers load what they use", () => {
    expect(loaders(/^(effect|@effect\/[a-z-]+)$/)).toEqual([])
  })

  it("name optional peers and the test kit only behind subpaths that the index leaves out", () => {
    const isApart = (name: string) => isOptionalPeer(name) || name.startsWith("testing/")
    expect([...reach("index", imports)].filter(isApart)).toEqual([])
    expect(exported.filter((name) => [...reach(name, imports)].some(isApart)).length).toBeGreaterThan(0)
  })
})

describe("these checks", () => {
  it("see an import against the direction, and a circle", () => {
    const planted = importsOf("resource/ProtectedResource", 'import type { KeySet } from "../issuer/KeySet.ts"')
    expect(upward(planted)).toEqual(["resource/ProtectedResource -> issuer/KeySet"])
    expect(circles([...imports, ...planted]).join("\n")).toMatch(/\bissuer\/KeySet\b.*\bresource\/ProtectedResource\b/)
  })

  it("see every form of an import", () => {
    const text = `
      import "./A.ts"
      import * as B from "../B.ts"
      export * from "jose"
      import type { C } from "./C.ts"
      export type { D } from "./D.ts"
      type E = import("./E.ts").E
      const F = () => import("./F.ts")
      import { decodeText } from "#signature"
    `
    expect(importsOf("doors/x", text).map(({ isType, to }) => (isType ? `type ${to}` : to))).toEqual([
      "doors/A",
      "B",
      "jose",
      "type doors/C",
      "type doors/D",
      "type doors/E",
      "doors/F",
      "issuer/signature.node",
      "issuer/signature.web"
    ])
  })
})
