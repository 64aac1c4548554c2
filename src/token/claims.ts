/** The claims of a token as its issuer wrote them. The object has no prototype: it has no names but those of the claims. */
export type Claims = Readonly<Record<string, unknown>>

/** What a token claims: all that a check of claims reads. */
export interface Claimed {
  readonly claims: Claims
  /** The scopes that the claims grant. `Jwt.scopes` is how they are read by default. */
  readonly scopes: ReadonlySet<string>
}

/** Where scopes are read by default. */
export const scopeClaims: ReadonlyArray<string> = ["scope", "scp"]

/** Where the client id is read by default. */
export const clientIdClaims: ReadonlyArray<string> = ["client_id", "azp"]

/**
 * The scopes of the first of these claims that is not empty. A claim is a space-separated string or a list of strings.
 *
 * A claim of another type grants nothing. A member of a list that has a space in it grants nothing either: it is one name to
 * its issuer, and must not become two here.
 */
export const scopesOf = (claims: Claims, names: ReadonlyArray<string>): ReadonlySet<string> => {
  for (const name of names) {
    const claim = claims[name]
    if (isEmpty(claim)) continue
    if (typeof claim === "string") return frozenSet(claim)
    return frozenSet(Array.isArray(claim) ? claim.filter(isOneName).join(" ") : "")
  }
  return frozenSet("")
}

const isEmpty = (claim: unknown): boolean =>
  claim === undefined ||
  claim === null ||
  (typeof claim === "string" && claim.trim() === "") ||
  (Array.isArray(claim) && claim.length === 0)

const isOneName = (member: unknown): boolean => typeof member === "string" && !member.includes(" ")

/** The names of a list, as a set that requests share. Neither its methods nor new ones let a request change it for the next. */
const frozenSet = (list: string): ReadonlySet<string> =>
  Object.freeze(Object.setPrototypeOf(new Set(list.split(" ").filter((name) => name !== "")), frozenMethods))

const frozen = {
  value: () => {
    throw new TypeError("The scopes of a token cannot be changed")
  }
}

const frozenMethods: object = Object.create(Set.prototype, { add: frozen, delete: frozen, clear: frozen })
