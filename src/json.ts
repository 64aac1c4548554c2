/** The JSON object that a text holds, without a prototype, so that it has no members but its own; `undefined` for any other text. */
export const parseObject = (text: string): Readonly<Record<string, unknown>> | undefined => {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined
    return Object.setPrototypeOf(value, null)
  } catch {
    return undefined
  }
}
