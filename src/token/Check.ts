/**
 * The checks: each takes what a token claims and returns it, or fails with its own error.
 *
 * A pipeline is `Jwt.verify` and then a line per check. Its error type is the sum of its lines. A check of your own is one more
 * line, or a member of the option `checks` of a verifier. Functions that make a check throw `ConfigurationError` for arguments
 * of wrong types, such as a variable that is not set, because a check must not become weaker where a variable is missing.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as ConfigurationError from "../ConfigurationError.ts"
import type { Claimed } from "./claims.ts"
import { within } from "./lifetime.ts"
import { audienceHint, mismatchHint } from "./mismatchHint.ts"
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
  type Expired,
  IssuerMismatch,
  type NotYetValid,
  type ScopeMissing,
  TypeMismatch
} from "../TokenError.ts"

export type { Claimed } from "./claims.ts"
export type { ClaimValue, RequiredClaim } from "./requiredClaim.ts"

/** A check that fails with `E`. It returns the very value that it was given, so that a pipeline keeps its type. */
export type Check<E> = <A extends Claimed>(claimed: A) => Effect.Effect<A, E>

/** A check that reads the header of a JWT, too. */
export type JwtCheck<E> = <A extends Jwt>(jwt: A) => Effect.Effect<A, E>

/**
 * The header's `typ` is one of these, with or without `application/` and in any case (RFC 9068 section 4). A token without
 * `typ` is rejected. Not checked: whether a token with `JWT` is an access token, if you name that type; an ID token may have
 * it. See `accessTokenType`.
 */
