import * as Effect from "effect/Effect"
import { ClaimInvalid, Expired, NotYetValid } from "../TokenError.ts"
import type { Claims } from "./claims.ts"

/** Whether `now` lies in the lifetime of a token. `now` and the tolerance are in seconds. See `Check.lifetime`. */
export const within = (
  { exp, iat, nbf }: Claims,
  now: number,
  tolerance: number
): Effect.Effect<void, Expired | NotYetValid | ClaimInvalid> => {
  if (exp === undefined) return new ClaimInvalid({ claim: "exp", reason: "is missing" })
  if (!isTime(exp)) return notATime("exp")
  if (nbf !== undefined && !isTime(nbf)) return notATime("nbf")
  if (iat !== undefined && !isTime(iat)) return notATime("iat")
  if (now >= exp + tolerance) return new Expired({ expiresAt: exp, now })
  if (nbf !== undefined && now < nbf - tolerance) return new NotYetValid({ claim: "nbf", validFrom: nbf, now })
  if (iat !== undefined && now < iat - tolerance) return new NotYetValid({ claim: "iat", validFrom: iat, now })
  return Effect.void
}

const isTime = (value: unknown): value is number => Number.isFinite(value)

const notATime = (claim: string) => new ClaimInvalid({ claim, reason: "is not a number of seconds" })
