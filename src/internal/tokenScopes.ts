import type { Claims } from "../Jwt.ts"

/**
 * The scopes of a token: `scope` (space-separated), or where that is missing or empty `scp` (a string or a list of them).
 * A claim of another type grants nothing.
 */
export const scopes = ({ scope, scp }: Claims): ReadonlySet<string> => {
  const isEmpty = scope === undefined || scope === null || (typeof scope === "string" && scope.trim() === "")
  const chosen: unknown = isEmpty ? scp : scope
  const list = Array.isArray(chosen) && isEmpty ? chosen.filter((one) => typeof one === "string").join(" ") : chosen
  return granted(typeof list === "string" ? list : "")
}

/** The scopes that were read last: an issuer's tokens have few lists of them. */
let lastGranted: { readonly list: string; readonly scopes: ReadonlySet<string> } | undefined

const granted = (list: string): ReadonlySet<string> => {
  if (lastGranted?.list !== list) lastGranted = { list, scopes: frozenSet(list) }
  return lastGranted.scopes
}

/** The names of a list, as a set that requests share: its methods do not let one grant the next a scope. */
const frozenSet = (list: string): ReadonlySet<string> =>
  Object.setPrototypeOf(new Set(list.split(" ").filter((name) => name !== "")), frozenMethods)

const frozen = {
  value: () => {
    throw new TypeError("The scopes of a token cannot be changed")
  }
}

const frozenMethods: object = Object.create(Set.prototype, { add: frozen, delete: frozen, clear: frozen })