export const tokenType = (...types: readonly [string, ...Array<string>]): JwtCheck<TypeMismatch> => {
  const expected = read.orThrow(read.names("tokenTypes", types))
  const accepted = new Set(expected.map(mediaType))
  return (jwt) => {
    const { type } = jwt
    if (typeof type === "string" && (accepted.has(type) || accepted.has(mediaType(type)))) return Effect.succeed(jwt)
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
   * The accepted values of `typ`. Default: `at+jwt`. `JWT` does not tell an access token from an ID token: if it is one of them,
   * a token with it is judged like one without `typ`.
   */
  readonly tokenTypes?: readonly [string, ...Array<string>] | undefined
  /** Whether a token without `typ` is accepted. Default: it is not. */
  readonly acceptMissingType?: boolean | undefined
  /**
   * Claims, or values of claims, that the issuer's access tokens have and its ID tokens lack, such as `cid` or
   * `{ name: "token_use", values: ["access"] }`. A token that has them all counts as an access token. Default: none, then only
   * the audience distinguishes an access token from an ID token.
   */
  readonly accessTokenClaims?: ReadonlyArray<RequiredClaim> | undefined
}

/**
 * The token is an access token and not an ID token of the same issuer. Its `typ` says so; or, where `typ` is `JWT` or missing, the resource's URL in its `aud` does, or
 * the claims that the issuer's ID tokens lack.
 *
 * Such an ID token has the same keys and the same `iss`, and its `aud` is a client id. Not checked: whether the
 * audience is accepted (`audience` checks that), and whether ID tokens really lack these claims.
 */
export const accessTokenType = (
  options: AccessTokenTypeOptions & {
    /** Whose URL in `aud` marks an access token: a `ProtectedResource`, or any list of audiences that are not client ids. */
    readonly resource: { readonly audiences: readonly [string, ...Array<string>] }
  }
): JwtCheck<TypeMismatch> => {
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
  return (jwt) => {
    const { type } = jwt
    if (type === undefined ? !takesMissing : !(takesJwt && isJwt(type))) return typed(jwt)
    const { aud } = jwt.claims
    if (isOurs(aud)) return Effect.succeed(jwt)
    const lacking = shortfall(jwt.claims, claims)
    if (claims.length > 0 && lacking === undefined) return Effect.succeed(jwt)
    const shown = [
      `audience ${quoted(printableClaims(aud))}`,
      lacking === undefined ? "accessTokenClaims none" : `claim ${lacking.claim} ${lacking.reason}`
    ]
    const cause = audienceHint(audiences, texts(aud))
    const hint = `nothing distinguishes it from an ID token (${shown.join(", ")})${cause === undefined ? "" : `: ${printable(cause)}`}`
    return typeMismatch(types, type, hint)
  }
}

/** The types that an error may show. The sender of a token chose every other text. */
const knownTypes = ["JWT", "jwt", "at+jwt", "application/at+jwt", "id_token", "logout+jwt", "dpop+jwt", "secevent+jwt"]

/** `iss` is this issuer, code point by code point: a slash, a letter's case and a port count (RFC 7519 section 4.1.1). */
export const issuer = (expected: string): Check<IssuerMismatch> => {
  read.orThrow(read.name("issuer", expected))
  return (claimed) => {
    const { iss } = claimed.claims
    if (iss === expected) return Effect.succeed(claimed)
    const actual = printableClaim(iss)
    const cause = typeof iss === "string" ? mismatchHint([expected], [iss]) : undefined
    return new IssuerMismatch({
      expected: printable(expected),
      ...(actual !== undefined && { actual }),
      ...(cause !== undefined && { hint: printable(cause) })
    })
  }
}

/**
 * `aud`, a string or a list of strings, names this resource (RFC 7519 section 4.1.3, RFC 8707). Takes a
 * `ProtectedResource`, or any list of audiences; one in common is enough. Audiences are compared as whole strings, without
 * prefixes or patterns.
 */
export const audience = (resource: {
  readonly audiences: readonly [string, ...Array<string>]
}): Check<AudienceMismatch> => {
  const expected = audiencesOf(resource)
  const isAccepted = names(expected)
  return (claimed) => {
    const { aud } = claimed.claims
    if (isAccepted(aud)) return Effect.succeed(claimed)
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
 * Now lies between `nbf` and `exp`, and `iat` is not in the future, each with this tolerance (default 30 seconds). `exp` is
 * required; `now >= exp + tolerance` is expired. A time that is not a finite number is `ClaimInvalid`. The clock is Effect's.
 * Not checked: that the tolerance is small; an infinite one turns the check off.
 */
export const lifetime = (options?: {
  readonly clockTolerance?: Duration.DurationInput | undefined
}): Check<Expired | NotYetValid | ClaimInvalid> => {
  const { clockTolerance = "30 seconds" } = read.orThrow(
    read.options<NonNullable<typeof options>>(options === undefined ? {} : options, { clockTolerance: true })
  )
  const tolerance = Duration.toSeconds(read.orThrow(read.duration("clockTolerance", clockTolerance, anyTime)))
  return (claimed) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => Effect.as(within(claimed.claims, now / 1000, tolerance), claimed))
}

const anyTime = { holds: () => true, complaint: "is not a time" }

/**
 * These claims are there and not null, and those that are given with values have one of them: `["sub", { name: "token_use",
 * values: ["access"] }]`. No error shows what a claim says instead. Not checked: the value of a claim that is given by its name.
 */
export const requiredClaims = (required: ReadonlyArray<RequiredClaim>): Check<ClaimInvalid> => {
  const claims = read.orThrow(requirements("requiredClaims", required))
  return (claimed) => {
    const lacking = shortfall(claimed.claims, claims)
    return lacking === undefined ? Effect.succeed(claimed) : new ClaimInvalid(lacking)
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
 * The token is a bearer token: it has no `cnf` claim that binds it to a key (RFC 7800). A bound token must not be accepted
 * without the proof of that key, because a thief has the token and not the key (RFC 9449 section 7.2).
 */
export const bearer: Check<BindingMismatch> = (claimed) =>
  claimed.claims["cnf"] === undefined ? Effect.succeed(claimed) : new BindingMismatch()

/**
 * The token has all of these scopes, or others that imply them. `Jwt.scopes` says where they are read. Takes a
 * `ProtectedResource`, or any hierarchy of `ScopeHierarchy.make`; without one, no scope implies another. Case-sensitive.
 */
export const scopes = (
  required: ReadonlyArray<string>,
  resource?: { readonly scopeHierarchy?: ScopeHierarchy | undefined }
): Check<ScopeMissing> => {
  const needed = read.orThrow(read.texts("scopes", required))
  const hierarchy = resource === undefined ? undefined : hierarchyOf(resource)
  return (claimed) =>
    covers(claimed.scopes, needed, hierarchy) ? Effect.succeed(claimed) : scopeMissing(claimed, needed, hierarchy)
}

/** The hierarchy of a resource. It must be what `ScopeHierarchy.make` returns, and not what that function takes. */
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
