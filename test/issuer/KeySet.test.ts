import type * as HttpClient from "@effect/platform/HttpClient"
import { describe, expect, it } from "@effect/vitest"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FastCheck from "effect/FastCheck"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Metric from "effect/Metric"
import * as TestClock from "effect/TestClock"
import * as jose from "jose"
import { reporter } from "../../src/issuer/keyIndex.ts"
import { keySetRefreshes } from "../../src/metrics.ts"
import * as Jwt from "../../src/token/Jwt.ts"
import * as KeySet from "../../src/issuer/KeySet.ts"
import * as issuer from "../support/issuer.ts"
import { captureLogs } from "../support/logs.ts"

const jwksUri = `${issuer.issuer}/jwks`
const [es256, es384, rs256, ps256, edDsa, es512] = await Promise.all(
  ["ES256", "ES384", "RS256", "PS256", "Ed25519", "ES512"].map((algorithm) => issuer.keyFor(algorithm))
)
/** Six P-256 keys with the kid `same`. */
const same = await Promise.all(Array.from({ length: 6 }, () => issuer.generateKey("ES256", "same")))

const exported = await jose.exportJWK(es256!.privateKey)

/** A coordinate with another first byte, so that the point is not on the curve. */
const flip = (text: string) => (text.startsWith("A") ? `B${text.slice(1)}` : `A${text.slice(1)}`)

type Layered = Layer.Layer<KeySet.KeySet, unknown>

const outcome = (key: issuer.Key, header: Readonly<Record<string, unknown>> = {}) =>
  Effect.flatMap(issuer.mint({ key, header }), Jwt.verify).pipe(
    Effect.match({ onSuccess: () => "verified" as const, onFailure: (error) => ({ ...error }) })
  )

/** The fields of the error with which the build of a Layer fails. */
const buildError = <E extends object>(layer: Layer.Layer<KeySet.KeySet, E>) =>
  Layer.build(layer).pipe(
    Effect.flip,
    Effect.map((error) => ({ ...error })),
    Effect.scoped
  )

const configurationError = (option: string, value: string, reason: string) => ({
  _tag: "ConfigurationError",
  option,
  value,
  reason
})
const keyNotFound = (algorithm: string, keyId?: string, hint?: string) => ({
  _tag: "KeyNotFound",
  algorithm,
  ...(keyId !== undefined && { keyId }),
  ...(hint !== undefined && { hint })
})

describe("KeySet", () => {
  it("has a key of its own", () => {
    expect(KeySet.KeySet.key).toBe("effect-resource-server/KeySet")
  })
})

const noRequests = issuer.network(() => {
  throw new Error("no request is expected")
})

const remoteOf = (net: issuer.Network, options: Partial<KeySet.RemoteOptions> = {}) =>
  KeySet.layerRemote({ jwksUri, ...options }).pipe(Layer.provide(net.layer))

const local = (...keys: ReadonlyArray<object>) => KeySet.layerLocal({ jwks: { keys } })

describe("findNow", () => {
  const header = { algorithm: "ES256", keyId: "es256" } as const
  const now = (keySet: KeySet.KeySet["Type"], millis: number, keyId = header.keyId as string) =>
    keySet.findNow?.({ ...header, keyId }, millis)?.map((key) => key.keyId)

  it.effect("gives the keys of a local key set", () =>
    Effect.gen(function* () {
      const keySet = yield* KeySet.KeySet
      expect(now(keySet, 0)).toEqual(["es256"])
      expect(now(keySet, 0, "unknown")).toEqual([])
    }).pipe(Effect.provide(local(es256!.jwk)))
  )

  it.effect("gives fetched keys until the time of their refresh, and nothing before and after", () => {
    const net = issuer.network(() => issuer.json({ keys: [es256!.jwk] }))
    return Effect.gen(function* () {
      const keySet = yield* KeySet.KeySet
      expect(now(keySet, 0)).toBeUndefined()
      yield* keySet.find(header)
      const minutes = Duration.toMillis("8 minutes")
      expect([now(keySet, minutes - 1), now(keySet, 0, "unknown")]).toEqual([["es256"], []])
      expect(now(keySet, minutes)).toBeUndefined()
    }).pipe(Effect.provide(remoteOf(net)))
  })
})

