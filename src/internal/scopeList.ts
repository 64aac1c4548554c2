import * as Effect from "effect/Effect"
import * as ConfigurationError from "../ConfigurationError.ts"

/** What may stand in a challenge's `scope`: a scope token (RFC 6749 section 3.3), and none of a client's own affairs. */
export const isScope = (scope: string): boolean => isToken(scope) && scope !== offlineAccess

const isToken = (scope: string): boolean => /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(scope)

const offlineAccess = "offline_access"

/** Scope tokens (RFC 6749 section 3.3), each once. */
export const scopeList = (
  option: string,
  scopes: ReadonlyArray<string>
): Effect.Effect<ReadonlyArray<string>, ConfigurationError.ConfigurationError> =>
  Effect.gen(function* () {
    for (const scope of scopes) {
      if (!isToken(scope)) {
        return yield* ConfigurationError.make(
          option,
          scope,
          "is not a scope (printable ASCII, no space, quote, backslash)"
        )
      }
      if (scope === offlineAccess) {
        return yield* ConfigurationError.make(
          option,
          scope,
          "is between client and authorization server, not ours to ask for"
        )
      }
    }
    return [...new Set(scopes)]
  })
