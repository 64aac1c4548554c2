import { isLoopback } from "../resource/ResourceUrl.ts"
import { parseUrl } from "../url.ts"

/** Why two identifiers that should be equal are not, if the cause is a well-known one. */
export const mismatchHint = (expected: ReadonlyArray<string>, actual: ReadonlyArray<string>): string | undefined => {
  for (const one of actual) {
    for (const other of expected) {
      const differences = differ(other, one)
      if (differences !== undefined) return `they differ only by ${differences.join(" and ")}`
    }
  }
  return undefined
}

/** The cause of an audience mismatch. Issuers write an audience that is not a URL when the client sent no `resource`. */
export const audienceHint = (expected: ReadonlyArray<string>, actual: ReadonlyArray<string>): string | undefined => {
  if (actual.length === 0) return `the token names no audience; ${notIndicated}`
  const near = mismatchHint(expected, actual)
  if (actual.some(isUrl) || !expected.some(isUrl)) return near
  return `a client id or name where a URL belongs; ${notIndicated}`
}

const notIndicated =
  "either the client sent no resource parameter, or the URL is not registered as a resource indicator at the authorization server"

const isUrl = (text: string): boolean => parseUrl(text) !== undefined

/** The parts in which two URLs of one host differ, or `undefined` if they differ by too much for a slip. */
const differ = (expected: string, actual: string): ReadonlyArray<string> | undefined => {
  const one = parseUrl(expected)
  const other = parseUrl(actual)
  if (expected === actual || one === undefined || other === undefined) return undefined
  const sameHost = one.hostname === other.hostname
  if (!sameHost && !(isLoopback(one.hostname) && isLoopback(other.hostname))) return undefined
  const differences = [
    one.protocol !== other.protocol && `the scheme (${one.protocol.slice(0, -1)}, ${other.protocol.slice(0, -1)})`,
    !sameHost && `the name of the loopback host (${one.hostname}, ${other.hostname})`,
    one.port !== other.port && one.protocol === other.protocol && "the port",
    pathDifference(expected, actual, one.pathname, other.pathname),
    other.search + other.hash !== "" && "a query or fragment"
  ].filter((difference) => difference !== false)
  // The parsed URLs are equal. The texts differ by upper case in the host, a default port or an escape.
  return differences.length > 0 ? differences : ["spelling"]
}

const pathDifference = (expected: string, actual: string, one: string, other: string): string | false => {
  if (one === other) return expected.endsWith("/") !== actual.endsWith("/") && "a trailing slash"
  return one.replace(/\/$/, "") === other.replace(/\/$/, "") ? "a trailing slash" : "the path"
}
