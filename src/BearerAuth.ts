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
import * as LogLevel from "effect/LogLevel"
import * as Metric from "effect/Metric"
import * as Redacted from "effect/Redacted"
import { AccessToken, withScopes } from "./AccessToken.ts"
import * as Challenge from "./Challenge.ts"
import * as ConfigurationError from "./ConfigurationError.ts"
import { isDone } from "./internal/andThen.ts"
import { BoundTo } from "./internal/boundTo.ts"
import { verdicts } from "./internal/metrics.ts"
import { isPreflight } from "./internal/preflight.ts"
import { scopeList } from "./internal/scopeList.ts"
import * as Jwt from "./Jwt.ts"
import { ProtectedResource } from "./ProtectedResource.ts"
import {
  answers,
  CredentialsMalformed,
  ScopeMissing,
  type TokenError,
  TokenMissing,
  VerificationUnavailable
} from "./TokenError.ts"
import { TokenVerifier } from "./TokenVerifier.ts"

/** What an operation asks of a token. */
export interface Options {
  /** Scopes that the operation needs besides those that the resource requires of every operation. Default: none. */
  readonly scopes?: ReadonlyArray<string> | undefined
}

/** The edge of one resource: every door authenticates and refuses through this. */
export interface Authenticator {
  /**
   * The request's verified token. A rejection is logged here, once, as loud as the table says; the error may be sent to its
   * client: the reason of `VerificationUnavailable` is in the log alone.
   */
  readonly authenticate: (
    request: HttpServerRequest.HttpServerRequest
  ) => Effect.Effect<AccessToken["Type"], TokenError>
  /** The answer to a rejection. */
  readonly challenge: (error: TokenError) => Challenge.Challenge
  /** The answer to a handler's own `ScopeMissing`: its challenge names that error's scopes too. Logged here. */
  readonly challengeHandler: (error: ScopeMissing) => Effect.Effect<Challenge.Challenge>
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
    const scopes = yield* scopeList("scopes", options?.scopes ?? [])
    const required = [...new Set([...resource.requiredScopes, ...scopes])]
    const { scopeHierarchy } = resource
    return {
      authenticate: (request) =>
        Either.match(credentials(request), {
          onLeft: (error) => refuse(error, Effect.succeed(describeCredentials(request))),
          onRight: (token) =>
            Effect.matchEffect(verifier.verify(token), {
              onFailure: (error) => refuse(error, Jwt.describe(token)),
              onSuccess: (verified) => {
                const accessToken = scopeHierarchy === undefined ? verified : { ...verified, scopeHierarchy }
                const allowed = withScopes(accessToken, required)
                if (!isDone(allowed)) return Effect.catchAll(allowed, (error) => refuse(error, Jwt.describe(token)))
                verdicts.unsafeUpdate("accepted", [])
                return allowed
              }
            })
        }),
      challenge: (error) => Challenge.make(error, resource, scopes),
      challengeHandler: (error) =>
        Effect.as(
          logRejection(error, Effect.succeed({})),
          Challenge.make(error, resource, [...scopes, ...error.required])
        )
    }
  })

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
const describeCredentials = (request: HttpServerRequest.HttpServerRequest) => {
  const given = /^[^\s,]+/.exec(request.headers["authorization"] ?? "")?.[0].toLowerCase()
  const lines = authorizationLines(request)
  return {
    ...(given !== undefined && { scheme: schemes.find((scheme) => scheme.toLowerCase() === given) ?? "other" }),
    ...(lines > 1 && { authorizationHeaders: lines })
  }
}

const schemes = ["Basic", "Bearer", "Digest", "DPoP", "HOBA", "Mutual", "Negotiate", "OAuth"]

const refuse = (error: TokenError, described: Effect.Effect<object>): Effect.Effect<never, TokenError> =>
  Metric.update(verdicts, error._tag).pipe(
    Effect.zipRight(logRejection(error, described)),
    Effect.zipRight(Effect.fail(forAnyone(error)))
  )

/** Some doors send errors as values. Why keys cannot be had is for the log: it names hosts, and anyone may ask. */
const forAnyone = (error: TokenError): TokenError =>
  error._tag === "VerificationUnavailable"
    ? new VerificationUnavailable({ reason: "the token cannot be verified now", retryAfter: error.retryAfter })
    : error

/** One line: the tag, the reason, and what may be shown of the token or of other credentials. */
const logRejection = (error: TokenError, described: Effect.Effect<object>) =>
  Effect.flatMap(described, (description) =>
    Effect.logWithLevel(LogLevel.fromLiteral(answers[error._tag].logLevel), `Request rejected: ${error.message}`).pipe(
      Effect.annotateLogs({ error: error._tag, ...description })
    )
  )

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
              ).pipe(Effect.catchIf(isScopeMissing, (error) => Effect.map(challengeHandler(error), toResponse)))
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
