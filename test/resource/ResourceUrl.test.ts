import { describe, expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as ConfigurationError from "../../src/ConfigurationError.ts"
import * as ResourceUrl from "../../src/resource/ResourceUrl.ts"

const host = "https://api.example.com"

describe("make", () => {
  it.each([
    { baseUrl: host, path: "/mcp", href: `${host}/mcp`, mount: "/mcp", metadata: "/mcp" },
    { baseUrl: host, path: "mcp", href: `${host}/mcp`, mount: "/mcp", metadata: "/mcp" },
    { baseUrl: `${host}/`, path: "/mcp", href: `${host}/mcp`, mount: "/mcp", metadata: "/mcp" },
    { baseUrl: host, path: "/mcp/", href: `${host}/mcp/`, mount: "/mcp/", metadata: "/mcp/" },
    { baseUrl: host, path: "/MCP/v1", href: `${host}/MCP/v1`, mount: "/MCP/v1", metadata: "/MCP/v1" },
    { baseUrl: host, path: undefined, href: host, mount: "/", metadata: "" },
    { baseUrl: host, path: "", href: host, mount: "/", metadata: "" },
    { baseUrl: host, path: "/", href: host, mount: "/", metadata: "" },
    { baseUrl: `${host}/`, path: "/", href: host, mount: "/", metadata: "" },
    { baseUrl: `${host}/api`, path: "/mcp", href: `${host}/api/mcp`, mount: "/mcp", metadata: "/api/mcp" },
    { baseUrl: `${host}/api/`, path: "mcp", href: `${host}/api/mcp`, mount: "/mcp", metadata: "/api/mcp" },
    { baseUrl: `${host}/api//`, path: "/mcp", href: `${host}/api/mcp`, mount: "/mcp", metadata: "/api/mcp" },
    { baseUrl: `${host}/api/`, path: undefined, href: `${host}/api`, mount: "/", metadata: "/api" },
    { baseUrl: "HTTPS://API.Example.COM:443", path: "/mcp", href: `${host}/mcp`, mount: "/mcp", metadata: "/mcp" },
    { baseUrl: `${host}:8443`, path: "/a", href: `${host}:8443/a`, mount: "/a", origin: `${host}:8443`, metadata: "/a" }
  ])("derives $href from $baseUrl and $path", ({ baseUrl, href, metadata, mount, origin = host, path }) => {
    expect(Either.getOrThrow(ResourceUrl.make({ baseUrl, path }))).toEqual({
      href,
      spellings: href === host ? [host, `${host}/`] : [href],
      pathname: metadata,
      path: mount,
      metadataUrl: `${origin}/.well-known/oauth-protected-resource${metadata}`
    })
  })

  it.each([
    ["http://localhost:3000", "http://localhost:3000/mcp"],
    ["http://127.0.0.1:3000", "http://127.0.0.1:3000/mcp"],
    ["http://127.1.2.3", "http://127.1.2.3/mcp"],
    ["http://[::1]:3000", "http://[::1]:3000/mcp"],
    ["http://localhost:80", "http://localhost/mcp"]
  ])("allows http on the loopback host of %s and keeps its name", (baseUrl, href) => {
    expect(Either.getOrThrow(ResourceUrl.make({ baseUrl, path: "/mcp" })).href).toBe(href)
  })

  it("has two spellings of a bare origin, and one of every other URL", () => {
    const spellings = (baseUrl: string, path?: string) =>
      Either.getOrThrow(ResourceUrl.make({ baseUrl, path })).spellings
    expect(spellings(host)).toEqual([host, `${host}/`])
    expect(spellings(`${host}/api/`)).toEqual([`${host}/api`])
    expect(spellings(host, "/mcp/")).toEqual([`${host}/mcp/`])
  })

  it.each([
    ["/mcp?x=1", "must not have a query"],
    ["/mcp?", "must not have a query"],
    ["/mcp#top", "must not have a fragment"],
    ["//mcp", "has an empty path segment"],
    ["/a//b", "has an empty path segment"],
    ["https://other.example/mcp", "has an empty path segment"],
    ["/../mcp", "has a dot segment"],
    ["/a/.", "has a dot segment"],
    [".", "has a dot segment"],
    ["/:id", "has a character that is not allowed in this path"],
    ["/*", "has a character that is not allowed in this path"],
    ["/a(b)", "has a character that is not allowed in this path"],
    ["/%6dcp", "has a character that is not allowed in this path"],
    ["/a b", "has a character that is not allowed in this path"],
    ['/"', "has a character that is not allowed in this path"],
    ["/mäcp", "has a character that is not allowed in this path"]
  ])("refuses the path %j", (path, reason) => {
    expect(ResourceUrl.make({ baseUrl: host, path })).toEqual(
      Either.left(ConfigurationError.make("path", path, reason))
    )
  })

  it.each([
    [`${host}/a//b`, "has an empty path segment"],
    [`${host}/:tenant`, "has a character that is not allowed in this path"],
    [`${host}?x=1`, "must not have a query"]
  ])("refuses the base URL %s under the name the caller gives it", (baseUrl, reason) => {
    expect(ResourceUrl.make({ baseUrl, baseUrlOption: "resourceBaseUrl" })).toEqual(
      Either.left(ConfigurationError.make("resourceBaseUrl", baseUrl, reason))
    )
    expect(ResourceUrl.make({ baseUrl })).toEqual(Either.left(ConfigurationError.make("baseUrl", baseUrl, reason)))
  })
})

describe("parse", () => {
  it.each([
    ["", "is empty"],
    ["api.example.com", "is not an absolute https:// URL"],
    ["/mcp", "is not an absolute https:// URL"],
    ["ftp://api.example.com", "is not an absolute https:// URL"],
    ["xhttps://api.example.com", "is not an absolute https:// URL"],
    ["https:api.example.com", "is not an absolute https:// URL"],
    ["https:///api.example.com", "is not an absolute https:// URL"],
    ["https://", "is not an absolute https:// URL"],
    ["https://api.example.com:99999", "is not a valid URL"],
    ["https://[::1", "is not a valid URL"],
    [" https://api.example.com", "has white space, control characters or a backslash"],
    ["https://api.example.com\n", "has white space, control characters or a backslash"],
    ["https://api.exa\tmple.com", "has white space, control characters or a backslash"],
    ["https:\\\\api.example.com", "has white space, control characters or a backslash"],
    ["https://user:secret@api.example.com", "must not have user info"],
    ["https://@api.example.com", "must not have user info"],
    [`${host}?`, "must not have a query"],
    [`${host}/?x=1#top`, "must not have a query"],
    [`${host}#`, "must not have a fragment"],
    ["http://api.example.com", "must be https (http is for loopback hosts only)"],
    ["http://0.0.0.0", "must be https (http is for loopback hosts only)"],
    ["http://10.0.0.1", "must be https (http is for loopback hosts only)"],
    ["http://localhost.example.com", "must be https (http is for loopback hosts only)"],
    ["http://127.0.0.1.example.com", "must be https (http is for loopback hosts only)"]
  ])("refuses %j", (value, reason) => {
    expect(ResourceUrl.parse("issuer", value)).toEqual(Either.left(ConfigurationError.make("issuer", value, reason)))
  })

  it("accepts a path with an @", () => {
    const value = `${host}/a//b@c`
    expect(ResourceUrl.parse("issuer", value)).toEqual(Either.right(new URL(value)))
  })

  it("names option, value and reason in the message, without the user info", () => {
    const message = (value: string) =>
      Either.match(ResourceUrl.parse("baseUrl", value), { onLeft: (error) => error.message, onRight: String })
    expect(message("http://api.example.com")).toBe(
      'baseUrl "http://api.example.com": must be https (http is for loopback hosts only)'
    )
    expect(message("https://user:secret@api.example.com/x")).toBe(
      'baseUrl "https://***@api.example.com/x": must not have user info'
    )
    expect(message("https://user:p/?#@ss@api.example.com/x")).toMatch(
      /^baseUrl "https:\/\/\*\*\*@api\.example\.com\/x": /
    )
    expect(message("https://user:se\ncret@api.example.com")).toBe(
      'baseUrl "https://***@api.example.com": has white space, control characters or a backslash'
    )
    expect(message("")).toBe('baseUrl "": is empty')
  })
})

describe("isSecure", () => {
  it.each([
    ["https://api.example.com", true],
    ["http://localhost", true],
    ["http://api.example.com", false],
    ["ftp://localhost", false]
  ])("of %s is %s", (url, secure) => {
    expect(ResourceUrl.isSecure(new URL(url))).toBe(secure)
  })
})

describe("isLoopback", () => {
  it.each([
    ["localhost", true],
    ["[::1]", true],
    ["127.0.0.1", true],
    ["127.10.20.30", true],
    ["x127.0.0.1", false],
    ["127.0.0.1.example.com", false],
    ["10.0.0.1", false]
  ])("of %s is %s", (hostname, loopback) => {
    expect(ResourceUrl.isLoopback(hostname)).toBe(loopback)
  })
})
