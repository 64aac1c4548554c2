import { isLoopback } from "../resource/ResourceUrl.ts"
import { printable } from "../printable.ts"
import { isPublicHost } from "./publicHost.ts"

/**
 * Why keys are not fetched from where an issuer's metadata says, or `undefined` where they are. Of the URL it shows the host
 * alone, for the rest may hold a password.
 *
 * A public issuer must not send this server to hosts that only this server can reach. An issuer on loopback may have its keys on
 * loopback, and any issuer on its own host: the operator named that one. Not checked: what a host name resolves to.
 */
export const jwksUriProblem = (uri: string, issuer: string): string | undefined => {
  // The URL parser would drop or rewrite these.
  if (/[\s\p{C}\\]/u.test(uri)) return "has white space, control characters or a backslash"
  if (!/^https?:\/\/[^/]/i.test(uri) || !URL.canParse(uri)) return "is not an absolute https:// URL"
  const { host, hostname, protocol } = new URL(uri)
  const own = new URL(issuer)
  const bothLoopback = isLoopback(hostname) && isLoopback(own.hostname)
  const at = `(host ${printable(host)})`
  if (/^[^/]*\/\/[^/?#]*@/.test(uri)) return `has user info ${at}`
  if (uri.includes("#")) return `has a fragment ${at}`
  if (protocol !== "https:" && !(bothLoopback && own.protocol === "http:")) return `is not https ${at}`
  if (isPublicHost(hostname) || bothLoopback || hostname === own.hostname) return undefined
  return `is on a loopback, link-local or private host ${at}`
}
