/**
 * The door of `HttpLayerRouter`: reads the credentials of a request, and provides `AccessToken` or answers with a challenge.
 */
import type * as Headers from "@effect/platform/Headers"
import * as HttpApp from "@effect/platform/HttpApp"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import type * as HttpMethod from "@effect/platform/HttpMethod"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FiberRef from "effect/FiberRef"
import * as Layer from "effect/Layer"
import type * as LogLevel from "effect/LogLevel"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import { AccessToken, withScopes } from "../token/AccessToken.ts"
import * as Challenge from "./Challenge.ts"
import * as ConfigurationError from "../ConfigurationError.ts"
import * as adding from "./boundRoute.ts"
import { isDone } from "../token/flatMapNow.ts"
import { credentials, describe as describeCredentials } from "./request.ts"
import { verdicts } from "../metrics.ts"
import { outageOf } from "./outage.ts"
import { isPreflight } from "./preflight.ts"
import { closing } from "./boundedBody.ts"
import { scopeMissingOf } from "./scopeMissingResponse.ts"
import * as published from "../resource/published.ts"
import { scopeList, scopeOptions, someScopes } from "../resource/scope.ts"
import * as verdictLog from "./decisionLog.ts"
import * as Jwt from "../token/Jwt.ts"
import { ProtectedResource } from "../resource/ProtectedResource.ts"
import { answers, ScopeMissing, type TokenError, VerificationUnavailable } from "../TokenError.ts"
import { TokenVerifier } from "../token/TokenVerifier.ts"

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

/**
 * Builds the door of the current resource. Fails with `ConfigurationError` if a scope is none, or the verifier another's.
 *
 * The resource's metadata is served where the router is known; else a warning says how it is.
 */
export const make = (
  options?: Options
): Effect.Effect<Authenticator, ConfigurationError.ConfigurationError, ProtectedResource | TokenVerifier> =>
  Effect.gen(function* () {
    const resource = yield* ProtectedResource
    const verifier = yield* TokenVerifier
    // Effect builds a Layer once. A verifier's Layer that two resources share is bound to the first, and would accept its
    // tokens for the second.
    if (verifier.resource !== resource.resource) {
      const reason = `is bound to another resource than ${resource.resource}: share no TokenVerifier Layer, or wrap it in Layer.fresh`
      return yield* ConfigurationError.make("TokenVerifier", verifier.resource, reason)
    }
    const scopes = yield* scopeList("scopes", yield* scopeOptions(options))
    yield* published.byDoor(resource)
    yield* announced(verifier)
    const required = [...new Set([...resource.requiredScopes, ...scopes])]
    const { scopeHierarchy } = resource
    const outage = outageOf(verifier)
    const reject = (error: TokenError, request: Request, described: Effect.Effect<object>) =>
      Effect.zipRight(
        decided(error, request, described, outage.levelOf(error)),
        Effect.fail(withoutInternalReason(error))
      )
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
                if (!isDone(allowed))
                  return Effect.catchAll(allowed, (error) => reject(error, request, Jwt.describe(token)))
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

type Request = HttpServerRequest.HttpServerRequest

/** The verifiers whose start-up line is logged: one line, however many doors a verifier has. */
const announcedVerifiers = new WeakSet<TokenVerifier["Type"]>()

/** Logs what a verifier accepts. The door does it and not the verifier: one that no door uses has nothing to announce. */
const announced = (verifier: TokenVerifier["Type"]): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (verifier.announce === undefined || announcedVerifiers.has(verifier)) return Effect.void
    announcedVerifiers.add(verifier)
    return verifier.announce
  })

const decided = (
  error: TokenError,
  request: Request,
  described: Effect.Effect<object>,
  level: LogLevel.Literal
): Effect.Effect<void> =>
  Metric.update(verdicts, error._tag).pipe(
    Effect.zipRight(Effect.flatMap(described, (description) => verdictLog.rejected(error, request, description, level)))
  )

/** Some doors send errors as values. Why keys cannot be had is for the log: it names hosts, and anyone may ask. */
const withoutInternalReason = (error: TokenError): TokenError =>
  error._tag === "VerificationUnavailable"
    ? new VerificationUnavailable({ reason: answers[error._tag].description, retryAfter: error.retryAfter })
    : error

