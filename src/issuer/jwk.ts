import { decodeBase64Url } from "#signature"
import { type Algorithm, requirements } from "./algorithm.ts"

const coordinateBytes: Readonly<Record<string, number>> = { "P-256": 32, "P-384": 48, "P-521": 66, Ed25519: 32 }

/** Members that only private or symmetric keys have (RFC 7518 section 6). */
const secretMembers = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"]

/** A usable member of a key set: its public members, its `kid`, and the allowed algorithms that it fits. */
export interface UsableJwk {
  readonly jwk: Readonly<Record<string, unknown>>
  readonly keyId: string | undefined
  readonly algorithms: ReadonlyArray<Algorithm>
}

/** Why a member of a key set is not used. `secret` marks key material that must not be public. */
export interface UnusableJwk {
  readonly unusable: string
  readonly secret?: true
}

/**
 * Reads one JWK of a key set. A JWK that is not usable is ignored, and the others still count (RFC 7517 section 5).
 *
 * A member that is `null` counts as absent. Only the public members are passed on. Not checked: what only a cryptographic
 * library can find out, such as a point that is not on its curve.
 */
export const readJwk = (member: unknown, allowed: ReadonlySet<Algorithm>): UsableJwk | UnusableJwk => {
  if (typeof member !== "object" || member === null || Array.isArray(member)) return { unusable: "not an object" }
  const own = (name: string): unknown =>
    Object.hasOwn(member, name) ? ((member as Record<string, unknown>)[name] ?? undefined) : undefined
  if (own("kty") === "oct") return { unusable: "a symmetric key", secret: true }
  if (secretMembers.some((name) => isMaterial(own(name)))) return { unusable: "private material", secret: true }

  const keyId = own("kid")
  if (keyId !== undefined && typeof keyId !== "string") return { unusable: "one whose kid is not a string" }
  if (own("use") !== undefined && own("use") !== "sig") return { unusable: "not for signatures (use)" }
  const operations = own("key_ops")
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes("verify"))) {
    return { unusable: "not for verification (key_ops)" }
  }
  const kty = own("kty")
  const crv = own("crv")
  const algorithms = [...allowed].filter((algorithm) => {
    const needed = requirements[algorithm]
    return kty === needed.kty && (!("crv" in needed) || crv === needed.crv) && agrees(own("alg"), algorithm)
  })
  if (algorithms.length === 0) return { unusable: "for no allowed algorithm (kty, crv, alg)" }
  const weakness = kty === "RSA" ? rsaWeakness(own("n"), own("e")) : coordinateWeakness(String(crv), own("x"), own("y"))
  if (weakness !== undefined) return { unusable: weakness }

  const jwk =
    kty === "RSA" ? { kty, n: own("n"), e: own("e") } : { kty, crv, x: own("x"), ...(kty === "EC" && { y: own("y") }) }
  return { jwk, keyId, algorithms }
}

/** Some libraries write the members that a public key does not have as empty strings or lists. */
const isMaterial = (value: unknown): boolean =>
  value !== undefined && value !== "" && !(Array.isArray(value) && value.length === 0)

/** A key that names an algorithm is only for that one. For an Ed25519 key `EdDSA` and `Ed25519` are the same (RFC 9864). */
const agrees = (keyAlgorithm: unknown, algorithm: Algorithm): boolean =>
  keyAlgorithm === undefined || canonical(keyAlgorithm) === canonical(algorithm)

const canonical = (algorithm: unknown): unknown => (algorithm === "EdDSA" ? "Ed25519" : algorithm)

const bytesOf = (value: unknown): Uint8Array | undefined =>
  typeof value === "string" && /^[A-Za-z0-9_-]+$/.test(value) && value.length % 4 !== 1
    ? decodeBase64Url(value)
    : undefined

/** RFC 7518 section 3.3 requires 2048 bits. With an exponent of 1, every message would be its own signature. */
const rsaWeakness = (n: unknown, e: unknown): string | undefined => {
  const modulus = bytesOf(n)
  const exponent = bytesOf(e)
  if (modulus === undefined || exponent === undefined) return "a malformed RSA key"
  const bits = bitLength(modulus)
  if (bits < 2048 || bits > 16384) return `an RSA key of ${bits} bits`
  if (modulus[modulus.length - 1]! % 2 === 0) return "an even RSA modulus"
  const size = bitLength(exponent)
  if (size < 2 || size > 64 || exponent[exponent.length - 1]! % 2 === 0) return "a bad RSA exponent"
  return undefined
}

const coordinateWeakness = (crv: string, x: unknown, y: unknown): string | undefined => {
  const length = coordinateBytes[crv]
  const coordinates = (crv === "Ed25519" ? [x] : [x, y]).map(bytesOf)
  if (coordinates.some((coordinate) => coordinate?.length !== length)) return `a malformed ${crv} key`
  return crv === "Ed25519" && hasSmallOrder(coordinates[0]!) ? "an Ed25519 key of small order" : undefined
}

/**
 * The y coordinates of the points whose order is 8 or less, in every encoding of 255 bits (RFC 8032 section 5.1.2). For such
 * a key anyone can make a signature that is valid for every message, or for every eighth.
 */
const smallOrder = new Set([
  `00${"00".repeat(30)}00`,
  `01${"00".repeat(30)}00`,
  `ec${"ff".repeat(30)}7f`,
  `ed${"ff".repeat(30)}7f`,
  `ee${"ff".repeat(30)}7f`,
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"
])

const hasSmallOrder = (point: Uint8Array): boolean => {
  // The highest bit is the sign of x and does not belong to y.
  const y = [...point.slice(0, 31), point[31]! & 0x7f]
  return smallOrder.has(y.map((byte) => byte.toString(16).padStart(2, "0")).join(""))
}

const bitLength = (bytes: Uint8Array): number => {
  const first = bytes.findIndex((byte) => byte !== 0)
  return first === -1 ? 0 : (bytes.length - first - 1) * 8 + (32 - Math.clz32(bytes[first]!))
}
