import * as Either from "effect/Either"
import * as ConfigurationError from "../ConfigurationError.ts"
import * as read from "../options.ts"

/** What may stand in a challenge's `scope`: a scope token (RFC 6749 section 3.3), and none of a client's own affairs. */
export const isScope = (scope: string): boolean => isToken(scope) && scope !== offlineAccess

const isToken = (scope: string): boolean => /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(scope)

const offlineAccess = "offline_access"

/** Scope tokens (RFC 6749 section 3.3), each once. */
export const scopeList = (option: string, scopes: unknown): read.Read<ReadonlyArray<string>> =>
  Either.flatMap(read.texts(option, scopes), (list) => {
    const other = list.find((scope) => !isScope(scope))
    if (other === undefined) return Either.right([...new Set(list)])
    const reason = isToken(other)
      ? "is between client and authorization server, not ours to ask for"
      : "is not a scope (printable ASCII, no space, quote, backslash)"
    return Either.left(ConfigurationError.make(option, other, reason))
  })

/** The scopes that options name, as they are given: a tag cannot fail. `scopeList` reads them where its door is built. */
export const givenScopes = (options: unknown): ReadonlyArray<string> => {
  const { scopes = [] } = Either.getOrElse(read.record("options", options === undefined ? {} : options), () => ({
    // What stands in place of the options must not be overlooked. A list of a list is no list of scopes.
    scopes: Array.isArray(options) ? [options] : options
  }))
  return scopes as ReadonlyArray<string>
}
