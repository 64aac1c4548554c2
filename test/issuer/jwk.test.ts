import { describe, expect, it } from "@effect/vitest"
import * as jose from "jose"
import type { Algorithm } from "../../src/issuer/algorithm.ts"
import { readJwk } from "../../src/issuer/jwk.ts"
import * as issuer from "../support/issuer.ts"

const all: ReadonlySet<Algorithm> = new Set<Algorithm>([
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519"
])
const bytes = (length: number, first = 0x80, last = 0x01) => {
  const value = new Uint8Array(length).fill(0xaa)
  value[length - 1] = last
  value[0] = first
  return jose.base64url.encode(value)
}

const rsa = { kty: "RSA", kid: "rsa", n: bytes(256), e: "AQAB" }
const ec = { kty: "EC", kid: "ec", crv: "P-256", x: bytes(32), y: bytes(32) }
const okp = { kty: "OKP", kid: "okp", crv: "Ed25519", x: bytes(32) }
/** The points of order 8 or less, with either sign of x. */
const smallOrder = [
  "00".repeat(32),
  `01${"00".repeat(31)}`,
  `ec${"ff".repeat(30)}7f`,
  `ed${"ff".repeat(30)}7f`,
  `ee${"ff".repeat(30)}7f`,
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"
].flatMap((hex) => {
  const point = Buffer.from(hex, "hex")
  const mirrored = Buffer.from(point)
  mirrored[31]! |= 0x80
  return [point, mirrored].map((one) => jose.base64url.encode(one))
})
const rsaAlgorithms = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]

