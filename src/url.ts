/**
 * The URL that a text is, or `undefined`.
 *
 * `URL.canParse` of Node 20 is not used: once V8 has compiled its caller, it says `false` for every URL with letters such as
 * `\u00e4`.
 */
export const parseUrl = (text: string, base?: string): URL | undefined => {
  try {
    return new URL(text, base)
  } catch {
    return undefined
  }
}
