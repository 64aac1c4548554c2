import * as Either from "effect/Either"
import * as ConfigurationError from "../ConfigurationError.ts"
import * as read from "../options.ts"

/** Whether a challenge may ask for this: a scope token (RFC 6749 section 3.3) other than `offline_access`. */
export const isScope = (scope: string): boolean => isToken(scope) && scope !== offlineAccess

const isToken = (scope: string): boolean => /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(scope)

const offlineAccess = "offline_access"

/** Reads a list of scopes (RFC 6749 section 3.3) and removes duplicates. */
export const scopeList = (option: string, scopes: unknown): read.Read<ReadonlyArray<string>> =>
  Either.flatMap(read.texts(option, scopes), (list) => {
    const other = list.find((scope) => !isScope(scope))
    if (other === undefined) return Either.right([...new Set(list)])
    const reason = isToken(other)
      ? "is between the client and the authorization server; a resource server must not ask for it"
      : "is not a scope (printable ASCII, no space, quote, backslash)"
    return Either.left(ConfigurationError.make(option, other, reason))
  })

/** The scopes in options, unchecked, because a tag cannot fail. `scopeList` reads them when the door of the tag is built. */
export const givenScopes = (options: unknown): ReadonlyArray<string> => {
  const { scopes = [] } = Either.getOrElse(read.record("options", options === undefined ? {} : options), () => ({
    // A value that is not an object of options must be found by `scopeList`, and a list is wrapped so that it is.
    scopes: Array.isArray(options) ? [options] : options
  }))
  return scopes as ReadonlyArray<string>
}
