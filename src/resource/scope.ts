import * as Either from "effect/Either"
import * as ConfigurationError from "../ConfigurationError.ts"
import * as read from "../options.ts"

/** What may stand in a challenge's `scope`: a scope token (RFC 6749 section 3.3), and none of a client's own affairs. */
export const isScope = (scope: string): boolean => isToken(scope) && scope !== offlineAccess

const isToken = (scope: string): boolean => /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(scope)

const offlineAccess = "offline_access"

/** Scope tokens (RFC 6749 section 3.3), each once. */
export const scopeList = (option: string, scopes: unknown): read.Read<ReadonlyArray<string>> => {
  if (scopes instanceof ConfigurationError.ConfigurationError) return Either.left(scopes)
  return Either.flatMap(read.texts(option, scopes), (list) => {
    const other = list.find((scope) => !isScope(scope))
    if (other === undefined) return Either.right([...new Set(list)])
    const reason = isToken(other)
      ? "is between the client and the authorization server; a resource server must not ask for it"
      : "is not a scope (printable ASCII, no space, quote, backslash)"
    return Either.left(ConfigurationError.make(option, other, reason))
  })
}

/** At least one scope token: a list that a program made may be empty, and would ask for nothing. */
export const someScopes = (option: string, scopes: unknown): read.Read<ReadonlyArray<string>> =>
  Either.flatMap(read.someTexts(option, scopes), (list) => scopeList(option, list))

/**
 * The scopes that options name, as they are given: a tag cannot fail. What is wrong with the options stands in their place, and
 * `scopeList` fails with it where the tag's door is built.
 */
export const givenScopes = (options: unknown): ReadonlyArray<string> =>
  Either.match(scopeOptions(options), {
    onLeft: (error) => error as unknown as ReadonlyArray<string>,
    onRight: (scopes) => scopes as ReadonlyArray<string>
  })

/** The scopes of an operation's options, not read yet. Default: none. */
export const scopeOptions = (options: unknown): read.Read<unknown> =>
  Either.map(
    read.options<{ readonly scopes: unknown }>(options === undefined ? {} : options, { scopes: true }),
    ({ scopes = [] }) => scopes
  )