describe("the metric of fetches", () => {
  it.effect("counts fetches that succeeded, that failed, and that the cooldown suppressed", () =>
    Effect.gen(function* () {
      const count = Effect.map(Metric.value(keySetRefreshes), ({ occurrences }) => new Map(occurrences))
      const before = yield* count
      const answers = [issuer.json({ keys: [] }), issuer.json({ keys: [es256!.jwk] })]
      const net = issuer.network(() => answers.shift()!)
      yield* Effect.gen(function* () {
        expect(yield* outcome(es256!)).toMatchObject({ _tag: "VerificationUnavailable" })
        yield* TestClock.adjust("30 seconds")
        expect(yield* outcome(es256!)).toBe("verified")
        for (let i = 0; i < 3; i++) {
          expect(yield* outcome({ ...es256!, keyId: "x" })).toStrictEqual(keyNotFound("ES256", "x"))
        }
      }).pipe(Effect.provide(remoteOf(net)))
      const added = [...(yield* count)].map(([name, times]) => [name, times - (before.get(name) ?? 0)])
      expect(Object.fromEntries(added)).toEqual({ failed: 1, loaded: 1, suppressed: 3 })
    })
  )
})

describe("a token that no key fits", () => {
  it.effect("is logged at Debug, with the state of the fetches", () => {
    const answers = [issuer.json({ keys: [es256!.jwk] }), issuer.json({ keys: [] })]
    const net = issuer.network(() => answers.shift()!)
    const logs = captureLogs()
    return Effect.gen(function* () {
      expect(yield* outcome(es256!)).toBe("verified")
      expect(logs.lines).toEqual([])
      yield* TestClock.adjust("12 seconds")
      expect(yield* outcome({ ...es256!, keyId: "x" })).toStrictEqual(keyNotFound("ES256", "x"))
      yield* TestClock.adjust("18 seconds")
      expect(yield* outcome({ ...es256!, keyId: "x" })).toMatchObject({ _tag: "VerificationUnavailable" })
      expect(logs.lines.filter((line) => line.startsWith("DEBUG"))).toEqual([`DEBUG No key of ${jwksUri} fits`])
      expect(logs.annotations[0]).toEqual({ loads: 1, failures: 0, ageSeconds: 12 })
    }).pipe(Effect.provide(remoteOf(net)), Effect.provide(logs.layer), Logger.withMinimumLogLevel(LogLevel.Debug))
  })
})

describe("layerLocal", () => {
  it.effect("verifies tokens of its keys, and no others", () =>
    Effect.gen(function* () {
      expect(yield* outcome(es256!)).toBe("verified")
      expect(yield* outcome(rs256!)).toBe("verified")
      expect(yield* outcome({ ...es256!, keyId: "unknown" })).toStrictEqual(keyNotFound("ES256", "unknown"))
      expect(yield* outcome({ ...same[0]!, keyId: "es256" })).toStrictEqual({ _tag: "SignatureInvalid" })
    }).pipe(Effect.provide(local(es256!.jwk, rs256!.jwk)))
  )

  it.effect("skips keys that are not usable next to one that is", () =>
    Effect.gen(function* () {
      expect(yield* outcome(es256!)).toBe("verified")
      expect(yield* outcome(rs256!)).toStrictEqual(keyNotFound("RS256", "rs256"))
    }).pipe(Effect.provide(local({ ...rs256!.jwk, use: "enc" }, {}, es256!.jwk)))
  )

  for (const [what, jwks, value, reason] of [
    ["no keys", {}, "", "has no keys"],
    ["keys that are no array", { keys: es256!.jwk }, "", "has no keys"],
    ["an empty array", { keys: [] }, "", "has no usable key: "],
    [
      "unusable keys",
      { keys: [{ ...es256!.jwk, use: "enc" }, null] },
      "",
      "has no usable key: key 1 is not for signatures (use); key 2 is not an object"
    ],
    [
      "a point off its curve",
      { keys: [{ ...es256!.jwk, x: flip(es256!.jwk.x!) }] },
      "",
      "has no usable key: key 1 is no valid ES256 key"
    ],
    ["a private key", { keys: [es256!.jwk, { ...rs256!.jwk, d: "AQAB" }] }, "key 2", "holds private material"],
    ["a symmetric key", { keys: [{ kty: "oct", k: "c2VjcmV0" }, es256!.jwk] }, "key 1", "holds a symmetric key"]
  ] as const) {
    it.effect(`is a configuration error with ${what}`, () =>
      Effect.gen(function* () {
        expect(yield* buildError(KeySet.layerLocal({ jwks: jwks as unknown as KeySet.JsonWebKeySet }))).toStrictEqual(
          configurationError("jwks", value, reason)
        )
      })
    )
  }
})

