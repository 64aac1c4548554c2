import type { Claims } from "./Jwt.ts"

/**
 * The scopes of a token: those of `scope`, or where that is missing or empty those of `scp`. Each is a space-separated string
 * or a list of strings.
 *
 * A claim of another type grants nothing, and nor does a member of a list that has a space in it: it is one name to its
 * issuer, and must not become two here.
 */
export const scopes = ({ scope, scp }: Claims): ReadonlySet<string> => {
  const chosen = isEmpty(scope) ? scp : scope
  if (typeof chosen === "string") return granted(chosen)
  return granted(Array.isArray(chosen) ? chosen.filter(isOneName).join(" ") : "")
}

const isEmpty = (claim: unknown): boolean =>
  claim === undefined ||
  claim === null ||
  (typeof claim === "string" && claim.trim() === "") ||
  (Array.isArray(claim) && claim.length === 0)

const isOneName = (member: unknown): boolean => typeof member === "string" && !member.includes(" ")

/** The scopes that were read last: an issuer's tokens have few lists of them. */
let lastGranted: { readonly list: string; readonly scopes: ReadonlySet<string> } | undefined

const granted = (list: string): ReadonlySet<string> => {
  if (lastGranted?.list !== list) lastGranted = { list, scopes: frozenSet(list) }
  return lastGranted.scopes
}

/** The names of a list, as a set that requests share: neither its methods nor new ones let one grant the next a scope. */
const frozenSet = (list: string): ReadonlySet<string> =>
  Object.freeze(Object.setPrototypeOf(new Set(list.split(" ").filter((name) => name !== "")), frozenMethods))

const frozen = {
  value: () => {
    throw new TypeError("The scopes of a token cannot be changed")
  }
}

const frozenMethods: object = Object.create(Set.prototype, { add: frozen, delete: frozen, clear: frozen })
