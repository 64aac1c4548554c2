import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import { CredentialsMalformed, TokenMissing } from "../TokenError.ts"

/**
 * The credentials of a request (RFC 6750 section 2.1). Tokens in the query or in a form are not looked at.
 */
export const credentials = (
  request: HttpServerRequest.HttpServerRequest
): Either.Either<Redacted.Redacted, TokenMissing | CredentialsMalformed> => {
  const malformed = (reason: string) => Either.left(new CredentialsMalformed({ reason }))
  if (authorizationLines(request) > 1) return malformed("the request has several Authorization headers")
  const header = request.headers["authorization"] ?? ""
  const token = /^bearer +([A-Za-z0-9._~+/-]+=*)$/i.exec(header)?.[1]
  if (token !== undefined) return Either.right(Redacted.make(token))
  // Also as one of several: fetch joins the lines of a header.
  return /(?:^|,\s*)bearer(?![A-Za-z0-9!#$%&'*+.^_`|~-])/i.test(header)
    ? malformed("the Authorization header is not one bearer token")
    : Either.left(new TokenMissing())
}

/** Node keeps only the first of several lines in `headers`, and shows them all in `rawHeaders`. */
const authorizationLines = ({ source }: HttpServerRequest.HttpServerRequest): number => {
  const raw: unknown = (source as { readonly rawHeaders?: unknown }).rawHeaders
  if (!Array.isArray(raw)) return 0
  let lines = 0
  for (let index = 0; index < raw.length; index += 2) {
    const name: unknown = raw[index]
    if (typeof name === "string" && name.length === 13 && name.toLowerCase() === "authorization") lines++
  }
  return lines
}

/** What may be logged of credentials that are not one bearer token: a scheme that is known, and the lines if they are several. */
export const describe = (
  request: HttpServerRequest.HttpServerRequest
): { readonly scheme?: string; readonly authorizationHeaders?: number } => {
  const given = /^[^\s,]+/.exec(request.headers["authorization"] ?? "")?.[0].toLowerCase()
  const lines = authorizationLines(request)
  return {
    ...(given !== undefined && { scheme: schemes.find((scheme) => scheme.toLowerCase() === given) ?? "other" }),
    ...(lines > 1 && { authorizationHeaders: lines })
  }
}

const schemes = ["Basic", "Bearer", "Digest", "DPoP", "HOBA", "Mutual", "Negotiate", "OAuth"]