describe("algorithms", () => {
  const every = local(...[es256, es384, rs256, ps256, edDsa, es512].map((key) => key!.jwk))

  it.effect("are RS256, PS256, ES256, ES384, EdDSA and Ed25519 by default", () =>
    Effect.gen(function* () {
      const expected = ["RS256", "PS256", "ES256", "ES384", "EdDSA", "Ed25519"]
      expect([...(yield* KeySet.KeySet).algorithms]).toStrictEqual(expected)
      for (const key of [es256, es384, rs256, ps256, edDsa]) expect(yield* outcome(key!)).toBe("verified")
      expect(yield* outcome(edDsa!, { alg: "EdDSA" })).toBe("verified")
      expect(yield* outcome(es512!)).toStrictEqual({ _tag: "AlgorithmNotAllowed", expected, actual: "ES512" })
    }).pipe(Effect.provide(every))
  )

  it.effect("are only those that the options name", () =>
    Effect.gen(function* () {
      expect(yield* outcome(es384!)).toBe("verified")
      expect(yield* outcome(es512!)).toBe("verified")
      expect(yield* outcome(es256!)).toStrictEqual({
        _tag: "AlgorithmNotAllowed",
        expected: ["ES384", "ES512"],
        actual: "ES256"
      })
    }).pipe(
      Effect.provide(KeySet.layerLocal({ jwks: { keys: [es384!.jwk, es512!.jwk] }, algorithms: ["ES384", "ES512"] }))
    )
  )

  it.effect("must agree with the alg of the key", () =>
    Effect.gen(function* () {
      expect(yield* outcome(rs256!, { alg: "PS256" })).toStrictEqual(keyNotFound("PS256", "rs256"))
      expect(yield* outcome(rs256!, { alg: "ES256" })).toStrictEqual(keyNotFound("ES256", "rs256"))
    }).pipe(Effect.provide(every))
  )

  for (const [algorithms, value, reason] of [
    [[], "", "is empty"],
    [["HS256"], "HS256", "is not a supported asymmetric signature algorithm"],
    [["RS256", "none"], "none", "is not a supported asymmetric signature algorithm"],
    [["rs256"], "rs256", "is not a supported asymmetric signature algorithm"],
    [["constructor"], "constructor", "is not a supported asymmetric signature algorithm"]
  ] as const) {
    const options = { algorithms: algorithms as unknown as ReadonlyArray<KeySet.Algorithm> }
    it.effect(`of ${JSON.stringify(algorithms)} are a configuration error`, () =>
      Effect.gen(function* () {
        const expected = configurationError("algorithms", value, reason)
        expect(yield* buildError(KeySet.layerLocal({ jwks: { keys: [es256!.jwk] }, ...options }))).toStrictEqual(
          expected
        )
        expect(yield* buildError(remoteOf(noRequests, options))).toStrictEqual(expected)
        expect(
          yield* buildError(
            KeySet.layerDiscovery({ issuer: issuer.issuer, ...options }).pipe(Layer.provide(noRequests.layer))
          )
        ).toStrictEqual(expected)
      })
    )
  }
})

