/**
 * The HTTP edge: reads the credentials of a request, and provides `AccessToken` or answers with a challenge.
 */
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FiberRef from "effect/FiberRef"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import { AccessToken, withScopes } from "./AccessToken.ts"
import * as Challenge from "./Challenge.ts"
import * as ConfigurationError from "./ConfigurationError.ts"
import { isDone } from "./internal/andThen.ts"
import { BoundTo } from "./internal/boundTo.ts"
import { credentials, describe as describeCredentials } from "./internal/credentials.ts"
import { verdicts } from "./internal/metrics.ts"
import * as read from "./internal/option.ts"
import { isPreflight } from "./internal/preflight.ts"
import { scopeList } from "./internal/scopeList.ts"
import * as verdictLog from "./internal/verdictLog.ts"
import * as Jwt from "./Jwt.ts"
import { ProtectedResource } from "./ProtectedResource.ts"
import { ScopeMissing, type TokenError, VerificationUnavailable } from "./TokenError.ts"
import { TokenVerifier } from "./TokenVerifier.ts"

export { credentials }

/** What an operation asks of a token. */
export interface Options {
  /** Scopes that the operation needs besides those that the resource requires of every operation. Default: none. */
  readonly scopes?: ReadonlyArray<string> | undefined
}

/** The edge of one resource: every door authenticates and refuses through this. */
export interface Authenticator {
  /**
   * The request's verified token. A rejection is logged here, once, as loud as the table says; an acceptance at Debug. The
   * error may be sent to its client: the reason of `VerificationUnavailable` is in the log alone.
   */
  readonly authenticate: (
    request: HttpServerRequest.HttpServerRequest
  ) => Effect.Effect<AccessToken["Type"], TokenError>
  /** The answer to a rejection. */
  readonly challenge: (error: TokenError) => Challenge.Challenge
  /** The answer to a handler's own `ScopeMissing`: its challenge names that error's scopes too. Logged here. */
  readonly challengeHandler: (
    error: ScopeMissing,
    request: HttpServerRequest.HttpServerRequest
  ) => Effect.Effect<Challenge.Challenge>
}

/** Builds the edge of the current resource. Fails with `ConfigurationError` if a scope is none, or the verifier another's. */
export const make = (
  options?: Options
): Effect.Effect<Authenticator, ConfigurationError.ConfigurationError, ProtectedResource | TokenVerifier> =>
  Effect.gen(function* () {
    const resource = yield* ProtectedResource
    const verifier = yield* TokenVerifier
    // Effect builds a Layer once. A verifier's Layer that two resources share is bound to the first, and would accept its
    // tokens for the second.
    if (verifier.resource !== undefined && verifier.resource !== resource.resource) {
      const reason = `is bound to another resource than ${resource.resource}: share no TokenVerifier Layer, or wrap it in Layer.fresh`
      return yield* ConfigurationError.make("TokenVerifier", verifier.resource, reason)
    }
    const { scopes: given = [] } = yield* read.record("options", options === undefined ? {} : options)
    const scopes = yield* scopeList("scopes", given)
    const required = [...new Set([...resource.requiredScopes, ...scopes])]
    const { scopeHierarchy } = resource
    return {
      authenticate: (request) =>
        Either.match(credentials(request), {
          onLeft: (error) =>
            refuse(
              error,
              request,
              Effect.sync(() => describeCredentials(request))
            ),
          onRight: (token) =>
            Effect.matchEffect(verifier.verify(token), {
              onFailure: (error) => refuse(error, request, Jwt.describe(token)),
              onSuccess: (verified) => {
                const accessToken =
                  scopeHierarchy === undefined ? verified : Object.freeze({ ...verified, scopeHierarchy })
                const allowed = withScopes(accessToken, required)
                if (!isDone(allowed))
                  return Effect.catchAll(allowed, (error) => refuse(error, request, Jwt.describe(token)))
                verdicts.unsafeUpdate("accepted", [])
                return Effect.zipRight(verdictLog.accepted(accessToken, request), allowed)
              }
            })
        }),
      challenge: (error) => Challenge.make(error, resource, scopes),
      challengeHandler: (error, request) =>
        Effect.as(
          verdictLog.rejected(error, request, {}),
          Challenge.make(error, resource, [...scopes, ...error.required])
        )
    }
  })

