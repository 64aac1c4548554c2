import type { Algorithm } from "./algorithm.ts"

/** One public key, prepared for one algorithm. */
export interface VerificationKey {
  readonly keyId: string | undefined
  /** Whether this key made the signature of this compact JWS. May throw or reject, which counts as no. */
  readonly verify: (token: string) => boolean | Promise<boolean>
}

/** What the header of a token says about its key: `alg` and `kid`. */
export interface KeyHeader {
  readonly algorithm: Algorithm
  readonly keyId: string | undefined
}
