/**
 * The door of `HttpApi`: its clients get rejections as typed errors, and every client gets the challenge.
 */
import type * as HttpApi from "@effect/platform/HttpApi"
import type * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpApiMiddleware from "@effect/platform/HttpApiMiddleware"
import * as HttpApiSecurity from "@effect/platform/HttpApiSecurity"
import * as HttpApp from "@effect/platform/HttpApp"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import type * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { AccessToken } from "../token/AccessToken.ts"
import * as authenticator from "./authenticator.ts"
import { incoming } from "./request.ts"
import { beforeResponse, finish } from "./response.ts"
import type * as ConfigurationError from "../ConfigurationError.ts"
import * as adding from "./boundRoute.ts"
import { requireSameResource } from "./boundRoute.ts"
import { contextOfCurrentFiber } from "../fiber.ts"
import { type BodyOptions, layerBounded } from "./boundedBody.ts"
import * as published from "../resource/published.ts"
import { scopeMissingOf } from "./scopeMissingResponse.ts"
import { givenScopes } from "../resource/scope.ts"
import { ProtectedResource } from "../resource/ProtectedResource.ts"
import { TokenError } from "../TokenError.ts"
import type { TokenVerifier } from "../token/TokenVerifier.ts"

const definition = { provides: AccessToken, failure: TokenError, security: { bearer: HttpApiSecurity.bearer } } as const

/** A middleware of `HttpApi` that needs a token with these scopes. */
export type TagClass<Self, Name extends string> = HttpApiMiddleware.TagClass<Self, Name, typeof definition> & {
  readonly scopes: ReadonlyArray<string>
}

/**
 * Declares a middleware for the endpoints, groups or APIs whose operations need these scopes, besides those that the
 * resource requires of every operation: `class Admins extends Tag<Admins>()("Admins", { scopes: ["notes:admin"] }) {}`.
 *
 * It provides `AccessToken` to their handlers, adds `TokenError` to their errors, and the scheme `bearer` to the OpenAPI
 * document, with the statuses 400, 401, 403 and 503. An API that uses it is not served without its `layer`.
 *
 * Where several apply to one endpoint, the token is verified for each, and each challenge names its own tag's scopes. A client
 * learns all at once if each operation has one tag, with all of its scopes.
 */
export const Tag =
  <Self>() =>
  <const Name extends string>(name: Name, options?: authenticator.Options): TagClass<Self, Name> =>
    Object.assign(HttpApiMiddleware.Tag<Self>()(name, definition), { scopes: givenScopes(options) })

/** The middleware for operations that need no scopes but those that the resource requires. */
export class Protected extends Tag<Protected>()("effect-resource-server/BearerAuthHttpApi/Protected") {}

/**
 * Verifies the tokens of the requests to what these tags are on. Always fresh: each resource's API meets that resource's
 * verifier. A constant that merges it with another Layer is built once; an API of a second resource that uses it fails when built. So is a
 * constant of handlers that the platform's own functions serve for two resources: requests to the second one are answered 500.
 *
 * A rejection has the status of the table, the error as a JSON body, and the headers of every other door:
 * `WWW-Authenticate`, or `Retry-After`. A handler's own `ScopeMissing` is answered with 403 and a challenge that names its scopes
 * where `AccessToken.requireScopes` or `withScopes` found it. The body shows what was expected and what the token has; claims
 * only after the signature held. Why keys cannot be had is in the log alone.
 *
 * Fails with `ConfigurationError` if a scope is none, or the verifier another resource's. Endpoints without a tag are open where
 * the platform's own functions serve the API; `add` refuses them. Paths that no endpoint has are answered 404 without a
 * challenge. An app of `HttpApiBuilder.serve` needs `ProtectedResource.metadataMiddleware` around it, and a warning says so.
 */
export const layer = <Selves extends readonly [unknown, ...Array<unknown>]>(
  ...tags: { readonly [Index in keyof Selves]: TagClass<Selves[Index], string> }
): Layer.Layer<Selves[number], ConfigurationError.ConfigurationError, ProtectedResource | TokenVerifier> =>
  Layer.fresh(
    Layer.merge(
      tags.map(layerOf).reduce((all, one) => Layer.merge(all, one)),
      marked
    )
  )

/** One middleware, so that a route has it once, however many Layers stand around it. */
const marked = Layer.fresh(adding.layerMark("BearerAuthHttpApi"))

const layerOf = <Self>(tag: TagClass<Self, string>) =>
  Layer.effect(
    tag,
    Effect.gen(function* () {
      const { resource } = yield* ProtectedResource
      const door = yield* authenticator.make({ scopes: tag.scopes })
      // Not the credentials that HttpApi decoded: it takes what follows seven characters, whatever the scheme.
      const bearer = () =>
        Effect.contextWithEffect((context: Context.Context<HttpServerRequest.HttpServerRequest>) => {
          const served = adding.servedFor(context)
          return served !== undefined && served !== resource
            ? Effect.die(adding.anotherResource("BearerAuthHttpApi", resource, served))
            : authenticate(door, Context.get(context, HttpServerRequest.HttpServerRequest))
        })
      return {
        // `HttpApiBuilder` reads it where it builds an endpoint, in the fiber that knows whose endpoint that is.
        get bearer() {
          requireSameResource(contextOfCurrentFiber(), "BearerAuthHttpApi", resource)
          return bearer
        }
      }
    })
  )