describe("the options of a remote key set", () => {
  const publicHttp = "must be https (http is for loopback hosts only)"
  const urls: ReadonlyArray<readonly [value: string, shown: string, reason: string]> = [
    ["", "", "is empty"],
    ["as.example/jwks", "as.example/jwks", "is not an absolute https:// URL"],
    ["/jwks", "/jwks", "is not an absolute https:// URL"],
    ["ftp://as.example/jwks", "ftp://as.example/jwks", "is not an absolute https:// URL"],
    ["file:///etc/jwks", "file:///etc/jwks", "is not an absolute https:// URL"],
    ["https://[::1", "https://[::1", "is not a valid URL"],
    ["http://as.example/jwks", "http://as.example/jwks", publicHttp],
    ["http://10.0.0.1/jwks", "http://10.0.0.1/jwks", publicHttp],
    ["http://127.0.0.1.evil.example/jwks", "http://127.0.0.1.evil.example/jwks", publicHttp],
    ["https://user:password@as.example/jwks", "https://***@as.example/jwks", "must not have user info"],
    ["https://as.example/jwks#keys", "https://as.example/jwks#keys", "must not have a fragment"],
    ["https://as.example/ jwks", "https://as.example/ jwks", "has white space, control characters or a backslash"]
  ]
  for (const [value, shown, reason] of urls) {
    it.effect(`are a configuration error with ${value === "" ? "an empty URL" : value}`, () =>
      Effect.gen(function* () {
        const withNetwork = Layer.provide(noRequests.layer)
        expect(yield* buildError(withNetwork(KeySet.layerRemote({ jwksUri: value })))).toStrictEqual(
          configurationError("jwksUri", shown, reason)
        )
        expect(yield* buildError(withNetwork(KeySet.layerDiscovery({ issuer: value })))).toStrictEqual(
          configurationError("issuer", shown, reason)
        )
      })
    )
  }

  it.effect("may have a jwksUri with a query, and no issuer with one", () => {
    const net = issuer.network(() => issuer.json({ keys: [es256!.jwk] }))
    return Effect.gen(function* () {
      const url = "https://as.example/jwks?policy=one"
      expect(
        yield* Effect.provide(outcome(es256!), Layer.provide(KeySet.layerRemote({ jwksUri: url }), net.layer))
      ).toBe("verified")
      expect(net.requests.map((request) => request.url)).toStrictEqual([url])
      expect(yield* buildError(Layer.provide(KeySet.layerDiscovery({ issuer: url }), net.layer))).toStrictEqual(
        configurationError("issuer", url, "must not have a query")
      )
    })
  })

  for (const [value, shown] of [
    [Number.POSITIVE_INFINITY, "Infinity"],
    [Number.NaN, "NaN"],
    [0, "0"],
    [-1, "-1"],
    ["0 seconds", "0 seconds"],
    ["-5 seconds", "-5 seconds"],
    ["soon", "soon"],
    [Duration.infinity, "Infinity"]
  ] as ReadonlyArray<readonly [Duration.DurationInput, string]>) {
    for (const option of ["freshFor", "usableFor", "cooldown"]) {
      it.effect(`are a configuration error with ${option} ${String(value)}`, () =>
        Effect.gen(function* () {
          expect(yield* buildError(remoteOf(noRequests, { [option]: value }))).toStrictEqual(
            configurationError(
              option,
              shown,
              `is not a finite duration ${option === "usableFor" ? "longer than freshFor and cooldown" : "above zero"}`
            )
          )
        })
      )
    }
  }

  it.effect.each([
    [{ usableFor: "10 minutes" }],
    [{ freshFor: "1 minute", usableFor: "1 minute" }],
    [{ freshFor: "1 second", usableFor: "30 seconds" }],
    [{ freshFor: "25 hours" }]
  ] as const)("are a configuration error where keys would run out before they are fetched again: %j", ([options]) =>
    Effect.gen(function* () {
      const usableFor = "usableFor" in options ? options.usableFor : "24 hours"
      expect(yield* buildError(remoteOf(noRequests, options))).toStrictEqual(
        configurationError("usableFor", usableFor, "is not a finite duration longer than freshFor and cooldown")
      )
    })
  )

  it.effect("may have an http URL on a loopback host", () =>
    Effect.gen(function* () {
      for (const origin of ["http://localhost:8080", "http://127.0.0.1", "http://[::1]:1"]) {
        const net = issuer.network((url) =>
          url === `${origin}/jwks`
            ? issuer.json({ keys: [es256!.jwk] })
            : issuer.json({ issuer: origin, jwks_uri: `${origin}/jwks` })
        )
        const remote = KeySet.layerRemote({ jwksUri: `${origin}/jwks` })
        const discovered = KeySet.layerDiscovery({ issuer: origin })
        for (const layer of [remote, discovered]) {
          expect(yield* outcome(es256!).pipe(Effect.provide(Layer.provide(layer, net.layer)))).toBe("verified")
        }
      }
    })
  )
})

describe("the Config forms", () => {
  const withConfig = (entries: ReadonlyArray<readonly [string, string]>) =>
    Layer.setConfigProvider(ConfigProvider.fromMap(new Map(entries)))
  const algorithms = Config.array(Config.literal("ES256", "ES384")(), "ALGORITHMS")
  const remoteConfig = KeySet.layerRemoteConfig({
    jwksUri: Config.string("JWKS_URI"),
    algorithms,
    cooldown: Config.duration("COOLDOWN")
  })
  const discoveryConfig = KeySet.layerDiscoveryConfig({ issuer: Config.string("ISSUER"), algorithms })
  const settings = [
    ["JWKS_URI", jwksUri],
    ["ISSUER", issuer.issuer],
    ["ALGORITHMS", "ES256"],
    ["COOLDOWN", "5 seconds"]
  ] as const

  it.effect("read every option when the Layer is built", () => {
    const net = issuer.network(issuer.publishes(es256!))
    return Effect.gen(function* () {
      expect([...(yield* KeySet.KeySet).algorithms]).toStrictEqual(["ES256"])
      expect(yield* outcome(es256!)).toBe("verified")
      yield* TestClock.adjust("5 seconds")
      expect(yield* outcome({ ...es256!, keyId: "unknown" })).toStrictEqual(keyNotFound("ES256", "unknown"))
      expect(net.requests.map(({ url }) => url)).toStrictEqual([jwksUri, jwksUri])
    }).pipe(Effect.provide(remoteConfig.pipe(Layer.provide(net.layer), Layer.provide(withConfig(settings)))))
  })

  it.effect("read the issuer", () => {
    const net = issuer.network(issuer.publishes(es256!))
    return Effect.gen(function* () {
      expect([...(yield* KeySet.KeySet).algorithms]).toStrictEqual(["ES256"])
      expect(yield* outcome(es256!)).toBe("verified")
    }).pipe(Effect.provide(discoveryConfig.pipe(Layer.provide(net.layer), Layer.provide(withConfig(settings)))))
  })

  it.effect("fail with ConfigError where a value is missing, and with ConfigurationError where it is not valid", () =>
    Effect.gen(function* () {
      const build = (layer: Layer.Layer<KeySet.KeySet, object, HttpClient.HttpClient>, entries: typeof settings) =>
        buildError(layer.pipe(Layer.provide(noRequests.layer), Layer.provide(withConfig(entries))))
      const without = (name: string) => settings.filter(([key]) => key !== name) as unknown as typeof settings
      expect(yield* build(remoteConfig, without("JWKS_URI"))).toMatchObject({
        _op: "MissingData",
        path: ["JWKS_URI"]
      })
      expect(yield* build(discoveryConfig, without("ISSUER"))).toMatchObject({ _op: "MissingData", path: ["ISSUER"] })
      const bad = [...settings, ["JWKS_URI", "jwks"], ["ISSUER", "as"]] as unknown as typeof settings
      expect(yield* build(remoteConfig, bad)).toStrictEqual(
        configurationError("jwksUri", "jwks", "is not an absolute https:// URL")
      )
      expect(yield* build(discoveryConfig, bad)).toStrictEqual(
        configurationError("issuer", "as", "is not an absolute https:// URL")
      )
    })
  )
})

