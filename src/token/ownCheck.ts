import * as Effect from "effect/Effect"
import type { Check } from "./Check.ts"
import type { Claimed } from "./claims.ts"
import { freezeClaims } from "./freezeClaims.ts"
import type { Rejection } from "./rejection.ts"

/**
 * A check of the user's own. What it throws is a defect of its request, with a stack trace: it runs as a step of the fiber, after
 * `withoutStackTraces`. A check that succeeds with another value than it was given is a defect, too: `false` must not mean yes.
 */
export const ownCheck =
  (check: Check<Rejection>) =>
  (claimed: Claimed): Effect.Effect<Claimed, Rejection> =>
    Effect.filterOrDie(
      Effect.suspend(() => {
        freezeClaims(claimed.claims)
        return check(Object.freeze(claimed))
      }),
      (returned) => returned === claimed,
      () => new TypeError("A check of the option checks did not return what it was given")
    )
