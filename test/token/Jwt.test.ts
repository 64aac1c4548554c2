import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as jose from "jose"
import { createHash } from "node:crypto"
import * as Jwt from "../../src/token/Jwt.ts"
import * as KeySet from "../../src/issuer/KeySet.ts"
import * as TokenError from "../../src/TokenError.ts"
import { generateKey, issuer, type Key, keyFor, mint, network, publishes, sign } from "../support/issuer.ts"

const { AlgorithmNotAllowed, KeyNotFound, SignatureInvalid, TokenMalformed } = TokenError

const defaults = ["RS256", "PS256", "ES256", "ES384", "EdDSA", "Ed25519"]
const payload = JSON.stringify({ sub: "user-1" })

/** A token of this key with members of its header replaced; one of `undefined` is left out. */
const withHeader = (key: Key, header: object) =>
  sign(key, JSON.stringify({ typ: "at+jwt", alg: key.algorithm, kid: key.keyId, ...header }), payload)

/** Verifies against the published ES256 and RS256 keys. */
const verify = (token: Redacted.Redacted | string) =>
  Effect.gen(function* () {
    const [es, rs] = yield* Effect.promise(() => Promise.all([keyFor("ES256"), keyFor("RS256")]))
    const redacted = typeof token === "string" ? Redacted.make(token) : token
    return yield* Effect.provide(Jwt.verify(redacted), KeySet.layerLocal({ jwks: { keys: [es.jwk, rs.jwk] } }))
  })

/** What `verify` says of what these keys make. */
const rejectionOf = (make: (keys: { readonly es: Key; readonly rs: Key }) => Promise<string>) =>
  Effect.promise(async () => make({ es: await keyFor("ES256"), rs: await keyFor("RS256") })).pipe(
    Effect.flatMap(verify),
    Effect.flip
  )

const shownKeyId = (keyId: string) => `sha256:${createHash("sha256").update(keyId).digest("hex").slice(0, 8)}`

const algorithms = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"] as const