describe("find", () => {
  const sizes = (header: { readonly algorithm: KeySet.Algorithm; readonly keyId: string | undefined }) =>
    Effect.map(
      Effect.flatMap(KeySet.KeySet, (keys) => keys.find(header)),
      (found) => found.map(({ keyId }) => keyId)
    )

  it.effect("chooses by alg among keys with one kid", () =>
    Effect.gen(function* () {
      for (const key of [rs256, ps256, es256, edDsa]) {
        expect(yield* outcome({ ...key!, keyId: "one" })).toBe("verified")
        expect(yield* sizes({ algorithm: key!.algorithm as KeySet.Algorithm, keyId: "one" })).toStrictEqual(["one"])
      }
    }).pipe(Effect.provide(local(...[rs256, ps256, es256, edDsa].map((key) => ({ ...key!.jwk, kid: "one" })))))
  )

  it.effect("chooses by kty and crv among keys with one kid and without alg", () =>
    Effect.gen(function* () {
      for (const key of [rs256, es256, es384, edDsa]) {
        expect(yield* outcome({ ...key!, keyId: "one" })).toBe("verified")
        expect(yield* sizes({ algorithm: key!.algorithm as KeySet.Algorithm, keyId: "one" })).toStrictEqual(["one"])
      }
    }).pipe(
      Effect.provide(
        KeySet.layerLocal({
          algorithms: ["RS256", "ES256", "ES384", "Ed25519"],
          jwks: {
            keys: [rs256, es256, es384, edDsa].map((key) => {
              const { alg: _, ...jwk } = key!.jwk
              return { ...jwk, kid: "one" }
            })
          }
        })
      )
    )
  )

  it.effect("does not choose the encryption key with the same kid", () =>
    Effect.gen(function* () {
      expect(yield* outcome(same[0]!)).toBe("verified")
      expect(yield* outcome(same[1]!)).toStrictEqual({ _tag: "SignatureInvalid" })
    }).pipe(Effect.provide(local({ ...same[1]!.jwk, use: "enc" }, same[0]!.jwk)))
  )

  it.effect("gives both of two keys with the same kid and alg, and reports them once", () => {
    const net = issuer.network(() => issuer.json({ keys: [same[0]!.jwk, same[1]!.jwk] }))
    const logs = captureLogs()
    return Effect.gen(function* () {
      expect(yield* outcome(same[0]!)).toBe("verified")
      expect(yield* outcome(same[1]!)).toBe("verified")
      expect(yield* outcome(same[2]!)).toStrictEqual({ _tag: "SignatureInvalid" })
      expect(net.requests.length).toBe(1)
      yield* TestClock.adjust("30 seconds")
      expect(yield* outcome({ ...same[0]!, keyId: "unknown" })).toStrictEqual(keyNotFound("ES256", "unknown"))
      expect(net.requests.length).toBe(2)
      expect(logs.lines).toStrictEqual([
        `WARN Some keys of ${jwksUri} are not usable or not unique: key 2 is one of several ES256 keys with its kid`
      ])
    }).pipe(Effect.provide(remoteOf(net)), Effect.provide(logs.layer))
  })

  for (const [what, kid, advice] of [
    ["a token whose kid they share", "same", "the issuer has to give each key its own kid"],
    ["a token without kid", undefined, "the issuer has to name the key in the token's kid"]
  ] as const) {
    it.effect(`lets up to four keys be tried for ${what}, and none if there are more`, () => {
      const tooMany = keyNotFound("ES256", kid, `5 keys fit, and at most 4 are tried; ${advice}`)
      const named = (count: number) =>
        same.slice(0, count).map(({ jwk }, i) => (kid === undefined ? { ...jwk, kid: `${i}` } : jwk))
      const net = issuer.network(() => issuer.json({ keys: named(5) }))
      return Effect.gen(function* () {
        expect(yield* outcome(same[3]!, { kid }).pipe(Effect.provide(local(...named(4))))).toBe("verified")
        expect(yield* outcome(same[4]!, { kid }).pipe(Effect.provide(local(...named(4))))).toStrictEqual({
          _tag: "SignatureInvalid"
        })
        yield* Effect.gen(function* () {
          expect(yield* outcome(same[0]!, { kid })).toStrictEqual(tooMany)
          // Fetching the keys again would not help.
          yield* TestClock.adjust("30 seconds")
          expect(yield* outcome(same[0]!, { kid })).toStrictEqual(tooMany)
          expect(net.requests.length).toBe(1)
        }).pipe(Effect.provide(remoteOf(net)))
        expect(yield* outcome(same[0]!, { kid }).pipe(Effect.provide(local(...named(5))))).toStrictEqual(tooMany)
      })
    })
  }

  it.effect("gives keys without kid to a token without kid, and not to a token with one", () => {
    const { kid: _, ...nameless } = es256!.jwk
    return Effect.gen(function* () {
      expect(yield* outcome(es256!, { kid: undefined })).toBe("verified")
      expect(yield* outcome(es256!)).toStrictEqual(keyNotFound("ES256", "es256"))
    }).pipe(Effect.provide(local(nameless)))
  })

  it.effect("asks the issuer again for a token without kid when no key fits its algorithm", () => {
    const net = issuer.network(issuer.publishes(es256!))
    return Effect.gen(function* () {
      expect(yield* outcome(es256!)).toBe("verified")
      net.answer = issuer.publishes(es256!, rs256!)
      yield* TestClock.adjust("30 seconds")
      expect(yield* outcome(rs256!, { kid: undefined })).toBe("verified")
      expect(net.requests.length).toBe(2)
    }).pipe(Effect.provide(remoteOf(net)))
  })

  it.effect(
    "asks the issuer again for a known kid with another algorithm, and gives no key if there is no new one",
    () => {
      const net = issuer.network(issuer.publishes(es256!))
      return Effect.gen(function* () {
        expect(yield* outcome(es256!)).toBe("verified")
        yield* TestClock.adjust("30 seconds")
        expect(yield* outcome({ ...rs256!, keyId: "es256" })).toStrictEqual(keyNotFound("RS256", "es256"))
        expect(net.requests.length).toBe(2)
      }).pipe(Effect.provide(remoteOf(net)))
    }
  )

  for (const kid of [
    "__proto__",
    "constructor",
    "../../etc/passwd",
    "' OR 1=1 --",
    "https://evil.example/jwks",
    "ES256",
    ""
  ]) {
    it.effect(`has no key for kid ${JSON.stringify(kid)}, and asks only the issuer`, () => {
      const net = issuer.network(issuer.publishes(es256!))
      return Effect.gen(function* () {
        expect(yield* outcome(es256!, { kid })).toMatchObject({ _tag: "KeyNotFound", algorithm: "ES256" })
        expect(net.requests.map(({ url }) => url)).toStrictEqual([jwksUri])
      }).pipe(Effect.provide(remoteOf(net)))
    })
  }
})

