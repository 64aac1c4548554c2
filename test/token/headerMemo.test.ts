import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { headerMemo } from "../../src/token/headerMemo.ts"
import { TokenMalformed } from "../../src/TokenError.ts"

describe("headerMemo", () => {
  it.effect("reads a header again only after another one, and never keeps a rejection", () =>
    Effect.gen(function* () {
      const read: Array<string> = []
      const readHeader = headerMemo((segment) => {
        read.push(segment)
        return segment === "bad"
          ? new TokenMalformed({ reason: segment })
          : Effect.succeed({ algorithm: "ES256", keyId: segment, type: "at+jwt" })
      })
      const keyIds = yield* Effect.forEach(["a", "a", "b", "bad", "bad", "b", "a"], (segment) =>
        Effect.match(readHeader(segment), { onSuccess: ({ keyId }) => keyId, onFailure: ({ _tag }) => _tag })
      )
      expect(keyIds).toEqual(["a", "a", "b", "TokenMalformed", "TokenMalformed", "b", "a"])
      expect(read).toEqual(["a", "b", "bad", "bad", "a"])
    })
  )
})