/**
 * Protects routes of `HttpLayerRouter`: provides `AccessToken` to their handlers, or answers 400, 401, 403 or 503.
 *
 * A handler's own `ScopeMissing` (`AccessToken.requireScopes`) is answered with 403 and a challenge that names its scopes. CORS
 * preflights carry no credentials and are not challenged; those that reach a protected route get an empty 204. No byte of a
 * body is read before the token is accepted; a rejected request with a long body closes its connection.
 *
 * Fails when built if a route belongs to another resource, with `ConfigurationError`, or where the platform's own
 * `HttpLayerRouter.add` adds it, with that error as a defect.
 */
export const middleware = (options?: Options) =>
  HttpLayerRouter.middleware<{ provides: AccessToken; handles: ScopeMissing }>()(
    Effect.gen(function* () {
      const { resource } = yield* ProtectedResource
      const door = yield* make(options)
      return (handler) => {
        const { answersErrors, open, withoutBodies } = adding.putAround(door, "BearerAuth", resource)
        // The types of the router do not know routes that a door leaves alone; such a route reads no token.
        if (open) return handler as Effect.Effect<HttpServerResponse.HttpServerResponse, HttpLayerRouter.unhandled>
        const answer = withoutBodies ? answerWithoutBody : respond
        return Effect.withFiberRuntime<HttpServerResponse.HttpServerResponse, HttpLayerRouter.unhandled>((fiber) => {
          const context = fiber.currentContext
          const request = Context.unsafeGet(context, HttpServerRequest.HttpServerRequest)
          if (isPreflight(request)) return Effect.succeed(HttpServerResponse.empty({ status: 204 }))
          return Effect.matchEffect(door.authenticate(request), {
            onFailure: (error) => answer(door.challenge(error), request),
            onSuccess: (verified) => {
              // A copy: what its handler lacks is noted beside it, and requests that send the same token share a token.
              const accessToken = answersErrors ? { ...verified } : verified
              const handled = runInContext(
                handler,
                context,
                // One copy of the context; `Context.add` would make two.
                Context.unsafeMake(new Map(context.unsafeMap).set(AccessToken.key, accessToken)),
                (cause) => {
                  const error = Cause.failureOption(cause)
                  return Option.isSome(error) && error.value instanceof ScopeMissing
                    ? Effect.flatMap(door.challengeHandler(error.value, request), (challenge) =>
                        answer(challenge, request)
                      )
                    : Effect.failCause(cause as Cause.Cause<HttpLayerRouter.unhandled>)
                }
              )
              return answersErrors ? Effect.flatMap(handled, challengeResponse(door, request, accessToken)) : handled
            }
          })
        })
      }
    })
  )

/** Adds the challenge to a response that was made of a handler's own `ScopeMissing`. */
const challengeResponse =
  (door: Authenticator, request: Request, accessToken: AccessToken["Type"]) =>
  (response: HttpServerResponse.HttpServerResponse): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
    const error = scopeMissingOf(accessToken, response)
    return error === undefined
      ? Effect.succeed(response)
      : Effect.flatMap(door.challengeHandler(error, request), ({ headers }) =>
          Effect.as(beforeResponse(request, headers), response)
        )
  }

/**
 * Runs the handler of a route in a context of its own, as `Effect.mapInputContext` would, at a third of its price, which is most
 * of what protection costs. The context is put back when the handler has ended. After an interruption the router puts it back:
 * until then the finalizers of a middleware between the two see the token.
 */
const runInContext = <A, E, R, R2, E2>(
  handler: Effect.Effect<A, E, R>,
  before: Context.Context<never>,
  inside: Context.Context<R>,
  onFailure: (cause: Cause.Cause<E>) => Effect.Effect<A, E2, R2>
): Effect.Effect<A, E2, R2> =>
  Effect.zipRight(
    FiberRef.set(FiberRef.currentContext, inside),
    Effect.matchCauseEffect(handler as Effect.Effect<A, E>, {
      onFailure: (cause) => Effect.zipRight(FiberRef.set(FiberRef.currentContext, before), onFailure(cause)),
      onSuccess: (response) => Effect.as(FiberRef.set(FiberRef.currentContext, before), response)
    })
  )

/** A challenge as a response. */
export const toResponse = ({ body, headers, status }: Challenge.Challenge): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.text(body, { status, headers, contentType: "application/json" })

/**
 * A challenge as the response to a request.
 *
 * What a browser may read of it is added to what the app's own CORS middleware names. Where a body of more than 64 KiB, or of
 * unknown length, was not read, the connection is closed after the response: else the server would read it to its end.
 */
export const respond = (
  challenge: Challenge.Challenge,
  request: Request
): Effect.Effect<HttpServerResponse.HttpServerResponse> => Effect.as(beforeResponse(request), toResponse(challenge))

