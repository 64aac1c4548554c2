/**
 * Everything that can be wrong with a request's access token, and the table of what a door answers to it.
 */
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as Schema from "effect/Schema"
import { type Answer, answers as table } from "./answers.ts"
import { printableClaims, quoted } from "./printable.ts"

export type { Answer } from "./answers.ts"

const Texts = Schema.Array(Schema.String)
const OptionalText = Schema.optional(Schema.String)

/** The request carries no `Authorization: Bearer` credentials (RFC 6750 section 3.1). */
export class TokenMissing extends Schema.TaggedError<TokenMissing>()(
  "TokenMissing",
  {},
  HttpApiSchema.annotations({ status: table.TokenMissing.status })
) {
  override get message() {
    return "the request carries no bearer token"
  }
}

/** The `Authorization` header cannot be read, or there are several (RFC 6750 section 2.1). */
export class CredentialsMalformed extends Schema.TaggedError<CredentialsMalformed>()(
  "CredentialsMalformed",
  { reason: Schema.String },
  HttpApiSchema.annotations({ status: table.CredentialsMalformed.status })
) {
  override get message() {
    return this.reason
  }
}

/** The token is not a compact JWS of a JSON object, or it is over the size limit (RFC 7515 section 7.1). */
export class TokenMalformed extends Schema.TaggedError<TokenMalformed>()(
  "TokenMalformed",
  { reason: Schema.String },
  HttpApiSchema.annotations({ status: table.TokenMalformed.status })
) {
  override get message() {
    return this.reason
  }
}

/** The token names an algorithm outside the allow-list; one that is not known here is called `other`. */
export class AlgorithmNotAllowed extends Schema.TaggedError<AlgorithmNotAllowed>()(
  "AlgorithmNotAllowed",
  { expected: Texts, actual: Schema.String },
  HttpApiSchema.annotations({ status: table.AlgorithmNotAllowed.status })
) {
  override get message() {
    return `algorithm ${this.actual} is not one of ${this.expected.join(", ")}`
  }
}

/** The token's header has a `crit` member: it asks for an extension that is not supported (RFC 7515 section 4.1.11). */
export class CriticalHeaderUnsupported extends Schema.TaggedError<CriticalHeaderUnsupported>()(
  "CriticalHeaderUnsupported",
  {},
  HttpApiSchema.annotations({ status: table.CriticalHeaderUnsupported.status })
) {
  override get message() {
    return "the token asks for a critical header extension; none is supported"
  }
}

/**
 * No usable key of the issuer fits the token, or too many do, as `hint` then says. `keyId` is the token's `kid` if it is
 * harmless to print, else `sha256:` and eight hex digits of its hash; it is left out when the token has none.
 */
export class KeyNotFound extends Schema.TaggedError<KeyNotFound>()(
  "KeyNotFound",
  { algorithm: Schema.String, keyId: OptionalText, hint: OptionalText },
  HttpApiSchema.annotations({ status: table.KeyNotFound.status })
) {
  override get message() {
    const key = this.keyId === undefined ? "a token without kid" : `kid ${this.keyId}`
    const count = this.hint === undefined ? "no usable key" : "no single key"
    return withHint(`${count} of the issuer fits ${key} and ${this.algorithm}`, this.hint)
  }
}

/** The signature is not one that the issuer's key made over this token. */
export class SignatureInvalid extends Schema.TaggedError<SignatureInvalid>()(
  "SignatureInvalid",
  {},
  HttpApiSchema.annotations({ status: table.SignatureInvalid.status })
) {
  override get message() {
    return "the signature does not verify"
  }
}

/**
 * `typ` is not that of an access token (RFC 9068 section 4), or says nothing of its kind and nothing else does. A `typ` that is
 * not known here is called `other`.
 */
export class TypeMismatch extends Schema.TaggedError<TypeMismatch>()(
  "TypeMismatch",
  { expected: Texts, actual: OptionalText, hint: OptionalText },
  HttpApiSchema.annotations({ status: table.TypeMismatch.status })
) {
  override get message() {
    const actual = this.actual === undefined ? "none" : `"${this.actual}"`
    return withHint(`expected typ ${quoted(this.expected)}, got ${actual}`, this.hint)
  }
}

/** `iss` is not the configured issuer, code point by code point (RFC 7519 section 4.1.1). */
export class IssuerMismatch extends Schema.TaggedError<IssuerMismatch>()(
  "IssuerMismatch",
  { expected: Schema.String, actual: OptionalText, hint: OptionalText },
  HttpApiSchema.annotations({ status: table.IssuerMismatch.status })
) {
  override get message() {
    const actual = this.actual === undefined ? "none" : `"${this.actual}"`
    return withHint(`expected issuer "${this.expected}", got ${actual}`, this.hint)
  }
}

