import * as Effect from "effect/Effect"
import type { KeySet, VerificationKey } from "../issuer/KeySet.ts"
import { TokenMalformed } from "../TokenError.ts"
import type { Claims } from "./claims.ts"
import { decodeObject, split } from "./compactJws.ts"
import { flatMapNow } from "./flatMapNow.ts"
import type { ReadHeader } from "./headerMemo.ts"
import type { Header, HeaderRejection } from "./jwsHeader.ts"
import { signerOf, type SignatureRejection } from "./signer.ts"

/** What can be wrong with a token before its claims are checked. */
export type Rejection = HeaderRejection | SignatureRejection

/** A token whose signature was verified. */
export interface VerifiedJws {
  readonly header: Header
  readonly claims: Claims
  /** The key that signed it. */
  readonly key: VerificationKey
}

/** What tokens are verified with. */
export interface Reader {
  readonly keySet: KeySet["Type"]
  readonly readHeader: ReadHeader
  readonly maxTokenLength: number
}

/**
 * Verifies a token's form, algorithm, key and signature, in this order. `now` is in milliseconds since 1970. What need not wait
 * runs at once: call it inside an effect.
 */
export const verifyJws = (
  token: string,
  { keySet, maxTokenLength, readHeader }: Reader,
  now?: number
): Effect.Effect<VerifiedJws, Rejection> => {
  const segments = split(token, maxTokenLength)
  if (typeof segments === "string") return new TokenMalformed({ reason: segments })
  return flatMapNow(readHeader(segments.header), (header) =>
    flatMapNow(signerOf(token, header, keySet, now), (key): Effect.Effect<VerifiedJws, TokenMalformed> => {
      const claims = decodeObject(segments.payload)
      return claims === undefined
        ? new TokenMalformed({ reason: "the payload of the token is not a JSON object" })
        : Effect.succeed({ header, claims, key })
    })
  )
}
