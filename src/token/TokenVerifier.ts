/**
 * The verifier of access tokens: the pipeline, bound to this server's resource.
 */
import type * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import type { AccessToken } from "./AccessToken.ts"
import * as Check from "./Check.ts"
import * as ConfigurationError from "../ConfigurationError.ts"
import { duration } from "../duration.ts"
import { fromConfig } from "../fromConfig.ts"
import { guardedKeys } from "../issuer/catchDefects.ts"
import { defaultMaxTokenLength, maxTokenLengthBounds } from "../limits.ts"
import { isJwt } from "../mediaType.ts"
import * as read from "../options.ts"
import { quoted } from "../printable.ts"
import { jwtOptions } from "./optionNames.ts"
import { requirements } from "./requiredClaim.ts"
import * as SignatureCache from "./signatureCache.ts"
import * as verifier from "./pipeline.ts"
import type * as Jwt from "./Jwt.ts"
import { KeySet } from "../issuer/KeySet.ts"
import { ProtectedResource } from "../resource/ProtectedResource.ts"
import type { CredentialsMalformed, TokenError, TokenMissing } from "../TokenError.ts"

/** What a verifier can say of a token. That there is none, or no readable one, is for the HTTP edge to say. */
export type Rejection = Exclude<TokenError, TokenMissing | CredentialsMalformed>

/** Verifies the access tokens of one resource. */
export class TokenVerifier extends Context.Tag("effect-resource-server/TokenVerifier")<
  TokenVerifier,
  {
    /** The token that `layerJwt` gives is frozen, with its claims: requests that send the same token may share it. */
    readonly verify: (token: Redacted.Redacted) => Effect.Effect<AccessToken["Type"], Rejection>
    /** The URL of the resource that the verifier is bound to. A door of another resource refuses it when built. */
    readonly resource: string
    /** Logs the audience that tokens must have. The first door that uses the verifier runs it, once. */
    readonly announce?: Effect.Effect<void> | undefined
  }
>() {}

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

/** How tokens are checked. Which tokens are access tokens is told by `tokenTypes`, `acceptMissingType` and `accessTokenClaims`. */
export interface JwtOptions extends Check.AccessTokenTypeOptions {
  /** The issuer, byte for byte as its tokens spell it. */
  readonly issuer: string
  /** The clock's tolerance for `exp`, `nbf` and `iat`, at most 5 minutes. Default: 30 seconds. */
  readonly clockTolerance?: Duration.DurationInput | undefined
  /**
   * Claims that must be there besides `accessTokenClaims` and those that the checks read: `"org_id"`, or with values of
   * which one is needed `{ name: "org_id", values: ["org_01"] }`. Default: none.
   */
  readonly requiredClaims?: ReadonlyArray<Check.RequiredClaim> | undefined
  /** Audiences other than the resource URL. Default: the resource URL alone. */
  readonly acceptedAudiences?: AcceptedAudiences | undefined
  /**
   * How many tokens whose signature held are remembered, so that it is not checked again; every claim is, each time. 0
   * turns it off. Default: 1,000.
   */
  readonly signatureCacheEntries?: number | undefined
  /** How many bytes of memory these tokens may take, as far as can be told. Default: 4 MiB. */
  readonly signatureCacheBytes?: number | undefined
  /**
   * The longest token in characters, at most 65,536; a longer one is refused before anything of it is decoded. Default: 16,384.
   * Node refuses a request whose headers together are over 16 KiB with 431 before it is seen here: for longer tokens create the
   * server with `maxHeaderSize`.
   */
  readonly maxTokenLength?: number | undefined
  /** What an operator does with the audience, for the start-up line. */
  readonly registrationHint?: string | undefined
}

/**
 * Binds the pipeline to `ProtectedResource`: signature, type, issuer, audience, lifetime, binding, required claims, scopes.
 *
 * The first door that uses it logs one line: the audience that tokens must have. Fails with `ConfigurationError` when built. Always
 * fresh: the same Layer given to two resources is bound to each on its own. Not checked: revocation.
 */
export const layerJwt = (
  options: JwtOptions
): Layer.Layer<TokenVerifier, ConfigurationError.ConfigurationError, ProtectedResource | KeySet> =>
  Layer.fresh(
    Layer.effect(
      TokenVerifier,
      Effect.gen(function* () {
        const resource = yield* ProtectedResource
        const keySet = yield* KeySet
        yield* read.options<JwtOptions>(options, jwtOptions)
        const issuer = yield* read.name("issuer", options.issuer)
        const { maxTokenLength = defaultMaxTokenLength, registrationHint = "" } = options
        yield* read.number("maxTokenLength", maxTokenLength, maxTokenLengthBounds)
        yield* read.text("registrationHint", registrationHint)
        const cache = yield* signatureCache(options)
        const audiences = yield* acceptedAudiences(options.acceptedAudiences, resource)
        const claims = [
          yield* typeCheck(options, audiences, resource),
          Check.issuer(issuer),
          audiences === "any" ? Effect.succeed<Jwt.Jwt> : Check.audience({ audiences }),
          yield* lifetimeCheck(options),
          Check.bearer,
          ...(yield* claimChecks(options))
        ]
        const scopes = resource.requiredScopes.length > 0 ? [Check.scopes(resource.requiredScopes, resource)] : []
        return TokenVerifier.of({
          resource: resource.resource,
          announce: announce(options, resource),
          verify: verifier.make(issuer, guardedKeys(keySet), { claims, scopes }, cache, maxTokenLength)
        })
      })
    )
  )

