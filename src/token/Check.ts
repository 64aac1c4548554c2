/**
 * The checks: each takes a verified token and returns it, or fails with its own error.
 *
 * A pipeline is `Jwt.verify` and then a line per check; its error type is the sum of its lines. A check of your own is one
 * more line: any function from a token to an `Effect` of the token. Functions that make a check throw `ConfigurationError` for
 * arguments of wrong types, such as a variable that is not set: an environment without it must not weaken a check.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as ConfigurationError from "../ConfigurationError.ts"
import { duration } from "../duration.ts"
import { audienceHint, hint } from "./mismatchHint.ts"
import { isJwt, mediaType } from "../mediaType.ts"
import * as read from "../options.ts"
import { printable, printableClaim, printableClaims, quoted } from "../printable.ts"
import { type RequiredClaim, requirements, shortfall } from "./requiredClaim.ts"
import { scopeMissing } from "./scopeMissing.ts"
import type { Jwt } from "./Jwt.ts"
import { covers, type ScopeHierarchy } from "../resource/ScopeHierarchy.ts"
import {
  AudienceMismatch,
  BindingMismatch,
  ClaimInvalid,
  Expired,
  IssuerMismatch,
  NotYetValid,
  type ScopeMissing,
  TypeMismatch
} from "../TokenError.ts"

export type { ClaimValue, RequiredClaim } from "./requiredClaim.ts"

/** A check that fails with `E`. Whoever runs several may tell them the time, in milliseconds since 1970. */
export type Check<E> = (token: Jwt, now?: number) => Effect.Effect<Jwt, E>

/**
 * The header's `typ` is one of these, with or without `application/` and in any case (RFC 9068 section 4). A token without
 * `typ` is refused. Not checked: what a token with `JWT` is, if you name that type; an ID token may have it. See
 * `accessTokenType`.
 */
export const tokenType = (...types: readonly [string, ...Array<string>]): Check<TypeMismatch> => {
  const expected = read.orThrow(read.names("tokenTypes", types))
  const accepted = new Set(expected.map(mediaType))
  return (token) => {
    const { type } = token
    if (typeof type === "string" && (accepted.has(type) || accepted.has(mediaType(type)))) return Effect.succeed(token)
    return typeMismatch(expected, type)
  }
}

const typeMismatch = (expected: ReadonlyArray<string>, type: unknown, cause?: string) =>
  new TypeMismatch({
    expected,
    ...(type !== undefined && { actual: knownTypes.find((known) => known === type) ?? "other" }),
    ...(cause !== undefined && { hint: cause })
  })

/** How an issuer's access tokens are told from its other tokens. */
export interface AccessTokenTypeOptions {
  /**
   * The accepted values of `typ`. Default: `at+jwt`. A token with `JWT`, if that is one of them, is judged as one without
   * `typ` is: the type does not tell it from an ID token.
   */
  readonly tokenTypes?: readonly [string, ...Array<string>] | undefined
  /** Whether a token without `typ` is taken. Default: it is not. */
  readonly acceptMissingType?: boolean | undefined
  /**
   * Claims, or values of claims, that the issuer's access tokens have and its ID tokens lack, such as `cid` or
   * `{ name: "token_use", values: ["access"] }`. A token that has them all is told by them. Default: none, and the audience
   * alone tells.
   */
  readonly accessTokenClaims?: ReadonlyArray<RequiredClaim> | undefined
}

/**
 * The token is an access token: by its `typ`, or where that says nothing (it is `JWT`, or there is none) by the resource's URL in
 * its own `aud`, or by the claims that the issuer's ID tokens lack.
 *
 * An ID token of the same issuer has the same keys and the same `iss`, and its `aud` is a client id. Not checked: that the
 * audience is accepted, which is for `audience`; and that ID tokens really lack these claims.
 */