describe("hostile members", () => {
  const error = "ERROR The issuer publishes secret key material at"
  const info = "INFO Some keys of"

  for (const [what, member, level, reason] of [
    ["a private key", { ...exported, kid: "bad" }, error, "private material"],
    ["a symmetric key", { kty: "oct", kid: "bad", alg: "ES256", k: "c2VjcmV0" }, error, "a symmetric key"],
    ["a key for encryption", { ...es256!.jwk, kid: "bad", use: "enc" }, info, "not for signatures (use)"],
    ["a key to sign with", { ...es256!.jwk, kid: "bad", key_ops: ["sign"] }, info, "not for verification (key_ops)"],
    [
      "a point that is not on its curve",
      { ...es256!.jwk, kid: "bad", y: flip(es256!.jwk.y!) },
      info,
      "no valid ES256 key"
    ],
    ["a short coordinate", { ...es256!.jwk, kid: "bad", x: es256!.jwk.x!.slice(2) }, info, "a malformed P-256 key"],
    [
      "a point of zeros",
      { ...es256!.jwk, kid: "bad", x: "A".repeat(43), y: "A".repeat(43) },
      info,
      "no valid ES256 key"
    ],
    ["null", null, info, "not an object"]
  ] as const) {
    it.effect(`do not affect the good key: ${what}`, () => {
      const net = issuer.network(() => issuer.json({ keys: [member, rs256!.jwk] }))
      const logs = captureLogs()
      return Effect.gen(function* () {
        expect(yield* outcome({ ...es256!, keyId: "bad" })).toStrictEqual(keyNotFound("ES256", "bad"))
        expect(yield* outcome(rs256!)).toBe("verified")
        expect(logs.lines).toStrictEqual([
          level === error
            ? `${error} ${jwksUri}: key 1 is ${reason}`
            : `${info} ${jwksUri} are not usable or not unique: key 1 is ${reason}`
        ])
      }).pipe(Effect.provide(remoteOf(net)), Effect.provide(logs.layer))
    })
  }

  for (const [what, change] of [
    ["1024 bits", { n: jose.base64url.encode(new Uint8Array(128).fill(0xff)) }],
    ["an exponent of 1", { e: "AQ" }],
    ["an even exponent", { e: "Ag" }]
  ] as const) {
    it.effect(`do not affect the good key: RSA with ${what}`, () => {
      const net = issuer.network(() => issuer.json({ keys: [{ ...rs256!.jwk, ...change }, es256!.jwk] }))
      return Effect.gen(function* () {
        expect(yield* outcome(rs256!)).toStrictEqual(keyNotFound("RS256", "rs256"))
        expect(yield* outcome(es256!)).toBe("verified")
      }).pipe(Effect.provide(remoteOf(net)))
    })
  }

  it.effect("are reported without control characters of the source", () => {
    const logs = captureLogs()
    return Effect.gen(function* () {
      yield* reporter("https://as.example/\r\nERROR")([{ key: "key 1", reason: "odd", logLevel: "Info" }])
      expect(logs.lines).toStrictEqual([
        "INFO Some keys of https://as.example/\\u000d\\u000aERROR are not usable or not unique: key 1 is odd"
      ])
    }).pipe(Effect.provide(logs.layer))
  })
})

