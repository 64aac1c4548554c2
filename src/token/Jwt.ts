/**
 * Strict verification of compact JWS (RFC 7515, RFC 8725): bytes in, a decoded token out. What the claims say is for the
 * checks.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { andThen } from "./flatMapNow.ts"
import { decodeObject, split } from "./compactJws.ts"
import { guardedKeys } from "../issuer/catchDefects.ts"
import { isAlgorithm } from "../issuer/jwk.ts"
import { defaultMaxTokenLength, highestMaxTokenLength, maxTokenLengthBounds } from "../limits.ts"
import * as read from "../options.ts"
import { isHarmless } from "../printable.ts"
import { scopes } from "./claims.ts"
import { type Algorithm, KeySet, type VerificationKey } from "../issuer/KeySet.ts"
import {
  AlgorithmNotAllowed,
  CriticalHeaderUnsupported,
  KeyNotFound,
  SignatureInvalid,
  TokenMalformed,
  type VerificationUnavailable
} from "../TokenError.ts"

/** The claims of a token as its issuer wrote them. There is no prototype: a name is there or it is not. */
export type Claims = Readonly<Record<string, unknown>>

/** A token whose signature the issuer's key made. Nothing else is known about it yet. */
export interface Jwt {
  readonly algorithm: Algorithm
  readonly keyId: string | undefined
  /** The header's `typ`, of whatever type it is. */
  readonly type: unknown
  readonly claims: Claims
  /** The scopes that the claims grant, see `scopes`. */
  readonly scopes: ReadonlySet<string>
}

export { defaultMaxTokenLength, highestMaxTokenLength, scopes }

/** What can be told to `verify`. */
export interface VerifyOptions {
  /** See `TokenVerifier.JwtOptions`. Default: 16,384. */
  readonly maxTokenLength?: number | undefined
}

/** What can be wrong with a token before its claims are looked at. */
export type Refusal =
  | TokenMalformed
  | AlgorithmNotAllowed
  | CriticalHeaderUnsupported
  | KeyNotFound
  | SignatureInvalid
  | VerificationUnavailable

/**
 * Verifies a token's form, algorithm, key and signature, in this order, and decodes it.
 *
 * Refused are: anything but three segments of canonical base64url, at most 16,384 characters unless the options say
 * otherwise; a header or payload that is not a JSON object in UTF-8; algorithms that the key set does not allow; `crit`,
 * `b64` and nested tokens. Keys come from the key set alone: `jwk`, `jku`, `x5u` and `x5c` of the token are never read. Not
 * checked: every claim, and `typ`. Throws `ConfigurationError` for options that cannot be meant.
 */
export const verify = (token: Redacted.Redacted, options: VerifyOptions = {}): Effect.Effect<Jwt, Refusal, KeySet> => {
  const { maxTokenLength = defaultMaxTokenLength } = read.orThrow(
    read.options<VerifyOptions>(options, { maxTokenLength: true })
  )
  const maxLength = read.orThrow(read.number("maxTokenLength", maxTokenLength, maxTokenLengthBounds))
  return Effect.flatMap(KeySet, (keySet) =>
    Effect.map(verifyWith(guardedKeys(keySet), Redacted.value(token), undefined, maxLength), ({ jwt }) => jwt)
  )
}

/** A verified token, and the key that signed it. */
export interface Verified {
  readonly jwt: Jwt
  readonly key: VerificationKey
}

/** `verify` with the key set and the time at hand. Runs at once what can be: call it inside an effect. */
export const verifyWith = (
  keySet: KeySet["Type"],
  token: string,
  now?: number,
  maxTokenLength: number = defaultMaxTokenLength
): Effect.Effect<Verified, Refusal> => {
  const segments = split(token, maxTokenLength)
  if (typeof segments === "string") return new TokenMalformed({ reason: segments })
  return andThen(readHeader(segments.header, keySet.algorithms), (header) =>
    andThen(signer(keySet, token, header, now), (key): Effect.Effect<Verified, TokenMalformed> => {
      const claims = decodeObject(segments.payload)
      if (claims === undefined) return malformed("the payload of the token is not a JSON object")
      const { algorithm, keyId, type } = header
      return Effect.succeed({ key, jwt: { algorithm, keyId, type, claims, scopes: scopes(claims) } })
    })
  )
}

type Header = Omit<Jwt, "claims" | "scopes">

const malformed = (reason: string) => new TokenMalformed({ reason })

/** The header that was read last: an issuer's tokens have the same one, letter by letter, until its next key. */
let last: { readonly segment: string; readonly allowed: ReadonlySet<Algorithm>; readonly header: Header } | undefined

const readHeader = (segment: string, allowed: ReadonlySet<Algorithm>) => {
  if (last !== undefined && last.segment === segment && last.allowed === allowed) return Effect.succeed(last.header)
  return andThen(parseHeader(segment, allowed), (header) => {
    // A copy: a slice would keep the whole token from being collected.
    last = { segment: JSON.parse(JSON.stringify(segment)) as string, allowed, header }
    return Effect.succeed(header)
  })
}

