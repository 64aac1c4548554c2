/**
 * A whole resource server for any issuer as one Layer.
 */
import type * as HttpClient from "@effect/platform/HttpClient"
import type * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import type * as ConfigurationError from "../ConfigurationError.ts"
import { fromConfig } from "../fromConfig.ts"
import * as read from "../options.ts"
import * as KeySet from "../issuer/KeySet.ts"
import { remoteOptions } from "../issuer/optionNames.ts"
import { resourceOptions } from "../resource/optionNames.ts"
import { jwtOptions } from "../token/optionNames.ts"
import * as ProtectedResource from "../resource/ProtectedResource.ts"
import * as ResourceUrl from "../resource/ResourceUrl.ts"
import * as TokenVerifier from "../token/TokenVerifier.ts"

/** Where the issuer's keys are found: exactly one of the choices. */
export type Keys = read.OneOf<{
  /** The URL of its key set. */
  readonly jwksUri: string
  /** The key set itself. */
  readonly jwks: KeySet.JsonWebKeySet
}>

/** A resource and the one issuer whose tokens it accepts. An audience is not an option: the resource's URL is the audience. */
export interface Options
  extends Omit<ProtectedResource.Options, "authorizationServers">, TokenVerifier.JwtOptions, KeySet.RemoteOptions {
  /** Where the issuer's keys are found. Default: by discovery (RFC 8414, then OpenID Connect). */
  readonly keys?: Keys | undefined
}

/**
 * Provides the resource and a verifier bound to it: `ProtectedResource.layer`, a `KeySet` and `TokenVerifier.layerJwt`.
 */
export const layer = (
  options: Options
): Layer.Layer<
  ProtectedResource.ProtectedResource | TokenVerifier.TokenVerifier,
  ConfigurationError.ConfigurationError,
  HttpClient.HttpClient
> =>
  Layer.unwrapEffect(
    Effect.gen(function* () {
      yield* read.options<Options>(options, { ...resourceOptions, ...jwtOptions, ...remoteOptions, keys: true })
      yield* ResourceUrl.parse("issuer", options.issuer)
      return TokenVerifier.layerJwt(read.pick(options, jwtOptions)).pipe(
        Layer.provide(yield* keySet(options)),
        Layer.provideMerge(
          ProtectedResource.layer({ ...read.pick(options, resourceOptions), authorizationServers: [options.issuer] })
        )
      )
    })
  )

/** `layer` with every option from `Config`. */
export const layerConfig = (
  options: Config.Config.Wrap<Options>
): Layer.Layer<
  ProtectedResource.ProtectedResource | TokenVerifier.TokenVerifier,
  ConfigurationError.ConfigurationError | ConfigError.ConfigError,
  HttpClient.HttpClient
> => fromConfig(options, layer)

const keySet = (
  options: Options
): read.Read<Layer.Layer<KeySet.KeySet, ConfigurationError.ConfigurationError, HttpClient.HttpClient>> => {
  const { algorithms, issuer, keys } = options
  const remote = read.pick(options, remoteOptions)
  if (keys === undefined) return Either.right(KeySet.layerDiscovery({ ...remote, issuer }))
  return Either.map(read.choice("keys", keys, { jwksUri: true, jwks: true }), () =>
    keys.jwks === undefined
      ? KeySet.layerRemote({ ...remote, jwksUri: keys.jwksUri })
      : KeySet.layerLocal({ algorithms, jwks: keys.jwks })
  )
}