describe("readJwk", () => {
  const usable: ReadonlyArray<readonly [what: string, member: object, algorithms: ReadonlyArray<string>]> = [
    ["an RSA key without alg", rsa, rsaAlgorithms],
    ["an RSA key for one algorithm", { ...rsa, alg: "PS256" }, ["PS256"]],
    ["an RSA key of 2048 bits behind a zero byte", { ...rsa, n: bytes(257, 0) }, rsaAlgorithms],
    ["an RSA key of 16384 bits", { ...rsa, n: bytes(2048) }, rsaAlgorithms],
    ["an RSA exponent of 3", { ...rsa, e: "Aw" }, rsaAlgorithms],
    ["an RSA exponent of 64 bits", { ...rsa, e: bytes(8) }, rsaAlgorithms],
    ["a P-256 key", ec, ["ES256"]],
    ["a P-384 key", { ...ec, crv: "P-384", x: bytes(48), y: bytes(48) }, ["ES384"]],
    ["a P-521 key", { ...ec, crv: "P-521", x: bytes(66), y: bytes(66) }, ["ES512"]],
    ["an Ed25519 key", okp, ["EdDSA", "Ed25519"]],
    ["an Ed25519 key for EdDSA", { ...okp, alg: "EdDSA" }, ["EdDSA", "Ed25519"]],
    ["an Ed25519 key for Ed25519", { ...okp, alg: "Ed25519" }, ["EdDSA", "Ed25519"]],
    ["use sig", { ...ec, use: "sig" }, ["ES256"]],
    ["key_ops with verify", { ...ec, key_ops: ["encrypt", "verify"] }, ["ES256"]],
    ...["d", "p", "q", "dp", "dq", "qi", "oth", "k"].flatMap((name) =>
      [null, "", []].map((none) => [`${name} of ${JSON.stringify(none)}`, { ...ec, [name]: none }, ["ES256"]] as const)
    ),
    ["use of null", { ...ec, use: null }, ["ES256"]],
    ["key_ops of null", { ...ec, key_ops: null }, ["ES256"]],
    ["an alg of null", { ...rsa, alg: null }, rsaAlgorithms],
    ["a crv of null in an RSA key", { ...rsa, crv: null }, rsaAlgorithms],
    ["members it does not know", { ...ec, x5c: ["MII"], constructor: 1, then: 1 }, ["ES256"]]
  ]
  for (const [what, member, algorithms] of usable) {
    it(`accepts ${what}`, () => {
      expect(readJwk(member, all)).toMatchObject({ algorithms })
    })
  }

  const secret = true
  const unusable: ReadonlyArray<readonly [what: string, member: unknown, unusable: string, secret?: true]> = [
    ["null", null, "not an object"],
    ["a string", "key", "not an object"],
    ["a number", 1, "not an object"],
    ["an array", [ec], "not an object"],
    ["an empty object", {}, "for no allowed algorithm (kty, crv, alg)"],
    ["an oct key", { kty: "oct", kid: "hmac", k: "c2VjcmV0" }, "a symmetric key", secret],
    ["an oct key without k", { kty: "oct" }, "a symmetric key", secret],
    ...["d", "p", "q", "dp", "dq", "qi", "oth", "k"].flatMap(
      (name) =>
        [rsa, ec, okp].map((key) => [
          `a public ${key.kty} key with ${name}`,
          { ...key, [name]: "AQAB" },
          "private material",
          secret
        ]) as ReadonlyArray<readonly [string, unknown, string, true]>
    ),
    ["private material whatever the use", { ...ec, use: "enc", d: bytes(32) }, "private material", secret],
    ["private material in a key of an unknown type", { kty: "X", d: "AQAB" }, "private material", secret],
    ["a list of private material of null", { ...rsa, oth: [null] }, "private material", secret],
    ["private material that is false", { ...ec, d: false }, "private material", secret],
    ["an oct key with a k of null", { kty: "oct", k: null }, "a symmetric key", secret],
    ["a kid that is a number", { ...ec, kid: 1 }, "one whose kid is not a string"],
    ["use enc", { ...ec, use: "enc" }, "not for signatures (use)"],
    ["use SIG", { ...ec, use: "SIG" }, "not for signatures (use)"],
    ["key_ops with sign alone", { ...ec, key_ops: ["sign"] }, "not for verification (key_ops)"],
    ["empty key_ops", { ...ec, key_ops: [] }, "not for verification (key_ops)"],
    ["key_ops that is a string", { ...ec, key_ops: "verify" }, "not for verification (key_ops)"],
    ["an RSA key for encryption", { ...rsa, alg: "RSA-OAEP-256" }, "for no allowed algorithm (kty, crv, alg)"],
    ["an RSA key for HMAC", { ...rsa, alg: "HS256" }, "for no allowed algorithm (kty, crv, alg)"],
    ["an RSA key for none", { ...rsa, alg: "none" }, "for no allowed algorithm (kty, crv, alg)"],
    ["an RSA key for ES256", { ...rsa, alg: "ES256" }, "for no allowed algorithm (kty, crv, alg)"],
    ["a kty of null", { ...rsa, kty: null }, "for no allowed algorithm (kty, crv, alg)"],
    ["a crv of null", { ...ec, crv: null }, "for no allowed algorithm (kty, crv, alg)"],
    ["a kty of other case", { ...rsa, kty: "rsa" }, "for no allowed algorithm (kty, crv, alg)"],
    ["an alg named like a method", { ...rsa, alg: "constructor" }, "for no allowed algorithm (kty, crv, alg)"],
    ["a P-256 key for ES384", { ...ec, alg: "ES384" }, "for no allowed algorithm (kty, crv, alg)"],
    ["secp256k1", { ...ec, crv: "secp256k1" }, "for no allowed algorithm (kty, crv, alg)"],
    ["X25519", { ...okp, crv: "X25519" }, "for no allowed algorithm (kty, crv, alg)"],
    ["Ed25519 as EC", { ...okp, kty: "EC" }, "for no allowed algorithm (kty, crv, alg)"],
    ["an RSA key of 1024 bits", { ...rsa, n: bytes(128) }, "an RSA key of 1024 bits"],
    ["an RSA key of 2047 bits", { ...rsa, n: bytes(256, 0x7f) }, "an RSA key of 2047 bits"],
    ["a short RSA modulus behind zeros", { ...rsa, n: `${"A".repeat(172)}${bytes(129)}` }, "an RSA key of 1032 bits"],
    ["an RSA key of over 16384 bits", { ...rsa, n: bytes(2049) }, "an RSA key of 16392 bits"],
    ["an RSA modulus of zero", { ...rsa, n: "AAAA" }, "an RSA key of 0 bits"],
    ["an even RSA modulus", { ...rsa, n: bytes(256, 0x80, 0x02) }, "an even RSA modulus"],
    ["an RSA key without n", { kty: "RSA", e: "AQAB" }, "a malformed RSA key"],
    ["an RSA key without e", { kty: "RSA", n: rsa.n }, "a malformed RSA key"],
    ["an RSA key with an n of null", { ...rsa, n: null }, "a malformed RSA key"],
    ["an RSA key with padding", { ...rsa, n: `${rsa.n}==` }, "a malformed RSA key"],
    ["an RSA key of a length that base64 never has", { ...rsa, n: `${rsa.n}AAB` }, "a malformed RSA key"],
    ["an RSA key in base64 with +", { ...rsa, n: `+${rsa.n.slice(1)}` }, "a malformed RSA key"],
    ["an RSA key with an e that is a number", { ...rsa, e: 65537 }, "a malformed RSA key"],
    ["an RSA exponent of 1", { ...rsa, e: "AQ" }, "a bad RSA exponent"],
    ["an RSA exponent of 1 behind zeros", { ...rsa, e: "AAAB" }, "a bad RSA exponent"],
    ["an RSA exponent of 0", { ...rsa, e: "AA" }, "a bad RSA exponent"],
    ["an even RSA exponent", { ...rsa, e: "AQAA" }, "a bad RSA exponent"],
    ["an RSA exponent of 65 bits", { ...rsa, e: bytes(9, 0x01) }, "a bad RSA exponent"],
    ["a y of null", { ...ec, y: null }, "a malformed P-256 key"],
    ["a short x", { ...ec, x: bytes(31) }, "a malformed P-256 key"],
    ["a long y", { ...ec, y: bytes(33) }, "a malformed P-256 key"],
    ["a missing y", { kty: "EC", crv: "P-256", x: ec.x }, "a malformed P-256 key"],
    ["coordinates of another curve", { ...ec, crv: "P-384" }, "a malformed P-384 key"],
    ["a short P-521 x", { ...ec, crv: "P-521", x: bytes(65), y: bytes(66) }, "a malformed P-521 key"],
    ["a short Ed25519 x", { ...okp, x: bytes(31) }, "a malformed Ed25519 key"],
    ["an Ed25519 x that is an array", { ...okp, x: [okp.x] }, "a malformed Ed25519 key"],
    ...smallOrder.map((x) => [`the Ed25519 point ${x}`, { ...okp, x }, "an Ed25519 key of small order"] as const),
    ["members that are inherited", Object.create(ec), "for no allowed algorithm (kty, crv, alg)"]
  ]
  for (const [what, member, reason, isSecret] of unusable) {
    it(`does not accept ${what}`, () => {
      expect(readJwk(member, all)).toStrictEqual(
        isSecret === true ? { unusable: reason, secret: true } : { unusable: reason }
      )
    })
  }

  it("passes on the public members of the key, and no others", async () => {
    const keys = await Promise.all(["RS256", "ES256", "Ed25519"].map((algorithm) => issuer.keyFor(algorithm)))
    const judged = keys.map(({ jwk }) => readJwk({ ...jwk, x5u: "https://evil.example", ext: true }, all))
    expect(judged).toStrictEqual(
      keys.map(({ algorithm, jwk: { alg: _alg, kid, use: _use, ...jwk } }) => ({
        jwk,
        keyId: kid,
        algorithms: algorithm === "Ed25519" ? ["EdDSA", "Ed25519"] : [algorithm]
      }))
    )
  })

  it("accepts a key only for the allowed algorithms", () => {
    expect(readJwk(rsa, new Set<Algorithm>(["RS256", "ES256"]))).toMatchObject({ algorithms: ["RS256"] })
    expect(readJwk({ ...rsa, alg: "RS384" }, new Set<Algorithm>(["RS256"]))).toStrictEqual({
      unusable: "for no allowed algorithm (kty, crv, alg)"
    })
  })

  it("accepts a key without kid, and one whose kid is null", () => {
    const { kid: _, ...nameless } = ec
    for (const member of [nameless, { ...nameless, kid: null }]) {
      expect(readJwk(member, all)).toStrictEqual({ jwk: nameless, keyId: undefined, algorithms: ["ES256"] })
    }
  })
})
