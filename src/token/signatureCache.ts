/** What is known of tokens whose signature was verified, by the exact token. */
export interface SignatureCache<A> {
  readonly get: (token: string) => A | undefined
  /** Keeps a token when it is added for the second time. `make` returns what to keep. */
  readonly add: (token: string, make: () => A) => void
  readonly remove: (token: string) => void
}

/** The size of an entry in bytes: its token, and the claims decoded from it, which were measured at about three times that. */
const weigh = (token: string): number => 4 * token.length + 512

/** How many tokens that were added once are noted, in four bytes each. A power of two. */
const onceSize = 4096

/**
 * Keeps what was verified, within a number of entries and of bytes.
 *
 * There are two generations, each with half of the bounds. An entry that is used moves to the young one. When the young one is full
 * it becomes the old one, and the entries of the old one that nobody used since are dropped. So the bounds hold at each moment, and
 * no call does more than one step.
 *
 * A token is found by its mark and then compared as a whole, because a hash of all its text would cost more than all the checks.
 * When a token is added for the first time, only its mark is noted. Two tokens may have the same mark: a token that shares it with
 * another is then kept one time too early, which accepts nothing.
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
    // Two tokens hardly ever have the same mark. If they do, the later one stays.
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

/** A number, not 0, of the last characters of a token. They belong to its signature and are as good as random. */
const markOf = (token: string): number => {
  let mark = 1
  for (let index = Math.max(0, token.length - 8); index < token.length; index++) {
    mark = Math.imul(mark, 31) + token.charCodeAt(index)
  }
  return mark | 0 || 1
}
