/**
 * The public keys of an issuer.
 */
import * as HttpClient from "@effect/platform/HttpClient"
import type * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as AuthorizationServer from "./AuthorizationServer.ts"
import * as ConfigurationError from "../ConfigurationError.ts"
import { type FetchFailure, fetchJson } from "./fetchJson.ts"
import { fromConfig } from "../fromConfig.ts"
import { type Algorithm, isAlgorithm } from "./algorithm.ts"
import * as JwksUri from "./jwksUri.ts"
import { remoteOptions } from "./optionNames.ts"
import { ahead } from "./keptValue.ts"
import * as keyIndex from "./keyIndex.ts"
import { keySetRefreshes } from "../metrics.ts"
import * as read from "../options.ts"
import { printable } from "../printable.ts"
import * as refreshing from "./refreshing.ts"
import * as ResourceUrl from "../resource/ResourceUrl.ts"
import type { VerificationUnavailable } from "../TokenError.ts"
import type { KeyHeader, VerificationKey } from "./verificationKey.ts"

export type { Algorithm } from "./algorithm.ts"
export type { KeyHeader, VerificationKey } from "./verificationKey.ts"

/**
 * The keys of one issuer. Provide another implementation for keys that come from elsewhere, such as a key management service.
 */
export class KeySet extends Context.Tag("effect-resource-server/KeySet")<
  KeySet,
  {
    /** The algorithms that tokens of this issuer may be signed with. */
    readonly algorithms: ReadonlySet<Algorithm>
    /**
     * The keys that fit a token's `alg` and `kid`, or none if the issuer has no such key. If more than four keys fit, none of
     * them is tried and the token is rejected with `KeyNotFound`.
     */
    readonly find: (header: KeyHeader) => Effect.Effect<ReadonlyArray<VerificationKey>, VerificationUnavailable>
    /**
     * The keys that fit after the issuer was asked again, for a token that no key of `find` signed: an issuer may replace a
     * key under the same `kid`. None if the issuer may not be asked now, or does not answer. Optional.
     */
    readonly findAnew?: (header: KeyHeader) => Effect.Effect<ReadonlyArray<VerificationKey>, VerificationUnavailable>
    /**
     * The keys that fit, without an effect, at a time in milliseconds since 1970; `undefined` if the issuer has to be asked.
     * Makes the verification of a token a little faster. Optional.
     */
    readonly findNow?: (header: KeyHeader, now: number) => ReadonlyArray<VerificationKey> | undefined
  }
>() {}

/** A JSON Web Key Set (RFC 7517 section 5). */
export interface JsonWebKeySet {
  readonly keys: ReadonlyArray<object>
}

/** The options of every key set. */
export interface Options {
  /** The algorithms to allow. Default: RS256, PS256, ES256, ES384, EdDSA, Ed25519. */
  readonly algorithms?: ReadonlyArray<Algorithm> | undefined
}

/** The options of a key set that is fetched. */
export interface RemoteOptions extends Options {
  /**
   * The age of the keys from which on a token waits for a fetch; a shorter `max-age` counts. Keys in use are fetched in the
   * background in the last fifth of this time, so that no token has to wait. Default: 10 minutes.
   */
  readonly freshFor?: Duration.DurationInput | undefined
  /** How long keys are used while the issuer is down. Must be longer than `freshFor` and `cooldown`. Default: 24 hours. */
  readonly usableFor?: Duration.DurationInput | undefined
  /**
   * Keys are fetched at most once in this time, and less often after several failures in a row. While there are no keys at
   * all, the wait after a failure is 1 second and doubles with each failure, up to this time. Default: 30 seconds.
   */
  readonly cooldown?: Duration.DurationInput | undefined
}

const defaultAlgorithms: ReadonlyArray<Algorithm> = ["RS256", "PS256", "ES256", "ES384", "EdDSA", "Ed25519"]

/** The most keys that one set may have. No issuer needs that many. */
const maxKeys = 1000

