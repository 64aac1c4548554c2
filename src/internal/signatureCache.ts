/** Tokens whose signature was verified, by the exact token. */
export interface SignatureCache<A> {
  readonly get: (token: string) => A | undefined
  /** Keeps a token from its second time on; `make` says what there is to keep. */
  readonly add: (token: string, make: () => A) => void
  readonly remove: (token: string) => void
}

/** What an entry weighs, in bytes: its token, and the claims decoded from it, measured at about three times that. */
const weigh = (token: string): number => 4 * token.length + 512

/** How many tokens that came once are remembered, by four bytes each. A power of two. */
const onceSize = 4096

/**
 * Keeps what was verified, within a number of entries and of bytes.
 *
 * There are two generations of half the bounds each. What is used moves to the young one; when that is full it becomes
 * the old one, and what nobody used since is gone. So the bounds hold at every moment, and no call does more than a step.
 *
 * A token that comes once and never again costs neither a hash of its whole text nor memory that must be collected: of
 * its first time only the end of its signature is noted. That is a hint, never a verdict.
 */
export const make = <A>(bounds: { readonly entries: number; readonly bytes: number }): SignatureCache<A> => {
  let young = new Map<string, A>()
  let old = new Map<string, A>()
  let weight = 0
  const once = new Int32Array(onceSize)

  const cameBefore = (mark: number): boolean => once[mark & (onceSize - 1)] === mark

  const put = (token: string, value: A) => {
    const added = weigh(token)
    if (2 * (young.size + 1) > bounds.entries || 2 * (weight + added) > bounds.bytes) {
      old = young
      young = new Map()
      weight = 0
    }
    young.set(token, value)
    weight += added
  }

  return {
    add: (token, make) => {
      if (2 * weigh(token) > bounds.bytes || bounds.entries < 2) return
      const mark = markOf(token)
      if (!cameBefore(mark)) once[mark & (onceSize - 1)] = mark
      else if (!young.has(token)) put(token, make())
    },
    get: (token) => {
      if (!cameBefore(markOf(token))) return undefined
      const recent = young.get(token)
      if (recent !== undefined) return recent
      const kept = old.get(token)
      if (kept === undefined) return undefined
      old.delete(token)
      put(token, kept)
      return kept
    },
    remove: (token) => {
      if (young.delete(token)) weight -= weigh(token)
      old.delete(token)
    }
  }
}

/** The last characters of a token, which are its signature's and as good as random, as a number that is not 0. */
const markOf = (token: string): number => {
  let mark = 1
  for (let index = Math.max(0, token.length - 8); index < token.length; index++) {
    mark = Math.imul(mark, 31) + token.charCodeAt(index)
  }
  return mark | 0 || 1
}
