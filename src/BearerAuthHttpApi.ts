/**
 * `HttpApi` behind bearer tokens: rejections are typed errors to its clients, and challenges to everyone.
 */
import type * as HttpApi from "@effect/platform/HttpApi"
import type * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpApiMiddleware from "@effect/platform/HttpApiMiddleware"
import * as HttpApiSecurity from "@effect/platform/HttpApiSecurity"
import * as HttpApp from "@effect/platform/HttpApp"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import type * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { AccessToken } from "./AccessToken.ts"
import * as BearerAuth from "./BearerAuth.ts"
import type { Challenge } from "./Challenge.ts"
import type * as ConfigurationError from "./ConfigurationError.ts"
import { givenScopes } from "./internal/scopeList.ts"
import { ProtectedResource } from "./ProtectedResource.ts"
import { ScopeMissing, TokenError } from "./TokenError.ts"
import type { TokenVerifier } from "./TokenVerifier.ts"

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
  <const Name extends string>(name: Name, options?: BearerAuth.Options): TagClass<Self, Name> =>
    Object.assign(HttpApiMiddleware.Tag<Self>()(name, definition), { scopes: givenScopes(options) })

/** The middleware for operations that need no scopes but those that the resource requires. */
export class Protected extends Tag<Protected>()("effect-resource-server/BearerAuthHttpApi/Protected") {}

/**
 * Verifies the tokens of the requests to what these tags are on. Always fresh: each resource's API meets that resource's
 * verifier. Name all tags here: a constant that merges two such Layers is built once, for one resource.
 *
 * A rejection has the status of the table, the error as a JSON body, and the headers of every other door:
 * `WWW-Authenticate`, or `Retry-After`. A handler's own `ScopeMissing` (`AccessToken.requireScopes`) is answered with 403 and a
 * challenge that names its scopes. The body shows what was expected and what the token has, to whoever sent it; claims only
 * after the signature held. Why keys cannot be had is in the log alone.
 *
 * Fails with `ConfigurationError` if a scope is none, or the verifier another resource's. Endpoints without a tag are open, and
 * paths that no endpoint has are answered 404 without a challenge.
 */
export const layer = <Selves extends readonly [unknown, ...Array<unknown>]>(
  ...tags: { readonly [Index in keyof Selves]: TagClass<Selves[Index], string> }
): Layer.Layer<Selves[number], ConfigurationError.ConfigurationError, ProtectedResource | TokenVerifier> =>
  Layer.fresh(tags.map(layerOf).reduce((all, one) => Layer.merge(all, one)))

const layerOf = <Self>(tag: TagClass<Self, string>) =>
  Layer.effect(
    tag,
    Effect.map(BearerAuth.make({ scopes: tag.scopes }), (edge) => ({
      // Not the credentials that HttpApi decoded: it takes what follows seven characters, whatever the scheme.
      bearer: () => Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => authenticate(edge, request))
    }))
  )

const authenticate = (edge: BearerAuth.Authenticator, request: HttpServerRequest.HttpServerRequest) =>
  edge.authenticate(request).pipe(
    Effect.tapError((error) => {
      answered.add(request)
      return HttpApp.appendPreResponseHandler((_, response) =>
        Effect.succeed(withHeaders(response, edge.challenge(error)))
      )
    }),
    Effect.zipLeft(HttpApp.appendPreResponseHandler((_, response) => challengeHandler(edge, request, response)))
  )

/** The requests that have their challenge: several tags may be on one endpoint, and only one of them answers. */
const answered = new WeakSet<HttpServerRequest.HttpServerRequest>()

/** A middleware of `HttpApi` never sees how its handler fails, only the response that was made of it. */
const challengeHandler = (
  edge: BearerAuth.Authenticator,
  request: HttpServerRequest.HttpServerRequest,
  response: HttpServerResponse.HttpServerResponse
): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
  const error = answered.has(request) ? Option.none() : scopeMissing(response)
  if (Option.isNone(error)) return Effect.succeed(response)
  answered.add(request)
  return Effect.map(edge.challengeHandler(error.value, request), (challenge) => withHeaders(response, challenge))
}

const scopeMissing = ({ body, status }: HttpServerResponse.HttpServerResponse): Option.Option<ScopeMissing> =>
  status === 403 && body._tag === "Uint8Array" ? decodeScopeMissing(new TextDecoder().decode(body.body)) : Option.none()

const decodeScopeMissing = Schema.decodeOption(Schema.parseJson(ScopeMissing))

const withHeaders = (response: HttpServerResponse.HttpServerResponse, { headers }: Challenge) =>
  HttpServerResponse.setHeaders(response, headers)

/**
 * Serves an API below the resource's own path: an endpoint `/notes` is at `/api/notes` for `/api`, and the resource's URL is the
 * `baseUrl` of its `HttpApiClient`.
 *
 * Like `HttpLayerRouter.addHttpApi`, and like it not protected by itself: protected is what has a tag. Handlers are built afresh,
 * for all APIs of one build else share one list of routes, and would answer for each other where their paths are the same;
 * what handlers share with the rest of a program is provided to the result, not to `handlers`.
 */
export const add = <Id extends string, Groups extends HttpApiGroup.HttpApiGroup.Any, E, R, HandlersE, HandlersR>(
  api: HttpApi.HttpApi<Id, Groups, E, R>,
  handlers: Layer.Layer<HttpApiGroup.HttpApiGroup.ToService<Id, Groups>, HandlersE, HandlersR>
): Layer.Layer<
  never,
  HandlersE,
  | ProtectedResource
  | HttpLayerRouter.HttpRouter
  | HttpRouter.HttpRouter.DefaultServices
  | R
  | HttpApiGroup.HttpApiGroup.ErrorContext<Groups>
  | HandlersR
> => Layer.fresh(HttpLayerRouter.addHttpApi(api).pipe(Layer.provide(handlers), Layer.provide(routerBelowResource)))

const routerBelowResource = Layer.effect(
  HttpLayerRouter.HttpRouter,
  Effect.map(Effect.all([HttpLayerRouter.HttpRouter, ProtectedResource]), ([router, { path }]) =>
    router.prefixed(path.replace(/\/$/, ""))
  )
)
