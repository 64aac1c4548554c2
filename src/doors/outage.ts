import type * as LogLevel from "effect/LogLevel"
import { answers, type TokenError } from "../TokenError.ts"
import type { TokenVerifier } from "../token/TokenVerifier.ts"

/** Whether a verifier can verify, as the requests to all of its doors have seen it. */
export interface Outage {
  /** The log level: that of the table for the first request of an outage, Debug for those that follow. */
  readonly levelOf: (error: TokenError) => LogLevel.Literal
  /** A token was verified. */
  readonly isOver: () => void
}

const outages = new WeakMap<TokenVerifier["Type"], Outage>()

/** The outage of a verifier. Its doors share it, so that an outage is logged once at Error. */
export const outageOf = (verifier: TokenVerifier["Type"]): Outage => {
  const known = outages.get(verifier)
  if (known !== undefined) return known
  let isTold = false
  const outage: Outage = {
    levelOf: ({ _tag }) => {
      if (_tag !== "VerificationUnavailable") return answers[_tag].logLevel
      if (isTold) return "Debug"
      isTold = true
      return answers[_tag].logLevel
    },
    isOver: () => {
      isTold = false
    }
  }
  outages.set(verifier, outage)
  return outage
}
