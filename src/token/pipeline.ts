import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { clockOf, hasDefaultTracer } from "../fiber.ts"
import type { VerificationKey } from "../issuer/KeySet.ts"
import { cacheLookups } from "../metrics.ts"
import { flatMapNow, isSucceeded } from "./flatMapNow.ts"
import { freezeClaims } from "./freezeClaims.ts"
import * as Jwt from "./Jwt.ts"
import type { Policy } from "./policy.ts"
import type { Rejection } from "./rejection.ts"
import type { SignatureCache } from "./signatureCache.ts"
import type { VerifiedToken } from "./verifiedToken.ts"
import { type Reader, type VerifiedJws, verifyJws } from "./verifyJws.ts"
import { withoutStackTraces } from "./withoutStackTraces.ts"

/** A token whose signature verified, with the key that made it. It does not say whether the token is still good. */
export interface Remembered {
  readonly jwt: Jwt.Jwt
  readonly key: VerificationKey
  readonly accessToken: VerifiedToken
}

type Decision = Effect.Effect<VerifiedToken, Rejection>

/**
 * The pipeline of JWTs: the signature, then the checks of the policy in their order.
 *
 * A token that all checks accepted twice is remembered. When it comes again, its signature is not checked again, as long as the
 * key that made it is still in the set, which each refresh makes anew. Every check runs again.
 */
export const make = (
  policy: Policy,
  reader: Reader,
  cache: SignatureCache<Remembered>
): ((token: Redacted.Redacted) => Decision) => {
  const { keySet } = reader
  const { scopeChecks, scopesOf } = policy
  const claimChecks: ReadonlyArray<JwtCheck> = [policy.tokenType, ...policy.claimChecks]
  const checks = [...claimChecks, ...scopeChecks]

  const check = ({ claims, header, key }: VerifiedJws, token: string, now: number): Decision => {
    const { algorithm, keyId, type } = header
    const jwt = { algorithm, keyId, type, claims, scopes: scopesOf(claims) }
    return flatMapNow(inOrder(claimChecks, jwt, now), () =>
      flatMapNow(policy.accessToken(jwt), (accessToken) =>
        flatMapNow(inOrder(scopeChecks, jwt, now), () => {
          freezeClaims(claims)
          Object.freeze(accessToken)
          cache.add(token, () => ({ jwt, key, accessToken }))
          return Effect.succeed(accessToken)
        })
      )
    )
  }

  const verifyAnew = (token: string, clock: Clock.Clock, now: number): Decision => {
    const verified = verifyJws(token, reader, now)
    // After a wait for keys the clock is read again.
    return isSucceeded(verified)
      ? check(verified.value, token, now)
      : Effect.flatMap(verified, (jws) => check(jws, token, clock.unsafeCurrentTimeMillis()))
  }

  const recheck = (
    token: string,
    { accessToken, jwt, key }: Remembered,
    keys: ReadonlyArray<VerificationKey>,
    clock: Clock.Clock,
    now: number
  ): Decision => {
    if (!keys.includes(key)) {
      cache.remove(token)
      return verifyAnew(token, clock, now)
    }
    const checked = inOrder(checks, jwt, now)
    if (isSucceeded(checked)) return Effect.succeed(accessToken)
    const forget = Effect.sync(() => cache.remove(token))
    return Effect.as(
      Effect.tapError(checked, () => forget),
      accessToken
    )
  }

  const verifyAgain = (token: string, remembered: Remembered, clock: Clock.Clock, now: number): Decision => {
    const keys = keySet.findNow?.(remembered.jwt, now)
    return keys === undefined
      ? Effect.flatMap(keySet.find(remembered.jwt), (found) =>
          recheck(token, remembered, found, clock, clock.unsafeCurrentTimeMillis())
        )
      : recheck(token, remembered, keys, clock, now)
  }

  const verify = (token: string, remembered: Remembered | undefined, clock: Clock.Clock): Decision => {
    const now = clock.unsafeCurrentTimeMillis()
    return remembered === undefined
      ? withoutStackTraces(() => verifyAnew(token, clock, now))
      : verifyAgain(token, remembered, clock, now)
  }

  return (redacted) =>
    // One step of the fiber for all that need not wait, the clock included.
    Effect.withFiberRuntime((fiber) => {
      const token = Redacted.value(redacted)
      const remembered = cache.get(token)
      cacheLookups.unsafeUpdate(remembered === undefined ? "miss" : "hit", [])
      const clock = clockOf(fiber)
      if (hasDefaultTracer(fiber)) return verify(token, remembered, clock)
      const decision = Effect.suspend(() => verify(token, remembered, clock))
      return inSpan(decision, redacted, policy.issuer, remembered !== undefined)
    })
}

type JwtCheck = (jwt: Jwt.Jwt, now: number) => Effect.Effect<unknown, Rejection>

/** Runs the checks one after the other. */
const inOrder = (
  checks: ReadonlyArray<JwtCheck>,
  jwt: Jwt.Jwt,
  now: number,
  first = 0
): Effect.Effect<unknown, Rejection> => {
  for (let index = first; index < checks.length; index++) {
    const checked = checks[index]!(jwt, now)
    if (!isSucceeded(checked)) return Effect.flatMap(checked, () => inOrder(checks, jwt, now, index + 1))
  }
  return Effect.void
}

/**
 * The verification as a span, with what may be told of the token. A tracer may keep what a span returns, so that this one
 * returns nothing.
 */
const inSpan = (decision: Decision, token: Redacted.Redacted, issuer: string, remembered: boolean): Decision =>
  Effect.flatMap(Jwt.describe(token), ({ algorithm, keyId }) => {
    let accepted: VerifiedToken | undefined
    return Effect.matchEffect(decision, {
      onSuccess: (accessToken) => {
        accepted = accessToken
        return Effect.annotateCurrentSpan("oauth.decision", "accepted")
      },
      onFailure: (error) =>
        Effect.zipRight(Effect.annotateCurrentSpan("oauth.decision", error._tag), Effect.fail(error))
    }).pipe(
      Effect.withSpan("TokenVerifier.verify", {
        captureStackTrace: false,
        attributes: {
          "oauth.issuer": issuer,
          "oauth.signature_cache": remembered ? "hit" : "miss",
          ...(algorithm !== undefined && { "oauth.algorithm": algorithm }),
          ...(keyId !== undefined && { "oauth.key_id": keyId })
        }
      }),
      Effect.map(() => accepted!)
    )
  })
