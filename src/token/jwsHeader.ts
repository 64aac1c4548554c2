import * as Effect from "effect/Effect"
import { isAlgorithm } from "../issuer/algorithm.ts"
import type { Algorithm } from "../issuer/KeySet.ts"
import { isHarmless } from "../printable.ts"
import { AlgorithmNotAllowed, CriticalHeaderUnsupported, TokenMalformed } from "../TokenError.ts"
import { decodeObject } from "./compactJws.ts"

/** The members of a token's header that are used. */
export interface Header {
  readonly algorithm: Algorithm
  readonly keyId: string | undefined
  /** The header's `typ`, of whatever type it is. */
  readonly type: unknown
}

/** What can be wrong with a header. */
export type HeaderRejection = TokenMalformed | AlgorithmNotAllowed | CriticalHeaderUnsupported

/** Reads the first segment of a token whose algorithm must be one of these. */
export const readHeader = (
  segment: string,
  allowed: ReadonlySet<Algorithm>
): Effect.Effect<Header, HeaderRejection> => {
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

const malformed = (reason: string) => new TokenMalformed({ reason })

/** The token's `alg` if it is a known one, else `other`: the sender of the token chose that text. */
export const knownAlgorithm = (alg: unknown): string =>
  isAlgorithm(alg) || (typeof alg === "string" && /^(none|HS(256|384|512)|Ed448|ES256K)$/.test(alg)) ? alg : "other"

/** A `kid` as it is if it is harmless to print, else a short hash to recognize it by. */
export const printableKeyId = (keyId: string): Effect.Effect<string> => {
  if (isHarmless(keyId)) return Effect.succeed(keyId)
  return Effect.map(
    Effect.promise(() => crypto.subtle.digest("SHA-256", new TextEncoder().encode(keyId))),
    (digest) =>
      `sha256:${[...new Uint8Array(digest).slice(0, 4)].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`
  )
}
