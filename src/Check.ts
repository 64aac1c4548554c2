/**
 * The checks: each takes a verified token and returns it, or fails with its own error.
 *
 * A pipeline is `Jwt.verify` and then a line per check; its error type is the sum of its lines. A check of your own is one
 * more line: any function from a token to an `Effect` of the token.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { audienceHint, hint } from "./internal/hint.ts"
import { printable, printableClaim, printableClaims } from "./internal/printable.ts"
import type { Jwt } from "./Jwt.ts"
import { covers, type ScopeHierarchy } from "./ScopeHierarchy.ts"
import {
  AudienceMismatch,
  BindingMismatch,
  ClaimInvalid,
  Expired,
  IssuerMismatch,
  NotYetValid,
  ScopeMissing,
  TypeMismatch
} from "./TokenError.ts"

/** A check that fails with `E`. Whoever runs several may tell them the time, in milliseconds since 1970. */
export type Check<E> = (token: Jwt, now?: number) => Effect.Effect<Jwt, E>

/**
 * The header's `typ` is one of these, with or without `application/` and in any case (RFC 9068 section 4). A token without
 * `typ` is refused.
 */
export const tokenType = (...expected: readonly [string, ...Array<string>]): Check<TypeMismatch> => {
  const accepted = new Set(expected.map(mediaType))
  return (token) => {
    const { type } = token
    if (typeof type === "string" && (accepted.has(type) || accepted.has(mediaType(type)))) return Effect.succeed(token)
    return new TypeMismatch({
      expected,
      ...(token.type !== undefined && { actual: knownTypes.find((known) => known === token.type) ?? "other" })
    })
  }
}

const mediaType = (typ: string): string => typ.toLowerCase().replace(/^application\//, "")

/** Types that say something to an operator. The rest is the sender's own text. */
const knownTypes = ["JWT", "jwt", "at+jwt", "application/at+jwt", "id_token", "logout+jwt", "dpop+jwt", "secevent+jwt"]

/** `iss` is this issuer, code point by code point: no slash, case or port is forgiven (RFC 7519 section 4.1.1). */
export const issuer =
  (expected: string): Check<IssuerMismatch> =>
  (token) => {
    const { iss } = token.claims
    // An issuer that was not configured must not be that of a token without one.
    if (typeof iss === "string" && iss === expected) return Effect.succeed(token)
    const actual = printableClaim(iss)
    const cause = typeof iss === "string" ? hint([expected], [iss]) : undefined
    return new IssuerMismatch({
      expected: printable(String(expected)),
      ...(actual !== undefined && { actual }),
      ...(cause !== undefined && { hint: printable(cause) })
    })
  }

/**
 * `aud`, a string or a list of strings, names this resource (RFC 7519 section 4.1.3, RFC 8707). Takes a
 * `ProtectedResource`, or any list of audiences; one in common is enough. Compared as strings: no prefix, no pattern.
 */
export const audience = (resource: {
  readonly audiences: readonly [string, ...Array<string>]
}): Check<AudienceMismatch> => {
  // What is no string, such as a variable that is not set, must not be the audience of a token without one.
  const expected = resource.audiences.filter((one) => typeof one === "string")
  const accepted: ReadonlySet<unknown> = new Set(expected)
  return (token) => {
    const { aud } = token.claims
    if (Array.isArray(aud) ? isStrings(aud) && aud.some((one) => accepted.has(one)) : accepted.has(aud)) {
      return Effect.succeed(token)
    }
    const actual = Array.isArray(aud) ? aud : [aud]
    const cause = audienceHint(
      expected,
      actual.filter((one) => typeof one === "string")
    )
    return new AudienceMismatch({
      expected: expected.map(printable),
      actual: printableClaims(aud),
      ...(cause !== undefined && { hint: printable(cause) })
    })
  }
}

const isStrings = (values: ReadonlyArray<unknown>): boolean => values.every((value) => typeof value === "string")

/**
 * Now lies between `nbf` and `exp`, and `iat` is not ahead, each with this tolerance (default 30 seconds). `exp` is
 * required; `now >= exp + tolerance` is expired. A time that is no finite number is `ClaimInvalid`. The clock is Effect's.
 * Not checked: that the tolerance is small; an infinite one turns the check off.
 */
export const lifetime = (options?: {
  readonly clockTolerance?: Duration.DurationInput | undefined
}): Check<Expired | NotYetValid | ClaimInvalid> => {
  const tolerance = Duration.toSeconds(options?.clockTolerance ?? "30 seconds")
  return (token, now) =>
    now === undefined
      ? Effect.flatMap(Clock.currentTimeMillis, (now) => lifetimeAt(token, now / 1000, tolerance))
      : lifetimeAt(token, now / 1000, tolerance)
}

const lifetimeAt = (
  token: Jwt,
  now: number,
  tolerance: number
): Effect.Effect<Jwt, Expired | NotYetValid | ClaimInvalid> => {
  const { exp, iat, nbf } = token.claims
  if (exp === undefined) return new ClaimInvalid({ claim: "exp", reason: "is missing" })
  if (!isTime(exp)) return notATime("exp")
  if (nbf !== undefined && !isTime(nbf)) return notATime("nbf")
  if (iat !== undefined && !isTime(iat)) return notATime("iat")
  if (now >= exp + tolerance) return new Expired({ expiresAt: exp, now })
  if (nbf !== undefined && now < nbf - tolerance) return new NotYetValid({ claim: "nbf", validFrom: nbf, now })
  if (iat !== undefined && now < iat - tolerance) return new NotYetValid({ claim: "iat", validFrom: iat, now })
  return Effect.succeed(token)
}

const isTime = (value: unknown): value is number => Number.isFinite(value)

const notATime = (claim: string) => new ClaimInvalid({ claim, reason: "is not a number of seconds" })

/** These claims are there and not null. What they say is not checked. */
export const requiredClaims =
  (names: ReadonlyArray<string>): Check<ClaimInvalid> =>
  (token) => {
    const missing = names.find((name) => token.claims[name] === undefined || token.claims[name] === null)
    return missing === undefined
      ? Effect.succeed(token)
      : new ClaimInvalid({ claim: printable(missing), reason: "is missing" })
  }

/** The claims that RFC 9068 section 2.2 requires of a JWT access token are all there. */
export const rfc9068Claims: Check<ClaimInvalid> = requiredClaims([
  "iss",
  "exp",
  "aud",
  "sub",
  "client_id",
  "iat",
  "jti"
])

/**
 * The token is a bearer token: it has no `cnf` claim that binds it to a key (RFC 7800). A bound token that is
 * taken without its proof is a stolen token's best friend (RFC 9449 section 7.2).
 */
export const bearer: Check<BindingMismatch> = (token) =>
  token.claims["cnf"] === undefined ? Effect.succeed(token) : new BindingMismatch()

/**
 * The token has all of these scopes, or others that imply them; see `Jwt.scopes` for where they are read. Takes a
 * `ProtectedResource`, or any hierarchy of `ScopeHierarchy.make`; without one none implies another. Case-sensitive.
 */
export const scopes =
  (
    required: ReadonlyArray<string>,
    resource?: { readonly scopeHierarchy?: ScopeHierarchy | undefined }
  ): Check<ScopeMissing> =>
  (token) => {
    return covers(token.scopes, required, resource?.scopeHierarchy)
      ? Effect.succeed(token)
      : new ScopeMissing({ required, granted: printableClaims([...token.scopes]) })
  }
