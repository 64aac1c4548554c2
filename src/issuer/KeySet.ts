/**
 * An issuer's public keys.
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
import { duration } from "../duration.ts"
import { fromConfig } from "../fromConfig.ts"
import { type Algorithm, isAlgorithm } from "./jwk.ts"
import * as JwksUri from "./jwksUri.ts"
import * as keyIndex from "./keyIndex.ts"
import { remoteOptions } from "./optionNames.ts"
import { keySetRefreshes } from "../metrics.ts"
import * as read from "../options.ts"
import { printable } from "../printable.ts"
import * as refreshing from "./refreshing.ts"
import * as ResourceUrl from "../resource/ResourceUrl.ts"
import type { VerificationUnavailable } from "../TokenError.ts"

export type { Algorithm } from "./jwk.ts"

/** One public key, prepared for one algorithm. */
export interface VerificationKey {
  readonly keyId: string | undefined
  /** Whether the signature of this compact JWS is this key's. May throw or reject; that counts as no. */
  readonly verify: (token: string) => boolean | Promise<boolean>
}

/** The keys of one issuer. The seam for keys from elsewhere, such as a key management service. */
export class KeySet extends Context.Tag("effect-resource-server/KeySet")<
  KeySet,
  {
    /** The algorithms that tokens of this issuer may be signed with. */
    readonly algorithms: ReadonlySet<Algorithm>
    /**
     * The keys that fit a token's `alg` and `kid`; none if the issuer has no such key. Where more than four fit, none of them
     * is tried and the token is rejected with `KeyNotFound`.
     */
    readonly find: (header: {
      readonly algorithm: Algorithm
      readonly keyId: string | undefined
    }) => Effect.Effect<ReadonlyArray<VerificationKey>, VerificationUnavailable>
    /**
     * The keys that fit after the issuer was asked again, for a token that no key of `find` signed: a key may be replaced
     * under its `kid`. None if the issuer may not be asked now, or does not answer. A key set need not have it.
     */
    readonly findAnew?: (header: {
      readonly algorithm: Algorithm
      readonly keyId: string | undefined
    }) => Effect.Effect<ReadonlyArray<VerificationKey>, VerificationUnavailable>
    /**
     * The same at once, at a time in milliseconds since 1970, or `undefined` where that takes asking. It saves a token
     * that comes again a step; a key set need not have it.
     */
    readonly findNow?: (
      header: { readonly algorithm: Algorithm; readonly keyId: string | undefined },
      now: number
    ) => ReadonlyArray<VerificationKey> | undefined
  }
>() {}

/** A JSON Web Key Set (RFC 7517 section 5). */
export interface JsonWebKeySet {
  readonly keys: ReadonlyArray<object>
}

/** What every key set can be told. */
export interface Options {
  /** The algorithms to allow. Default: RS256, PS256, ES256, ES384, EdDSA, Ed25519. */
  readonly algorithms?: ReadonlyArray<Algorithm> | undefined
}

/** How a key set that is fetched is kept. */
export interface RemoteOptions extends Options {
  /**
   * How old keys may be before a token waits for a fetch; a shorter `max-age` counts. Keys in use are fetched in the
   * background in the last fifth of this time, so that no token waits. Default: 10 minutes.
   */
  readonly freshFor?: Duration.DurationInput | undefined
  /** How long keys are used while the issuer is down: longer than `freshFor` and `cooldown`. Default: 24 hours. */
  readonly usableFor?: Duration.DurationInput | undefined
  /**
   * Keys are fetched at most once in this time; less often after failures in a row. While there are no keys at all the
   * wait after a failure is 1 second, then twice as long each time, up to this time. Default: 30 seconds.
   */
  readonly cooldown?: Duration.DurationInput | undefined
}

const defaultAlgorithms: ReadonlyArray<Algorithm> = ["RS256", "PS256", "ES256", "ES384", "EdDSA", "Ed25519"]

/** More keys than this in one set are not an issuer's. */
const maxKeys = 1000

