import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as ConfigurationError from "../ConfigurationError.ts"
import { isJwt } from "../mediaType.ts"
import * as read from "../options.ts"
import { quoted } from "../printable.ts"
import type { ProtectedResource } from "../resource/ProtectedResource.ts"
import type { ClaimInvalid, TypeMismatch } from "../TokenError.ts"
import * as Check from "./Check.ts"
import { type Claimed, type Claims, clientIdClaims, scopeClaims, scopesOf } from "./claims.ts"
import { within } from "./lifetime.ts"
import { ownCheck } from "./ownCheck.ts"
import type { Rejection } from "./rejection.ts"
import { requirements } from "./requiredClaim.ts"
import { verifiedToken, type VerifiedToken } from "./verifiedToken.ts"

type Audiences = readonly [string, ...Array<string>]

interface AudienceChoices {
  /** These, or the resource URL. */
  readonly besideResource: Audiences
  /** These, and not the resource URL. */
  readonly insteadOfResource: Audiences
  /**
   * Any audience, or none: a token that the issuer minted for any other server is accepted. Only for an issuer that
   * mints tokens for this one server. The value is the reason, which is logged as a warning at start-up.
   */
  readonly dangerouslyAcceptAnyAudience: string
}

/** Audiences other than the resource URL, for authorization servers that cannot mint it: exactly one of the choices. */
export type AcceptedAudiences = read.OneOf<AudienceChoices>

/** What tokens are accepted. `tokenTypes`, `acceptMissingType` and `accessTokenClaims` say which of them are access tokens. */
export interface PolicyOptions extends Check.AccessTokenTypeOptions {
  /** The issuer, byte for byte as its tokens spell it. */
  readonly issuer: string
  /** The clock's tolerance for `exp`, `nbf` and `iat`, at most 5 minutes. Default: 30 seconds. */
  readonly clockTolerance?: Duration.DurationInput | undefined
  /**
   * Claims that must be there besides `accessTokenClaims` and those that the checks read: `"org_id"`, or with values of
   * which one is needed `{ name: "org_id", values: ["org_01"] }`. Default: none.
   */
  readonly requiredClaims?: ReadonlyArray<Check.RequiredClaim> | undefined
  /**
   * Checks of your own. They run after the required claims and before binding and scopes, one after the other, for each request:
   * also for a token that is remembered. They may be asynchronous. What one throws is a defect of its request. Default: none.
   */
  readonly checks?: ReadonlyArray<Check.Check<Rejection>> | undefined
  /** Audiences other than the resource URL. Default: the resource URL alone. */
  readonly acceptedAudiences?: AcceptedAudiences | undefined
  /** What an operator does with the audience, for the start-up line. */
  readonly registrationHint?: string | undefined
}

/** A check of the policy, at a time in milliseconds since 1970. */
export type PolicyCheck = (claimed: Claimed, now: number) => Effect.Effect<unknown, Rejection>

/** What tokens a resource accepts, wherever their claims come from. */
export interface Policy {
  readonly issuer: string
  /** The scopes that claims grant. */
  readonly scopesOf: (claims: Claims) => ReadonlySet<string>
  /** A JWT is an access token. */
  readonly tokenType: Check.JwtCheck<TypeMismatch>
  /** Issuer, audience, lifetime, required claims, the user's own checks, binding: in this order. */
  readonly claimChecks: ReadonlyArray<PolicyCheck>
  /** Reads the claims that handlers use. */
  readonly accessToken: (claimed: Claimed) => Effect.Effect<VerifiedToken, ClaimInvalid>
  /** The scopes that the resource requires. They come last: a token with a claim of a wrong type does not lack a scope. */
  readonly scopeChecks: ReadonlyArray<PolicyCheck>
  /** Logs the audience that tokens must have. */
  readonly announce: Effect.Effect<void>
}

/** The policy of these options at this resource. */
export const make = (options: PolicyOptions, resource: ProtectedResource["Type"]): read.Read<Policy> =>
  Either.gen(function* () {
    const issuer = yield* read.name("issuer", options.issuer)
    const audiences = yield* acceptedAudiences(options.acceptedAudiences, resource)
    return {
      issuer,
      scopesOf: (claims) => scopesOf(claims, scopeClaims),
      tokenType: yield* tokenType(options, audiences, resource),
      claimChecks: [
        Check.issuer(issuer),
        ...(audiences === "any" ? [] : [Check.audience({ audiences })]),
        yield* lifetime(options),
        ...(yield* requiredClaims(options)),
        ...(yield* ownChecks(options)),
        Check.bearer
      ],
      accessToken: (claimed) => verifiedToken(claimed, clientIdClaims),
      scopeChecks: resource.requiredScopes.length > 0 ? [Check.scopes(resource.requiredScopes, resource)] : [],
      announce: yield* announce(options, resource)
    }
  })

