import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Document, FetchFailure } from "./fetchJson.ts"
import { jwksUriProblem } from "./jwksUriProblem.ts"
import { printable } from "./printable.ts"

/** Where an issuer's metadata says that its keys are. */
export interface JwksUri {
  readonly get: Effect.Effect<string, FetchFailure>
  /** What was there was of no use: the next `get` asks the issuer, however short a time ago it said so. */
  readonly doubt: Effect.Effect<void>
}

/**
 * Asks the issuer for its metadata, and again after `freshFor`, for keys move; while it does not say, they are looked for where
 * they were.
 */
export const make = (
  issuer: string,
  discovered: Effect.Effect<Document, FetchFailure>,
  freshFor: Duration.Duration
): JwksUri => {
  let known: string | undefined
  let askAgainAt = Number.NEGATIVE_INFINITY
  const ask = Effect.gen(function* () {
    const { body } = yield* discovered
    const uri = body["jwks_uri"]
    const shown = printable(issuer)
    if (typeof uri !== "string") return yield* failure(`the metadata of "${shown}" has no jwks_uri`)
    const problem = jwksUriProblem(uri, issuer)
    if (problem !== undefined) return yield* failure(`the jwks_uri of "${shown}" ${problem}`)
    known = uri
    askAgainAt = (yield* Clock.currentTimeMillis) + Duration.toMillis(freshFor)
    return uri
  })
  return {
    get: Effect.flatMap(Clock.currentTimeMillis, (now) => {
      if (known === undefined) return ask
      const before = known
      return now < askAgainAt ? Effect.succeed(before) : Effect.orElseSucceed(ask, () => before)
    }),
    doubt: Effect.sync(() => {
      askAgainAt = Number.NEGATIVE_INFINITY
    })
  }
}

const failure = (reason: string) => Effect.fail<FetchFailure>({ reason })
