import type { Claimed, Claims } from "./claims.ts"
import { covers, type ScopeHierarchy } from "../resource/ScopeHierarchy.ts"
import { ScopeMissing } from "../TokenError.ts"
import { printable, printableClaims, quoted } from "../printable.ts"

/** The error of a token that lacks some of these scopes. */
export const scopeMissing = (
  token: Claimed,
  required: ReadonlyArray<string>,
  hierarchy: ScopeHierarchy | undefined
): ScopeMissing => {
  const { claims, scopes } = token
  const error = new ScopeMissing({ required, granted: printableClaims([...scopes]) })
  const missing = required.filter((scope) => !covers(scopes, [scope], hierarchy))
  const note = elsewhere(claims, missing)
  if (note !== undefined) notes.set(error, note)
  found.set(token, error)
  return error
}

const found = new WeakMap<object, ScopeMissing>()

/** The last error of this very token, for a door that sees only the response which was made of the error. */
export const lastFoundOf = (token: object): ScopeMissing | undefined => found.get(token)

/** What the log says of an error besides its message. It is no field of the error, because some doors send errors to clients. */
export const noteOf = (error: object): string | undefined => notes.get(error)

const notes = new WeakMap<object, string>()

/** Which other claims of the token have the names of missing scopes: those claims are about the user and not about the client. */
const elsewhere = (claims: Claims, missing: ReadonlyArray<string>): string | undefined => {
  const findings = Object.entries(places(claims)).flatMap(([place, values]) => {
    const names = missing.filter((name) => values.some((value) => holds(value, name)))
    return names.length === 0 ? [] : [`${quoted(names.map(printable))} in ${place}`]
  })
  return findings.length === 0
    ? undefined
    : `the token has ${findings.join(" and ")}, which says what its user may do; it is not read as a scope`
}

/** The claims that issuers write permissions, roles and groups to, and what they hold. */
const places = (claims: Claims): Readonly<Record<string, ReadonlyArray<unknown>>> => ({
  permissions: [claims["permissions"]],
  role: [claims["role"]],
  roles: [claims["roles"]],
  groups: [claims["groups"]],
  "cognito:groups": [claims["cognito:groups"]],
  "realm_access.roles": [rolesOf(claims["realm_access"])],
  resource_access: Object.values(Object(claims["resource_access"]) as object).map(rolesOf)
})

const rolesOf = (access: unknown): unknown => (Object(access) as { readonly roles?: unknown }).roles

/** Whether a list of strings, or one string of names with spaces between them, has this name. */
const holds = (value: unknown, name: string): boolean =>
  Array.isArray(value) ? value.includes(name) : typeof value === "string" && value.split(" ").includes(name)
