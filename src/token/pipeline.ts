import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import { liveServices } from "effect/DefaultServices"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Tracer from "effect/Tracer"
import { type AccessToken, fromJwt } from "./AccessToken.ts"
import type { Check } from "./Check.ts"
import * as Jwt from "./Jwt.ts"
import type { KeySet, VerificationKey } from "../issuer/KeySet.ts"
import type { Rejection } from "./TokenVerifier.ts"
import { andThen, isDone } from "./flatMapNow.ts"
import { cacheLookups } from "../metrics.ts"
import type { SignatureCache } from "./signatureCache.ts"

/** A token whose signature held, with the key that made it. It says nothing about whether the token is still good. */
export interface Remembered {
  readonly jwt: Jwt.Jwt
  readonly key: VerificationKey
  readonly accessToken: AccessToken["Type"]
}

/** The checks in their order. A token whose claims are of wrong types is bad, and not one that lacks scopes. */
export interface Checks {
  readonly claims: ReadonlyArray<Check<Rejection>>
  readonly scopes: ReadonlyArray<Check<Rejection>>
}

type Verdict = Effect.Effect<AccessToken["Type"], Rejection>

/**
 * The pipeline: the signature, then the checks in their order.
 *
 * A token that all checks accepted twice is remembered. When it comes again, its signature is not checked again, as long as the
 * key that made it is still in the set, which each refresh makes anew; every check is.
 */
export const make = (
  issuer: string,
  keySet: KeySet["Type"],
  { claims, scopes }: Checks,
  cache: SignatureCache<Remembered>,
  maxTokenLength: number
): ((token: Redacted.Redacted) => Verdict) => {
  const checks = [...claims, ...scopes]
  const verifyAnew = (token: string, now: number | undefined): Verdict =>
    andThen(Jwt.verifyWith(keySet, token, now, maxTokenLength), ({ jwt, key }, atOnce) =>
      andThen(inOrder(claims, jwt, atOnce ? now : undefined), () =>
        andThen(fromJwt(jwt), (accessToken) =>
          andThen(inOrder(scopes, jwt, undefined), () => {
            freeze(accessToken)
            cache.add(token, () => ({ jwt, key, accessToken }))
            return Effect.succeed(accessToken)
          })
        )
      )
    )

  const recheck = (
    token: string,
    { accessToken, jwt, key }: Remembered,
    keys: ReadonlyArray<VerificationKey>,
    now: number | undefined
  ): Verdict => {
    if (!keys.includes(key)) {
      cache.remove(token)
      return verifyAnew(token, now)
    }
    const checked = inOrder(checks, jwt, now)
    if (isDone(checked)) return Effect.succeed(accessToken)
    const forget = Effect.sync(() => cache.remove(token))
    return Effect.as(
      Effect.tapError(checked, () => forget),
      accessToken
    )
  }

  const verifyAgain = (token: string, remembered: Remembered, now: number): Verdict => {
    const keys = keySet.findNow?.(remembered.jwt, now)
    return keys === undefined
      ? // Who has waited for keys asks the clock again.
        Effect.flatMap(keySet.find(remembered.jwt), (found) => recheck(token, remembered, found, undefined))
      : recheck(token, remembered, keys, now)
  }

  const verify = (token: string, remembered: Remembered | undefined, now: number): Verdict =>
    remembered === undefined ? withoutStacks(() => verifyAnew(token, now)) : verifyAgain(token, remembered, now)

  return (redacted) =>
    // One step of the fiber's for all that need not wait, the clock included.
    Effect.withFiberRuntime((fiber) => {
      const token = Redacted.value(redacted)
      const remembered = cache.get(token)
      cacheLookups.unsafeUpdate(remembered === undefined ? "miss" : "hit", [])
      const now = Context.get(fiber.currentDefaultServices, Clock.Clock).unsafeCurrentTimeMillis()
      if (fiber.currentTracer === nobodys) return verify(token, remembered, now)
      const verdict = Effect.suspend(() => verify(token, remembered, now))
      return inSpan(verdict, redacted, issuer, remembered !== undefined)
    })
}

/** The tracer of a program that has none of its own: its spans go nowhere, and a span costs more than a verification. */
const nobodys = Context.get(liveServices, Tracer.Tracer)

/** The verification as a span, with what may be told of the token: spans end with what they gave, and this one gives nothing. */
const inSpan = (verdict: Verdict, token: Redacted.Redacted, issuer: string, remembered: boolean): Verdict =>
  Effect.flatMap(Jwt.describe(token), ({ algorithm, keyId }) => {
    let accepted: AccessToken["Type"] | undefined
    return Effect.matchEffect(verdict, {
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

/**
 * A rejection is a value and no defect: collecting a stack for it would cost ten times what finding it did. Where `Error` is
 * frozen, as hardened programs do, the limit stays: an assignment would throw there.
 */
const withoutStacks = <A>(run: () => A): A => {
  const limit = Error.stackTraceLimit
  Reflect.set(Error, "stackTraceLimit", 0)
  try {
    return run()
  } finally {
    Reflect.set(Error, "stackTraceLimit", limit)
  }
}

/** Runs the checks one after the other. */
const inOrder = (
  checks: ReadonlyArray<Check<Rejection>>,
  token: Jwt.Jwt,
  now: number | undefined,
  first = 0
): Effect.Effect<unknown, Rejection> => {
  for (let index = first; index < checks.length; index++) {
    const checked = checks[index]!(token, now)
    if (!isDone(checked)) return Effect.flatMap(checked, () => inOrder(checks, token, now, index + 1))
  }
  return Effect.void
}

/**
 * Makes a token safe to share between requests: no handler can change what the next one reads. Every token is frozen, so that
 * a handler fails in its first request and not in a later one. Measured at one microsecond for a new token, of 25 for RS256
 * and 70 for ES256.
 */
const freeze = (accessToken: AccessToken["Type"]): void => {
  Object.freeze(accessToken)
  // Claims are JSON: lists and objects, without circles. A loop, because they may be nested deeper than calls can.
  const left: Array<object> = [accessToken.claims]
  for (let value = left.pop(); value !== undefined; value = left.pop()) {
    for (const name in value) {
      const member = (value as Record<string, unknown>)[name]
      if (typeof member === "object" && member !== null) left.push(member)
    }
    Object.freeze(value)
  }
}
