import * as jose from "jose"
import type { VerificationKey } from "../KeySet.ts"

/** Bytes of canonical base64url: the caller has checked the alphabet. */
export const decodeBase64Url = (text: string): Uint8Array => jose.base64url.decode(text)

/** Prepares a public JWK for one algorithm. Rejects what WebCrypto cannot import, such as a point off its curve. */
export const importKey = async (jwk: object, algorithm: string): Promise<VerificationKey["verify"]> => {
  const key = await jose.importJWK(jwk, algorithm)
  return (token) =>
    jose.compactVerify(token, key, { algorithms: [algorithm] }).then(
      () => true,
      () => false
    )
}