describe("verify", () => {
  it.effect.each([...algorithms, "EdDSA", "Ed25519"] as const)("verifies %s", (algorithm) =>
    Effect.gen(function* () {
      const { jwk } = yield* Effect.promise(() => keyFor(algorithm))
      const keySet = KeySet.layerLocal({ jwks: { keys: [jwk] }, algorithms: [algorithm] })
      const token = yield* Effect.flatMap(mint({ algorithm }), Jwt.verify).pipe(Effect.provide(keySet))
      expect(token).toMatchObject({ algorithm, keyId: algorithm.toLowerCase(), type: "at+jwt" })
      expect(token.claims["sub"]).toBe("user-1")
    })
  )

  it.effect("returns header and claims as they are, without judging them", () =>
    Effect.gen(function* () {
      const es = yield* Effect.promise(() => keyFor("ES256"))
      const token = yield* Effect.promise(() =>
        sign(es, '{"alg":"ES256","typ":{"odd":1}}', '{"exp":"never","__proto__":{"admin":true},"constructor":1}')
      )
      const { claims, ...header } = yield* verify(token)
      expect(header).toEqual({ algorithm: "ES256", keyId: undefined, type: { odd: 1 }, scopes: new Set() })
      expect(Object.keys(claims)).toEqual(["exp", "__proto__", "constructor"])
      expect(claims["admin"]).toBeUndefined()
      expect(claims["toString"]).toBeUndefined()
    })
  )

  describe("algorithms", () => {
    it.effect.each([
      ["none", "none"],
      ["None", "other"],
      ["nOnE", "other"],
      ["NONE", "other"],
      ["none ", "other"],
      ["es256", "other"],
      ["ES256\0", "other"],
      ["toString", "other"],
      ["__proto__", "other"],
      ["constructor", "other"],
      ["", "other"],
      ["HS256", "HS256"],
      ["HS512", "HS512"],
      ["RS512", "RS512"],
      ["ES256K", "ES256K"]
    ])("rejects alg %j", ([alg = "", actual = ""]) =>
      Effect.gen(function* () {
        expect(yield* rejectionOf(({ es }) => withHeader(es, { alg }))).toEqual(
          new AlgorithmNotAllowed({ expected: defaults, actual })
        )
      })
    )

    it.effect.each([undefined, null, 1, true, ["ES256"], { name: "ES256" }])("rejects alg %j as no name", (alg) =>
      Effect.gen(function* () {
        const error = yield* rejectionOf(({ es }) => withHeader(es, { alg }))
        expect(error).toEqual(new TokenMalformed({ reason: "the token names no algorithm" }))
      })
    )

    it.effect.each(["spki", "modulus", "jwk"])("rejects HS256 with the %s of the public key as its secret", (form) =>
      Effect.gen(function* () {
        const error = yield* rejectionOf(async ({ rs }) => {
          const publicKey = (await jose.importJWK(rs.jwk, "RS256", { extractable: true })) as CryptoKey
          const secret = { spki: await jose.exportSPKI(publicKey), modulus: rs.jwk.n, jwk: JSON.stringify(rs.jwk) }[
            form
          ]
          return new jose.SignJWT({ sub: "user-1" })
            .setProtectedHeader({ typ: "at+jwt", alg: "HS256", kid: "rs256" })
            .sign(new TextEncoder().encode(secret))
        })
        expect(error).toEqual(new AlgorithmNotAllowed({ expected: defaults, actual: "HS256" }))
      })
    )

    it.effect("rejects an algorithm that this key set does not allow, for a key that could", () =>
      Effect.gen(function* () {
        const { jwk } = yield* Effect.promise(() => keyFor("ES256"))
        const rs = yield* Effect.promise(() => keyFor("RS256"))
        const keySet = KeySet.layerLocal({ jwks: { keys: [jwk, rs.jwk] }, algorithms: ["RS256"] })
        const error = yield* Effect.flatMap(mint(), Jwt.verify).pipe(Effect.provide(keySet), Effect.flip)
        expect(error).toEqual(new AlgorithmNotAllowed({ expected: ["RS256"], actual: "ES256" }))
      })
    )

    it.effect("asks each key set anew whether it allows the algorithm of a header that another took", () =>
      Effect.gen(function* () {
        const keys = yield* Effect.promise(() => Promise.all([keyFor("ES256"), keyFor("RS256")]))
        const jwks = { keys: keys.map(({ jwk }) => jwk) }
        const token = yield* mint()
        const given = (algorithms: ReadonlyArray<KeySet.Algorithm>) =>
          Effect.either(Effect.provide(Jwt.verify(token), KeySet.layerLocal({ jwks, algorithms })))
        expect(yield* given(["ES256"])).toMatchObject({ right: { algorithm: "ES256" } })
        expect(yield* given(["RS256"])).toEqual(
          Either.left(new AlgorithmNotAllowed({ expected: ["RS256"], actual: "ES256" }))
        )
        expect(yield* given(["ES256"])).toMatchObject({ right: { algorithm: "ES256" } })
      })
    )

    it.effect("rejects a header that lies about the key's algorithm", () =>
      Effect.gen(function* () {
        const lie = (alg: string) => rejectionOf(({ rs }) => withHeader(rs, { alg }))
        expect(yield* lie("ES256")).toEqual(new KeyNotFound({ algorithm: "ES256", keyId: "rs256" }))
        // The key is RSA and would do, but says that it is for RS256.
        expect(yield* lie("PS256")).toEqual(new KeyNotFound({ algorithm: "PS256", keyId: "rs256" }))
      })
    )

    it.effect("verifies with the algorithm that the header names, where the key names none", () =>
      Effect.gen(function* () {
        const rs = yield* Effect.promise(() => keyFor("RS256"))
        const { alg: _, ...jwk } = rs.jwk
        const given = (header: object) =>
          Effect.promise(() => withHeader(rs, header)).pipe(
            Effect.flatMap((token) => Jwt.verify(Redacted.make(token))),
            Effect.provide(KeySet.layerLocal({ jwks: { keys: [jwk] } }))
          )
        expect((yield* given({})).algorithm).toBe("RS256")
        expect(yield* Effect.flip(given({ alg: "PS256" }))).toEqual(new SignatureInvalid())
      })
    )
  })

  describe("keys named by the token", () => {
    const parameters = (jwk: jose.JWK) => ({
      jwk,
      jku: "https://evil.example/jwks",
      x5u: "https://evil.example/cert.pem",
      x5c: ["MIIB"]
    })

    it.effect("are ignored: the attacker's signature does not count, and a good one does", () =>
      Effect.gen(function* () {
        const evil = yield* Effect.promise(() => generateKey("ES256"))
        const forged = { ...parameters(evil.jwk), kid: undefined }
        expect(yield* rejectionOf(() => withHeader(evil, parameters(evil.jwk)))).toEqual(new SignatureInvalid())
        expect(yield* rejectionOf(() => withHeader(evil, forged))).toEqual(new SignatureInvalid())
        const token = yield* Effect.flatMap(mint({ header: parameters(evil.jwk) }), verify)
        expect(token.keyId).toBe("es256")
      })
    )

    it.effect("are never fetched", () =>
      Effect.gen(function* () {
        const key = yield* Effect.promise(() => keyFor("ES256"))
        const net = network(publishes(key))
        const keySet = Layer.provide(KeySet.layerRemote({ jwksUri: `${issuer}/jwks` }), net.layer)
        const token = mint({ header: parameters(key.jwk) })
        yield* Effect.flatMap(token, Jwt.verify).pipe(Effect.provide(keySet))
        expect(net.requests.map(({ url }) => url)).toEqual([`${issuer}/jwks`])
      })
    )

    it.effect.each<[string, string]>([
      ["unknown", "unknown"],
      ["__proto__", "__proto__"],
      ["constructor", "constructor"],
      ["ES256", "ES256"],
      ["a".repeat(64), "a".repeat(64)],
      ...["", "es256\0", "../../dev/null", "' OR 1=1 --", "https://evil.example/jwks", "${7*7}", "a\nb", "é"].map(
        (kid): [string, string] => [kid, shownKeyId(kid)]
      ),
      ["a".repeat(65), shownKeyId("a".repeat(65))]
    ])("have no key for kid %j", ([kid, keyId]) =>
      Effect.gen(function* () {
        expect(yield* rejectionOf(({ es }) => withHeader(es, { kid }))).toEqual(
          new KeyNotFound({ algorithm: "ES256", keyId })
        )
      })
    )

    it.effect("have no key without kid, where none is for the algorithm", () =>
      Effect.gen(function* () {
        expect(yield* rejectionOf(({ es }) => withHeader(es, { kid: undefined, alg: "PS256" }))).toStrictEqual(
          new KeyNotFound({ algorithm: "PS256" })
        )
      })
    )

    it.effect.each([null, 1, true, ["es256"], { kid: "es256" }])("are malformed with kid %j", (kid) =>
      Effect.gen(function* () {
        expect(yield* rejectionOf(({ es }) => withHeader(es, { kid }))).toEqual(
          new TokenMalformed({ reason: "the kid of the token is not a string" })
        )
      })
    )
  })

  describe("a key set of the user's own", () => {
    const given = (find: KeySet.KeySet["Type"]["find"], token = mint()) =>
      Effect.flatMap(token, Jwt.verify).pipe(
        Effect.provideService(KeySet.KeySet, { algorithms: new Set(["ES256"] as const), find })
      )
    const keys = (...verify: ReadonlyArray<KeySet.VerificationKey["verify"]>) =>
      Effect.succeed(verify.map((one) => ({ keyId: undefined, verify: one })))
    const thrown = () => {
      throw new Error("broken")
    }
    const rejected = () => Promise.reject(new Error("broken"))

    it.effect("tries every key that it finds", () =>
      Effect.gen(function* () {
        expect(
          (yield* given(() =>
            keys(
              () => false,
              () => Promise.resolve(true)
            )
          )).algorithm
        ).toBe("ES256")
        expect((yield* given(() => keys(thrown, rejected, () => true))).algorithm).toBe("ES256")
      })
    )

    it.effect("fails with SignatureInvalid if no key says yes, whether it says no, throws or rejects", () =>
      Effect.gen(function* () {
        const truthy = () => Promise.resolve("yes" as never)
        for (const no of [() => false, () => Promise.resolve(false), thrown, rejected, truthy]) {
          expect(yield* Effect.flip(given(() => keys(no)))).toEqual(new SignatureInvalid())
        }
      })
    )

    it.effect("passes an outage on as it is", () =>
      Effect.gen(function* () {
        const outage = new TokenError.VerificationUnavailable({ reason: "down", retryAfter: 5 })
        expect(yield* Effect.flip(given(() => outage))).toBe(outage)
      })
    )

    it.effect("may break in ways of its own, which is an outage and nobody's bad token", () =>
      Effect.gen(function* () {
        const outage = new TokenError.VerificationUnavailable({
          reason: "the key set failed unexpectedly",
          retryAfter: 30
        })
        const throws = () => {
          throw new Error("on purpose")
        }
        for (const find of [
          throws,
          () => Effect.dieMessage("on purpose"),
          () => Effect.promise(() => Promise.reject(1))
        ]) {
          expect(yield* Effect.flip(given(find))).toEqual(outage)
        }
      })
    )

    it.effect("is not asked about a token that needs no key to be rejected", () =>
      Effect.gen(function* () {
        const rejected = (header: object) =>
          Effect.flip(given(() => Effect.dieMessage("asked for a key"), mint({ header: { ...header } })))
        expect((yield* rejected({ alg: "none" }))._tag).toBe("AlgorithmNotAllowed")
        expect((yield* rejected({ crit: ["exp"] }))._tag).toBe("CriticalHeaderUnsupported")
        expect((yield* rejected({ kid: 1 }))._tag).toBe("TokenMalformed")
      })
    )
  })
})
