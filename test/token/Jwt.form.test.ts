/**
 * The form of a token: what is no compact JWS of a JSON object, or has no signature that holds.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as jose from "jose"
import { constants, createHash, KeyObject, privateEncrypt } from "node:crypto"
import * as Jwt from "../../src/token/Jwt.ts"
import * as KeySet from "../../src/issuer/KeySet.ts"
import * as TokenError from "../../src/TokenError.ts"
import { type Key, keyFor, sign } from "../support/issuer.ts"

const { AlgorithmNotAllowed, CriticalHeaderUnsupported, SignatureInvalid, TokenMalformed } = TokenError

const encode = jose.base64url.encode
const decode = jose.base64url.decode

const verify = (token: string, options?: Jwt.VerifyOptions) =>
  Effect.gen(function* () {
    const keys = yield* Effect.promise(() => Promise.all(["ES256", "RS256", "PS256", "EdDSA"].map(keyFor)))
    const keySet = KeySet.layerLocal({ jwks: { keys: keys.map(({ jwk }) => jwk) } })
    return yield* Effect.provide(Jwt.verify(Redacted.make(token), options), keySet)
  })

const headerOf = (key: Key, more: object = {}) =>
  JSON.stringify({ typ: "at+jwt", alg: key.algorithm, kid: key.keyId, ...more })

/** A token with this header text or these members, and this payload. */
const signed = async (header: string | object, payload: string | Uint8Array = '{"sub":"user-1"}') => {
  const key = await keyFor("ES256")
  return sign(key, typeof header === "string" ? header : headerOf(key, header), payload)
}
const good = () => signed({})

/** A good token of the algorithm with its signature replaced. */
const withSignature = async (algorithm: string, replace: (signature: Uint8Array, input: string) => Uint8Array) => {
  const key = await keyFor(algorithm)
  const [header, payload, signature = ""] = (await sign(key, headerOf(key), '{"sub":"user-1"}')).split(".")
  return `${header}.${payload}.${encode(replace(decode(signature), `${header}.${payload}`))}`
}

/** The characters of base64url, by their values. */
const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

/** Sets unused last bits of a segment that has some. */
const withStrayBits = (segment: string) => {
  const stray = segment.slice(0, -1) + alphabet[alphabet.indexOf(segment.at(-1)!) + 1]
  expect(decode(stray)).toEqual(decode(segment))
  return stray
}

type Rows = ReadonlyArray<readonly [what: string, make: () => string | Promise<string>]>

const rejects = (error: TokenError.TokenError, rows: Rows) => {
  for (const [what, make] of rows) {
    it.effect(`rejects ${what}`, () =>
      Effect.promise(async () => make()).pipe(
        Effect.flatMap((token) => verify(token)),
        Effect.flip,
        Effect.map((actual) => expect(actual).toEqual(error))
      )
    )
  }
}

const takes = (rows: ReadonlyArray<readonly [...Rows[number], sub?: string]>) => {
  for (const [what, make, sub = "user-1"] of rows) {
    it.effect(`takes ${what}`, () =>
      Effect.promise(async () => make()).pipe(
        Effect.flatMap((token) => verify(token)),
        Effect.map(({ claims }) => expect(claims["sub"]).toBe(sub))
      )
    )
  }
}

const malformed = (reason: string) => new TokenMalformed({ reason })

