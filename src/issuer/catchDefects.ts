import * as Effect from "effect/Effect"
import type { KeySet } from "./KeySet.ts"
import { VerificationUnavailable } from "../TokenError.ts"

/** A key set of the user's own may break in ways of its own: that is an outage, not our defect and nobody's bad token. */
export const guardedKeys = (keySet: KeySet["Type"]): KeySet["Type"] => {
  const { algorithms, findAnew, findNow } = keySet
  return {
    algorithms,
    find: (header) =>
      Effect.catchAllDefect(
        Effect.suspend(() => keySet.find(header)),
        () => new VerificationUnavailable({ reason: "the key set broke", retryAfter: 30 })
      ),
    ...(findAnew !== undefined && {
      // The keys at hand have judged the token already: who cannot give others leaves it at that.
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
