/**
 * The error type of a pipeline is the sum of its lines, no more and no less.
 *
 * The text behind a directive must occur in what the compiler says: a case that fails for another reason proves nothing.
 */
// @effect-diagnostics *:skip-file
import { Check, Jwt } from "effect-resource-server"
import type { KeySet, TokenError } from "effect-resource-server"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"

declare const token: Redacted.Redacted

type Tag<Pipeline extends Effect.Effect<unknown, unknown, unknown>> = Extract<
  Effect.Effect.Error<Pipeline>,
  { readonly _tag: string }
>["_tag"]

/** Both types have the same members. */
const same = <A, B>(_: [A] extends [B] ? ([B] extends [A] ? "same" : "more") : "less") => {}

type Verification =
  | "TokenMalformed"
  | "AlgorithmNotAllowed"
  | "CriticalHeaderUnsupported"
  | "KeyNotFound"
  | "SignatureInvalid"
  | "VerificationUnavailable"

const short = Jwt.verify(token).pipe(Effect.flatMap(Check.issuer("https://as.example")))

const long = short.pipe(
  Effect.flatMap(Check.audience({ audiences: ["https://api.example"] })),
  Effect.flatMap(Check.lifetime()),
  Effect.flatMap(Check.scopes(["notes:read"]))
)

export const sums = () => {
  same<Tag<typeof short>, Verification | "IssuerMismatch">("same")
  same<
    Tag<typeof long>,
    Verification | "IssuerMismatch" | "AudienceMismatch" | "Expired" | "NotYetValid" | "ClaimInvalid" | "ScopeMissing"
  >("same")
  same<Effect.Effect.Context<typeof long>, KeySet.KeySet>("same")
  same<Effect.Effect.Success<typeof long>, Jwt.Jwt>("same")

  // The audience is not checked, so its error is not in the type.
  // @ts-expect-error not assignable to parameter of type '"more"'
  same<Tag<typeof short>, Verification | "IssuerMismatch" | "AudienceMismatch">("same")

  // Nor can it be forgotten where it is checked.
  // @ts-expect-error not assignable to parameter of type '"less"'
  same<Tag<typeof long>, Tag<typeof short>>("same")
}

export const handlers = () => {
  Effect.catchTags(long, {
    AudienceMismatch: ({ actual, expected }) => Effect.succeed([...expected, ...actual]),
    Expired: ({ expiresAt, now }) => Effect.succeed(now - expiresAt)
  })
  Effect.catchTag(short, "IssuerMismatch", ({ actual }) => Effect.succeed(actual))

  // No line of the pipeline checks the audience.
  // @ts-expect-error not assignable to type 'never'
  Effect.catchTags(short, { AudienceMismatch: () => Effect.void })

  // A tag that does not exist.
  // @ts-expect-error not assignable to type 'never'
  Effect.catchTags(long, { AudienceMissmatch: () => Effect.void })

  // The same for one tag.
  // @ts-expect-error "AudienceMismatch"
  Effect.catchTag(short, "AudienceMismatch", () => Effect.void)

  const rest = Effect.catchTag(long, "Expired", () => Effect.void)
  same<Tag<typeof rest>, Exclude<Tag<typeof long>, "Expired">>("same")

  // One error is handled, all the others are still there.
  // @ts-expect-error not assignable to type 'never'
  const handled: Effect.Effect<unknown, never, KeySet.KeySet> = rest
  return handled
}

/** A check of one's own is one more line, and its error one more member. */
export const own = () => {
  class Revoked {
    readonly _tag = "Revoked"
  }
  const revoked: Check.Check<Revoked> = (claimed) =>
    claimed.claims["jti"] === "stolen" ? Effect.fail(new Revoked()) : Effect.succeed(claimed)
  const pipeline = short.pipe(Effect.flatMap(revoked))
  same<Tag<typeof pipeline>, Tag<typeof short> | "Revoked">("same")

  // It is not an error of this library.
  // @ts-expect-error Revoked
  const known: Effect.Effect<Jwt.Jwt, TokenError.TokenError, KeySet.KeySet> = pipeline
  return known
}