describe("the segments of a token", () => {
  takes([["a good token", good]])
  rejects(malformed("the token has not three segments"), [
    ["nothing", () => ""],
    ["an opaque token", () => "opaque"],
    ["two segments", () => "e30.e30"],
    ["the flattened JSON serialization", () => JSON.stringify({ protected: "e30", payload: "e30", signature: "AA" })],
    ["the general JSON serialization", () => JSON.stringify({ payload: "e30", signatures: [{ protected: "e30" }] })]
  ])
  rejects(malformed("the token has more than three segments"), [
    ["a JWE, without deriving its key", () => `${encode('{"alg":"PBES2-HS256+A128KW","p2c":2e9}')}.AA.AA.AA.AA`],
    ["four segments", async () => `${await good()}.AA`],
    ["nothing but dots", () => ".".repeat(Jwt.defaultMaxTokenLength)]
  ])
  rejects(malformed("a segment of the token is not canonical base64url"), [
    ["an empty header", async () => (await good()).replace(/^[^.]+/, "")],
    ["an empty payload", async () => (await good()).replace(/\.[^.]+\./, "..")],
    ["an empty signature", async () => (await good()).replace(/[^.]+$/, "")],
    ["alg none without a signature", async () => (await signed({ alg: "none" })).replace(/[^.]+$/, "")],
    ["a space before the token", async () => ` ${await good()}`],
    ["a line break after the token", async () => `${await good()}\n`],
    ["white space within a segment", async () => (await good()).replace(/\./, " .")],
    ["padding", async () => `${await good()}==`],
    ["a plus sign", async () => (await good()).replace(/.$/, "+")],
    ["a slash", async () => (await good()).replace(/.$/, "/")],
    ["a character from elsewhere", async () => (await good()).replace(/.$/, "é")],
    ["the mixed serialization", async () => JSON.stringify({ token: await good() })],
    ["a header of a length that no bytes have", async () => (await good()).replace(/^[^.]+/, "AAAAA")],
    ["stray last bits in the header", async () => (await good()).replace(/^[^.]+/, withStrayBits)],
    ["a length that no bytes have", async () => (await good()).replace(/[^.]+$/, "AAAAA")],
    ["stray last bits in the signature", async () => (await good()).replace(/[^.]+$/, withStrayBits)],
    [
      "stray last bits in a payload of 1 byte over",
      async () => (await signed({}, '{"sub":"user-12"}  ')).replace(/(?<=\.)[^.]+(?=\.)/, withStrayBits)
    ],
    [
      "stray last bits in a payload of 2 bytes over",
      async () => (await signed({}, '{"sub":"user-12"}')).replace(/(?<=\.)[^.]+(?=\.)/, withStrayBits)
    ]
  ])
  it.effect.each([
    [64, "AQgw"],
    [65, "AEIMQUYcgkosw048"],
    [66, alphabet]
  ] as const)("ends a signature of %d bytes with one of %s", ([bytes, allowed]) =>
    Effect.gen(function* () {
      const [header = "", payload = ""] = (yield* Effect.promise(good)).split(".")
      const start = encode(new Uint8Array(bytes)).slice(0, -1)
      for (const last of alphabet) {
        const error = yield* Effect.flip(verify(`${header}.${payload}.${start}${last}`))
        expect([last, error._tag]).toEqual([last, allowed.includes(last) ? "SignatureInvalid" : "TokenMalformed"])
      }
    })
  )
  rejects(malformed("the token is longer than 16384 characters"), [
    ["a long good token", () => signed({}, JSON.stringify({ sub: "user-1", pad: "x".repeat(12_400) }))],
    ["a million dots", () => ".".repeat(1_000_000)]
  ])
  takes([
    ["a token just below the limit", () => signed({}, JSON.stringify({ sub: "user-1", pad: "x".repeat(12_050) }))]
  ])
})

describe("maxTokenLength", () => {
  const long = (bytes: number) => signed({}, JSON.stringify({ sub: "user-1", pad: "x".repeat(bytes) }))
  it.effect("lets a pipeline of one's own take longer tokens, and shorter ones alone", () =>
    Effect.gen(function* () {
      const token = yield* Effect.promise(() => long(48_000))
      expect((yield* verify(token, { maxTokenLength: 65_536 })).claims["pad"]).toHaveLength(48_000)
      expect(yield* Effect.flip(verify(token, { maxTokenLength: token.length - 1 }))).toEqual(
        malformed(`the token is longer than ${token.length - 1} characters`)
      )
      expect((yield* verify(token, { maxTokenLength: token.length })).claims["sub"]).toBe("user-1")
    })
  )
})

