import type * as LogLevel from "effect/LogLevel"
import type { TokenError } from "./TokenError.ts"

/** What the HTTP edge answers, and how loud the log is. */
export interface Answer {
  readonly status: 400 | 401 | 403 | 503
  /** The `error` of the challenge (RFC 6750 section 3.1); none without credentials, and none when no token is bad. */
  readonly code?: "invalid_request" | "invalid_token" | "insufficient_scope"
  /** The `error_description`: fixed, in RFC 6750's character set, and without `=` (clients search challenges for it). */
  readonly description: string
  readonly logLevel: Exclude<LogLevel.Literal, "All" | "None">
  /** When it happens, for people. */
  readonly when: string
}

const refusal = (logLevel: "Info" | "Warning", description: string, when: string): Answer => ({
  status: 401,
  code: "invalid_token",
  description,
  logLevel,
  when
})

/** The answer to every rejection, by tag. Warnings are only ever about tokens whose signature held. */
export const answers: { readonly [Tag in TokenError["_tag"]]: Answer } = {
  TokenMissing: {
    status: 401,
    description: "The request carries no access token",
    logLevel: "Debug",
    when: "no `Authorization` header, or another scheme"
  },
  CredentialsMalformed: {
    status: 400,
    code: "invalid_request",
    description: "The Authorization header is malformed",
    logLevel: "Info",
    when: "bad syntax, several tokens, several headers"
  },
  TokenMalformed: refusal(
    "Info",
    "The access token is malformed",
    "not a compact JWS of a JSON object, or over the size limit"
  ),
  AlgorithmNotAllowed: refusal(
    "Info",
    "The access token is signed with an algorithm that is not allowed",
    "`alg` outside the allow-list"
  ),
  CriticalHeaderUnsupported: refusal("Info", "The access token needs an unsupported extension", "any `crit`"),
  KeyNotFound: refusal("Info", "The access token is signed with an unknown key", "no usable key of the issuer fits"),
  SignatureInvalid: refusal("Info", "The signature of the access token is invalid", "the signature does not verify"),
  TypeMismatch: refusal(
    "Warning",
    "The token is not an access token",
    "`typ`, or what takes its place, is not an access token's"
  ),
  IssuerMismatch: refusal("Warning", "The access token is from another issuer", "`iss` is not the configured issuer"),
  AudienceMismatch: refusal("Warning", "The access token is for another resource", "`aud` does not name this resource"),
  // Tokens expire all day long and clients refresh them: ordinary rotation, so deliberately quieter than a mismatch.
  Expired: refusal("Info", "The access token expired", "`exp` is past"),
  NotYetValid: refusal("Info", "The access token is not valid yet", "`nbf`, or `iat`, is far ahead"),
  ClaimInvalid: refusal(
    "Warning",
    "A claim of the access token is missing or invalid",
    "a claim is missing, of a wrong type or of a wrong value"
  ),
  BindingMismatch: refusal(
    "Warning",
    "The access token is bound to a key that was not proven",
    "`cnf` names a key that this request did not prove"
  ),
  ScopeMissing: {
    status: 403,
    code: "insufficient_scope",
    description: "The access token lacks a required scope",
    logLevel: "Warning",
    when: "a required scope is missing"
  },
  VerificationUnavailable: {
    status: 503,
    description: "The access token cannot be verified now",
    logLevel: "Error",
    when: "the issuer's keys cannot be had: nobody's token is bad"
  }
}
