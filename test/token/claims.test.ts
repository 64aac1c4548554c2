import { describe, expect, it } from "vitest"
import { scopesOf } from "../../src/token/claims.ts"

describe("scopesOf", () => {
  it.each<{ claims: Readonly<Record<string, unknown>>; scopes: ReadonlyArray<string> }>([
    { claims: { first: "a b" }, scopes: ["a", "b"] },
    { claims: { first: ["a", "b c", 1] }, scopes: ["a"] },
    { claims: { first: "a", second: "b" }, scopes: ["a"] },
    { claims: { first: " ", second: "b" }, scopes: ["b"] },
    { claims: { first: [], second: ["b"] }, scopes: ["b"] },
    { claims: { first: null, second: "b" }, scopes: ["b"] },
    // A claim of another type is there, and grants nothing.
    { claims: { first: 1, second: "b" }, scopes: [] },
    { claims: { first: ["a b"], second: "b" }, scopes: [] },
    { claims: { third: "c" }, scopes: [] },
    { claims: {}, scopes: [] }
  ])("of $claims are $scopes, where the first claim counts that is not empty", ({ claims, scopes }) => {
    expect([...scopesOf(claims, ["first", "second"])]).toEqual(scopes)
  })

  it("are a set that nobody can change", () => {
    const scopes = scopesOf({ scope: "a" }, ["scope"]) as Set<string>
    for (const method of ["add", "delete", "clear"] as const) {
      expect(() => scopes[method]("admin")).toThrow("cannot be changed")
    }
    expect(() => Object.assign(scopes, { has: () => true })).toThrow(TypeError)
  })
})
