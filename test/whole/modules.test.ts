/**
 * Which way modules depend on each other, and on what.
 */
import { describe, expect, it } from "vitest"
import { type Import, imports, importsOf, names } from "../support/modules.ts"

/** Each may use those before it. What stands in one line stands on one level. */
const order = [
  ["ConfigurationError", "ResourceUrl", "internal"],
  ["ScopeHierarchy", "TokenError"],
  ["internal/credentials", "internal/scopeMissing"],
  ["ProtectedResource"],
  ["internal/adding"],
  ["AuthorizationServer"],
  ["KeySet"],
  ["Jwt"],
  ["Check"],
  ["AccessToken"],
  ["TokenVerifier", "internal/verifier"],
  ["Challenge", "internal/outage", "internal/verdictLog"],
  ["BearerAuth", "internal/mcpRegistry"],
  ["BearerAuthHttpApi", "BearerAuthMcp", "BearerAuthRpc", "internal/edge"],
  ["BearerAuthWeb", "internal/mcpSdk"],
  ["BearerAuthMcpSdk", "BearerAuthMcpSdkV2"],
  ["ResourceServer"],
  ["AuthKit"],
  ["index", "Testing"]
]

const level = (name: string): number => {
  const own = order.findIndex((line) => line.includes(name))
  return own === -1 ? order.findIndex((line) => line.includes(name.replace(/\/.*/, ""))) : own
}

const isOurs = (name: string): boolean => names.includes(name)

const upward = (all: ReadonlyArray<Import>) => all.filter(({ from, to }) => isOurs(to) && level(to) > level(from))

/** What a module reaches by its imports, itself only in a circle. */
const reach = (from: string, all: ReadonlyArray<Import>): ReadonlySet<string> => {
  const reached = new Set<string>()
  const visit = (name: string): void =>
    all.forEach((one) => {
      if (one.from !== name || !isOurs(one.to) || reached.has(one.to)) return
      reached.add(one.to)
      visit(one.to)
    })
  visit(from)
  return reached
}

const circles = (all: ReadonlyArray<Import>) => names.filter((name) => reach(name, all).has(name))

const importersOf = (pattern: RegExp, all: ReadonlyArray<Import>) => [
  ...new Set(all.filter(({ to }) => pattern.test(to)).map(({ from }) => from))
]

describe("src", () => {
  it("has a place in the order for every module", () => {
    expect(names.filter((name) => level(name) === -1)).toEqual([])
  })

  it("imports what is there", () => {
    expect(imports.length).toBeGreaterThan(50)
    expect(imports.filter(({ to }) => /^(\.|internal\/|[A-Z])/.test(to) && !isOurs(to))).toEqual([])
  })

  it("depends in one direction", () => {
    // The one thing that internals say to a request: that keys cannot be had.
    const allowed = ["internal/guardedKeys", "internal/refreshing"].map((from) => ({ from, to: "TokenError" }))
    expect(upward(imports)).toEqual(allowed)
  })

  it("has no circles", () => {
    expect(circles(imports)).toEqual([])
  })

  it("imports jose in at most two files", () => {
    expect(importersOf(/^jose($|\/)/, imports).length).toBeLessThanOrEqual(2)
  })

  it("imports HTTP server modules only at the edge", () => {
    const edge = [
      "AuthorizationServer",
      "BearerAuth",
      "BearerAuthHttpApi",
      "BearerAuthMcp",
      "BearerAuthRpc",
      "ProtectedResource",
      "internal/adding",
      "internal/boundedBody",
      "internal/edge",
      "internal/mcpSdk",
      "internal/published",
      "internal/wellKnown"
    ]
    const found = importersOf(
      /^@effect\/platform\/(HttpLayerRouter|HttpServer.*|HttpApp|HttpRouter|HttpApi(?!Schema$).*)$/,
      imports
    )
    expect(found.filter((name) => !edge.includes(name))).toEqual([])
  })

  it("imports Effect's modules one by one, so that servers load what they use", () => {
    expect(importersOf(/^(effect|@effect\/[a-z-]+)$/, imports)).toEqual([])
  })

  it("needs @effect/ai only behind its subpath", () => {
    expect(importersOf(/^@effect\/ai\//, imports)).toEqual(["BearerAuthMcp"])
    expect(reach("index", imports)).not.toContain("BearerAuthMcp")
  })

  it("needs the MCP SDK only behind its subpaths, one for each version", () => {
    expect(importersOf(/^@modelcontextprotocol\/sdk\//, imports)).toEqual(["BearerAuthMcpSdk"])
    expect(importersOf(/^@modelcontextprotocol\/server$/, imports)).toEqual(["BearerAuthMcpSdkV2"])
    expect(reach("index", imports)).not.toContain("internal/mcpSdk")
  })

  it("has a test kit that no server loads", () => {
    expect(names.filter((name) => reach(name, imports).has("Testing"))).toEqual([])
    expect(reach("index", imports)).not.toContain("internal/fakeNetwork")
  })

  it("needs @effect/rpc only behind subpaths", () => {
    const users = importersOf(/^@effect\/rpc\//, imports)
    expect(users).toContain("BearerAuthRpc")
    expect(users.filter((name) => reach("index", imports).has(name))).toEqual([])
  })
})

describe("these checks", () => {
  it("see an import against the order, and a circle", () => {
    const planted = importsOf("ProtectedResource", 'import { type KeySet } from "./KeySet.ts"')
    expect(upward([...imports, ...planted])).toContainEqual({ from: "ProtectedResource", to: "KeySet" })
    expect(circles([...imports, ...planted])).toEqual(["AuthorizationServer", "KeySet", "ProtectedResource"])
  })

  it("see every form of an import but types", () => {
    const text = `
      import "./A.ts"
      import * as B from "../B.ts"
      export * from "jose"
      export { C } from "./C.ts"
      import type { D } from "./D.ts"
      export type { E } from "./E.ts"
    `
    expect(importsOf("internal/x", text).map(({ to }) => to)).toEqual(["internal/A", "B", "jose", "internal/C"])
  })
})
