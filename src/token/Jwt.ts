/**
 * Strict verification of compact JWS (RFC 7515, RFC 8725): it takes the token's text and returns a decoded token. The checks
 * judge what its claims say.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { catchDefects } from "../issuer/catchDefects.ts"
import { KeySet } from "../issuer/KeySet.ts"
import { defaultMaxTokenLength, highestMaxTokenLength, maxTokenLengthBounds } from "../limits.ts"
import * as read from "../options.ts"
import { type Claimed, type Claims, scopeClaims, scopesOf } from "./claims.ts"
import { decodeObject, split } from "./compactJws.ts"
import { type Header, knownAlgorithm, printableKeyId, readHeader } from "./jwsHeader.ts"
import { type Rejection, verifyJws } from "./verifyJws.ts"

export type { Claims } from "./claims.ts"
export type { Rejection } from "./verifyJws.ts"
export { defaultMaxTokenLength, highestMaxTokenLength }

/** A token whose signature was made by the issuer's key: its claims, their scopes, and members of its header. No claim is checked. */
export interface Jwt extends Claimed, Header {}

/** Options of `verify`. */
export interface VerifyOptions {
  /** The longest token in characters, at most 65,536. Default: 16,384. */
  readonly maxTokenLength?: number | undefined
}

/**
 * Verifies a token's form, algorithm, key and signature, in this order, and decodes it.
 *
 * It rejects: anything but three segments of canonical base64url, at most 16,384 characters unless the options say otherwise; a
 * header or payload that is not a JSON object in UTF-8; algorithms that the key set does not allow; `crit`, `b64` and nested
 * tokens. Keys come from the key set alone: `jwk`, `jku`, `x5u` and `x5c` of the token are never read. Not checked: every
 * claim, and `typ`. Throws `ConfigurationError` for options that cannot be meant.
 */
export const verify = (
  token: Redacted.Redacted,
  options: VerifyOptions = {}
): Effect.Effect<Jwt, Rejection, KeySet> => {
  const { maxTokenLength: given = defaultMaxTokenLength } = read.orThrow(
    read.options<VerifyOptions>(options, { maxTokenLength: true })
  )
  const maxTokenLength = read.orThrow(read.number("maxTokenLength", given, maxTokenLengthBounds))
  return Effect.flatMap(KeySet, (given) => {
    const keySet = catchDefects(given)
    const reader = {
      keySet,
      maxTokenLength,
      readHeader: (segment: string) => readHeader(segment, keySet.algorithms)
    }
    return Effect.map(verifyJws(Redacted.value(token), reader), ({ claims, header }) => ({
      ...header,
      claims,
      scopes: scopes(claims)
    }))
  })
}

/**
 * The scopes of a token: those of `scope`, or where that is missing or empty those of `scp`. Each is a space-separated string
 * or a list of strings.
 *
 * A claim of another type grants nothing. A member of a list that has a space in it grants nothing either: it is one name to
 * its issuer, and must not become two here.
 */
export const scopes = (claims: Claims): ReadonlySet<string> => scopesOf(claims, scopeClaims)

/** What may be logged of a token that is rejected. */
export interface Description {
  readonly tokenLength: number
  readonly algorithm?: string
  readonly keyId?: string
  /** The header names a key of its own (`jwk`, `jku`, `x5u`, `x5c`). It is not used, and it is a sign of an attack. */
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