const refuse = (
  error: TokenError,
  request: HttpServerRequest.HttpServerRequest,
  described: Effect.Effect<object>
): Effect.Effect<never, TokenError> =>
  Metric.update(verdicts, error._tag).pipe(
    Effect.zipRight(Effect.flatMap(described, (description) => verdictLog.rejected(error, request, description))),
    Effect.zipRight(Effect.fail(forAnyone(error)))
  )

/** Some doors send errors as values. Why keys cannot be had is for the log: it names hosts, and anyone may ask. */
const forAnyone = (error: TokenError): TokenError =>
  error._tag === "VerificationUnavailable"
    ? new VerificationUnavailable({ reason: "the token cannot be verified now", retryAfter: error.retryAfter })
    : error

/**
 * Protects routes of `HttpLayerRouter`: provides `AccessToken` to their handlers, or answers 400, 401, 403 or 503.
 *
 * A handler's own `ScopeMissing` (`AccessToken.requireScopes`) is answered with 403 and a challenge that names its scopes. CORS
 * preflights carry no credentials and are not challenged; those that reach a protected route get an empty 204.
 */
export const middleware = (options?: Options) =>
  HttpLayerRouter.middleware<{ provides: AccessToken; handles: ScopeMissing }>()(
    Effect.gen(function* () {
      const { resource } = yield* ProtectedResource
      const { authenticate, challenge, challengeHandler } = yield* make(options)
      return (handler) =>
        Effect.withFiberRuntime<HttpServerResponse.HttpServerResponse, HttpLayerRouter.unhandled>((fiber) => {
          const context = fiber.currentContext
          const request = Context.unsafeGet(context, HttpServerRequest.HttpServerRequest)
          if (isPreflight(request)) return Effect.succeed(HttpServerResponse.empty({ status: 204 }))
          return Effect.matchEffect(authenticate(request), {
            onFailure: (error) => Effect.succeed(toResponse(challenge(error))),
            onSuccess: (accessToken) =>
              provideInRoute(
                handler,
                // One copy of the context; `Context.add` would make two.
                Context.unsafeMake(
                  new Map(context.unsafeMap).set(AccessToken.key, accessToken).set(BoundTo.key, resource)
                )
              ).pipe(
                Effect.catchIf(isScopeMissing, (error) => Effect.map(challengeHandler(error, request), toResponse))
              )
          })
        })
    })
  )

/**
 * `Effect.mapInputContext` for the handler of a route, at a third of its price, which is most of what protection costs. That one
 * puts the context back, as the router does at the end of each route, whatever ended it.
 */
const provideInRoute = <A, E, R>(handler: Effect.Effect<A, E, R>, context: Context.Context<R>): Effect.Effect<A, E> =>
  Effect.zipRight(FiberRef.set(FiberRef.currentContext, context), handler as Effect.Effect<A, E>)

const isScopeMissing = (error: unknown): error is ScopeMissing => error instanceof ScopeMissing

/** A challenge as a response without a body. */
export const toResponse = ({ headers, status }: Challenge.Challenge): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.empty({ status, headers })

/**
 * Protects the routes it is provided to. Always fresh: each resource's routes meet that resource's verifier.
 */
export const layer: Layer.Layer<
  HttpLayerRouter.Request<"Requires", AccessToken>,
  ConfigurationError.ConfigurationError,
  ProtectedResource | TokenVerifier
> = Layer.fresh(middleware().layer)

/** `layer` for routes that need scopes besides those that the resource requires. */
export const layerScopes = (
  ...scopes: readonly [string, ...Array<string>]
): Layer.Layer<
  HttpLayerRouter.Request<"Requires", AccessToken>,
  ConfigurationError.ConfigurationError,
  ProtectedResource | TokenVerifier
> => Layer.fresh(middleware({ scopes }).layer)
