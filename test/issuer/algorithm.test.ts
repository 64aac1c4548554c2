import { describe, expect, it } from "vitest"
import { isAlgorithm } from "../../src/issuer/algorithm.ts"

describe("isAlgorithm", () => {
  it.each([
    ["RS256", true],
    ["none", false],
    ["HS256", false],
    ["toString", false],
    [["RS256"], false],
    [undefined, false]
  ])("of %j is %s", (alg, is) => {
    expect(isAlgorithm(alg)).toBe(is)
  })
})
