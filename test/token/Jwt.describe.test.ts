/**
 * What is read of a token besides its verification: a harmless description for logs, and the scopes.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as jose from "jose"
import { createHash } from "node:crypto"
import * as Jwt from "../../src/token/Jwt.ts"

const encode = jose.base64url.encode
const token = (header: unknown, payload = '{"sub":"secret"}') =>
  Redacted.make(`${encode(JSON.stringify(header))}.${encode(payload)}.c2VjcmV0`)
const hash = (text: string) => `sha256:${createHash("sha256").update(text).digest("hex").slice(0, 8)}`

const hostile = 'evil"\r\n\u001b[2J\u202e secret'

describe("describe", () => {
  it.effect.each<{ what: string; header: unknown; shown: Omit<Jwt.Description, "tokenLength"> }>([
    { what: "alg and kid", header: { alg: "RS256", kid: "key-1" }, shown: { algorithm: "RS256", keyId: "key-1" } },
    { what: "no kid", header: { alg: "none" }, shown: { algorithm: "none" } },
    { what: "a hostile alg", header: { alg: hostile }, shown: { algorithm: "other" } },
    { what: "an alg of a wrong type", header: { alg: [hostile] }, shown: { algorithm: "other" } },
    { what: "an alg in a list", header: { alg: ["none"] }, shown: { algorithm: "other" } },
    { what: "an alg that ends like another", header: { alg: "evil none" }, shown: { algorithm: "other" } },
    { what: "no alg", header: {}, shown: { algorithm: "other" } },
    {
      what: "a hostile kid",
      header: { alg: "ES256", kid: hostile },
      shown: { algorithm: "ES256", keyId: hash(hostile) }
    },
    {
      what: "a long kid",
      header: { alg: "ES256", kid: "a".repeat(65) },
      shown: { algorithm: "ES256", keyId: hash("a".repeat(65)) }
    },
    { what: "a kid of a wrong type", header: { alg: "ES256", kid: { id: hostile } }, shown: { algorithm: "ES256" } },
    { what: "other members", header: { alg: "ES256", typ: hostile, [hostile]: 1 }, shown: { algorithm: "ES256" } },
    ...["jwk", "jku", "x5u", "x5c"].map((name) => ({
      what: name,
      header: { alg: "ES256", [name]: hostile },
      shown: { algorithm: "ES256", headerKeyParameter: true as const }
    }))
  ])("shows of a header with $what no more than is harmless", ({ header, shown }) =>
    Effect.gen(function* () {
      const given = token(header)
      expect(yield* Jwt.describe(given)).toStrictEqual({ tokenLength: Redacted.value(given).length, ...shown })
    })
  )

  it.effect("shows alg and kid of a token over the default limit, as long as the highest allows it", () =>
    Effect.gen(function* () {
      const text = `${encode('{"alg":"ES256","kid":"k1"}')}.${"A".repeat(Jwt.defaultMaxTokenLength)}.AA`
      const shown = { tokenLength: text.length, algorithm: "ES256", keyId: "k1" }
      expect(yield* Jwt.describe(Redacted.make(text))).toStrictEqual(shown)
    })
  )

  it.effect.each<[string, string]>([
    ["an opaque token", "secret"],
    ["nothing", ""],
    ["a token of hostile text", `${hostile}.${hostile}.${hostile}`],
    ["a header that is no object", "W10.e30.AA"],
    ["an oversized token", `${encode('{"alg":"ES256"}')}.${"A".repeat(Jwt.highestMaxTokenLength)}.AA`]
  ])("shows only the length of %s", ([, text]) =>
    Effect.map(Jwt.describe(Redacted.make(text)), (shown) => expect(shown).toEqual({ tokenLength: text.length }))
  )
})

describe("scopes", () => {
  it.each<[Jwt.Claims, ReadonlyArray<string>]>([
    [{ scope: "a b" }, ["a", "b"]],
    [{ scope: "  a   a b " }, ["a", "b"]],
    [{ scp: "a b" }, ["a", "b"]],
    [{ scp: ["a", "b"] }, ["a", "b"]],
    [{ scp: ["a b", "c", 1, null, ["d"], "", " ", "e "] }, ["c"]],
    [{ scope: ["a", "b"] }, ["a", "b"]],
    [{ scope: ["a b", "c", 1, null, ["d"], "", " ", "e "] }, ["c"]],
    [{ scope: "a", scp: ["b"] }, ["a"]],
    [{ scope: "", scp: ["b"] }, ["b"]],
    [{ scope: " ", scp: ["b"] }, ["b"]],
    [{ scope: null, scp: ["b"] }, ["b"]],
    [{ scope: ["a"], scp: ["b"] }, ["a"]],
    [{ scope: [], scp: ["b"] }, ["b"]],
    [{ scope: ["a b"], scp: ["b"] }, []],
    [{ scope: 1, scp: ["b"] }, []],
    [{ scope: { 0: "a" }, scp: ["b"] }, []],
    [{ scope: "", scp: "b c" }, ["b", "c"]],
    [{ scope: "a,b" }, ["a,b"]],
    [{ scope: "a\tb\nc" }, ["a\tb\nc"]],
    [{ scope: 1 }, []],
    [{}, []]
  ])("of %j are %j", (claims, scopes) => {
    expect([...Jwt.scopes(claims)]).toEqual(scopes)
  })
})
