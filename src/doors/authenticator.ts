/**
 * What all doors share: they authenticate requests and answer rejections through this.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as LogLevel from "effect/LogLevel"
import * as Metric from "effect/Metric"
import * as ConfigurationError from "../ConfigurationError.ts"
import { decisions } from "../metrics.ts"
import { ProtectedResource } from "../resource/ProtectedResource.ts"
import * as published from "../resource/published.ts"
import { scopeList, scopeOptions } from "../resource/scope.ts"
import { type AccessToken, withScopes } from "../token/AccessToken.ts"
import { isSucceeded } from "../token/flatMapNow.ts"
import * as Jwt from "../token/Jwt.ts"
import { TokenVerifier } from "../token/TokenVerifier.ts"
import { answers, type ScopeMissing, type TokenError, VerificationUnavailable } from "../TokenError.ts"
import * as Challenge from "./Challenge.ts"
import * as decisionLog from "./decisionLog.ts"
import { outageOf } from "./outage.ts"
import { credentials, describeCredentials, type Incoming } from "./request.ts"

/** What an operation asks of a token. */
export interface Options {
  /** Scopes that the operation needs besides those that the resource requires of every operation. Default: none. */
  readonly scopes?: ReadonlyArray<string> | undefined
}

/** Authenticates the requests to the operations of one door. */
export interface Authenticator {
  /**
   * The request's verified token. A rejection is logged here, once, as loud as `TokenError.answers` says; an accepted token
   * at Debug. The error may be sent to its client: the reason of `VerificationUnavailable` is in the log alone.
   */
  readonly authenticate: (request: Incoming) => Effect.Effect<AccessToken["Type"], TokenError>
  /** The answer to a rejection. */
  readonly challenge: (error: TokenError) => Challenge.Challenge
  /** The answer to a handler's own `ScopeMissing`, which is logged here. The challenge names the scopes of the error, too. */
  readonly challengeHandler: (error: ScopeMissing, request: Incoming) => Effect.Effect<Challenge.Challenge>
}

/**
 * Builds the authenticator of the current resource.
 *
 * Serves the resource's metadata where the router is known; elsewhere a warning says how to serve it. Logs the audience that
 * tokens must have, once for each verifier. Fails with `ConfigurationError` if an option cannot be meant, or if the
 * verifier is bound to another resource.
 */
export const make = (
  options?: Options
): Effect.Effect<Authenticator, ConfigurationError.ConfigurationError, ProtectedResource | TokenVerifier> =>
  Effect.gen(function* () {
    const resource = yield* ProtectedResource
    const verifier = yield* TokenVerifier
    yield* requireSameResource(verifier, resource.resource)
    const scopes = yield* scopeList("scopes", yield* scopeOptions(options))
    yield* published.byDoor(resource)
    yield* announced(verifier)
    const required = [...new Set([...resource.requiredScopes, ...scopes])]
    const { scopeHierarchy } = resource
    const outage = outageOf(verifier)
    const reject = (error: TokenError, request: Incoming, described: Effect.Effect<object>) =>
      Effect.zipRight(told(error, request, described, outage.levelOf(error)), Effect.fail(withoutInternalReason(error)))
    return {
      authenticate: (request) =>
        Either.match(credentials(request), {
          onLeft: (error) =>
            reject(
              error,
              request,
              Effect.sync(() => describeCredentials(request))
            ),
          onRight: (token) =>
            Effect.matchEffect(verifier.verify(token), {
              onFailure: (error) => reject(error, request, Jwt.describe(token)),
              onSuccess: (verified) => {
                outage.isOver()
                const accessToken =
                  scopeHierarchy === undefined ? verified : Object.freeze({ ...verified, scopeHierarchy })
                const allowed = withScopes(accessToken, required)
                if (!isSucceeded(allowed))
                  return Effect.catchAll(allowed, (error) => reject(error, request, Jwt.describe(token)))
                decisions.unsafeUpdate("accepted", [])
                return Effect.zipRight(decisionLog.accepted(accessToken, request), allowed)
              }
            })
        }),
      challenge: (error) => Challenge.make(error, resource, scopes),
      challengeHandler: (error, request) =>
        Effect.as(
          decisionLog.rejected(error, request, {}),
          Challenge.make(error, resource, [...scopes, ...error.required])
        )
    }
  })

/**
 * Effect builds a Layer once: a verifier's Layer that two resources share is bound to the first of them, and would accept its
 * tokens for the second.
 */
const requireSameResource = (verifier: TokenVerifier["Type"], resource: string) =>
  verifier.resource === resource
    ? Effect.void
    : ConfigurationError.make(
        "TokenVerifier",
        verifier.resource,
        `is bound to another resource than ${resource}: share no TokenVerifier Layer, or wrap it in Layer.fresh`
      )

/** The verifiers whose audience is logged: one line, however many doors a verifier has. */
const announcedVerifiers = new WeakSet<TokenVerifier["Type"]>()

/** The door logs the audience and not the verifier: a verifier that no door uses accepts nothing. */
const announced = (verifier: TokenVerifier["Type"]): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (verifier.announce === undefined || announcedVerifiers.has(verifier)) return Effect.void
    announcedVerifiers.add(verifier)
    return verifier.announce
  })

/** Counts and logs a rejection. */
const told = (
  error: TokenError,
  request: Incoming,
  described: Effect.Effect<object>,
  level: LogLevel.Literal
): Effect.Effect<void> =>
  Metric.update(decisions, error._tag).pipe(
    Effect.zipRight(
      Effect.flatMap(described, (description) => decisionLog.rejected(error, request, description, level))
    )
  )

/** Some doors send errors as values. Why keys cannot be had names hosts, and is for the log alone. */
const withoutInternalReason = (error: TokenError): TokenError =>
  error._tag === "VerificationUnavailable"
    ? new VerificationUnavailable({ reason: answers[error._tag].description, retryAfter: error.retryAfter })
    : error
