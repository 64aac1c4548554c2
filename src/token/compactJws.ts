import { decodeText } from "#signature"
import { parseObject } from "../json.ts"

/** Header and payload of a token of at most `maxLength` characters, or what is wrong with its form. */
export const split = (
  token: string,
  maxLength: number
): { readonly header: string; readonly payload: string } | string => {
  if (token.length > maxLength) return `the token is longer than ${maxLength} characters`
  const first = token.indexOf(".")
  // Without a dot `first` is -1: the search then begins at 0 and finds none either.
  const second = token.indexOf(".", first + 1)
  if (second === -1) return "the token has not three segments"
  if (token.includes(".", second + 1)) return "the token has more than three segments"
  return threeSegments.test(token) &&
    endsCanonically(token, 0, first) &&
    endsCanonically(token, first + 1, second) &&
    endsCanonically(token, second + 1, token.length)
    ? { header: token.slice(0, first), payload: token.slice(first + 1, second) }
    : "a segment of the token is not canonical base64url"
}

const threeSegments = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/

/**
 * Whether the unused last bits of this segment are zero (RFC 4648 section 3.5). jose ignores these bits, white space and padding,
 * so that one token has many spellings there.
 */
const endsCanonically = (token: string, start: number, end: number): boolean => {
  const rest = (end - start) % 4
  return rest === 0 || (rest > 1 && (rest === 2 ? "AQgw" : "AEIMQUYcgkosw048").includes(token[end - 1]!))
}

/** A segment as a JSON object, if it is one in UTF-8. */
export const decodeObject = (segment: string) => {
  const text = decodeText(segment)
  return text === undefined ? undefined : parseObject(text)
}
