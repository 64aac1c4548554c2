/**
 * Scopes that imply others: a token with the broader scope may do everything that the narrower one allows.
 */
import * as Effect from "effect/Effect"
import type * as ConfigurationError from "../ConfigurationError.ts"
import * as read from "../options.ts"
import { scopeList } from "./scope.ts"

/** A hierarchy of scopes, computed once so that a check only has to look it up. */
export interface ScopeHierarchy {
  /** For each scope the other scopes that imply it, directly or through others. */
  readonly impliedBy: ReadonlyMap<string, ReadonlySet<string>>
}

/** What each scope implies, for example `{ admin: ["write"], write: ["read"] }`. */
export type Implications = Readonly<Record<string, ReadonlyArray<string>>>

/**
 * Builds a hierarchy. It is transitive, and scopes that imply each other are equal.
 *
 * Fails with `ConfigurationError` if a name is not a scope (RFC 6749 section 3.3), or what it implies is not a list of scopes.
 * Not checked: whether the authorization server gives its scopes the same meaning. It knows nothing of this hierarchy.
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
  // The loop also visits what is added to the set while it runs.
  for (const one of reached) implied.get(one)?.forEach((other) => reached.add(other))
  return reached
}

/** Whether each required scope is granted, or implied by a granted one. Without a hierarchy no scope implies another. */
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

/** The scopes to ask for if all of these are needed: each of them once, without those that another one implies. */
export const narrowest = (
  scopes: ReadonlyArray<string>,
  hierarchy?: ScopeHierarchy | undefined
): ReadonlyArray<string> => {
  const each = [...new Set(scopes)]
  if (hierarchy === undefined) return each
  const placeOf = new Map(each.map((scope, place) => [scope, place]))
  const implies = (broader: string, narrower: string) => hierarchy.impliedBy.get(narrower)?.has(broader) === true
  // Comparing each pair would be slow, because a handler may need thousands of scopes.
  return each.filter((scope, place) =>
    [...(hierarchy.impliedBy.get(scope) ?? [])].every((broader) => {
      const other = placeOf.get(broader)
      // Of scopes that imply each other only the first is kept.
      return other === undefined || other === place || (implies(scope, broader) && place < other)
    })
  )
}
