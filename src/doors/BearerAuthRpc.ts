/**
 * `@effect/rpc` over HTTP behind bearer tokens, with rejections as typed errors of each call.
 *
 * There are two ways, and each gives something up:
 *
 * - `Protected`, or a `Tag` with scopes, on the procedures: a client matches each rejection by tag. HTTP answers 200, so there
 *   is no challenge: clients that know nothing of the server do not find its authorization server, and proxies see no refusals.
 * - `BearerAuth.layer` around the route, and `AccessToken.layerRequest` for the handlers: HTTP answers 400, 401, 403 or 503 with the
 *   challenge, before a message is read. One set of scopes for all procedures, and an `RpcClient` learns only that it failed
 *   (`RpcClientError`); with serializations that stream it waits without end, unless its `HttpClient` went through
 *   `HttpClient.filterStatusOk`.
 */
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import type * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import type * as Rpc from "@effect/rpc/Rpc"
import type * as RpcGroup from "@effect/rpc/RpcGroup"
import * as RpcMiddleware from "@effect/rpc/RpcMiddleware"
import * as RpcSerialization from "@effect/rpc/RpcSerialization"
import * as RpcServer from "@effect/rpc/RpcServer"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { AccessToken } from "../token/AccessToken.ts"
import * as authenticator from "./authenticator.ts"
import { incoming } from "./request.ts"
import * as ConfigurationError from "../ConfigurationError.ts"
import * as adding from "./boundRoute.ts"
import { type BodyOptions, layerBounded } from "./boundedBody.ts"
import * as published from "../resource/published.ts"
import { givenScopes } from "../resource/scope.ts"
import { ProtectedResource } from "../resource/ProtectedResource.ts"
import { TokenError, TokenMissing } from "../TokenError.ts"
import type { TokenVerifier } from "../token/TokenVerifier.ts"

const definition = { provides: AccessToken, failure: TokenError } as const

/** A middleware of `@effect/rpc` that needs a token with these scopes. */
export type TagClass<Self, Name extends string> = RpcMiddleware.TagClass<Self, Name, typeof definition> & {
  readonly scopes: ReadonlyArray<string>
}

/**
 * Declares a middleware for the procedures that need these scopes, besides those that the resource requires of every
 * operation: `class Admins extends Tag<Admins>()("Admins", { scopes: ["notes:admin"] }) {}`.
 *
 * It provides `AccessToken` to their handlers, and adds `TokenError` to what a call fails with. A group that uses it is not served
 * without its `layer`. A handler's own `ScopeMissing` is an error like any other: the procedure declares it.
 */
export const Tag =
  <Self>() =>
  <const Name extends string>(name: Name, options?: authenticator.Options): TagClass<Self, Name> =>
    Object.assign(RpcMiddleware.Tag<Self>()(name, definition), { scopes: givenScopes(options) })

/** The middleware for procedures that need no scopes but those that the resource requires. */
export class Protected extends Tag<Protected>()("effect-resource-server/BearerAuthRpc/Protected") {}

/**
 * Verifies the token of the HTTP request that brought a call. Always fresh: each resource's procedures meet that resource's
 * verifier. Procedures with these tags are served by `add` alone: a call that comes from elsewhere dies, and `add` fails when
 * built if the tag's Layer is another resource's.
 *
 * The token is that of the HTTP request's `Authorization` header. The headers of RPC messages are part of the body and are not
 * read. The `headers` that a handler is given hold both, so that a client can set them as it likes. Without an HTTP request
 * (workers, sockets) a call fails with `TokenMissing`.
 *
 * Fails with `ConfigurationError` if a scope is none, or the verifier another resource's.
 */
export const layer = <Selves extends readonly [unknown, ...Array<unknown>]>(
  ...tags: { readonly [Index in keyof Selves]: TagClass<Selves[Index], string> }
): Layer.Layer<Selves[number], ConfigurationError.ConfigurationError, ProtectedResource | TokenVerifier> =>
  Layer.fresh(tags.map(layerOf).reduce((all, one) => Layer.merge(all, one)))

const layerOf = <Self>(tag: TagClass<Self, string>) =>
  Layer.effect(
    tag,
    Effect.gen(function* () {
      const { resource } = yield* ProtectedResource
      const door = yield* authenticator.make({ scopes: tag.scopes })
      const middleware = () =>
        Effect.flatMap(
          Effect.serviceOption(HttpServerRequest.HttpServerRequest),
          Option.match({
            onNone: () => new TokenMissing(),
            onSome: (request) => Effect.zipRight(requireAddedFor(resource), door.authenticate(incoming(request)))
          })
        )
      resources.set(middleware, resource)
      return middleware
    })
  )

/** The resources of the middleware that was built here. */
const resources = new WeakMap<object, string>()

