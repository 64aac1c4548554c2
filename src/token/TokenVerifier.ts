/**
 * The verifier of access tokens: the pipeline, bound to this server's resource.
 */
import type * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import type * as ConfigurationError from "../ConfigurationError.ts"
import { fromConfig } from "../fromConfig.ts"
import { catchDefects } from "../issuer/catchDefects.ts"
import { KeySet } from "../issuer/KeySet.ts"
import { defaultMaxTokenLength, maxTokenLengthBounds } from "../limits.ts"
import * as read from "../options.ts"
import { ProtectedResource } from "../resource/ProtectedResource.ts"
import { headerMemo } from "./headerMemo.ts"
import { readHeader } from "./jwsHeader.ts"
import { jwtOptions } from "./optionNames.ts"
import * as pipeline from "./pipeline.ts"
import * as policies from "./policy.ts"
import type { PolicyOptions } from "./policy.ts"
import type { Rejection } from "./rejection.ts"
import * as SignatureCache from "./signatureCache.ts"
import type { VerifiedToken } from "./verifiedToken.ts"

export type { AcceptedAudiences, PolicyOptions } from "./policy.ts"
export type { Rejection } from "./rejection.ts"

/** Verifies the access tokens of one resource. */
export class TokenVerifier extends Context.Tag("effect-resource-server/TokenVerifier")<
  TokenVerifier,
  {
    /** The token that `layerJwt` gives is frozen, with its claims: requests that send the same token may share it. */
    readonly verify: (token: Redacted.Redacted) => Effect.Effect<VerifiedToken, Rejection>
    /** The URL of the resource that the verifier is bound to. A door of another resource rejects it when it is built. */
    readonly resource: string
    /** Logs the audience that tokens must have. The first door that uses the verifier runs it, once. */
    readonly announce?: Effect.Effect<void> | undefined
  }
>() {}

/** How JWTs are verified, and which of them are accepted. */
export interface JwtOptions extends PolicyOptions {
  /**
   * How many tokens whose signature verified are remembered, so that it is not verified again. Every check runs each time. 0 turns
   * it off. Default: 1,000.
   */
  readonly signatureCacheEntries?: number | undefined
  /** How many bytes of memory these tokens may take, by an estimate. Default: 4 MiB. */
  readonly signatureCacheBytes?: number | undefined
  /**
   * The longest token in characters, at most 65,536. A longer one is rejected before anything of it is decoded. Default: 16,384.
   * Node answers 431 to a request whose headers are together over 16 KiB, before this library sees it: for longer tokens create
   * the server with `maxHeaderSize`.
   */
  readonly maxTokenLength?: number | undefined
}

/**
 * Binds the pipeline to `ProtectedResource`: signature, type, issuer, audience, lifetime, required claims, own checks, binding,
 * scopes.
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
        yield* read.options<JwtOptions>(options, jwtOptions)
        const policy = yield* policies.make(options, resource)
        const reader = yield* jwtReader(options, yield* KeySet)
        const cache = yield* signatureCache(options)
        return TokenVerifier.of({
          resource: resource.resource,
          announce: policy.announce,
          verify: pipeline.make(policy, reader, cache)
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
 * A verifier of your own, bound to `ProtectedResource`. It is used as it is: nothing is added to it, and no line at start names
 * the audience that it accepts. To add a check to `layerJwt` or a preset, use their option `checks` instead.
 *
 * `Layer.provideMerge` puts it over the resource, `ProtectedResource.layer` or `AuthKit.layerResource`. It does not compile when it
 * is merged with a preset, which has a verifier already. The door checks the scopes that the resource requires, for this
 * verifier as for any other.
 */
export const layer = <R>(
  verify: (token: Redacted.Redacted) => Effect.Effect<VerifiedToken, Rejection, R>
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

const jwtReader = ({ maxTokenLength = defaultMaxTokenLength }: JwtOptions, given: KeySet["Type"]) =>
  Either.map(read.number("maxTokenLength", maxTokenLength, maxTokenLengthBounds), () => {
    const keySet = catchDefects(given)
    return { keySet, maxTokenLength, readHeader: headerMemo((segment) => readHeader(segment, keySet.algorithms)) }
  })

const signatureCache = ({
  signatureCacheBytes = 4 * 2 ** 20,
  signatureCacheEntries = 1000
}: JwtOptions): read.Read<SignatureCache.SignatureCache<pipeline.Remembered>> =>
  Either.map(
    Either.all({
      bytes: read.number("signatureCacheBytes", signatureCacheBytes, bound),
      entries: read.number("signatureCacheEntries", signatureCacheEntries, bound)
    }),
    SignatureCache.make<pipeline.Remembered>
  )

const bound = {
  holds: (value: number) => Number.isFinite(value) && value >= 0,
  complaint: "is not a finite number of at least 0"
}
