/**
 * Which scopes imply which others: a token with the broader scope may do what the narrower one allows.
 */
import * as Effect from "effect/Effect"
import type * as ConfigurationError from "../ConfigurationError.ts"
import * as read from "../options.ts"
import { scopeList } from "./scope.ts"

/** A hierarchy of scopes, worked out once: a check looks up, and computes nothing. */
export interface ScopeHierarchy {
  /** For a scope, the others that imply it, themselves or by way of others. */
  readonly impliedBy: ReadonlyMap<string, ReadonlySet<string>>
}

/** What each scope implies, for example `{ admin: ["write"], write: ["read"] }`. */
export type Implications = Readonly<Record<string, ReadonlyArray<string>>>

/**
 * Builds a hierarchy. It is transitive, and a circle makes scopes equals.
 *
 * Fails with `ConfigurationError` if a name is not a scope (RFC 6749 section 3.3), or what it implies is not a list. Not
 * checked: whether the authorization server means the same by its scopes; it issues them, and knows nothing of what they
 * imply here.
 */
export const make = (
  implications: Implications
): Effect.Effect<ScopeHierarchy, ConfigurationError.ConfigurationError> =>
  Effect.gen(function* () {
    yield* read.record("scopeHierarchy", implications)
    const implied = new Map<string, ReadonlyArray<string>>()
    for (const [scope, others] of Object.entries(implications)) {
      yield* scopeList("scopeHierarchy", [scope])
      implied.set(scope, yield* scopeList(`scopeHierarchy.${scope}`, others))
    }
    const impliedBy = new Map<string, Set<string>>()
    for (const broader of implied.keys()) {
      for (const narrower of reach(broader, implied)) {
        impliedBy.set(narrower, (impliedBy.get(narrower) ?? new Set()).add(broader))
      }
    }
    return { impliedBy }
  })

/** Everything that a scope implies, itself included. */
const reach = (scope: string, implied: ReadonlyMap<string, ReadonlyArray<string>>): ReadonlySet<string> => {
  const reached = new Set([scope])
  // A set that grows while it is walked is walked to its end, and takes nothing twice.
  for (const one of reached) implied.get(one)?.forEach((other) => reached.add(other))
  return reached
}

/** Whether the granted scopes have all of the required ones, or imply them. Without a hierarchy none implies another. */
export const covers = (
  granted: ReadonlySet<string>,
  required: ReadonlyArray<string>,
  hierarchy?: ScopeHierarchy | undefined
): boolean => {
  for (const scope of required) {
    if (!granted.has(scope) && (hierarchy === undefined || !isImplied(scope, granted, hierarchy))) return false
  }
  return true
}

const isImplied = (scope: string, granted: ReadonlySet<string>, { impliedBy }: ScopeHierarchy): boolean => {
  for (const broader of impliedBy.get(scope) ?? []) if (granted.has(broader)) return true
  return false
}

/** The scopes to ask for where all of these are needed: each once, and none that another of them implies. */
export const narrowest = (
  scopes: ReadonlyArray<string>,
  hierarchy?: ScopeHierarchy | undefined
): ReadonlyArray<string> => {
  const each = [...new Set(scopes)]
  if (hierarchy === undefined) return each
  const placeOf = new Map(each.map((scope, place) => [scope, place]))
  const implies = (broader: string, narrower: string) => hierarchy.impliedBy.get(narrower)?.has(broader) === true
  // By the hierarchy and not by pairs of scopes: a handler may need thousands.
  return each.filter((scope, place) =>
    [...(hierarchy.impliedBy.get(scope) ?? [])].every((broader) => {
      const other = placeOf.get(broader)
      // Of equals the first stays.
      return other === undefined || other === place || (implies(scope, broader) && place < other)
    })
  )
}
