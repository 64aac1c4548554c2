/**
 * The canonical URL of a protected resource, which audience, metadata and challenges share.
 */
import * as Either from "effect/Either"
import * as ConfigurationError from "../ConfigurationError.ts"
import * as read from "../options.ts"
import { parseUrl } from "../url.ts"

/** The URL of a resource, and what is derived from it alone. */
export interface ResourceUrl {
  /** The canonical URL, for example `https://api.example.com/mcp`. */
  readonly href: string
  /** The spellings of this URL that an `aud` may have: one, or for a bare origin two (`https://host`, `https://host/`). */
  readonly spellings: readonly [string, ...Array<string>]
  /** The path of the URL, including the prefix of the base URL; empty for a bare origin. */
  readonly pathname: string
  /** The path that this process serves the resource at, for example `/mcp`. */
  readonly path: `/${string}`
  /** The URL of the metadata document: the well-known name is between host and path (RFC 9728 section 3.1). */
  readonly metadataUrl: string
}

/**
 * Derives the resource URL from a base URL and a path.
 *
 * Scheme and host become lower-case and the default port is removed; the case of the path is kept. A trailing slash is kept
 * if `path` has one (`"/mcp/"`) and removed from the base URL. `path` may be `"/mcp"`, `"mcp"`, `"/"` or left out; the last
 * two mean the base URL itself. The base URL may have a prefix that a proxy strips: it is part of the resource URL, but not of
 * `path`. Request headers are never used.
 *
 * Fails with `ConfigurationError` for a value that is not a string, for user info, a query or a fragment, for `http` on a host
 * that is not loopback, and for characters that a router could read as a pattern. Not checked: whether the URL is reachable.
 */
export const make = (options: {
  readonly baseUrl: string
  readonly path?: string | undefined
  /** The name of the option in error messages. Default: `baseUrl`. */
  readonly baseUrlOption?: string | undefined
}): read.Read<ResourceUrl> =>
  Either.gen(function* () {
    yield* read.options<typeof options>(options, { baseUrl: true, path: true, baseUrlOption: true })
    const { baseUrl, baseUrlOption = "baseUrl", path: below = "" } = options
    const base = yield* parse(baseUrlOption, baseUrl)
    const path = yield* mountPath(below)
    const prefix = yield* plainPath(baseUrlOption, baseUrl, base.pathname.replace(/\/+$/, ""))
    const pathname = path === "/" ? prefix : prefix + path
    const href = base.origin + pathname
    return {
      href,
      spellings: pathname === "" ? ([href, `${href}/`] as const) : ([href] as const),
      pathname,
      path,
      metadataUrl: `${base.origin}/.well-known/oauth-protected-resource${pathname}`
    }
  })

/** Parses a URL that tokens or keys depend on: `https`, or `http` on a loopback host, without user info, query and fragment. */
export const parse = (option: string, value: string): read.Read<URL> =>
  Either.flatMap(read.text(option, value), (text) => parseText(option, text))

const parseText = (option: string, value: string): read.Read<URL> => {
  const wrong = (reason: string) => Either.left(ConfigurationError.make(option, value, reason))
  if (value === "") return wrong("is empty")
  // The URL parser would remove or rewrite these characters, and then the URL would not equal the string in a token.
  if (/[^\x21-\x7e\u00a1-\uffff]|\\/.test(value)) return wrong("has white space, control characters or a backslash")
  if (!/^https?:\/\/[^/]/i.test(value)) return wrong("is not an absolute https:// URL")
  const url = parseUrl(value)
  if (url === undefined) return wrong("is not a valid URL")
  if (/^[^/]*\/\/[^/?#]*@/.test(value)) return wrong("must not have user info")
  if (value.includes("?")) return wrong("must not have a query")
  if (value.includes("#")) return wrong("must not have a fragment")
  if (!isSecure(url)) return wrong("must be https (http is for loopback hosts only)")
  return Either.right(url)
}

/** Whether a URL is `https`, or `http` on a loopback host. */
export const isSecure = (url: URL): boolean =>
  url.protocol === "https:" || (url.protocol === "http:" && isLoopback(url.hostname))

/** Whether a host is this machine itself. */
export const isLoopback = (hostname: string): boolean =>
  hostname === "localhost" || hostname === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(hostname)

const mountPath = (value: string): read.Read<`/${string}`> =>
  Either.gen(function* () {
    const given = yield* read.text("path", value)
    const path: `/${string}` = given.startsWith("/") ? `/${given.slice(1)}` : `/${given}`
    yield* plainPath("path", given, path)
    return path
  })

/** Refuses a path that a URL parser would rewrite, or that a router could read as a pattern. */
const plainPath = (option: string, value: string, path: string): read.Read<string> => {
  const wrong = (reason: string) => Either.left(ConfigurationError.make(option, value, reason))
  if (path.includes("?")) return wrong("must not have a query")
  if (path.includes("#")) return wrong("must not have a fragment")
  if (path.includes("//")) return wrong("has an empty path segment")
  if (/\/\.\.?(\/|$)/.test(path)) return wrong("has a dot segment")
  if (!/^[A-Za-z0-9\-._~!$&'+,=@/]*$/.test(path)) return wrong("has a character that is not allowed in this path")
  return Either.right(path)
}
