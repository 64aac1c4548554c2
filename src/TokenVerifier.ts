/**
 * The verifier of access tokens: the pipeline, bound to this server's resource.
 */
import type * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import type { AccessToken } from "./AccessToken.ts"
import * as Check from "./Check.ts"
import * as ConfigurationError from "./ConfigurationError.ts"
import { duration } from "./internal/duration.ts"
import { fromConfig } from "./internal/fromConfig.ts"
import { guardedKeys } from "./internal/guardedKeys.ts"
import { quoted } from "./internal/printable.ts"
import * as SignatureCache from "./internal/signatureCache.ts"
import * as verifier from "./internal/verifier.ts"
import type * as Jwt from "./Jwt.ts"
import { KeySet } from "./KeySet.ts"
import { ProtectedResource } from "./ProtectedResource.ts"
import type { CredentialsMalformed, TokenError, TokenMissing } from "./TokenError.ts"

/** What a verifier can say of a token. That there is none, or no readable one, is for the HTTP edge to say. */
export type Rejection = Exclude<TokenError, TokenMissing | CredentialsMalformed>

/** Verifies the access tokens of one resource. */
export class TokenVerifier extends Context.Tag("effect-resource-server/TokenVerifier")<
  TokenVerifier,
  {
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
export type AcceptedAudiences = {
  [Choice in keyof AudienceChoices]: Pick<AudienceChoices, Choice> & {
    readonly [Other in Exclude<keyof AudienceChoices, Choice>]?: never
  }
}[keyof AudienceChoices]

/** How tokens are checked. */
export interface JwtOptions {
  /** The issuer, byte for byte as its tokens spell it. */
  readonly issuer: string
  /** The accepted values of `typ`. Default: `at+jwt`. */
  readonly tokenTypes?: readonly [string, ...Array<string>] | undefined
  /** The clock's tolerance for `exp`, `nbf` and `iat`, at most 5 minutes. Default: 30 seconds. */
  readonly clockTolerance?: Duration.DurationInput | undefined
  /** Claims that must be there besides those that the checks read. Default: none. */
  readonly requiredClaims?: ReadonlyArray<string> | undefined
  /** Audiences other than the resource URL. Default: the resource URL alone. */
  readonly acceptedAudiences?: AcceptedAudiences | undefined
  /**
   * How many tokens whose signature held are remembered, so that it is not checked again; every claim is, each time. 0
   * turns it off. Default: 1,000.
   */
  readonly signatureCacheEntries?: number | undefined
  /** How many bytes of memory these tokens may take, as far as can be told. Default: 4 MiB. */
  readonly signatureCacheBytes?: number | undefined
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
        const clockTolerance = yield* duration("clockTolerance", options.clockTolerance ?? "30 seconds", {
          holds: Duration.lessThanOrEqualTo("5 minutes"),
          complaint: "is not a time of at most 5 minutes"
        })
        const tokenTypes = options.tokenTypes ?? (["at+jwt"] as const)
        if (tokenTypes[0] === undefined) return yield* ConfigurationError.make("tokenTypes", "", "accepts none")
        if (options.issuer.trim() === "") return yield* ConfigurationError.make("issuer", options.issuer, "is blank")
        const cache = yield* signatureCache(options)
        const audience = yield* audienceCheck(options.acceptedAudiences, resource)
        const requiredClaims = options.requiredClaims ?? []
        const claims = [
          Check.tokenType(...tokenTypes),
          Check.issuer(options.issuer),
          audience,
          Check.lifetime({ clockTolerance }),
          Check.bearer,
          // What asks for nothing is no step on every request's way.
          ...(requiredClaims.length > 0 ? [Check.requiredClaims(requiredClaims)] : [])
        ]
        const scopes = resource.requiredScopes.length > 0 ? [Check.scopes(resource.requiredScopes, resource)] : []
        return TokenVerifier.of({
          resource: resource.resource,
          announce: announce(options, resource),
          verify: verifier.make(options.issuer, guardedKeys(keySet), { claims, scopes }, cache)
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

const signatureCache = (options: JwtOptions) =>
  Effect.gen(function* () {
    const { signatureCacheBytes: bytes = 4 * 2 ** 20, signatureCacheEntries: entries = 1000 } = options
    for (const [option, value] of Object.entries({ signatureCacheBytes: bytes, signatureCacheEntries: entries })) {
      if (!(Number.isFinite(value) && value >= 0)) {
        return yield* ConfigurationError.make(option, String(value), "is not a finite number of at least 0")
      }
    }
    return SignatureCache.make<verifier.Remembered>({ bytes, entries })
  })

const audienceChoices: ReadonlyArray<string> = [
  "besideResource",
  "insteadOfResource",
  "dangerouslyAcceptAnyAudience"
] satisfies ReadonlyArray<keyof AudienceChoices>

const audiencesOf = (accepted: AcceptedAudiences, { audiences }: ProtectedResource["Type"]): Audiences =>
  accepted.insteadOfResource ?? [...audiences, ...(accepted.besideResource ?? [])]

const audienceCheck = (accepted: AcceptedAudiences | undefined, resource: ProtectedResource["Type"]) =>
  Effect.gen(function* () {
    if (accepted === undefined) return Check.audience(resource)
    const choices = Object.entries(accepted).filter(([, value]) => value !== undefined)
    const names = choices.map(([name]) => name).join(", ")
    // Types do not stop what comes from a configuration file, and a choice that nobody knows must not be the weakest.
    if (!audienceChoices.includes(names)) {
      return yield* ConfigurationError.make("acceptedAudiences", names, "is not one choice")
    }
    const option = `acceptedAudiences.${names}`
    const given: ReadonlyArray<string> = choices.flatMap(([, value]) => value)
    // An empty list or name here is an unset environment variable more often than a decision.
    if (given.length === 0) return yield* ConfigurationError.make(option, "", "is empty")
    const blank = given.find((value) => value.trim() === "")
    if (blank !== undefined) return yield* ConfigurationError.make(option, blank, "is blank")
    if (accepted.dangerouslyAcceptAnyAudience !== undefined) return Effect.succeed<Jwt.Jwt>
    return Check.audience({ audiences: audiencesOf(accepted, resource) })
  })

const announce = (options: JwtOptions, resource: ProtectedResource["Type"]) => {
  const accepted = options.acceptedAudiences
  const reason = accepted?.dangerouslyAcceptAnyAudience
  if (reason !== undefined) {
    return Effect.logWarning(`Access tokens of ${options.issuer} are accepted FOR ANY AUDIENCE, because: ${reason}`)
  }
  const hint = options.registrationHint === undefined ? "" : ` (${options.registrationHint})`
  // A bare origin is accepted in two spellings, but an operator registers the one that is advertised.
  if (accepted === undefined) return Effect.logInfo(`Access tokens are accepted for aud=${resource.resource}${hint}`)
  const audiences = quoted(audiencesOf(accepted, resource))
  return Effect.logInfo(`Access tokens are accepted for aud in ${audiences}; the resource is ${resource.resource}`)
}
