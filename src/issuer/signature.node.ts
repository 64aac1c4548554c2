/**
 * Signatures by `node:crypto` on prepared keys: the same verdicts as `signature.web.ts`, without a thread's round trip.
 */
import { isUtf8 } from "node:buffer"
import { constants, createPublicKey, createVerify, type JsonWebKeyInput, type KeyObject, verify } from "node:crypto"
import type { VerificationKey } from "./KeySet.ts"
import type { Algorithm } from "./jwk.ts"
import { highestMaxTokenLength } from "../limits.ts"

/** The bytes of base64url; the caller has checked the alphabet. */
export const decodeBase64Url = (segment: string): Uint8Array => Buffer.from(segment, "base64url")

/** The text of base64url, or `undefined` if it is not UTF-8; the caller has checked the alphabet. */
export const decodeText = (segment: string): string | undefined => {
  const length = scratch.write(segment, "base64url")
  const text = scratch.toString("utf8", 0, length)
  // What is not UTF-8 is read as U+FFFD; so is U+FFFD.
  return text.includes("\uFFFD") && !isUtf8(scratch.subarray(0, length)) ? undefined : text
}

/** For what is read at once, so that no token costs a buffer. No token is longer. */
const scratch = Buffer.alloc(highestMaxTokenLength)

/** Prepares a public JWK for one algorithm. Rejects what cannot be imported, such as a point off its curve. */
export const importKey = async (jwk: object, algorithm: Algorithm): Promise<VerificationKey["verify"]> => {
  const imported = createPublicKey({ key: jwk, format: "jwk" } as JsonWebKeyInput)
  // OpenSSL verifies a little faster by a key that it has read from DER.
  const spki = { format: "der", type: "spki" } as const
  const key = createPublicKey({ key: imported.export(spki), ...spki })
  const { length, ...parameters } = parametersOf(algorithm, key)
  const hash = algorithm.startsWith("Ed") ? null : `sha${algorithm.slice(2)}`
  // A key by itself is what OpenSSL's defaults fit, and spares Node reading options.
  const input = Object.keys(parameters).length === 0 ? key : { key, ...parameters }
  return (token) => {
    const end = token.indexOf(".", token.indexOf(".") + 1)
    const signature = scratch.subarray(0, scratch.write(token.slice(end + 1), "base64url"))
    // Of another length it is no signature of this key; what OpenSSL makes of it is not left to OpenSSL.
    if (signature.length !== length) return false
    // The one call costs more than the three, but alone knows Ed25519.
    return hash === null
      ? verify(hash, Buffer.from(token.slice(0, end), "latin1"), input, signature)
      : createVerify(hash).update(token.slice(0, end), "latin1").verify(input, signature)
  }
}

/**
 * Padding, salt and encoding of a signature where they are not the defaults (PKCS #1 v1.5; RFC 7518 section 3, RFC 8037
 * section 3.1), and its exact length in bytes.
 */
const parametersOf = (algorithm: Algorithm, key: KeyObject) => {
  const modulusBytes = Math.ceil((key.asymmetricKeyDetails?.modulusLength ?? 0) / 8)
  switch (algorithm) {
    case "RS256":
    case "RS384":
    case "RS512":
      return { length: modulusBytes }
    case "PS256":
    case "PS384":
    case "PS512":
      return {
        padding: constants.RSA_PKCS1_PSS_PADDING,
        saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
        length: modulusBytes
      }
    case "ES256":
      return { dsaEncoding: "ieee-p1363", length: 64 } as const
    case "ES384":
      return { dsaEncoding: "ieee-p1363", length: 96 } as const
    case "ES512":
      return { dsaEncoding: "ieee-p1363", length: 132 } as const
    case "EdDSA":
    case "Ed25519":
      return { length: 64 }
  }
}
