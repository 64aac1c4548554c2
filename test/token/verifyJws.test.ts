import { describe, expect, it } from "@effect/vitest"
import type { KeySet } from "effect-resource-server"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { catchDefects } from "../../src/issuer/catchDefects.ts"
import { readHeader } from "../../src/token/jwsHeader.ts"
import { verifyJws } from "../../src/token/verifyJws.ts"
import { mint } from "../support/issuer.ts"

const algorithms = new Set(["ES256"] as const)
const find = () => Effect.succeed([{ keyId: undefined, verify: () => true }])

const verified = (keySet: KeySet.KeySet["Type"], now?: number) =>
  Effect.flatMap(mint(), (token) =>
    verifyJws(
      Redacted.value(token),
      { keySet, maxTokenLength: 16_384, readHeader: (segment) => readHeader(segment, algorithms) },
      now
    )
  )

describe("verifyJws", () => {
  it.effect("returns header, claims and key, and no scopes", () =>
    Effect.gen(function* () {
      const jws = yield* verified({ algorithms, find })
      expect(Object.keys(jws).sort()).toEqual(["claims", "header", "key"])
      expect(jws).toMatchObject({
        header: { algorithm: "ES256", keyId: "es256", type: "at+jwt" },
        claims: { sub: "user-1" },
        key: { keyId: undefined }
      })
    })
  )

  it.effect("asks for keys at hand where the time is known, and then for others if there are none", () =>
    Effect.gen(function* () {
      const asked: Array<number> = []
      const findNow = (_: unknown, now: number) => (asked.push(now), [])
      for (const now of [undefined, 5]) yield* verified({ algorithms, find, findNow }, now)
      expect(asked).toEqual([5])
    })
  )

  it.effect("asks for others where a key set throws when it is asked for keys at hand", () =>
    Effect.gen(function* () {
      const findNow = () => {
        throw new Error("on purpose")
      }
      const { header } = yield* verified(catchDefects({ algorithms, find, findNow }), 5)
      expect(header.algorithm).toBe("ES256")
    })
  )
})
