import type { Bounds } from "./options.ts"

/** The longest token that is read unless an option says otherwise, in characters. */
export const defaultMaxTokenLength = 16_384

/** The highest value of that option. */
export const highestMaxTokenLength = 65_536

/** The values that the option may have. */
export const maxTokenLengthBounds: Bounds<number> = {
  holds: (value) => Number.isInteger(value) && value >= 1 && value <= highestMaxTokenLength,
  complaint: `is not a whole number from 1 to ${highestMaxTokenLength}`
}
