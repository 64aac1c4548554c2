import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Document, FetchFailure } from "./fetchJson.ts"
import { jwksUriProblem } from "./jwksUriProblem.ts"
import { printable } from "../printable.ts"

/** The `jwks_uri` in an issuer's metadata. */
export interface JwksUri {
  readonly get: Effect.Effect<string, FetchFailure>
  /** Says that the fetch from the `jwks_uri` failed: the next `get` fetches the metadata, unless the last one did. */
  readonly invalidate: Effect.Effect<void>
}

/**
 * Fetches the issuer's metadata, and again after `freshFor` or when the clock was set back, because an issuer may change its
 * `jwks_uri`. If the metadata cannot be fetched again, the last `jwks_uri` is used.
 */
export const make = (
  issuer: string,
  discovered: Effect.Effect<Document, FetchFailure>,
  freshFor: Duration.Duration
): JwksUri => {
  let known: string | undefined
  let askedAt = Number.NEGATIVE_INFINITY
  let remembered = false
  const ask = Effect.gen(function* () {
    const { body } = yield* discovered
    const uri = body["jwks_uri"]
    const shown = printable(issuer)
    if (typeof uri !== "string") return yield* failure(`the metadata of "${shown}" has no jwks_uri`)
    const problem = jwksUriProblem(uri, issuer)
    if (problem !== undefined) return yield* failure(`the jwks_uri of "${shown}" ${problem}`)
    known = uri
    askedAt = yield* Clock.currentTimeMillis
    remembered = false
    return uri
  })
  return {
    get: Effect.flatMap(Clock.currentTimeMillis, (now) => {
      if (known === undefined) return ask
      const before = known
      remembered = now >= askedAt && now - askedAt < Duration.toMillis(freshFor)
      return remembered ? Effect.succeed(before) : Effect.orElseSucceed(ask, () => before)
    }),
    // After a fetch of the metadata it is kept, so that a slow issuer has a whole load for its keys.
    invalidate: Effect.sync(() => {
      if (remembered) askedAt = Number.NEGATIVE_INFINITY
    })
  }
}

const failure = (reason: string) => Effect.fail<FetchFailure>({ reason })