/** `layerJwt` with every option from `Config`. */
export const layerJwtConfig = (
  options: Config.Config.Wrap<JwtOptions>
): Layer.Layer<
  TokenVerifier,
  ConfigurationError.ConfigurationError | ConfigError.ConfigError,
  ProtectedResource | KeySet
> => Layer.fresh(fromConfig(options, layerJwt))

/**
 * A verifier of your own, bound to `ProtectedResource`. It is used as it is: nothing is added to it, and nothing is said about
 * the audience it accepts.
 *
 * `Layer.provideMerge` puts it over the resource, `ProtectedResource.layer` or `AuthKit.layerResource`; merged with a preset, which
 * has a verifier already, it does not compile. The scopes that the resource requires are checked by the door, for this
 * verifier as for any other.
 */
export const layer = <R>(
  verify: (token: Redacted.Redacted) => Effect.Effect<AccessToken["Type"], Rejection, R>
): Layer.Layer<TokenVerifier, never, R | ProtectedResource> =>
  Layer.fresh(
    Layer.effect(
      TokenVerifier,
      Effect.gen(function* () {
        const { resource } = yield* ProtectedResource
        const context = yield* Effect.context<R>()
        return TokenVerifier.of({ resource, verify: (token) => Effect.provide(verify(token), context) })
      })
    )
  )

const lifetimeCheck = ({ clockTolerance = "30 seconds" }: JwtOptions) =>
  Either.map(
    duration("clockTolerance", clockTolerance, {
      holds: Duration.lessThanOrEqualTo("5 minutes"),
      complaint: "is not a time of at most 5 minutes"
    }),
    (clockTolerance) => Check.lifetime({ clockTolerance })
  )

/** How access tokens are told from other tokens of the issuer. */
const typeCheck = (options: JwtOptions, audiences: Audiences | "any", resource: ProtectedResource["Type"]) =>
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
        "takes no token: acceptedAudiences leaves out the resource, and accessTokenClaims names nothing that tells an access token from an ID token"
      return yield* Either.left(ConfigurationError.make(option, value, reason))
    }
    return Check.accessTokenType({ accessTokenClaims, acceptMissingType, resource, tokenTypes })
  })

/** What asks for nothing is no step on every request's way. */
const claimChecks = ({ accessTokenClaims = [], requiredClaims = [] }: JwtOptions) =>
  Either.map(requirements("requiredClaims", requiredClaims), () => {
    const required = [...accessTokenClaims, ...requiredClaims]
    return required.length > 0 ? [Check.requiredClaims(required)] : []
  })

const signatureCache = ({
  signatureCacheBytes = 4 * 2 ** 20,
  signatureCacheEntries = 1000
}: JwtOptions): read.Read<SignatureCache.SignatureCache<verifier.Remembered>> =>
  Either.map(
    Either.all({
      bytes: read.number("signatureCacheBytes", signatureCacheBytes, bound),
      entries: read.number("signatureCacheEntries", signatureCacheEntries, bound)
    }),
    SignatureCache.make<verifier.Remembered>
  )

const bound = {
  holds: (value: number) => Number.isFinite(value) && value >= 0,
  complaint: "is not a finite number of at least 0"
}

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

const announce = (options: JwtOptions, resource: ProtectedResource["Type"]) => {
  const accepted = options.acceptedAudiences
  const reason = accepted?.dangerouslyAcceptAnyAudience
  if (reason !== undefined) {
    return Effect.logWarning(`Access tokens of ${options.issuer} are accepted FOR ANY AUDIENCE, because: ${reason}`)
  }
  const hint = options.registrationHint === undefined ? "" : ` (${options.registrationHint})`
  // A bare origin is accepted in two spellings, but an operator registers the one that is advertised.
  if (accepted === undefined) return Effect.logInfo(`Access tokens are accepted for aud=${resource.resource}${hint}`)
  const audiences = quoted(accepted.insteadOfResource ?? [...resource.audiences, ...(accepted.besideResource ?? [])])
  return Effect.logInfo(`Access tokens are accepted for aud in ${audiences}; the resource is ${resource.resource}`)
}
