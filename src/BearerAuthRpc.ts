/**
 * `@effect/rpc` over HTTP behind bearer tokens, with rejections as typed errors of each call.
 *
 * There are two ways, and each gives something up:
 *
 * - `Protected`, or a `Tag` with scopes, on the procedures: a client matches each rejection by tag. HTTP answers 200, so there
 *   is no challenge: clients that know nothing of the server do not find its authorization server, and proxies see no refusals.
 * - `BearerAuth.layer` around the route, and `AccessToken.layerRequest` for the handlers: HTTP answers 400, 401, 403 or 503 with the
 *   challenge, before a message is read. One set of scopes for all procedures, and an `RpcClient` learns only that it failed
 *   (`RpcClientError`); with serializations that stream it waits for ever, unless its `HttpClient` went through
 *   `HttpClient.filterStatusOk`.
 */
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import type * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import type * as Rpc from "@effect/rpc/Rpc"
import type * as RpcGroup from "@effect/rpc/RpcGroup"
import * as RpcMiddleware from "@effect/rpc/RpcMiddleware"
import type * as RpcSerialization from "@effect/rpc/RpcSerialization"
import * as RpcServer from "@effect/rpc/RpcServer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { AccessToken } from "./AccessToken.ts"
import * as BearerAuth from "./BearerAuth.ts"
import type * as ConfigurationError from "./ConfigurationError.ts"
import { givenScopes } from "./internal/scopeList.ts"
import { ProtectedResource } from "./ProtectedResource.ts"
import { TokenError, TokenMissing } from "./TokenError.ts"
import type { TokenVerifier } from "./TokenVerifier.ts"

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
  <const Name extends string>(name: Name, options?: BearerAuth.Options): TagClass<Self, Name> =>
    Object.assign(RpcMiddleware.Tag<Self>()(name, definition), { scopes: givenScopes(options) })

/** The middleware for procedures that need no scopes but those that the resource requires. */
export class Protected extends Tag<Protected>()("effect-resource-server/BearerAuthRpc/Protected") {}

/**
 * Verifies the token of the HTTP request that brought a call. Always fresh: each resource's procedures meet that resource's
 * verifier. Name all tags here: a constant that merges two such Layers is built once, for one resource.
 *
 * The token is that of the request's `Authorization` header. The headers of RPC messages are part of the body, where RFC 6750
 * knows no tokens of this kind, and are not looked at; the `headers` that a handler is given hold both, and the client's word
 * counts there. Without an HTTP request (workers, sockets of their own) a call fails with `TokenMissing`.
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
    Effect.map(
      BearerAuth.make({ scopes: tag.scopes }),
      ({ authenticate }) =>
        () =>
          Effect.flatMap(
            Effect.serviceOption(HttpServerRequest.HttpServerRequest),
            Option.match({ onNone: () => new TokenMissing(), onSome: authenticate })
          )
    )
  )

/**
 * Serves a group at the resource's own path, by HTTP POST. Like `RpcServer.layerHttpRouter`, and like it not protected by itself:
 * see the two ways above.
 */
export const add = <Rpcs extends Rpc.Any>(
  group: RpcGroup.RpcGroup<Rpcs>
): Layer.Layer<
  never,
  never,
  | ProtectedResource
  | HttpLayerRouter.HttpRouter
  | RpcSerialization.RpcSerialization
  | Rpc.ToHandler<Rpcs>
  | Rpc.Context<Rpcs>
  | Rpc.Middleware<Rpcs>
> =>
  Layer.fresh(
    Layer.unwrapEffect(
      Effect.map(ProtectedResource, ({ path }) => RpcServer.layerHttpRouter({ group, path, protocol: "http" }))
    )
  )