describe("the header and the payload", () => {
  const utf8 = (...parts: ReadonlyArray<string | number>) =>
    Uint8Array.from(parts.flatMap((part) => (typeof part === "number" ? part : [...new TextEncoder().encode(part)])))
  const withHeaderBytes = async (bytes: Uint8Array | string) => (await good()).replace(/^[^.]+/, encode(bytes))
  const deep = (depth: number) => `${"[".repeat(depth)}${"]".repeat(depth)}`

  rejects(malformed("the header of the token is not a JSON object"), [
    ["a header in invalid UTF-8", () => withHeaderBytes(utf8('{"alg":"ES256","x":"', 0xff, '"}'))],
    ["a header with a byte order mark", () => withHeaderBytes(utf8(0xef, 0xbb, 0xbf, '{"alg":"ES256"}'))],
    ["a header that is an array", () => withHeaderBytes('["ES256"]')],
    ["a header that is null", () => withHeaderBytes("null")],
    ["a header that is a token", async () => withHeaderBytes(JSON.stringify(await good()))],
    ["a header that is no JSON", () => withHeaderBytes("{'alg':'ES256'}")],
    ["a header of brackets", () => withHeaderBytes(deep(4000))]
  ])
  rejects(malformed("the payload of the token is not a JSON object"), [
    ["a signed array", () => signed({}, '[{"sub":"user-1"}]')],
    ["a signed string", () => signed({}, '"user-1"')],
    ["a signed number", () => signed({}, "1")],
    ["a signed null", () => signed({}, "null")],
    ["a signed text", () => signed({}, "user-1")],
    ["a signed token", async () => signed({}, await good())],
    ["invalid UTF-8", () => signed({}, utf8('{"sub":"', 0xc3, 0x28, '"}'))],
    ["an encoded surrogate", () => signed({}, utf8('{"sub":"', 0xed, 0xa0, 0x80, '"}'))],
    ["a byte order mark", () => signed({}, utf8(0xef, 0xbb, 0xbf, '{"sub":"user-1"}'))],
    ["two objects", () => signed({}, "{}{}")]
  ])
  rejects(malformed("the token is nested (cty)"), [
    ["cty JWT", () => signed({ cty: "JWT" })],
    ["cty jwt", () => signed({ cty: "jwt" })],
    ["cty application/jwt", () => signed({ cty: "application/JWT" })]
  ])
  rejects(malformed("the cty of the token is not a string"), [
    ["a cty that is a list", () => signed({ cty: ["JWT"] })],
    ["a cty that is null", () => signed({ cty: null })]
  ])
  rejects(malformed("the token has an unencoded payload (b64)"), [
    ["b64 false", () => signed({ b64: false })],
    ["b64 true", () => signed({ b64: true })]
  ])
  rejects(new CriticalHeaderUnsupported(), [
    ["an unknown critical extension", () => signed({ crit: ["x"], x: 1 })],
    ["a critical extension that jose knows", () => signed({ crit: ["b64"], b64: false })],
    ["an empty crit", () => signed({ crit: [] })],
    ["a crit of null", () => signed({ crit: null })],
    ["a crit that is no list", () => signed({ crit: "exp" })],
    ["crit before it looks at kid", () => signed({ crit: ["x"], kid: 1 })],
    ["crit before it looks at the signature", async () => (await signed({ crit: ["exp"] })).replace(/[^.]+$/, "AAAA")]
  ])
  rejects(
    new AlgorithmNotAllowed({ expected: ["RS256", "PS256", "ES256", "ES384", "EdDSA", "Ed25519"], actual: "none" }),
    [
      ["alg none before it looks at crit and kid", () => signed({ alg: "none", crit: ["x"], kid: 1 })],
      ["alg twice where the last is none", () => signed('{"alg":"ES256","kid":"es256","alg":"none"}')]
    ]
  )
  takes([
    ["alg twice where the last is good", () => signed('{"alg":"none","kid":"es256","alg":"ES256"}')],
    ["a claim twice as the last one", () => signed({}, '{"sub":"user-1","sub":"user-2"}'), "user-2"],
    ["what other bytes would be read as", () => signed({}, '{"sub":"user \uFFFD"}'), "user \uFFFD"],
    ["brackets as deep as fit", () => signed({}, `{"sub":"user-1","deep":${deep(5500)}}`)],
    ["another cty", () => signed({ cty: "json" })],
    ["a cty that ends like one of a token", () => signed({ cty: "not-jwt" })],
    ["a cty that begins like one of a token", () => signed({ cty: "jwt-set" })]
  ])
})