/** `aud` does not name this resource: the token was minted for another server (RFC 8707, RFC 7519 section 4.1.3). */
export class AudienceMismatch extends Schema.TaggedError<AudienceMismatch>()(
  "AudienceMismatch",
  { expected: Texts, actual: Texts, hint: OptionalText },
  HttpApiSchema.annotations({ status: table.AudienceMismatch.status })
) {
  override get message() {
    return withHint(`expected audience ${quoted(this.expected)}, got ${quoted(this.actual)}`, this.hint)
  }
}

/** The token's `exp` is past, clock tolerance included (RFC 7519 section 4.1.4). Both times are seconds since 1970. */
export class Expired extends Schema.TaggedError<Expired>()(
  "Expired",
  { expiresAt: Schema.Number, now: Schema.Number },
  HttpApiSchema.annotations({ status: table.Expired.status })
) {
  override get message() {
    return `the token expired ${Math.ceil(this.now - this.expiresAt)} seconds ago`
  }
}

/** The token's `nbf`, or its `iat`, lies ahead of now by more than the clock tolerance. Times are seconds since 1970. */
export class NotYetValid extends Schema.TaggedError<NotYetValid>()(
  "NotYetValid",
  { claim: Schema.Literal("nbf", "iat"), validFrom: Schema.Number, now: Schema.Number },
  HttpApiSchema.annotations({ status: table.NotYetValid.status })
) {
  override get message() {
    return `the token's ${this.claim} is ${Math.ceil(this.validFrom - this.now)} seconds ahead`
  }
}

/** A claim that must be there is missing, or a claim has a wrong type or a wrong value. */
export class ClaimInvalid extends Schema.TaggedError<ClaimInvalid>()(
  "ClaimInvalid",
  { claim: Schema.String, reason: Schema.String },
  HttpApiSchema.annotations({ status: table.ClaimInvalid.status })
) {
  override get message() {
    return `claim ${this.claim} ${this.reason}`
  }
}

/** The token is bound to a key (`cnf`, RFC 7800) that this request did not prove to hold. */
export class BindingMismatch extends Schema.TaggedError<BindingMismatch>()(
  "BindingMismatch",
  {},
  HttpApiSchema.annotations({ status: table.BindingMismatch.status })
) {
  override get message() {
    return "the token is bound to a key (cnf) that this request did not prove"
  }
}

/** The token is good but lacks scopes that the operation needs. `granted` is what it has. */
export class ScopeMissing extends Schema.TaggedError<ScopeMissing>()(
  "ScopeMissing",
  { required: Texts, granted: Texts },
  HttpApiSchema.annotations({ status: table.ScopeMissing.status })
) {
  override get message() {
    return `expected scopes ${quoted(printableClaims(this.required))}, got ${quoted(this.granted)}`
  }
}

/**
 * The issuer's keys cannot be had, so nothing can be said about any token. `retryAfter` is in whole seconds.
 */
export class VerificationUnavailable extends Schema.TaggedError<VerificationUnavailable>()(
  "VerificationUnavailable",
  { reason: Schema.String, retryAfter: Schema.Number },
  HttpApiSchema.annotations({ status: table.VerificationUnavailable.status })
) {
  override get message() {
    return this.reason
  }
}

const withHint = (message: string, hint: string | undefined): string =>
  hint === undefined ? message : `${message}: ${hint}`

/** Every rejection as one schema, for wires that carry typed errors. */
export const TokenError = Schema.Union(
  TokenMissing,
  CredentialsMalformed,
  TokenMalformed,
  AlgorithmNotAllowed,
  CriticalHeaderUnsupported,
  KeyNotFound,
  SignatureInvalid,
  TypeMismatch,
  IssuerMismatch,
  AudienceMismatch,
  Expired,
  NotYetValid,
  ClaimInvalid,
  BindingMismatch,
  ScopeMissing,
  VerificationUnavailable
)

/** Every rejection. Match it with `Effect.catchTags`. */
export type TokenError = typeof TokenError.Type

/** The answer to every rejection, by tag. It does not compile if a tag is missing in the table, or a tag of the table here. */
export const answers: { readonly [Tag in TokenError["_tag"]]: Answer } = table satisfies {
  readonly [Tag in keyof typeof table]: Tag extends TokenError["_tag"] ? Answer : never
}