/** A key set that is given by value. Fails with `ConfigurationError` if no key is usable, or one is private or symmetric. */
export const layerLocal = (
  options: Options & { readonly jwks: JsonWebKeySet }
): Layer.Layer<KeySet, ConfigurationError.ConfigurationError> =>
  Layer.effect(
    KeySet,
    Effect.gen(function* () {
      yield* read.options<typeof options>(options, { algorithms: true, jwks: true })
      const algorithms = yield* allowedAlgorithms(options)
      const { keys: members } = yield* read.record("jwks", options.jwks)
      if (!Array.isArray(members)) return yield* ConfigurationError.make("jwks", "", "has no keys")
      const { index, problems } = yield* keyIndex.make(members, algorithms)
      const secret = problems.find(({ logLevel }) => logLevel === "Error")
      if (secret !== undefined) return yield* ConfigurationError.make("jwks", secret.key, `holds ${secret.reason}`)
      if (index.size === 0) {
        return yield* ConfigurationError.make(
          "jwks",
          "",
          `has no usable key: ${problems.map(keyIndex.describe).join("; ")}`
        )
      }
      yield* keyIndex.reporter("jwks")(problems)
      return KeySet.of({
        algorithms,
        findNow: (header) => keyIndex.lookUp(index, header),
        find: (header) => Effect.succeed(keyIndex.lookUp(index, header))
      })
    })
  )

/**
 * A key set that is fetched from a `jwks_uri` through the `HttpClient` on first use, and kept.
 *
 * An answer may take 5 seconds and have 1 MiB, and redirects are not followed. Members that are not usable are skipped,
 * and so are private and symmetric keys. A token that no key fits, or whose signature fails, causes another fetch, at most once
 * per cooldown. Keys that the issuer removed are not used after the next successful fetch. After `freshFor` a token waits for
 * a fetch, 5 seconds at most, and the old keys are used only if it fails. After an answer without a usable key there are no
 * keys. On Cloudflare Workers nothing is fetched in the background: one token waits instead.
 */
export const layerRemote = (
  options: RemoteOptions & { readonly jwksUri: string }
): Layer.Layer<KeySet, ConfigurationError.ConfigurationError, HttpClient.HttpClient> =>
  Layer.scoped(
    KeySet,
    Effect.gen(function* () {
      yield* read.options<typeof options>(options, { ...remoteOptions, jwksUri: true })
      // Unlike an identifier, the URL of a key set may have a query.
      yield* ResourceUrl.parse("jwksUri", (yield* read.text("jwksUri", options.jwksUri)).split("?")[0]!)
      const client = yield* HttpClient.HttpClient
      return yield* remote(options, options.jwksUri, fetchJson(client, options.jwksUri))
    })
  )

/** `layerRemote` with every option from `Config`. */
export const layerRemoteConfig = (
  options: Config.Config.Wrap<RemoteOptions & { readonly jwksUri: string }>
): Layer.Layer<KeySet, ConfigurationError.ConfigurationError | ConfigError.ConfigError, HttpClient.HttpClient> =>
  fromConfig(options, layerRemote)

/**
 * A key set that is fetched from the `jwks_uri` in an issuer's metadata (RFC 8414, else OpenID Connect Discovery), and kept.
 *
 * The `issuer` in the metadata must be exactly the configured one. The metadata may take another 5 seconds. It is fetched on
 * first use, again when keys are refreshed because of their age, and again when the fetch from its `jwks_uri` failed. For the
 * rest this is `layerRemote`.
 */
export const layerDiscovery = (
  options: RemoteOptions & { readonly issuer: string }
): Layer.Layer<KeySet, ConfigurationError.ConfigurationError, HttpClient.HttpClient> =>
  Layer.scoped(
    KeySet,
    Effect.gen(function* () {
      yield* read.options<typeof options>(options, { ...remoteOptions, issuer: true })
      yield* ResourceUrl.parse("issuer", options.issuer)
      const client = yield* HttpClient.HttpClient
      const { freshFor } = yield* timesOf(options)
      // The age at which keys in use are refreshed, so that such a refresh also notices a new jwks_uri.
      const knownFor = Duration.times(freshFor, ahead)
      const jwksUri = JwksUri.make(options.issuer, AuthorizationServer.discover(client, options.issuer), knownFor)
      const fetched = Effect.flatMap(jwksUri.get, (uri) => fetchJson(client, uri))
      return yield* remote(options, options.issuer, fetched, jwksUri.invalidate)
    })
  )

/** `layerDiscovery` with every option from `Config`. */
export const layerDiscoveryConfig = (
  options: Config.Config.Wrap<RemoteOptions & { readonly issuer: string }>
): Layer.Layer<KeySet, ConfigurationError.ConfigurationError | ConfigError.ConfigError, HttpClient.HttpClient> =>
  fromConfig(options, layerDiscovery)

