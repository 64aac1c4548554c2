import * as Effect from "effect/Effect"
import type { KeySet, VerificationKey } from "../issuer/KeySet.ts"
import { KeyNotFound, SignatureInvalid, type VerificationUnavailable } from "../TokenError.ts"
import { flatMapNow } from "./flatMapNow.ts"
import { type Header, printableKeyId } from "./jwsHeader.ts"

/** What can be wrong with a signature. */
export type SignatureRejection = KeyNotFound | SignatureInvalid | VerificationUnavailable

/** The key of the issuer that signed the token. `now`, in milliseconds since 1970, lets a key set answer at once. */
export const signerOf = (
  token: string,
  header: Header,
  keySet: KeySet["Type"],
  now: number | undefined
): Effect.Effect<VerificationKey, SignatureRejection> => {
  const atHand = now === undefined ? undefined : keySet.findNow?.(header, now)
  const found = atHand === undefined || atHand.length === 0 ? keySet.find(header) : Effect.succeed(atHand)
  return flatMapNow(found, (keys): Effect.Effect<VerificationKey, SignatureRejection> =>
    keys.length > 0 && keys.length <= maxCandidates
      ? firstOf(keys, token, header, keySet.findAnew)
      : keyNotFound(header, keys.length)
  )
}

/** How many signature checks one token may cost. */
const maxCandidates = 4

const keyNotFound = ({ algorithm, keyId }: Header, fitting: number): Effect.Effect<never, KeyNotFound> => {
  const hint = fitting === 0 ? {} : { hint: tooMany(fitting, keyId) }
  return keyId === undefined
    ? new KeyNotFound({ algorithm, ...hint })
    : Effect.flatMap(printableKeyId(keyId), (shown) => new KeyNotFound({ algorithm, keyId: shown, ...hint }))
}

const tooMany = (fitting: number, keyId: string | undefined): string =>
  `${fitting} keys fit, and at most ${maxCandidates} are tried; ` +
  (keyId === undefined
    ? "the issuer has to name the key in the token's kid"
    : "the issuer has to give each key its own kid")

/** The first of the keys that signed the token. If none did, the first of those that the issuer has put in their place. */
const firstOf = (
  keys: ReadonlyArray<VerificationKey>,
  token: string,
  header: Header,
  findAnew: KeySet["Type"]["findAnew"],
  index = 0
): Effect.Effect<VerificationKey, SignatureInvalid | VerificationUnavailable> => {
  const key = keys[index]
  if (key !== undefined) {
    return flatMapNow(isSignedBy(key, token), (signed) =>
      signed ? Effect.succeed(key) : firstOf(keys, token, header, findAnew, index + 1)
    )
  }
  if (findAnew === undefined) return new SignatureInvalid()
  return Effect.flatMap(findAnew(header), (found) =>
    firstOf(
      found.length > maxCandidates ? [] : found.filter((other) => !keys.includes(other)),
      token,
      header,
      undefined
    )
  )
}

/** Whether a key made the signature. A key of the user's own may throw anything: the signature then does not verify. */
const isSignedBy = (key: VerificationKey, token: string): Effect.Effect<boolean> => {
  try {
    const verified = key.verify(token)
    return typeof verified === "boolean"
      ? Effect.succeed(verified)
      : Effect.match(
          Effect.tryPromise(() => verified),
          { onSuccess: (signed) => signed === true, onFailure: () => false }
        )
  } catch {
    return Effect.succeed(false)
  }
}