describe("layerDiscovery", () => {
  const metadataUrl = `${issuer.issuer}/.well-known/oauth-authorization-server`
  const discovered = (net: issuer.Network): Layered =>
    KeySet.layerDiscovery({ issuer: issuer.issuer }).pipe(Layer.provide(net.layer))

  it.effect("verifies with the keys of the issuer's jwks_uri", () => {
    const net = issuer.network(issuer.publishes(es256!))
    return Effect.gen(function* () {
      expect(yield* outcome(es256!)).toBe("verified")
      expect(net.requests).toEqual([
        { url: metadataUrl, headers: { accept: "application/json" } },
        { url: jwksUri, headers: { accept: "application/json, application/jwk-set+json" } }
      ])
    }).pipe(Effect.provide(discovered(net)), Effect.withSpan("request"))
  })

  const openIdUrl = `${issuer.issuer}/.well-known/openid-configuration`
  const unavailable = (reason: string) => ({ _tag: "VerificationUnavailable", reason, retryAfter: 1 })

  for (const [what, metadata, told] of [
    ["another issuer", { issuer: "https://evil.example", jwks_uri: jwksUri }, 'names issuer "https://evil.example"'],
    ["the issuer with a slash", { issuer: `${issuer.issuer}/`, jwks_uri: jwksUri }, `names issuer "${issuer.issuer}/"`],
    ["no jwks_uri", { issuer: issuer.issuer }, "has no jwks_uri"],
    ["a jwks_uri that is no string", { issuer: issuer.issuer, jwks_uri: [jwksUri] }, "has no jwks_uri"]
  ] as const) {
    it.effect(`is unavailable, and fetches no keys, when all metadata has ${what}`, () => {
      const net = issuer.network((url) => issuer.json(url === jwksUri ? { keys: [es256!.jwk] } : metadata))
      return Effect.gen(function* () {
        const failure = unavailable(
          `no metadata of "${issuer.issuer}" was found: ${metadataUrl} ${told}; ${openIdUrl} ${told}`
        )
        expect(yield* outcome(es256!)).toStrictEqual(failure)
        expect(yield* outcome(es256!)).toStrictEqual(failure)
        expect(net.requests.map(({ url }) => url)).toStrictEqual([metadataUrl, openIdUrl])
      }).pipe(Effect.provide(discovered(net)))
    })
  }

  const isPrivate = "is on a loopback, link-local or private host"
  for (const [uri, told] of [
    ["http://as.example/jwks", "is not https (host as.example)"],
    ["file:///etc/passwd", "is not an absolute https:// URL"],
    ["/jwks", "is not an absolute https:// URL"],
    ["http://127.0.0.1/jwks", "is not https (host 127.0.0.1)"],
    ["https://127.0.0.1:8443/", `${isPrivate} (host 127.0.0.1:8443)`],
    ["https://169.254.169.254/", `${isPrivate} (host 169.254.169.254)`],
    ["https://user:pw@internal/", "has user info (host internal)"],
    [` ${jwksUri}`, "has white space, control characters or a backslash"],
    ["jwks\r\nERROR", "has white space, control characters or a backslash"]
  ] as const) {
    it.effect(`is unavailable, and fetches nothing from it, when the jwks_uri is ${JSON.stringify(uri)}`, () => {
      const net = issuer.network((url) =>
        issuer.json(url === metadataUrl ? { issuer: issuer.issuer, jwks_uri: uri } : { keys: [es256!.jwk] })
      )
      return Effect.gen(function* () {
        const failure = unavailable(`the jwks_uri of "${issuer.issuer}" ${told}`)
        expect(yield* outcome(es256!)).toStrictEqual(failure)
        expect(yield* outcome(es256!)).toStrictEqual(failure)
        expect(net.requests.map(({ url }) => url)).toStrictEqual([metadataUrl])
      }).pipe(Effect.provide(discovered(net)))
    })
  }
})

