/**
 * Whether and where clients find the metadata of a resource: without it, every challenge leads them to a 404.
 */
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as ConfigurationError from "../ConfigurationError.ts"
import type { ProtectedResource } from "./ProtectedResource.ts"
import * as wellKnown from "./wellKnown.ts"

type Resource = ProtectedResource["Type"]

const name = "oauth-protected-resource"

/** The resources whose metadata something of this library serves. */
const resources = new WeakSet<Resource>()

/** Serves the metadata of a resource on the router of the current Layer. */
export const onRouter = (
  resource: Resource
): Effect.Effect<void, ConfigurationError.ConfigurationError, HttpLayerRouter.HttpRouter> =>
  Effect.suspend(() => {
    resources.add(resource)
    return wellKnown.serve({
      name,
      pathname: new URL(resource.metadataUrl).pathname.slice(`/.well-known/${name}`.length),
      about: JSON.stringify(resource.metadata),
      respond: Effect.succeed(wellKnown.document(resource.metadata))
    })
  })

/** The answer to a request for the metadata of a resource, and to no other, for a server that has no `HttpLayerRouter`. */
export const elsewhere = (
  resource: Resource
): ((method: string, pathname: string) => Effect.Effect<HttpServerResponse.HttpServerResponse> | undefined) => {
  resources.add(resource)
  const document = Effect.succeed(wellKnown.document(resource.metadata))
  // The app has one resource, so that its root answers for it, too.
  const places = [new URL(resource.metadataUrl).pathname, `/.well-known/${name}`].map(withoutTrailingSlash)
  return (method, pathname) =>
    places.includes(withoutTrailingSlash(pathname)) ? wellKnown.answer(method, document) : undefined
}

const withoutTrailingSlash = (pathname: string): string => pathname.replace(/\/$/, "")

/**
 * Serves the metadata of a door's resource if the door knows the router. Where it does not, a warning says what to do, one
 * second later: whoever serves the metadata may be built after the door.
 */
export const byDoor = (resource: Resource): Effect.Effect<void, ConfigurationError.ConfigurationError> =>
  Effect.flatMap(Effect.serviceOption(HttpLayerRouter.HttpRouter), (router) =>
    Option.isSome(router)
      ? Effect.provideService(onRouter(resource), HttpLayerRouter.HttpRouter, router.value)
      : warnUnlessServed(resource)
  )

const warnUnlessServed = (resource: Resource): Effect.Effect<void> =>
  Effect.suspend(() => (resources.has(resource) ? Effect.void : Effect.logWarning(warningOf(resource)))).pipe(
    Effect.delay(Duration.seconds(1)),
    Effect.forkDaemon,
    Effect.unless(() => resources.has(resource)),
    Effect.asVoid
  )

const warningOf = ({ metadataUrl, resource }: Resource): string =>
  `Nothing serves the metadata of ${resource}: clients that follow a challenge to ${metadataUrl} get no answer. ` +
  "Wrap the app in ProtectedResource.metadataMiddleware"
