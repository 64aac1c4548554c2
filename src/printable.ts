/** The longest text of unknown origin that is shown, in characters. */
const longest = 256

/**
 * Makes text of unknown origin safe to log. Everything but printable ASCII is written as `\uXXXX`, so that line breaks,
 * terminal escapes, bidirectional controls and look-alike letters are visible. The text is cut at 256 characters.
 */
export const printable = (text: string): string => {
  const escaped = text
    .slice(0, longest + 1)
    .replace(/[^\x20-\x7e]|["\\]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`)
  return escaped.length > longest ? `${escaped.slice(0, longest - 3)}...` : escaped
}

/** Whether a name of unknown origin can be shown unchanged. */
export const isHarmless = (name: string): boolean => /^[A-Za-z0-9._~-]{1,64}$/.test(name)

/** A claim of any type as text. A string is shown by its content, any other value only by the name of its type. */
export const printableClaim = (claim: unknown): string | undefined =>
  claim === undefined ? undefined : typeof claim === "string" ? printable(claim) : `(${typeName(claim)})`

/** The values of a claim that is a string or a list of strings, as text. At most ten of them are shown. */
export const printableClaims = (claim: unknown): ReadonlyArray<string> => {
  if (claim === undefined) return []
  const values: ReadonlyArray<unknown> = Array.isArray(claim) ? claim : [claim]
  const shown = values.slice(0, 10).map((value) => printableClaim(value) ?? "(undefined)")
  return values.length > 10 ? [...shown, `(${values.length - 10} more)`] : shown
}

const typeName = (value: unknown): string => (value === null ? "null" : Array.isArray(value) ? "array" : typeof value)

/** A list in quotes for a message: `"a", "b"`, or `none` if it is empty. */
export const quoted = (values: ReadonlyArray<string>): string =>
  values.length === 0 ? "none" : values.map((value) => `"${value}"`).join(", ")
