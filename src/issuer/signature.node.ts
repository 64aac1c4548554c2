/**
 * Verifies signatures with `node:crypto`. The results are those of `signature.web.ts`, without the round trip to a thread.
 */
import { isUtf8 } from "node:buffer"
import { constants, createPublicKey, createVerify, type JsonWebKeyInput, type KeyObject, verify } from "node:crypto"
import type { Algorithm } from "./algorithm.ts"
import type { VerificationKey } from "./verificationKey.ts"
import { highestMaxTokenLength } from "../limits.ts"

/** Decodes base64url. The caller has checked the alphabet. */
export const decodeBase64Url = (segment: string): Uint8Array => Buffer.from(segment, "base64url")

/** Decodes base64url to text, or to `undefined` if it is not UTF-8. The caller has checked the alphabet. */
export const decodeText = (segment: string): string | undefined => {
  const length = scratch.write(segment, "base64url")
  const text = scratch.toString("utf8", 0, length)
  // U+FFFD stands for bytes that are not UTF-8, or is itself in the text.
  return text.includes("\uFFFD") && !isUtf8(scratch.subarray(0, length)) ? undefined : text
}

/** Is used within one synchronous step, so that no token needs a buffer of its own. No token is longer. */
const scratch = Buffer.alloc(highestMaxTokenLength)

/** Prepares a public JWK for one algorithm. Rejects a key that cannot be imported, such as a point that is not on its curve. */
export const importKey = async (jwk: object, algorithm: Algorithm): Promise<VerificationKey["verify"]> => {
  const imported = createPublicKey({ key: jwk, format: "jwk" } as JsonWebKeyInput)
  // OpenSSL verifies a little faster with a key that was read from DER.
  const spki = { format: "der", type: "spki" } as const
  const key = createPublicKey({ key: imported.export(spki), ...spki })
  const { length, ...parameters } = parametersOf(algorithm, key)
  const hash = algorithm.startsWith("Ed") ? null : `sha${algorithm.slice(2)}`
  // Node has less to read if the key is passed alone. This is enough for the defaults of OpenSSL.
  const input = Object.keys(parameters).length === 0 ? key : { key, ...parameters }
  return (token) => {
    const end = token.indexOf(".", token.indexOf(".") + 1)
    const signature = scratch.subarray(0, scratch.write(token.slice(end + 1), "base64url"))
    // A signature of this key has exactly this length. OpenSSL is not relied on to refuse another one.
    if (signature.length !== length) return false
    // `verify` is slower than `createVerify`, but only it supports Ed25519.
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
