/**
 * Signatures by WebCrypto, through jose: for every runtime that has no `node:crypto`.
 */
import * as jose from "jose"
import type { VerificationKey } from "./KeySet.ts"
import type { Algorithm } from "./jwk.ts"

/** The bytes of base64url; the caller has checked the alphabet. */
export const decodeBase64Url = (segment: string): Uint8Array => jose.base64url.decode(segment)

/** The text of base64url, or `undefined` if it is not UTF-8; the caller has checked the alphabet. */
export const decodeText = (segment: string): string | undefined => {
  try {
    return utf8.decode(jose.base64url.decode(segment))
  } catch {
    return undefined
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** Prepares a public JWK for one algorithm. Rejects what cannot be imported, such as a point off its curve. */
export const importKey = async (jwk: object, algorithm: Algorithm): Promise<VerificationKey["verify"]> => {
  const key = await jose.importJWK(jwk, algorithm)
  return (token) =>
    jose.compactVerify(token, key, { algorithms: [algorithm] }).then(
      () => true,
      () => false
    )
}
