/**
 * What a door reads of a request: its credentials, and what the log may say of them.
 */
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import { CredentialsMalformed, TokenMissing } from "../TokenError.ts"

/** What a door hands over of a request. */
export interface Incoming {
  /** By names in lower case. */
  readonly headers: { readonly [name: string]: unknown }
  /** Names and values in turn, as they came: Node keeps only the first of several `Authorization` lines in `headers`. */
  readonly rawHeaders?: ReadonlyArray<unknown> | undefined
}

/** What a door of Effect hands over. */
export const incoming = ({ headers, source }: HttpServerRequest.HttpServerRequest): Incoming => ({
  headers,
  rawHeaders: (source as { readonly rawHeaders?: ReadonlyArray<unknown> }).rawHeaders
})

/**
 * The credentials of a request (RFC 6750 section 2.1). Tokens in the query or in a form are not looked at.
 */
export const credentials = (
  request: Incoming
): Either.Either<Redacted.Redacted, TokenMissing | CredentialsMalformed> => {
  const malformed = (reason: string) => Either.left(new CredentialsMalformed({ reason }))
  if (authorizationLines(request) > 1) return malformed("the request has several Authorization headers")
  const header = authorizationOf(request)
  const token = /^bearer +([A-Za-z0-9._~+/-]+=*)$/i.exec(header)?.[1]
  if (token !== undefined) return Either.right(Redacted.make(token))
  // Also as one of several: `fetch` joins the lines of a header.
  return /(?:^|,\s*)bearer(?![A-Za-z0-9!#$%&'*+.^_`|~-])/i.test(header)
    ? malformed("the Authorization header is not one bearer token")
    : Either.left(new TokenMissing())
}

const authorizationOf = ({ headers }: Incoming): string => {
  const { authorization } = headers
  return typeof authorization === "string" ? authorization : ""
}

const authorizationLines = ({ rawHeaders }: Incoming): number => {
  if (!Array.isArray(rawHeaders)) return 0
  let lines = 0
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name: unknown = rawHeaders[index]
    if (typeof name === "string" && name.length === 13 && name.toLowerCase() === "authorization") lines++
  }
  return lines
}

/** What the log may say of credentials that are not one bearer token: a known scheme, and how many lines there are. */
export const describeCredentials = (
  request: Incoming
): { readonly scheme?: string; readonly authorizationHeaders?: number } => {
  const given = /^[^\s,]+/.exec(authorizationOf(request))?.[0].toLowerCase()
  const lines = authorizationLines(request)
  return {
    ...(given !== undefined && { scheme: schemes.find((scheme) => scheme.toLowerCase() === given) ?? "other" }),
    ...(lines > 1 && { authorizationHeaders: lines })
  }
}

const schemes = ["Basic", "Bearer", "Digest", "DPoP", "HOBA", "Mutual", "Negotiate", "OAuth"]

/** A CORS preflight. Browsers send it before a request and without credentials, so that it cannot be challenged. */
export const isPreflight = (request: {
  readonly method?: string | undefined
  readonly headers: { readonly [name: string]: unknown }
}): boolean =>
  request.method === "OPTIONS" &&
  request.headers["origin"] !== undefined &&
  request.headers["access-control-request-method"] !== undefined