export const accessTokenType = (
  options: AccessTokenTypeOptions & {
    /** Whose URL in `aud` tells an access token: a `ProtectedResource`, or any list of audiences that are no client ids. */
    readonly resource: { readonly audiences: readonly [string, ...Array<string>] }
  }
): Check<TypeMismatch> => {
  read.orThrow(
    read.options<typeof options>(options, {
      tokenTypes: true,
      acceptMissingType: true,
      accessTokenClaims: true,
      resource: true
    })
  )
  const { accessTokenClaims = [], acceptMissingType = false, tokenTypes = ["at+jwt"] as const } = options
  const types = read.orThrow(read.names("tokenTypes", tokenTypes))
  const typed = tokenType(...types)
  const takesMissing = read.orThrow(read.boolean("acceptMissingType", acceptMissingType))
  const takesJwt = types.some(isJwt)
  const audiences = audiencesOf(options.resource)
  const isOurs = names(audiences)
  const claims = read.orThrow(requirements("accessTokenClaims", accessTokenClaims))
  return (token) => {
    const { type } = token
    if (type === undefined ? !takesMissing : !(takesJwt && isJwt(type))) return typed(token)
    const { aud } = token.claims
    if (isOurs(aud)) return Effect.succeed(token)
    const lacking = shortfall(token.claims, claims)
    if (claims.length > 0 && lacking === undefined) return Effect.succeed(token)
    const shown = [
      `audience ${quoted(printableClaims(aud))}`,
      lacking === undefined ? "accessTokenClaims none" : `claim ${lacking.claim} ${lacking.reason}`
    ]
    const cause = audienceHint(audiences, texts(aud))
    const hint = `nothing tells it from an ID token (${shown.join(", ")})${cause === undefined ? "" : `: ${printable(cause)}`}`
    return typeMismatch(types, type, hint)
  }
}

/** Types that say something to an operator. The rest is the sender's own text. */
const knownTypes = ["JWT", "jwt", "at+jwt", "application/at+jwt", "id_token", "logout+jwt", "dpop+jwt", "secevent+jwt"]

/** `iss` is this issuer, code point by code point: no slash, case or port is forgiven (RFC 7519 section 4.1.1). */
export const issuer = (expected: string): Check<IssuerMismatch> => {
  read.orThrow(read.name("issuer", expected))
  return (token) => {
    const { iss } = token.claims
    if (iss === expected) return Effect.succeed(token)
    const actual = printableClaim(iss)
    const cause = typeof iss === "string" ? hint([expected], [iss]) : undefined
    return new IssuerMismatch({
      expected: printable(expected),
      ...(actual !== undefined && { actual }),
      ...(cause !== undefined && { hint: printable(cause) })
    })
  }
}

/**
 * `aud`, a string or a list of strings, names this resource (RFC 7519 section 4.1.3, RFC 8707). Takes a
 * `ProtectedResource`, or any list of audiences; one in common is enough. Compared as strings: no prefix, no pattern.
 */
export const audience = (resource: {
  readonly audiences: readonly [string, ...Array<string>]
}): Check<AudienceMismatch> => {
  const expected = audiencesOf(resource)
  const isAccepted = names(expected)
  return (token) => {
    const { aud } = token.claims
    if (isAccepted(aud)) return Effect.succeed(token)
    const cause = audienceHint(expected, texts(aud))
    return new AudienceMismatch({
      expected: expected.map(printable),
      actual: printableClaims(aud),
      ...(cause !== undefined && { hint: printable(cause) })
    })
  }
}

const audiencesOf = (resource: unknown) =>
  read.orThrow(Either.flatMap(read.record("resource", resource), ({ audiences }) => read.names("audiences", audiences)))

/** Whether an `aud` names one of these audiences. A list with a member that is not a string names none. */
const names = (audiences: ReadonlyArray<string>): ((aud: unknown) => boolean) => {
  const accepted: ReadonlySet<unknown> = new Set(audiences)
  return (aud) => (Array.isArray(aud) ? isStrings(aud) && aud.some((one) => accepted.has(one)) : accepted.has(aud))
}