const parseHeader = (
  segment: string,
  allowed: ReadonlySet<Algorithm>
): Effect.Effect<Header, TokenMalformed | AlgorithmNotAllowed | CriticalHeaderUnsupported> => {
  const header = decodeObject(segment)
  if (header === undefined) return malformed("the header of the token is not a JSON object")
  const { alg, cty, kid, typ } = header
  if (typeof alg !== "string") return malformed("the token names no algorithm")
  if (!isAlgorithm(alg) || !allowed.has(alg)) {
    return new AlgorithmNotAllowed({ expected: [...allowed], actual: knownAlgorithm(alg) })
  }
  if ("crit" in header) return new CriticalHeaderUnsupported()
  if ("b64" in header) return malformed("the token has an unencoded payload (b64)")
  if (cty !== undefined && typeof cty !== "string") return malformed("the cty of the token is not a string")
  if (cty !== undefined && /^(application\/)?jwt$/i.test(cty)) return malformed("the token is nested (cty)")
  if (kid !== undefined && typeof kid !== "string") return malformed("the kid of the token is not a string")
  return Effect.succeed({ algorithm: alg, keyId: kid, type: typ })
}

/** The key of the issuer that signed the token. */
const signer = (keySet: KeySet["Type"], token: string, header: Header, now: number | undefined) => {
  const atHand = now === undefined ? undefined : keySet.findNow?.(header, now)
  const found = atHand === undefined || atHand.length === 0 ? keySet.find(header) : Effect.succeed(atHand)
  return andThen(
    found,
    (keys): Effect.Effect<VerificationKey, KeyNotFound | SignatureInvalid | VerificationUnavailable> =>
      keys.length > 0 && keys.length <= maxCandidates
        ? firstOf(keys, token, header, keySet.findAnew)
        : keyNotFound(header, keys.length)
  )
}

/** Signature checks that one token may cost. */
const maxCandidates = 4

const keyNotFound = ({ algorithm, keyId }: Header, fitting: number): Effect.Effect<never, KeyNotFound> => {
  const hint = fitting === 0 ? {} : { hint: tooMany(fitting, keyId) }
  return keyId === undefined
    ? new KeyNotFound({ algorithm, ...hint })
    : Effect.flatMap(printableKeyId(keyId), (shown) => new KeyNotFound({ algorithm, keyId: shown, ...hint }))
}

const tooMany = (fitting: number, keyId: string | undefined): string =>
  `${fitting} keys fit, and at most ${maxCandidates} are tried; ` +
  (keyId === undefined
    ? "the issuer has to name the key in the token's kid"
    : "the issuer has to give each key its own kid")

/** The first of the keys that signed the token; if none did, the first of those that the issuer has put in their place. */
const firstOf = (
  keys: ReadonlyArray<VerificationKey>,
  token: string,
  header: Header,
  findAnew: KeySet["Type"]["findAnew"],
  index = 0
): Effect.Effect<VerificationKey, SignatureInvalid | VerificationUnavailable> => {
  const key = keys[index]
  if (key !== undefined) {
    return andThen(isSignedBy(key, token), (signed) =>
      signed ? Effect.succeed(key) : firstOf(keys, token, header, findAnew, index + 1)
    )
  }
  if (findAnew === undefined) return new SignatureInvalid()
  return Effect.flatMap(findAnew(header), (found) =>
    firstOf(
      found.length > maxCandidates ? [] : found.filter((other) => !keys.includes(other)),
      token,
      header,
      undefined
    )
  )
}

/** A key of the user's own may throw what it likes: that is a signature which does not hold, not our defect. */
const isSignedBy = (key: VerificationKey, token: string): Effect.Effect<boolean> => {
  try {
    const verified = key.verify(token)
    return typeof verified === "boolean"
      ? Effect.succeed(verified)
      : Effect.match(
          Effect.tryPromise(() => verified),
          { onSuccess: (signed) => signed === true, onFailure: () => false }
        )
  } catch {
    return Effect.succeed(false)
  }
}

/** The token's `alg` if it is a known one; else `other`, for it is the sender's to choose. */
const knownAlgorithm = (alg: unknown): string =>
  isAlgorithm(alg) || (typeof alg === "string" && /^(none|HS(256|384|512)|Ed448|ES256K)$/.test(alg)) ? alg : "other"

/** A `kid` that is harmless to print as it is, any other as a short hash to recognize it by. */
const printableKeyId = (keyId: string): Effect.Effect<string> => {
  if (isHarmless(keyId)) return Effect.succeed(keyId)
  return Effect.map(
    Effect.promise(() => crypto.subtle.digest("SHA-256", new TextEncoder().encode(keyId))),
    (digest) =>
      `sha256:${[...new Uint8Array(digest).slice(0, 4)].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`
  )
}

/** What may be logged of a token that is refused. */
export interface Description {
  readonly tokenLength: number
  readonly algorithm?: string
  readonly keyId?: string
  /** The header names a key of its own (`jwk`, `jku`, `x5u`, `x5c`): ignored, but a sign of an attack. */
  readonly headerKeyParameter?: true
}

/**
 * Describes a token for a log line: its length and, if its header can be read, `alg` and `kid` in harmless form. Of a token
 * over 64 KiB nothing but the length is read.
 */
export const describe = (token: Redacted.Redacted): Effect.Effect<Description> =>
  Effect.suspend(() => {
    const text = Redacted.value(token)
    const tokenLength = text.length
    const segments = split(text, highestMaxTokenLength)
    const header = typeof segments === "string" ? undefined : decodeObject(segments.header)
    if (header === undefined) return Effect.succeed({ tokenLength })
    const { alg, kid } = header
    const keyId = typeof kid === "string" ? printableKeyId(kid) : Effect.succeed(undefined)
    return Effect.map(keyId, (shown) => ({
      tokenLength,
      algorithm: knownAlgorithm(alg),
      ...(shown !== undefined && { keyId: shown }),
      ...(["jwk", "jku", "x5u", "x5c"].some((name) => name in header) && { headerKeyParameter: true as const })
    }))
  })
