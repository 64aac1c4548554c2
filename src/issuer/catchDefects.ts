import * as Effect from "effect/Effect"
import type { KeySet } from "./KeySet.ts"
import { VerificationUnavailable } from "../TokenError.ts"

/** Makes the defects of a key set that the user wrote an outage: they say nothing about the token. */
export const catchDefects = (keySet: KeySet["Type"]): KeySet["Type"] => {
  const { algorithms, findAnew, findNow } = keySet
  return {
    algorithms,
    find: (header) =>
      Effect.catchAllDefect(
        Effect.suspend(() => keySet.find(header)),
        () => new VerificationUnavailable({ reason: "the key set failed unexpectedly", retryAfter: 30 })
      ),
    ...(findAnew !== undefined && {
      // The keys of `find` did not sign this token. Without other keys its signature is invalid.
      findAnew: (header) =>
        Effect.catchAllDefect(
          Effect.suspend(() => findAnew(header)),
          () => Effect.succeed([])
        )
    }),
    ...(findNow !== undefined && {
      findNow: (header, now) => {
        try {
          return findNow(header, now)
        } catch {
          return undefined
        }
      }
    })
  }
}
