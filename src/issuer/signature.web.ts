/**
 * Verifies signatures with WebCrypto, through jose, on every runtime without `node:crypto`.
 */
import * as jose from "jose"
import type { Algorithm } from "./algorithm.ts"
import type { VerificationKey } from "./verificationKey.ts"

/** Decodes base64url. The caller has checked the alphabet. */
export const decodeBase64Url = (segment: string): Uint8Array => jose.base64url.decode(segment)

/** Decodes base64url to text, or to `undefined` if it is not UTF-8. The caller has checked the alphabet. */
export const decodeText = (segment: string): string | undefined => {
  try {
    return utf8.decode(jose.base64url.decode(segment))
  } catch {
    return undefined
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** Prepares a public JWK for one algorithm. Rejects a key that cannot be imported, such as a point that is not on its curve. */
export const importKey = async (jwk: object, algorithm: Algorithm): Promise<VerificationKey["verify"]> => {
  const key = await jose.importJWK(jwk, algorithm)
  return (token) =>
    jose.compactVerify(token, key, { algorithms: [algorithm] }).then(
      () => true,
      () => false
    )
}