describe("the signature", () => {
  /** The same ECDSA signature as ASN.1 DER, as other libraries write it. */
  const der = (raw: Uint8Array) => {
    const integer = (bytes: Uint8Array) => [0x02, bytes.length + 1, 0, ...bytes]
    const body = [...integer(raw.slice(0, 32)), ...integer(raw.slice(32))]
    return Uint8Array.from([0x30, body.length, ...body])
  }
  const order = Buffer.from("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", "hex")
  /** S + L of an Ed25519 signature: the same point on the curve, written otherwise (RFC 8032 section 8.4). */
  const plusOrder = (signature: Uint8Array) => {
    const L = 2n ** 252n + 27742317777372353535851937790883648493n
    const s = BigInt(`0x${Buffer.from(signature.slice(32)).reverse().toString("hex")}`) + L
    return Buffer.concat([signature.slice(0, 32), Buffer.from(s.toString(16).padStart(64, "0"), "hex").reverse()])
  }

  /** A token whose RSA signature is this block, encrypted with the private key as it is. */
  const withBlock = async (block: (input: string) => Uint8Array) => {
    const key = KeyObject.from((await keyFor("RS256")).privateKey)
    return withSignature("RS256", (_, input) =>
      privateEncrypt({ key, padding: constants.RSA_NO_PADDING }, block(input))
    )
  }
  const digest = (algorithm: string, input: string) => createHash(algorithm).update(input).digest()
  // DigestInfo without its digest (RFC 8017 section 9.2, note 1).
  const sha1 = Buffer.from("3021300906052b0e03021a05000414", "hex")
  const sha256 = Buffer.from("3031300d060960864801650304020105000420", "hex")
  const padded = (info: Buffer, hash: Buffer) =>
    Buffer.concat([Buffer.of(0, 1), Buffer.alloc(256 - 3 - info.length - hash.length, 0xff), Buffer.of(0), info, hash])
  /** What a verifier takes that does not ask how long the padding is: with it, small exponents can be forged. */
  const shortPadding = (input: string) => {
    const start = Buffer.concat([Buffer.of(0, 1), Buffer.alloc(8, 0xff), Buffer.of(0), sha256, digest("sha256", input)])
    return Buffer.concat([start, Buffer.alloc(256 - start.length, 0x5a)])
  }

  takes([
    ["an RSA signature of the block it should be", () => withBlock((input) => padded(sha256, digest("sha256", input)))]
  ])

  rejects(new SignatureInvalid(), [
    [
      "the signature of other claims",
      async () => (await good()).replace(/\.[^.]+\./, `.${encode('{"sub":"admin"}')}.`)
    ],
    [
      "a signature that does not hold before it looks at the payload",
      async () => (await good()).replace(/\.[^.]+\./, `.${encode("[]")}.`)
    ],
    ["the signature of another header", async () => (await good()).replace(/^[^.]+/, encode('{"alg":"ES256"}'))],
    ["an ECDSA signature of 1 byte", () => withSignature("ES256", () => new Uint8Array(1))],
    ["an ECDSA signature of 63 bytes", () => withSignature("ES256", (signature) => signature.slice(0, 63))],
    [
      "an ECDSA signature of 65 bytes",
      () => withSignature("ES256", (signature) => Buffer.concat([signature, order], 65))
    ],
    ["an ECDSA signature in DER", () => withSignature("ES256", der)],
    ["r = s = 0", () => withSignature("ES256", () => new Uint8Array(64))],
    ["r = s = n", () => withSignature("ES256", () => Buffer.concat([order, order]))],
    ["r = 0", () => withSignature("ES256", (signature) => Buffer.concat([new Uint8Array(32), signature.slice(32)]))],
    ["an RSA signature of 255 bytes", () => withSignature("RS256", (signature) => signature.slice(1))],
    [
      "an RSA signature of 257 bytes",
      () => withSignature("RS256", (signature) => Buffer.concat([new Uint8Array(1), signature]))
    ],
    ["an RSA signature of zeros", () => withSignature("RS256", () => new Uint8Array(256))],
    ["an RSA signature of 1", () => withSignature("RS256", () => new Uint8Array(256).fill(1, 255))],
    ["an RSA signature whose padding is short and followed by what anyone may choose", () => withBlock(shortPadding)],
    ["an RSA signature of a SHA-1 digest", () => withBlock((input) => padded(sha1, digest("sha1", input)))],
    ["an EdDSA signature of 63 bytes", () => withSignature("EdDSA", (signature) => signature.slice(0, 63))],
    ["an EdDSA signature of zeros", () => withSignature("EdDSA", () => new Uint8Array(64))],
    ["an EdDSA signature with S + L", () => withSignature("EdDSA", plusOrder)],
    [
      "an RSA-PSS signature without salt",
      async () => {
        const key = await keyFor("PS256")
        const input = `${encode(headerOf(key))}.${encode("{}")}`
        const parameters = { name: "RSA-PSS", saltLength: 0 }
        const signature = await crypto.subtle.sign(parameters, key.privateKey, new TextEncoder().encode(input))
        return `${input}.${encode(new Uint8Array(signature))}`
      }
    ]
  ])
})

describe("an Ed25519 key of small order", () => {
  it.effect("verifies nothing, though anyone can write a signature that holds under it", () =>
    Effect.gen(function* () {
      const identity = `AQ${"A".repeat(41)}`
      const { jwk } = yield* Effect.promise(() => keyFor("ES256"))
      const weak = { kty: "OKP", crv: "Ed25519", kid: "weak", x: identity }
      const header = encode('{"alg":"EdDSA","typ":"at+jwt","kid":"weak"}')
      // R is the identity, too, and S is 0: they hold for every message.
      const forged = `${header}.${encode('{"sub":"admin"}')}.${identity}${"A".repeat(43)}`
      const error = yield* Jwt.verify(Redacted.make(forged)).pipe(
        Effect.flip,
        Effect.provide(KeySet.layerLocal({ jwks: { keys: [jwk, weak] } }))
      )
      expect(error).toEqual(new TokenError.KeyNotFound({ algorithm: "EdDSA", keyId: "weak" }))
    })
  )
})
