/** The longest token that is looked at unless an option says otherwise, in characters. */
export const defaultMaxTokenLength = 16_384

/** The most that the option may say. */
export const highestMaxTokenLength = 65_536

/** What the option must be. */
export const maxTokenLengthBounds = {
  holds: (value: number): boolean => Number.isInteger(value) && value >= 1 && value <= highestMaxTokenLength,
  complaint: `is not a whole number from 1 to ${highestMaxTokenLength}`
}
