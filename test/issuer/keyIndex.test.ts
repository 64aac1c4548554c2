import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as keyIndex from "../../src/issuer/keyIndex.ts"
import { generateKey } from "../support/issuer.ts"
import { captureLogs } from "../support/logs.ts"

const verify = () => false
const index: keyIndex.Index = new Map([
  ["ES256", new Map([["one", [{ keyId: "one", verify }]]])],
  ["RS256", new Map([["two", [{ keyId: "two", verify }]]])]
])

describe("hasKeyId", () => {
  it.each([
    ["ES256", "one", true],
    ["ES256", "two", true],
    ["ES256", "three", false],
    ["ES256", undefined, true],
    ["PS256", undefined, false]
  ] as const)("of %s and %s is %s", (algorithm, keyId, has) => {
    expect(keyIndex.hasKeyId(index, { algorithm, keyId })).toBe(has)
  })
})

describe("make", () => {
  it.effect("finds nothing wrong with several keys that have no kid", () =>
    Effect.gen(function* () {
      const keys = yield* Effect.promise(() => Promise.all([generateKey("ES256"), generateKey("ES256")]))
      const nameless = keys.map(({ jwk: { kid: _, ...jwk } }) => jwk)
      const { index, problems } = yield* keyIndex.make(nameless, new Set(["ES256"]))
      expect(problems).toEqual([])
      expect(keyIndex.lookUp(index, { algorithm: "ES256", keyId: undefined })).toHaveLength(2)
    })
  )

  it.effect("keeps all keys that fit, because the caller limits how many are tried", () =>
    Effect.gen(function* () {
      const { jwk } = yield* Effect.promise(() => generateKey("ES256", "one"))
      const { index } = yield* keyIndex.make(Array<object>(6).fill(jwk), new Set(["ES256"]))
      for (const keyId of ["one", undefined]) {
        expect(keyIndex.lookUp(index, { algorithm: "ES256", keyId })).toHaveLength(6)
      }
    })
  )
})

describe("reporter", () => {
  it.effect("logs at the level of the most severe problem, and names that first", () => {
    const logs = captureLogs()
    return Effect.gen(function* () {
      const { jwk } = yield* Effect.promise(() => generateKey("ES256", "one"))
      const { problems } = yield* keyIndex.make([null, jwk, jwk], new Set(["ES256"]))
      yield* keyIndex.reporter("jwks")(problems)
      yield* keyIndex.reporter("jwks")([...problems, { key: "key 4", reason: "private material", logLevel: "Error" }])
      const duplicate = "key 3 is one of several ES256 keys with its kid"
      expect(logs.lines).toEqual([
        `WARN Some keys of jwks are not usable or not unique: ${duplicate}; key 1 is not an object`,
        "ERROR The issuer publishes secret key material at jwks: " +
          `key 4 is private material; ${duplicate}; key 1 is not an object`
      ])
    }).pipe(Effect.provide(logs.layer))
  })

  it.effect("shows twenty problems, and says how many more there are", () => {
    const logs = captureLogs()
    return Effect.gen(function* () {
      const odd = (count: number) =>
        Array.from({ length: count }, (_, index) => ({ key: `key ${index}`, reason: "odd", logLevel: "Info" }) as const)
      yield* keyIndex.reporter("jwks")(odd(20))
      yield* keyIndex.reporter("jwks")(odd(21))
      const shown = odd(20).map(keyIndex.describe).join("; ")
      expect(logs.lines).toEqual([
        `INFO Some keys of jwks are not usable or not unique: ${shown}`,
        `INFO Some keys of jwks are not usable or not unique: ${shown}; 1 more`
      ])
    }).pipe(Effect.provide(logs.layer))
  })

  it.effect("does not confuse two reasons with one that has the same letters", () => {
    const logs = captureLogs()
    return Effect.gen(function* () {
      const report = keyIndex.reporter("jwks")
      const odd = (reason: string) => ({ key: "key 1", reason, logLevel: "Info" }) as const
      yield* report([odd("a"), odd("b")])
      yield* report([odd("ab")])
      expect(logs.lines).toHaveLength(2)
    }).pipe(Effect.provide(logs.layer))
  })

  it.effect("logs nothing when all keys are usable again", () => {
    const logs = captureLogs()
    return Effect.gen(function* () {
      const report = keyIndex.reporter("https://as.example/jwks")
      yield* report([])
      yield* report([{ key: "key 1", reason: "not an object", logLevel: "Info" }])
      yield* report([])
      expect(logs.lines).toEqual([
        "INFO Some keys of https://as.example/jwks are not usable or not unique: key 1 is not an object"
      ])
    }).pipe(Effect.provide(logs.layer))
  })
})
