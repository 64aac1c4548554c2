/** The key that each algorithm needs (RFC 7518 section 3.1, RFC 8037, RFC 9864). */
export const requirements = {
  RS256: { kty: "RSA" },
  RS384: { kty: "RSA" },
  RS512: { kty: "RSA" },
  PS256: { kty: "RSA" },
  PS384: { kty: "RSA" },
  PS512: { kty: "RSA" },
  ES256: { kty: "EC", crv: "P-256" },
  ES384: { kty: "EC", crv: "P-384" },
  ES512: { kty: "EC", crv: "P-521" },
  EdDSA: { kty: "OKP", crv: "Ed25519" },
  Ed25519: { kty: "OKP", crv: "Ed25519" }
} as const

/** An asymmetric signature algorithm that options can allow. `none` and the HMAC algorithms are not among them. */
export type Algorithm = keyof typeof requirements

export const isAlgorithm = (alg: unknown): alg is Algorithm =>
  typeof alg === "string" && Object.hasOwn(requirements, alg)
