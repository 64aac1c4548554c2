/** Tokens whose signature was verified, by the exact token. */
export interface SignatureCache<A> {
  readonly get: (token: string) => A | undefined
  readonly add: (token: string, verified: A) => void
  readonly remove: (token: string) => void
}

/** What an entry weighs, in bytes: its token, and the claims decoded from it, measured at about three times that. */
const weigh = (token: string): number => 4 * token.length + 512

/**
 * Keeps what was verified, within a number of entries and of bytes.
 *
 * There are two generations of half the bounds each. What is used moves to the young one; when that is full it becomes
 * the old one, and what nobody used since is gone. So the bounds hold at every moment, and no call does more than a step.
 */
export const make = <A>(bounds: { readonly entries: number; readonly bytes: number }): SignatureCache<A> => {
  let young = new Map<string, A>()
  let old = new Map<string, A>()
  let weight = 0

  const add = (token: string, verified: A) => {
    const added = weigh(token)
    if (2 * added > bounds.bytes || bounds.entries < 2 || young.has(token)) return
    if (2 * (young.size + 1) > bounds.entries || 2 * (weight + added) > bounds.bytes) {
      old = young
      young = new Map()
      weight = 0
    }
    young.set(token, verified)
    weight += added
  }

  return {
    add,
    get: (token) => {
      const recent = young.get(token)
      if (recent !== undefined) return recent
      const verified = old.get(token)
      if (verified === undefined) return undefined
      old.delete(token)
      add(token, verified)
      return verified
    },
    remove: (token) => {
      if (young.delete(token)) weight -= weigh(token)
      old.delete(token)
    }
  }
}
