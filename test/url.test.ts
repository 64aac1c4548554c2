import { describe, expect, it } from "vitest"
import { parseUrl } from "../src/url.ts"

describe("parseUrl", () => {
  it.each([
    ["https://as.example/a", undefined, "https://as.example/a"],
    ["https://\u00e4s.example/\u00fc", undefined, "https://xn--s-zfa.example/%C3%BC"],
    ["/a?x=1", "https://as.example/b", "https://as.example/a?x=1"],
    ["/a", undefined, undefined],
    ["https://", undefined, undefined],
    ["", undefined, undefined],
    ["https://a b/", undefined, undefined]
  ])("reads %j, with the base %j, as %j", (text, base, href) => {
    expect(parseUrl(text, base)?.href).toBe(href)
  })

  it("reads letters beyond ASCII however often it was called", () => {
    const url = "https://\u00e4s.example/schl\u00fcssel"
    let read = 0
    for (let call = 0; call < 20_000; call++) if (parseUrl(url) !== undefined) read++
    expect(read).toBe(20_000)
  })
})
