/** The longest text of a token that is ever shown. */
const longest = 256

/**
 * Text of unknown origin, safe in any log: everything but printable ASCII is written as `\uXXXX`, so line breaks,
 * terminal escapes, bidi controls and look-alike letters show as what they are. Cut at 256 characters.
 */
export const printable = (text: string): string => {
  const escaped = text
    .slice(0, longest + 1)
    .replace(/[^\x20-\x7e]|["\\]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`)
  return escaped.length > longest ? `${escaped.slice(0, longest - 3)}...` : escaped
}

/** Whether a name of unknown origin may be shown as it is. */
export const isHarmless = (name: string): boolean => /^[A-Za-z0-9._~-]{1,64}$/.test(name)

/** A claim of any type as text: strings as they are, the rest by the name of its type, for its content is not ours. */
export const printableClaim = (claim: unknown): string | undefined =>
  claim === undefined ? undefined : typeof claim === "string" ? printable(claim) : `(${typeName(claim)})`

/** The values of a claim that is a string or a list of strings. At most ten are shown. */
export const printableClaims = (claim: unknown): ReadonlyArray<string> => {
  if (claim === undefined) return []
  const values: ReadonlyArray<unknown> = Array.isArray(claim) ? claim : [claim]
  const shown = values.slice(0, 10).map((value) => printableClaim(value) ?? "(undefined)")
  return values.length > 10 ? [...shown, `(${values.length - 10} more)`] : shown
}

const typeName = (value: unknown): string => (value === null ? "null" : Array.isArray(value) ? "array" : typeof value)

/** Quotes a list for a message: `"a", "b"`, or `none`. */
export const quoted = (values: ReadonlyArray<string>): string =>
  values.length === 0 ? "none" : values.map((value) => `"${value}"`).join(", ")