/**
 * Dies unless `add` of the door's own resource serves the call. `@effect/rpc` looks up a procedure's middleware at each call,
 * where it cannot be seen that two resources share one.
 */
const requireAddedFor = (resource: string): Effect.Effect<void> =>
  Effect.flatMap(Effect.serviceOption(adding.AddedFor), (added) => {
    if (Option.isNone(added)) {
      return Effect.die(
        ConfigurationError.make("BearerAuthRpc", resource, "protects procedures that BearerAuthRpc.add does not serve")
      )
    }
    return added.value === resource
      ? Effect.void
      : Effect.die(adding.anotherResource("BearerAuthRpc", resource, added.value))
  })

/**
 * Marks procedures that anyone may call, without an access token: `rpc.annotate(BearerAuthRpc.Open, true)`. Read by `add`, which
 * names them in a line at start.
 */
export class Open extends Context.Tag("effect-resource-server/BearerAuthRpc/Open")<Open, boolean>() {}

/**
 * Serves a group at the resource's own path, by HTTP POST. Serves the resource's metadata, too.
 *
 * Protected is the default: fails with `ConfigurationError` when built for a procedure that has neither a tag of this module (or
 * another middleware that provides `AccessToken`) nor the annotation `Open`, or both; `BearerAuth.layer` around it protects
 * procedures without a tag. Fails, too, if a tag's `layer` belongs to another resource.
 *
 * A rejection by a tag is a failure of the call, which needs the call's number: the body is read first. One of more than 1 MiB
 * (`maxBodyBytes`) is answered 413; of more than 100 messages in one body none runs. `RpcClient` sends each message by itself.
 */
export const add = <Rpcs extends Rpc.Any>(
  group: RpcGroup.RpcGroup<Rpcs>,
  options?: BodyOptions
): Layer.Layer<
  never,
  ConfigurationError.ConfigurationError,
  | ProtectedResource
  | HttpLayerRouter.HttpRouter
  | RpcSerialization.RpcSerialization
  | Rpc.ToHandler<Rpcs>
  | Rpc.Context<Rpcs>
  | Rpc.Middleware<Rpcs>
> =>
  adding.layer(
    { withoutBodies: true },
    Layer.unwrapEffect(
      Effect.map(ProtectedResource, ({ path }) =>
        RpcServer.layerHttpRouter({ group, path, protocol: "http" }).pipe(
          Layer.provide([adding.layerMark("BearerAuthRpc"), layerBounded(options), serializationOfFew])
        )
      )
    ),
    (doors) =>
      Effect.gen(function* () {
        const resource = yield* ProtectedResource
        const procedures = [
          ...(group.requests as ReadonlyMap<string, unknown>).values()
        ] as ReadonlyArray<Rpc.AnyWithProps>
        yield* requireOwnMiddleware(procedures, resource.resource)
        yield* published.onRouter(resource)
        yield* adding.protection("BearerAuthRpc", procedures.map(operationAt(resource.path)), doors)
      })
  )

/** The most messages that one body may hold. */
const maxMessages = 100

/** The serialization of the app, which reads no more than so many messages of one body. */
const serializationOfFew = Layer.effect(
  RpcSerialization.RpcSerialization,
  Effect.map(RpcSerialization.RpcSerialization, (serialization) => ({
    ...serialization,
    unsafeMake: () => {
      const parser = serialization.unsafeMake()
      return {
        ...parser,
        decode: (data: Uint8Array | string) => {
          const messages = parser.decode(data)
          // `RpcServer` answers with it instead of the messages.
          if (messages.length > maxMessages) throw new Error(`more than ${maxMessages} messages in one body`)
          return messages
        }
      }
    }
  }))
)

/** Fails where a call would die: the middleware of the procedures is known when the group is served. */
const requireOwnMiddleware = (procedures: ReadonlyArray<Rpc.AnyWithProps>, resource: string) =>
  Effect.contextWithEffect((context: Context.Context<never>) => {
    const bound = procedures
      .flatMap(({ middlewares }) => [...middlewares])
      .flatMap((tag) => Option.toArray(Context.getOption(context, tag)))
      .map((middleware) => resources.get(middleware))
      .find((one) => one !== undefined && one !== resource)
    return bound === undefined ? Effect.void : adding.anotherResource("BearerAuthRpc", bound, resource)
  })

const operationAt =
  (path: string) =>
  ({ _tag, annotations, middlewares }: Rpc.AnyWithProps): adding.Operation => ({
    name: `POST ${path} ${_tag}`,
    isProtected: [...middlewares].some(({ optional, provides }) => provides === AccessToken && !optional),
    isOpen: Option.contains<unknown>(Context.getOption(annotations, Open), true)
  })
