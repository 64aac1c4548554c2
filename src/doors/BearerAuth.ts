/**
 * The door of `HttpLayerRouter`: it provides `AccessToken` to the handlers of routes, or answers with a challenge.
 */
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import type * as HttpMethod from "@effect/platform/HttpMethod"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as ConfigurationError from "../ConfigurationError.ts"
import { contextOf } from "../fiber.ts"
import { ProtectedResource } from "../resource/ProtectedResource.ts"
import * as published from "../resource/published.ts"
import { someScopes } from "../resource/scope.ts"
import { AccessToken } from "../token/AccessToken.ts"
import type { TokenVerifier } from "../token/TokenVerifier.ts"
import { ScopeMissing } from "../TokenError.ts"
import { type Authenticator, make, type Options } from "./authenticator.ts"
import * as boundRoute from "./boundRoute.ts"
import { incoming, isPreflight } from "./request.ts"
import { beforeResponse, respond, respondWithoutBody } from "./response.ts"
import { runInContext } from "./runInContext.ts"
import { scopeMissingOf } from "./scopeMissingResponse.ts"

export { type Authenticator, make, type Options } from "./authenticator.ts"
export { credentials, type Incoming, incoming } from "./request.ts"
export { respond } from "./response.ts"

/**
 * Protects routes of `HttpLayerRouter`: provides `AccessToken` to their handlers, or answers 400, 401, 403 or 503.
 *
 * A handler's own `ScopeMissing` (`AccessToken.requireScopes`) is answered with 403 and a challenge that names its scopes. CORS
 * preflights that reach a protected route get an empty 204, because they carry no credentials. No byte of a body is read
 * before the token is accepted. A rejected request with a long body closes its connection.
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
        const { answersErrors, open, withoutBodies } = boundRoute.putAround(door, "BearerAuth", resource)
        // The types of the router do not know routes that a door leaves alone; such a route reads no token.
        if (open) return handler as Effect.Effect<HttpServerResponse.HttpServerResponse, HttpLayerRouter.unhandled>
        const answer = withoutBodies ? respondWithoutBody : respond
        return Effect.withFiberRuntime<HttpServerResponse.HttpServerResponse, HttpLayerRouter.unhandled>((fiber) => {
          const context = contextOf(fiber)
          const request = Context.unsafeGet(context, HttpServerRequest.HttpServerRequest)
          if (isPreflight(request)) return Effect.succeed(HttpServerResponse.empty({ status: 204 }))
          const asked = incoming(request)
          return Effect.matchEffect(door.authenticate(asked), {
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
                    ? Effect.flatMap(door.challengeHandler(error.value, asked), (challenge) =>
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
  (door: Authenticator, request: HttpServerRequest.HttpServerRequest, accessToken: AccessToken["Type"]) =>
  (response: HttpServerResponse.HttpServerResponse): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
    const error = scopeMissingOf(accessToken, response)
    return error === undefined
      ? Effect.succeed(response)
      : Effect.flatMap(door.challengeHandler(error, incoming(request)), ({ headers }) =>
          Effect.as(beforeResponse(request, headers), response)
        )
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
  | ((request: HttpServerRequest.HttpServerRequest) => Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>)

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
  boundRoute.layer({}, route(method, path, handler), (doors) =>
    doors.size > 0
      ? Effect.void
      : Effect.flatMap(ProtectedResource, (resource) =>
          ConfigurationError.make(
            "BearerAuth.add",
            `${method} ${boundRoute.below(resource.path, path)}`,
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
  boundRoute.layer({ open: true }, route(method, path, handler), () =>
    Effect.flatMap(ProtectedResource, (resource) =>
      Effect.zipRight(
        published.onRouter(resource),
        boundRoute.logOpen([`${method} ${boundRoute.below(resource.path, path)}`])
      )
    )
  ) as Layer.Layer<never, ConfigurationError.ConfigurationError, Route<E, Exclude<R, AccessToken>> | WithoutToken<R>>

const route = <E, R>(method: Method, path: `/${string}`, handler: Handler<E, R>) =>
  Layer.unwrapEffect(
    Effect.gen(function* () {
      const resource = yield* ProtectedResource
      return HttpLayerRouter.add(method, boundRoute.below(resource.path, yield* boundRoute.routePath(path)), handler)
    })
  )