const remote = (
  options: RemoteOptions,
  source: string,
  fetched: ReturnType<typeof fetchJson>,
  onFailure: Effect.Effect<void> = Effect.void
) =>
  Effect.gen(function* () {
    const times = yield* timesOf(options)
    const algorithms = yield* allowedAlgorithms(options)
    const report = keyIndex.reporter(source)
    const load = Effect.gen(function* () {
      const { body, maxAgeMillis } = yield* fetched
      const members = body["keys"]
      if (!Array.isArray(members)) return yield* failure(`the key set of ${source} has no keys`)
      if (members.length > maxKeys) return yield* failure(`the key set of ${source} has over ${maxKeys} keys`)
      const { index, problems } = yield* keyIndex.make(members, algorithms)
      yield* report(problems)
      // An issuer may withdraw all its keys after one was stolen, so that the earlier keys must not be used any more.
      if (index.size === 0) {
        return yield* Effect.fail({ reason: `the key set of ${source} has no usable key`, withdrawn: true } as const)
      }
      return { value: index, maxAgeMillis }
    })
    const keys = yield* refreshing.make({
      source: printable(source),
      load,
      onOutcome: (outcome) =>
        Effect.zipRight(Metric.update(keySetRefreshes, outcome), outcome === "failed" ? onFailure : Effect.void),
      ...times
    })
    const anew = (header: KeyHeader) => Effect.map(keys.renewed, (index) => keyIndex.lookUp(index, header))
    // While there are keys, a failed fetch is no outage for this token: the keys in use do not fit it.
    const none = Effect.as(keys.get, [])
    const logMiss = Effect.flatMap(Clock.currentTimeMillis, (now) =>
      Effect.annotateLogs(Effect.logDebug(`No key of ${printable(source)} fits`), { ...keys.state(now) })
    )
    return KeySet.of({
      algorithms,
      findNow: (header, now) => {
        const index = keys.atHand(now)
        return index === undefined ? undefined : keyIndex.lookUp(index, header)
      },
      findAnew: (header) => Effect.catchAll(anew(header), () => none),
      find: (header) =>
        Effect.flatMap(keys.get, (index) => {
          const found = keyIndex.lookUp(index, header)
          if (found.length > 0) return Effect.succeed(found)
          return Effect.catchAll(anew(header), (outage) => (keyIndex.hasKeyId(index, header) ? none : outage))
        }).pipe(Effect.tap((found) => (found.length === 0 ? logMiss : Effect.void)))
    })
  })

const timesOf = (options: RemoteOptions) =>
  Effect.gen(function* () {
    const { cooldown: wait = "30 seconds", freshFor: fresh = "10 minutes", usableFor: usable = "24 hours" } = options
    const freshFor = yield* read.duration("freshFor", fresh, positive)
    const cooldown = yield* read.duration("cooldown", wait, positive)
    // Otherwise the keys would expire before they may be fetched again.
    const usableFor = yield* read.duration("usableFor", usable, {
      holds: (value) => positive.holds(value) && Duration.greaterThan(value, Duration.max(freshFor, cooldown)),
      complaint: "is not a finite duration longer than freshFor and cooldown"
    })
    return { freshFor, cooldown, usableFor }
  })

const failure = (reason: string) => Effect.fail<FetchFailure>({ reason })

const allowedAlgorithms = ({ algorithms: given = defaultAlgorithms }: Options) =>
  Effect.gen(function* () {
    const algorithms = yield* read.texts("algorithms", given)
    if (algorithms.length === 0) return yield* ConfigurationError.make("algorithms", "", "is empty")
    const allowed = new Set<Algorithm>()
    for (const algorithm of algorithms) {
      if (!isAlgorithm(algorithm)) {
        return yield* ConfigurationError.make(
          "algorithms",
          algorithm,
          "is not a supported asymmetric signature algorithm"
        )
      }
      allowed.add(algorithm)
    }
    return allowed as ReadonlySet<Algorithm>
  })

const positive = {
  holds: (value: Duration.Duration) => Duration.isFinite(value) && Duration.greaterThan(value, Duration.zero),
  complaint: "is not a finite duration above zero"
}
