import { describe, expect, it } from "@effect/vitest"
import { audienceHint, mismatchHint } from "../src/token/mismatchHint.ts"
import { printable, printableClaim, printableClaims, quoted } from "../src/printable.ts"

describe("printable", () => {
  it.each([
    ["https://as.example/a?b=c", "https://as.example/a?b=c"],
    ["", ""],
    ["a\r\nERROR forged", "a\\u000d\\u000aERROR forged"],
    ["\u001b[31mred", "\\u001b[31mred"],
    ["nul\0", "nul\\u0000"],
    ["c1\u0085", "c1\\u0085"],
    ["\u2028\u2029", "\\u2028\\u2029"],
    ["\u202etxt.exe\u2066", "\\u202etxt.exe\\u2066"],
    ["https://аs.example", "https://\\u0430s.example"],
    ['"quoted" \\', "\\u0022quoted\\u0022 \\u005c"],
    ["\u{1f600}", "\\ud83d\\ude00"],
    ["\ud800", "\\ud800"]
  ])("writes %j as %s", (text, shown) => {
    expect(printable(text)).toBe(shown)
  })

  it("cuts at 256 characters, including escapes", () => {
    expect(printable("a".repeat(256))).toBe("a".repeat(256))
    expect(printable("a".repeat(257))).toBe(`${"a".repeat(253)}...`)
    expect(printable("\n".repeat(100))).toHaveLength(256)
    expect(printable("a".repeat(1_000_000))).toHaveLength(256)
  })
})

describe("printableClaim", () => {
  it.each([
    ["text\n", "text\\u000a"],
    [undefined, undefined],
    [null, "(null)"],
    [42, "(number)"],
    [true, "(boolean)"],
    [["secret"], "(array)"],
    [{ secret: 1 }, "(object)"]
  ])("shows %j as %s", (claim, shown) => {
    expect(printableClaim(claim)).toBe(shown)
  })
})

describe("printableClaims", () => {
  it.each<[unknown, ReadonlyArray<string>]>([
    [undefined, []],
    [[], []],
    ["a\n", ["a\\u000a"]],
    [{ secret: 1 }, ["(object)"]],
    [[undefined], ["(undefined)"]],
    [
      ["a", 1, null, ["b"]],
      ["a", "(number)", "(null)", "(array)"]
    ]
  ])("shows %j as %j", (claim, shown) => {
    expect(printableClaims(claim)).toEqual(shown)
  })

  it("shows at most ten values", () => {
    const values = Array.from({ length: 13 }, (_, index) => `v${index}`)
    expect(printableClaims(values)).toEqual([...values.slice(0, 10), "(3 more)"])
    expect(printableClaims(values.slice(0, 10))).toEqual(values.slice(0, 10))
  })
})

describe("quoted", () => {
  it("quotes each value, and says none for an empty list", () => {
    expect(quoted(["a", "b"])).toBe('"a", "b"')
    expect(quoted([])).toBe("none")
  })
})

describe("mismatchHint", () => {
  it.each([
    ["https://a.example/mcp", "https://a.example/mcp/", "a trailing slash"],
    ["https://a.example", "https://a.example/", "a trailing slash"],
    ["https://a.example/", "https://a.example", "a trailing slash"],
    ["https://a.example/mcp/", "https://a.example/mcp", "a trailing slash"],
    ["http://localhost:3000/mcp", "https://localhost:8443/mcp", "the scheme (http, https)"],
    ["https://a.example/mcp", "http://a.example/mcp", "the scheme (https, http)"],
    ["http://localhost:3000/mcp", "http://127.0.0.1:3000/mcp", "the name of the loopback host (localhost, 127.0.0.1)"],
    ["http://127.0.0.1:3000", "http://[::1]:3000", "the name of the loopback host (127.0.0.1, [::1])"],
    ["https://a.example/mcp", "https://a.example:8443/mcp", "the port"],
    ["https://a.example/mcp", "https://a.example", "the path"],
    ["https://a.example/mcp", "https://a.example/MCP", "the path"],
    ["https://a.example/mcp", "https://a.example/mcp?x=1", "a query or fragment"],
    ["https://a.example/mcp", "https://a.example/mcp#x", "a query or fragment"],
    ["https://a.example/mcp", "https://A.example/mcp", "spelling"],
    ["https://a.example/mcp", "https://a.example:443/mcp", "spelling"],
    [
      "http://localhost:3000/mcp",
      "http://127.0.0.1:4000/mcp/",
      "the name of the loopback host (localhost, 127.0.0.1) and the port and a trailing slash"
    ]
  ])("tells %s from %s", (expected, actual, difference) => {
    expect(mismatchHint([expected], [actual])).toBe(`they differ only by ${difference}`)
  })

  it.each([
    ["https://a.example/mcp", "https://b.example/mcp"],
    ["https://a.example/mcp", "https://a.example.evil.example/mcp"],
    ["https://localhost/mcp", "https://b.example/mcp"],
    ["https://a.example/mcp", "client_01"],
    ["client_01", "https://a.example/mcp"],
    ["https://a.example/mcp", "https://a.example/mcp"]
  ])("has nothing to say of %s and %s", (expected, actual) => {
    expect(mismatchHint([expected], [actual])).toBeUndefined()
  })

  it("finds the near one among several", () => {
    expect(mismatchHint(["https://a.example", "https://b.example/mcp"], ["client_01", "https://b.example/mcp/"])).toBe(
      "they differ only by a trailing slash"
    )
  })
})

describe("audienceHint", () => {
  const notIndicated =
    "either the client sent no resource parameter, or the URL is not registered as a resource indicator at the authorization server"
  const expected = ["https://a.example/mcp"]

  it.each([
    [[], `the token names no audience; ${notIndicated}`],
    [["client_01"], `a client id or name where a URL belongs; ${notIndicated}`],
    [["client_01", "account"], `a client id or name where a URL belongs; ${notIndicated}`],
    [["client_01", "https://a.example/mcp/"], "they differ only by a trailing slash"],
    [["https://b.example"], undefined],
    [["client_01", "https://b.example"], undefined]
  ])("of %j is: %s", (actual, cause) => {
    expect(audienceHint(expected, actual)).toBe(cause)
  })

  it("does not ask for a URL where none is expected", () => {
    expect(audienceHint(["client_01"], ["client_02"])).toBeUndefined()
    expect(audienceHint([...expected, "client_01"], ["client_02"])).toBe(
      `a client id or name where a URL belongs; ${notIndicated}`
    )
  })
})
