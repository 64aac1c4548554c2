import * as Effect from "effect/Effect"
import * as ConfigurationError from "../ConfigurationError.ts"

/** Scope tokens (RFC 6749 section 3.3), each once. */
export const scopeList = (
  option: string,
  scopes: ReadonlyArray<string>
): Effect.Effect<ReadonlyArray<string>, ConfigurationError.ConfigurationError> =>
  Effect.gen(function* () {
    for (const scope of scopes) {
      if (!/^[\x21\x23-\x5b\x5d-\x7e]+$/.test(scope)) {
        return yield* ConfigurationError.make(
          option,
          scope,
          "is not a scope (printable ASCII, no space, quote, backslash)"
        )
      }
      if (scope === "offline_access") {
        return yield* ConfigurationError.make(
          option,
          scope,
          "is between client and authorization server, not ours to ask for"
        )
      }
    }
    return [...new Set(scopes)]
  })
