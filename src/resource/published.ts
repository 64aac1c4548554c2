/**
 * Serves the metadata of resources, and warns if nothing does: then every challenge leads clients to a 404.
 */
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as ConfigurationError from "../ConfigurationError.ts"
import * as wellKnown from "./wellKnown.ts"

/** What is served of a resource. */
interface Resource {
  readonly resource: string
  readonly metadataUrl: string
  readonly metadata: object
}

const name = "oauth-protected-resource"

/** The resources whose metadata this library serves. */
const served = new WeakSet<Resource>()

/** Serves the metadata of a resource on the router of the current Layer. */
export const onRouter = (
  resource: Resource
): Effect.Effect<void, ConfigurationError.ConfigurationError, HttpLayerRouter.HttpRouter> =>
  Effect.suspend(() => {
    served.add(resource)
    return wellKnown.serve({
      name,
      pathname: new URL(resource.metadataUrl).pathname.slice(`/.well-known/${name}`.length),
      about: JSON.stringify(resource.metadata),
      respond: Effect.succeed(wellKnown.document(resource.metadata))
    })
  })

/** For a server without `HttpLayerRouter`: the answer to a request for the metadata of a resource, `undefined` for any other request. */
export const elsewhere = (
  resource: Resource
): ((method: string, pathname: string) => Effect.Effect<HttpServerResponse.HttpServerResponse> | undefined) => {
  served.add(resource)
  const document = Effect.succeed(wellKnown.document(resource.metadata))
  // The app has only this resource, so that the well-known URL without a path is for it, too.
  const places = [new URL(resource.metadataUrl).pathname, `/.well-known/${name}`].map(wellKnown.withoutTrailingSlash)
  return (method, pathname) =>
    places.includes(wellKnown.withoutTrailingSlash(pathname)) ? wellKnown.answer(method, document) : undefined
}

/**
 * Serves the metadata of a door's resource if the door knows the router. Otherwise a warning says what to do if nothing serves
 * it one second later, because the Layer that serves it may be built after the door.
 */
export const byDoor = (resource: Resource): Effect.Effect<void, ConfigurationError.ConfigurationError> =>
  Effect.flatMap(Effect.serviceOption(HttpLayerRouter.HttpRouter), (router) =>
    Option.isSome(router)
      ? Effect.provideService(onRouter(resource), HttpLayerRouter.HttpRouter, router.value)
      : warnUnlessServed(resource)
  )

const warnUnlessServed = (resource: Resource): Effect.Effect<void> =>
  Effect.suspend(() => (served.has(resource) ? Effect.void : Effect.logWarning(warningOf(resource)))).pipe(
    Effect.delay(Duration.seconds(1)),
    Effect.forkDaemon,
    Effect.unless(() => served.has(resource)),
    Effect.asVoid
  )

const warningOf = ({ metadataUrl, resource }: Resource): string =>
  `Nothing serves the metadata of ${resource}, and clients that a challenge sends to ${metadataUrl} do not find it. ` +
  "Wrap the app in ProtectedResource.metadataMiddleware"
