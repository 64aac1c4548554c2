/** A JSON object, without a prototype that a name could hit by accident; `undefined` for any other text. */
export const parseObject = (text: string): Readonly<Record<string, unknown>> | undefined => {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined
    return Object.setPrototypeOf(value, null)
  } catch {
    return undefined
  }
}
