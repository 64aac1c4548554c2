/**
 * What may be logged of credentials that are not one bearer token.
 */
import { describe, expect, it } from "@effect/vitest"
import { describeCredentials } from "../../src/doors/request.ts"

const described = (authorization?: string) => describeCredentials({ headers: { authorization } })

describe("credentials", () => {
  it.each(["Basic", "Bearer", "Digest", "DPoP", "HOBA", "Mutual", "Negotiate", "OAuth"])(
    "are named by a scheme that is known, in its own spelling (%s)",
    (scheme) => {
      for (const written of [scheme, scheme.toLowerCase(), scheme.toUpperCase()]) {
        expect(described(`${written} secret`)).toEqual({ scheme })
        expect(described(`${written},secret`)).toEqual({ scheme })
        expect(described(written)).toEqual({ scheme })
      }
    }
  )

  it.each([
    "secret",
    "secret token",
    "Bearerish token",
    "BasicBearer token",
    "Bearer\u0000 token",
    "\u202eBearer token"
  ])("are not repeated where it is not (%j)", (authorization) => {
    expect(described(authorization)).toEqual({ scheme: "other" })
  })

  it.each([undefined, "", " ", ", Basic secret", " Basic secret"])(
    "have no scheme where they start with none (%j)",
    (authorization) => {
      expect(described(authorization)).toEqual({})
    }
  )
})