describe("any JSON", () => {
  const text = FastCheck.constantFrom(
    ...[
      "RSA",
      "EC",
      "OKP",
      "oct",
      "P-256",
      "Ed25519",
      "sig",
      "enc",
      "verify",
      "RS256",
      "ES256",
      "EdDSA",
      "AQAB",
      "AQ",
      ""
    ],
    ...[es256!, rs256!, edDsa!].flatMap(({ jwk }) => [jwk.x, jwk.y, jwk.n].filter((value) => value !== undefined))
  )
  const value = FastCheck.oneof({ weight: 5, arbitrary: text }, FastCheck.jsonValue(), FastCheck.array(text))
  const member = FastCheck.dictionary(
    FastCheck.constantFrom(
      "kty",
      "crv",
      "alg",
      "use",
      "key_ops",
      "kid",
      "n",
      "e",
      "x",
      "y",
      "d",
      "k",
      "__proto__",
      "then"
    ),
    value
  )
  const likeKey = FastCheck.tuple(FastCheck.constantFrom(es256!.jwk, rs256!.jwk, edDsa!.jwk), member).map(
    ([jwk, changes]) => ({ ...jwk, ...changes })
  )
  const keys = FastCheck.array(FastCheck.oneof(likeKey, member, FastCheck.jsonValue()), { maxLength: 6 })
  const document = FastCheck.oneof(
    { weight: 4, arbitrary: keys.map((members): unknown => ({ keys: members })) },
    FastCheck.jsonValue().map((members): unknown => ({ keys: members })),
    FastCheck.jsonValue()
  )
  const header = FastCheck.record({
    algorithm: FastCheck.constantFrom<KeySet.Algorithm>("RS256", "PS256", "ES256", "ES384", "EdDSA", "Ed25519"),
    keyId: FastCheck.option(FastCheck.constantFrom("es256", "rs256", "ed25519", "", "__proto__"), { nil: undefined })
  })

  it("is a key set that finds keys or is unavailable, and never a defect", () =>
    FastCheck.assert(
      FastCheck.asyncProperty(document, header, async (body, wanted) => {
        const net = issuer.network(() => new Response(JSON.stringify(body)))
        const exit = await Effect.runPromiseExit(
          Effect.flatMap(KeySet.KeySet, ({ find }) => find(wanted)).pipe(
            Effect.catchTag("VerificationUnavailable", () => Effect.void),
            Effect.provide(remoteOf(net)),
            Logger.withMinimumLogLevel(LogLevel.None)
          )
        )
        expect(Exit.isSuccess(exit)).toBe(true)
      }),
      { numRuns: 300 }
    ))

  it("is a local key set or a configuration error", () =>
    FastCheck.assert(
      FastCheck.asyncProperty(document, async (body) => {
        const jwks = Object(body) as KeySet.JsonWebKeySet
        const exit = await Effect.runPromiseExit(
          Layer.build(KeySet.layerLocal({ jwks })).pipe(
            Effect.catchTag("ConfigurationError", () => Effect.void),
            Effect.scoped
          )
        )
        expect(Exit.isSuccess(exit)).toBe(true)
      }),
      { numRuns: 300 }
    ))
})