/** Keys given by value. Fails with `ConfigurationError` if none of them is usable, or one is private or symmetric. */
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
 * Keys from a `jwks_uri`, fetched on first use through the `HttpClient` and kept.
 *
 * No redirects, 5 seconds and 1 MiB for an answer. Members that cannot be used are skipped; private and symmetric ones
 * are never used. A token that no key fits, or whose signature fails, makes the set be fetched again, at most once per
 * cooldown. Keys that the issuer removed stop verifying with the next successful fetch: after `freshFor` a token waits for
 * one, 5 seconds at most, and old keys are used on only if it fails. A set without a usable key leaves no keys. On Cloudflare
 * Workers nothing is fetched in the background: one token waits in its place.
 */
export const layerRemote = (
  options: RemoteOptions & { readonly jwksUri: string }
): Layer.Layer<KeySet, ConfigurationError.ConfigurationError, HttpClient.HttpClient> =>
  Layer.scoped(
    KeySet,
    Effect.gen(function* () {
      yield* read.options<typeof options>(options, { ...remoteOptions, jwksUri: true })
      // A key set may be chosen by a query, and an identifier may not.
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
 * Keys from the `jwks_uri` of an issuer's metadata: RFC 8414, then OpenID Connect Discovery. The metadata's `issuer` must be
 * the configured one exactly. Found and kept like those of `layerRemote`, on first use with 5 seconds for the metadata
 * besides; the metadata is asked again with keys that are refreshed for their age, or when what was at its `jwks_uri` was of
 * no use.
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
      // As old as keys are when they are refreshed ahead, so that each such refresh also finds keys that moved.
      const asked = Duration.times(freshFor, refreshing.ahead)
      const jwksUri = JwksUri.make(options.issuer, AuthorizationServer.discover(client, options.issuer), asked)
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
      // An issuer takes all keys back when one was stolen: the keys it had must not be used on.
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
    const anew = (header: Parameters<typeof keyIndex.lookUp>[1]) =>
      Effect.map(keys.renewed, (index) => keyIndex.lookUp(index, header))
    // Not an outage while keys are in use: they have judged the token.
    const none = Effect.as(keys.get, [])
    const tell = Effect.flatMap(Clock.currentTimeMillis, (now) =>
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
        }).pipe(Effect.tap((found) => (found.length === 0 ? tell : Effect.void)))
    })
  })

const timesOf = (options: RemoteOptions) =>
  Effect.gen(function* () {
    const {
      cooldown: shortest = "30 seconds",
      freshFor: fresh = "10 minutes",
      usableFor: longest = "24 hours"
    } = options
    const freshFor = yield* duration("freshFor", fresh, positive)
    const cooldown = yield* duration("cooldown", shortest, positive)
    // Else keys would run out before they may be fetched again: their tokens would wait, or be told of an outage.
    const usableFor = yield* duration("usableFor", longest, {
      holds: (value) => positive.holds(value) && Duration.greaterThan(value, Duration.max(freshFor, cooldown)),
      complaint: "is not a finite time longer than freshFor and cooldown"
    })
    return { freshFor, cooldown, usableFor }
  })

const failure = (reason: string) => Effect.fail<FetchFailure>({ reason })

const allowedAlgorithms = ({ algorithms: given = defaultAlgorithms }: Options) =>
  Effect.gen(function* () {
    const algorithms = yield* read.texts("algorithms", given)
    if (algorithms.length === 0) return yield* ConfigurationError.make("algorithms", "", "allows none")
    const allowed = new Set<Algorithm>()
    for (const algorithm of algorithms) {
      if (!isAlgorithm(algorithm)) {
        return yield* ConfigurationError.make(
          "algorithms",
          algorithm,
          "is not an asymmetric signature algorithm known here"
        )
      }
      allowed.add(algorithm)
    }
    return allowed as ReadonlySet<Algorithm>
  })

const positive = {
  holds: (value: Duration.Duration) => Duration.isFinite(value) && Duration.greaterThan(value, Duration.zero),
  complaint: "is not a finite time above zero"
}
