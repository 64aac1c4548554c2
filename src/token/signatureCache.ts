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
 * A token is looked for by its mark and then compared as a whole: a hash of all its text would cost more than all the
 * checks. Of a token's first time only the mark is noted. That is a hint, never a verdict.
 */
export const make = <A>(bounds: { readonly entries: number; readonly bytes: number }): SignatureCache<A> => {
  let young = new Map<number, Entry<A>>()
  let old = new Map<number, Entry<A>>()
  let weight = 0
  const once = new Int32Array(onceSize)

  const removeYoung = (mark: number) => {
    const entry = young.get(mark)
    if (entry === undefined) return
    young.delete(mark)
    weight -= weigh(entry.token)
  }

  const put = (mark: number, entry: Entry<A>) => {
    // Of two tokens with one mark, which hardly ever meet, the later one stays.
    removeYoung(mark)
    const added = weigh(entry.token)
    if (2 * (young.size + 1) > bounds.entries || 2 * (weight + added) > bounds.bytes) {
      old = young
      young = new Map()
      weight = 0
    }
    young.set(mark, entry)
    weight += added
  }

  return {
    add: (token, make) => {
      if (2 * weigh(token) > bounds.bytes || bounds.entries < 2) return
      const mark = markOf(token)
      if (once[mark & (onceSize - 1)] !== mark) once[mark & (onceSize - 1)] = mark
      else if (young.get(mark)?.token !== token) put(mark, { token, value: make() })
    },
    get: (token) => {
      const mark = markOf(token)
      const recent = young.get(mark)
      if (recent?.token === token) return recent.value
      const kept = old.get(mark)
      if (kept?.token !== token) return undefined
      old.delete(mark)
      put(mark, kept)
      return kept.value
    },
    remove: (token) => {
      const mark = markOf(token)
      if (young.get(mark)?.token === token) removeYoung(mark)
      if (old.get(mark)?.token === token) old.delete(mark)
    }
  }
}

interface Entry<A> {
  readonly token: string
  readonly value: A
}

/** The last characters of a token, which are its signature's and as good as random, as a number that is not 0. */
const markOf = (token: string): number => {
  let mark = 1
  for (let index = Math.max(0, token.length - 8); index < token.length; index++) {
    mark = Math.imul(mark, 31) + token.charCodeAt(index)
  }
  return mark | 0 || 1
}