const authenticate = (door: authenticator.Authenticator, request: HttpServerRequest.HttpServerRequest) =>
  Effect.matchEffect(door.authenticate(incoming(request)), {
    onFailure: (error) => {
      answered.add(request)
      const { headers } = door.challenge(error)
      return Effect.zipRight(beforeResponse(request, headers), Effect.fail(error))
    },
    onSuccess: (verified) => {
      // A token of its own: what its handler lacks is noted beside it, and a token that came before is shared.
      const accessToken = { ...verified }
      return Effect.as(
        HttpApp.appendPreResponseHandler((_, response) => challengeHandler(door, request, response, accessToken)),
        accessToken
      )
    }
  })

/** The requests whose response has its challenge: an endpoint may have several tags, and only one of them answers. */
const answered = new WeakSet<HttpServerRequest.HttpServerRequest>()

/** Adds the challenge to the response that was made of a handler's own `ScopeMissing`. */
const challengeHandler = (
  door: authenticator.Authenticator,
  request: HttpServerRequest.HttpServerRequest,
  response: HttpServerResponse.HttpServerResponse,
  accessToken: AccessToken["Type"]
): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
  const error = answered.has(request) ? undefined : scopeMissingOf(accessToken, response)
  if (error === undefined) return Effect.succeed(response)
  answered.add(request)
  return Effect.map(door.challengeHandler(error, incoming(request)), ({ headers }) =>
    finish(response, request, headers)
  )
}

/**
 * Marks endpoints, groups or APIs that anyone may ask, without an access token: `endpoint.annotate(BearerAuthHttpApi.Open, true)`.
 * Read by `add`, which names them in a line at start. The annotation that is nearest to the endpoint counts.
 */
export class Open extends Context.Tag("effect-resource-server/BearerAuthHttpApi/Open")<Open, boolean>() {}

/**
 * Serves an API below the resource's own path: an endpoint `/notes` is at `/api/notes` for `/api`, and the resource's URL is the
 * `baseUrl` of its `HttpApiClient`. Serves the resource's metadata, too.
 *
 * Protected is the default: fails with `ConfigurationError` when built for an endpoint that has neither a tag of this module (or
 * another middleware that provides `AccessToken`) nor the annotation `Open`, or both; `BearerAuth.layer` around the whole
 * protects what has no tag. Handlers are built afresh, for all APIs of one build else share one list of routes, and would answer
 * for each other where their paths are the same; what handlers share with the rest of a program is provided to the result, not
 * to `handlers`.
 *
 * No byte of a body is read before the token is accepted. A body of more than 1 MiB (`maxBodyBytes`) is answered 413, without a
 * challenge.
 */
export const add = <Id extends string, Groups extends HttpApiGroup.HttpApiGroup.Any, E, R, HandlersE, HandlersR>(
  api: HttpApi.HttpApi<Id, Groups, E, R>,
  handlers: Layer.Layer<HttpApiGroup.HttpApiGroup.ToService<Id, Groups>, HandlersE, HandlersR>,
  options?: BodyOptions
): Layer.Layer<
  never,
  HandlersE | ConfigurationError.ConfigurationError,
  | ProtectedResource
  | HttpLayerRouter.HttpRouter
  | HttpRouter.HttpRouter.DefaultServices
  | R
  | HttpApiGroup.HttpApiGroup.ErrorContext<Groups>
  | HandlersR
> =>
  adding.layer(
    { answersErrors: true },
    HttpLayerRouter.addHttpApi(api).pipe(
      Layer.provide(handlers),
      Layer.provide(routerBelowResource),
      Layer.provide([layerBounded(options), marked])
    ),
    (doors) =>
      Effect.flatMap(ProtectedResource, (resource) =>
        Effect.zipRight(
          published.onRouter(resource),
          adding.protection("BearerAuthHttpApi", operationsOf(api as never, resource.path), doors)
        )
      )
  )

const operationsOf = ({ annotations, groups, middlewares }: HttpApi.HttpApi.AnyWithProps, path: `/${string}`) =>
  Object.values(groups).flatMap((group) =>
    Object.values(group.endpoints).map((endpoint) => ({
      name: `${endpoint.method} ${adding.below(path, endpoint.path)}`,
      isProtected: [...middlewares, ...group.middlewares, ...endpoint.middlewares].some(
        ({ optional, provides }) => provides === AccessToken && !optional
      ),
      isOpen: [endpoint.annotations, group.annotations, annotations]
        .map(Context.getOption(Open))
        .reduce((near, far) => Option.orElse(near, () => far))
        .pipe(Option.contains<unknown>(true))
    }))
  )

const routerBelowResource = Layer.effect(
  HttpLayerRouter.HttpRouter,
  Effect.map(Effect.all([HttpLayerRouter.HttpRouter, ProtectedResource]), ([router, { path }]) =>
    router.prefixed(path.replace(/\/$/, ""))
  )
)
