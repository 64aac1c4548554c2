/** The name of a list that a mistyped one was most likely meant to be, or `undefined` where none is near. */
export const nearest = (name: string, names: ReadonlyArray<string>): string | undefined => {
  const [first] = names
    .map((one) => ({ one, edits: editsBetween(name.toLowerCase(), one.toLowerCase()) }))
    .sort((one, other) => one.edits - other.edits)
  return first !== undefined && first.edits <= first.one.length / 3 ? first.one : undefined
}

/** How many letters have to be added, removed or replaced to make one text of the other. */
const editsBetween = (one: string, other: string): number => {
  let before = Array.from({ length: other.length + 1 }, (_, column) => column)
  for (let row = 1; row <= one.length; row++) {
    const now = [row]
    for (let column = 1; column <= other.length; column++) {
      const replaced = before[column - 1]! + (one[row - 1] === other[column - 1] ? 0 : 1)
      now.push(Math.min(replaced, before[column]! + 1, now[column - 1]! + 1))
    }
    before = now
  }
  return before[other.length]!
}