const isStrings = (values: ReadonlyArray<unknown>): boolean => values.every((value) => typeof value === "string")

const texts = (aud: unknown): ReadonlyArray<string> =>
  (Array.isArray(aud) ? aud : [aud]).filter((one: unknown) => typeof one === "string")

/**
 * Now lies between `nbf` and `exp`, and `iat` is not ahead, each with this tolerance (default 30 seconds). `exp` is
 * required; `now >= exp + tolerance` is expired. A time that is no finite number is `ClaimInvalid`. The clock is Effect's.
 * Not checked: that the tolerance is small; an infinite one turns the check off.
 */
export const lifetime = (options?: {
  readonly clockTolerance?: Duration.DurationInput | undefined
}): Check<Expired | NotYetValid | ClaimInvalid> => {
  const { clockTolerance = "30 seconds" } = read.orThrow(
    read.options<NonNullable<typeof options>>(options === undefined ? {} : options, { clockTolerance: true })
  )
  const tolerance = Duration.toSeconds(read.orThrow(duration("clockTolerance", clockTolerance, anyTime)))
  return (token, now) =>
    now === undefined
      ? Effect.flatMap(Clock.currentTimeMillis, (now) => lifetimeAt(token, now / 1000, tolerance))
      : lifetimeAt(token, now / 1000, tolerance)
}

const anyTime = { holds: () => true, complaint: "is not a time" }

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

/**
 * These claims are there and not null, and those that are given with values have one of them: `["sub", { name: "token_use",
 * values: ["access"] }]`. What a claim says instead is in no error. Not checked: what a claim says that is given by its name.
 */
export const requiredClaims = (required: ReadonlyArray<RequiredClaim>): Check<ClaimInvalid> => {
  const claims = read.orThrow(requirements("requiredClaims", required))
  return (token) => {
    const lacking = shortfall(token.claims, claims)
    return lacking === undefined ? Effect.succeed(token) : new ClaimInvalid(lacking)
  }
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
 * The token is a bearer token: it has no `cnf` claim that binds it to a key (RFC 7800). A bound token must not be taken without
 * its proof, because whoever stole it has no proof (RFC 9449 section 7.2).
 */
export const bearer: Check<BindingMismatch> = (token) =>
  token.claims["cnf"] === undefined ? Effect.succeed(token) : new BindingMismatch()

/**
 * The token has all of these scopes, or others that imply them; see `Jwt.scopes` for where they are read. Takes a
 * `ProtectedResource`, or any hierarchy of `ScopeHierarchy.make`; without one none implies another. Case-sensitive.
 */
export const scopes = (
  required: ReadonlyArray<string>,
  resource?: { readonly scopeHierarchy?: ScopeHierarchy | undefined }
): Check<ScopeMissing> => {
  const needed = read.orThrow(read.texts("scopes", required))
  const hierarchy = resource === undefined ? undefined : hierarchyOf(resource)
  return (token) =>
    covers(token.scopes, needed, hierarchy) ? Effect.succeed(token) : scopeMissing(token, needed, hierarchy)
}

/** A hierarchy as `ScopeHierarchy.make` makes it. The implications that it is made of are not one. */
const hierarchyOf = (resource: { readonly scopeHierarchy?: ScopeHierarchy | undefined }) => {
  read.orThrow(read.record("resource", resource))
  const { scopeHierarchy } = resource
  if (scopeHierarchy === undefined) return undefined
  const { impliedBy } = read.orThrow(read.record("scopeHierarchy", scopeHierarchy))
  if (!(impliedBy instanceof Map)) {
    throw ConfigurationError.make("scopeHierarchy", scopeHierarchy, "is not made by ScopeHierarchy.make")
  }
  return scopeHierarchy
}
