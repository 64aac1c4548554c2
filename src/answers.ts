/**
 * What a door answers to each rejection, and how loud the log is: each status, code and text is written here and nowhere else.
 */
import type * as LogLevel from "effect/LogLevel"

/** The answer to one rejection. */
export interface Answer {
  readonly status: 400 | 401 | 403 | 503
  /** The `error` of the challenge (RFC 6750 section 3.1). There is none without credentials, and none during an outage. */
  readonly code?: "invalid_request" | "invalid_token" | "insufficient_scope"
  /** The `error_description`: a fixed text in RFC 6750's character set, without `=`, because clients search challenges for it. */
  readonly description: string
  readonly logLevel: Exclude<LogLevel.Literal, "All" | "None">
  /** When it happens, for people. */
  readonly when: string
}

/** A rejected token. Warnings are only about tokens whose signature held. */
const invalidToken = <const Level extends "Info" | "Warning">(logLevel: Level, description: string, when: string) =>
  ({ status: 401, code: "invalid_token", description, logLevel, when }) as const

/** The answers by tag. `TokenError` proves that every tag has one, and that no tag is missing there. */
export const answers = {
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
  TokenMalformed: invalidToken(
    "Info",
    "The access token is malformed",
    "not a compact JWS of a JSON object, or over the size limit"
  ),
  AlgorithmNotAllowed: invalidToken(
    "Info",
    "The access token is signed with an algorithm that is not allowed",
    "`alg` outside the allow-list"
  ),
  CriticalHeaderUnsupported: invalidToken("Info", "The access token needs an unsupported extension", "any `crit`"),
  KeyNotFound: invalidToken(
    "Info",
    "The access token is signed with an unknown key",
    "no usable key of the issuer fits"
  ),
  SignatureInvalid: invalidToken(
    "Info",
    "The signature of the access token is invalid",
    "the signature does not verify"
  ),
  TypeMismatch: invalidToken(
    "Warning",
    "The token is not an access token",
    "`typ`, or what takes its place, is not an access token's"
  ),
  IssuerMismatch: invalidToken(
    "Warning",
    "The access token is from another issuer",
    "`iss` is not the configured issuer"
  ),
  AudienceMismatch: invalidToken(
    "Warning",
    "The access token is for another resource",
    "`aud` does not name this resource"
  ),
  // Tokens expire all day and clients refresh them: this is ordinary, and quieter than a mismatch.
  Expired: invalidToken("Info", "The access token expired", "`exp` is past"),
  NotYetValid: invalidToken("Info", "The access token is not valid yet", "`nbf`, or `iat`, is far ahead"),
  ClaimInvalid: invalidToken(
    "Warning",
    "A claim of the access token is missing or invalid",
    "a claim is missing, of a wrong type or of a wrong value"
  ),
  BindingMismatch: invalidToken(
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
    when: "the keys of the issuer cannot be had: no token is bad"
  }
} as const satisfies Readonly<Record<string, Answer>>
