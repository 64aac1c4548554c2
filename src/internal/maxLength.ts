/** The longest token that is looked at, in characters. */
export const maxLength = 16_384
