import { isLoopback } from "../resource/ResourceUrl.ts"
import { printable } from "../printable.ts"
import { parseUrl } from "../url.ts"
import { isPublicHost } from "./publicHost.ts"

/**
 * Why keys are not fetched from the `jwks_uri` in an issuer's metadata, or `undefined` if they are. The text shows only the
 * host of the URL, because the rest may hold a password.
 *
 * A public issuer must not send this server to hosts that only this server can reach. An issuer on loopback may have its keys
 * on loopback. Any issuer may have its keys on its own host, because the operator configured that. Not checked: what a host
 * name resolves to.
 */
export const jwksUriProblem = (uri: string, issuer: string): string | undefined => {
  // The URL parser would remove or rewrite these characters.
  if (/[\s\p{C}\\]/u.test(uri)) return "has white space, control characters or a backslash"
  const parsed = parseUrl(uri)
  if (!/^https?:\/\/[^/]/i.test(uri) || parsed === undefined) return "is not an absolute https:// URL"
  const { host, hostname, protocol } = parsed
  const own = new URL(issuer)
  const bothLoopback = isLoopback(hostname) && isLoopback(own.hostname)
  const at = `(host ${printable(host)})`
  if (/^[^/]*\/\/[^/?#]*@/.test(uri)) return `has user info ${at}`
  if (uri.includes("#")) return `has a fragment ${at}`
  if (protocol !== "https:" && !(bothLoopback && own.protocol === "http:")) return `is not https ${at}`
  if (isPublicHost(hostname) || bothLoopback || hostname === own.hostname) return undefined
  return `is on a loopback, link-local or private host ${at}`
}