/** The audiences that a token may have: those of the resource, or what the one choice says. */
const acceptedAudiences = (accepted: AcceptedAudiences | undefined, resource: ProtectedResource["Type"]) =>
  Either.gen(function* () {
    if (accepted === undefined) return resource.audiences
    const choice = yield* read.choice("acceptedAudiences", accepted, audienceChoices)
    const option = `acceptedAudiences.${choice}`
    if (choice === "dangerouslyAcceptAnyAudience") {
      yield* read.name(option, accepted[choice])
      return "any" as const
    }
    const audiences = yield* read.names(option, accepted[choice])
    return choice === "insteadOfResource" ? audiences : ([...resource.audiences, ...audiences] as const)
  })

const audienceChoices = { besideResource: true, insteadOfResource: true, dangerouslyAcceptAnyAudience: true } as const

/** How access tokens are told from other tokens of the issuer. */
const tokenType = (options: PolicyOptions, audiences: Audiences | "any", resource: ProtectedResource["Type"]) =>
  Either.gen(function* () {
    const { accessTokenClaims = [], acceptMissingType = false, tokenTypes: given = ["at+jwt"] } = options
    const tokenTypes = yield* read.names("tokenTypes", given)
    const claims = yield* requirements("accessTokenClaims", accessTokenClaims)
    yield* read.boolean("acceptMissingType", acceptMissingType)
    const jwt = tokenTypes.find(isJwt)
    if (!acceptMissingType && jwt === undefined) return Check.tokenType(...tokenTypes)
    if (claims.length === 0 && audiences !== "any" && !audiences.some((one) => resource.audiences.includes(one))) {
      const [option, value] = acceptMissingType ? ["acceptMissingType", true] : ["tokenTypes", jwt]
      const reason =
        "accepts no token: acceptedAudiences leaves out the resource, and accessTokenClaims names nothing that distinguishes an access token from an ID token"
      return yield* Either.left(ConfigurationError.make(option, value, reason))
    }
    return Check.accessTokenType({ accessTokenClaims, acceptMissingType, resource, tokenTypes })
  })

/** `Check.lifetime` at the time at hand: asking the clock would be a step of the fiber for each token. */
const lifetime = ({ clockTolerance = "30 seconds" }: PolicyOptions) =>
  Either.map(
    read.duration("clockTolerance", clockTolerance, {
      holds: Duration.lessThanOrEqualTo("5 minutes"),
      complaint: "is not a time of at most 5 minutes"
    }),
    (clockTolerance): PolicyCheck => {
      const tolerance = Duration.toSeconds(clockTolerance)
      return ({ claims }, now) => within(claims, now / 1000, tolerance)
    }
  )

/** A check of no claims is left out, so that it is no step for each token. */
const requiredClaims = ({ accessTokenClaims = [], requiredClaims = [] }: PolicyOptions) =>
  Either.map(requirements("requiredClaims", requiredClaims), () => {
    const required = [...accessTokenClaims, ...requiredClaims]
    return required.length > 0 ? [Check.requiredClaims(required)] : []
  })

const ownChecks = ({ checks = [] }: PolicyOptions) =>
  Either.map(read.functions("checks", checks), (given) => given.map(ownCheck))

const announce = (options: PolicyOptions, resource: ProtectedResource["Type"]) => {
  const { acceptedAudiences: accepted, issuer, registrationHint = "" } = options
  return Either.map(read.text("registrationHint", registrationHint), (hint) => {
    const reason = accepted?.dangerouslyAcceptAnyAudience
    if (reason !== undefined) {
      return Effect.logWarning(`Access tokens of ${issuer} are accepted FOR ANY AUDIENCE, because: ${reason}`)
    }
    // A bare origin is accepted in two spellings, but an operator registers the one that is advertised.
    if (accepted === undefined) {
      const what = hint === "" ? "" : ` (${hint})`
      return Effect.logInfo(`Access tokens are accepted for aud=${resource.resource}${what}`)
    }
    const audiences = quoted(accepted.insteadOfResource ?? [...resource.audiences, ...(accepted.besideResource ?? [])])
    return Effect.logInfo(`Access tokens are accepted for aud in ${audiences}; the resource is ${resource.resource}`)
  })
}