const answerWithoutBody = ({ headers, status }: Challenge.Challenge, request: Request) => {
  const { "content-type": _, ...others } = headers
  return Effect.as(beforeResponse(request), HttpServerResponse.empty({ status, headers: others }))
}

/** Sets these headers, and what only the last one to touch a rejection's response can set. */
export const beforeResponse = (request: Request, headers: Challenge.Challenge["headers"] = {}): Effect.Effect<void> =>
  HttpApp.appendPreResponseHandler((_, response) => Effect.succeed(finish(response, request, headers)))

/** The response to a rejection, with these headers and what the last one to touch it sets. */
export const finish = (
  response: HttpServerResponse.HttpServerResponse,
  request: Request,
  headers: Challenge.Challenge["headers"]
): HttpServerResponse.HttpServerResponse =>
  closing(request, HttpServerResponse.setHeaders(response, { ...headers, ...exposed(response.headers) }))

/** The headers that pages of another origin may read: those of a challenge, and those that a middleware has named since. */
const exposed = (headers: Headers.Headers) => {
  const named = (headers["access-control-expose-headers"] ?? "").split(",").map((name) => name.trim())
  const missing = Challenge.exposedHeaders.filter(
    (name) => !named.some((one) => one.toLowerCase() === name.toLowerCase())
  )
  return { "access-control-expose-headers": [...named.filter((name) => name !== ""), ...missing].join(", ") }
}

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
> =>
  Layer.fresh(
    Layer.unwrapEffect(Effect.map(someScopes("scopes", scopes), (read) => middleware({ scopes: read }).layer))
  )

/** The handler of a route. */
export type Handler<E, R> =
  | Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
  | ((request: Request) => Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>)

type Method = "*" | Exclude<HttpMethod.HttpMethod, "HEAD">

/** What a route asks of the router and of its middleware. */
type Route<E, R> =
  | ProtectedResource
  | HttpLayerRouter.HttpRouter
  | HttpLayerRouter.Request.From<"Requires", Exclude<R, HttpLayerRouter.Provided>>
  | HttpLayerRouter.Request.From<"Error", E>

/** Not `AccessToken` itself, which `AccessToken.layerRequest` provides: nothing provides a text. */
type WithoutToken<R> = [Extract<R, AccessToken>] extends [never]
  ? never
  : "the handler of an open route reads AccessToken"

/**
 * Adds a protected route below the resource's own path: `"/"` is that path itself, `"/notes"` is `/mcp/notes` for `/mcp`.
 *
 * It does not compile without `BearerAuth.layer` or `layerScopes`, whether or not its handler reads `AccessToken`. Serves the
 * resource's metadata, too. Fails with `ConfigurationError` when built if the door belongs to another resource.
 */
export const add = <E, R>(
  method: Method,
  path: `/${string}`,
  handler: Handler<E, R>
): Layer.Layer<never, ConfigurationError.ConfigurationError, Route<E, R | AccessToken>> =>
  adding.layer({}, route(method, path, handler), (doors) =>
    doors.size > 0
      ? Effect.void
      : Effect.flatMap(ProtectedResource, (resource) =>
          ConfigurationError.make(
            "BearerAuth.add",
            `${method} ${adding.below(resource.path, path)}`,
            "has no BearerAuth.layer"
          )
        )
  ) as Layer.Layer<never, ConfigurationError.ConfigurationError, Route<E, R | AccessToken>>

/**
 * Adds a route below the resource's own path that anyone may ask, without an access token.
 *
 * A line at start names it. It is open wherever it stands: `BearerAuth.layer` around it leaves it alone. Its handler cannot
 * read `AccessToken`.
 */
export const addOpen = <E, R>(
  method: Method,
  path: `/${string}`,
  handler: Handler<E, R>
): Layer.Layer<never, ConfigurationError.ConfigurationError, Route<E, Exclude<R, AccessToken>> | WithoutToken<R>> =>
  adding.layer({ open: true }, route(method, path, handler), () =>
    Effect.flatMap(ProtectedResource, (resource) =>
      Effect.zipRight(published.onRouter(resource), adding.logOpen([`${method} ${adding.below(resource.path, path)}`]))
    )
  ) as Layer.Layer<never, ConfigurationError.ConfigurationError, Route<E, Exclude<R, AccessToken>> | WithoutToken<R>>

const route = <E, R>(method: Method, path: `/${string}`, handler: Handler<E, R>) =>
  Layer.unwrapEffect(
    Effect.gen(function* () {
      const resource = yield* ProtectedResource
      return HttpLayerRouter.add(method, adding.below(resource.path, yield* adding.routePath(path)), handler)
    })
  )
