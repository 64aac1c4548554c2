/**
 * Binds routes to doors: a function of this library that adds routes learns which doors the router puts around them, and a door
 * learns to which resource a route belongs.
 */
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as ConfigurationError from "../ConfigurationError.ts"
import { contextOfCurrentFiber } from "../fiber.ts"
import * as read from "../options.ts"
import { ProtectedResource } from "../resource/ProtectedResource.ts"
import { isDeclaredTwice } from "../resource/wellKnown.ts"

/** The routes that a function of this library is adding. It is in the context of the fiber that adds them. */
class Adding extends Context.Tag("effect-resource-server/doors/Adding")<
  Adding,
  Kind & {
    /** The doors that were put around the routes. */
    readonly doors: Set<object>
  }
>() {}

/** What kind of routes are added. */
export interface Kind {
  /** Anyone may ask: a door that is provided to the route leaves it alone. */
  readonly open: boolean
  /** Rejections have no body: a client of these routes reads every body as its own messages. */
  readonly withoutBodies: boolean
  /** The routes answer the errors of their handlers themselves, so that a door sees only the response. */
  readonly answersErrors: boolean
}

const ordinary: Kind = { open: false, withoutBodies: false, answersErrors: false }

/**
 * Notes that a door is put around a route, and returns the kind of the route. Call it in the fiber that adds the route.
 *
 * Throws `ConfigurationError` if the route belongs to another resource than the door. Effect builds a Layer once: a constant that
 * holds a door and is provided to the routes of two resources would accept tokens for the first at the routes of the second.
 */
export const putAround = (door: object, name: string, resource: string): Kind => {
  const context = contextOfCurrentFiber()
  requireSameResource(context, name, resource)
  const adding = Context.getOption(context, Adding)
  if (Option.isNone(adding)) return ordinary
  if (!adding.value.open) adding.value.doors.add(door)
  return adding.value
}

/** Throws `ConfigurationError` if what the current fiber builds belongs to another resource than the door. */
export const requireSameResource = (context: Context.Context<never>, name: string, resource: string): void => {
  // The resource of the fiber that adds a route, and not that of the server which the request will come from.
  const own = Context.getOption(context, ProtectedResource)
  if (Option.isSome(own) && own.value.resource !== resource) throw anotherResource(name, resource, own.value.resource)
}

/** The resource whose routes a request has reached. */
export class AddedFor extends Context.Tag("effect-resource-server/doors/AddedFor")<AddedFor, string>() {}

/**
 * Marks the requests to the routes that the Layer is provided to with the current resource: a door behind the handler of a route
 * cannot see otherwise which resource the route was added for. Fails when built as `putAround` does.
 */
export const layerMark = (name: string): Layer.Layer<never, never, ProtectedResource> =>
  HttpLayerRouter.middleware(
    Effect.map(
      ProtectedResource,
      ({ resource }) =>
        <E, R>(handler: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>) => {
          requireSameResource(contextOfCurrentFiber(), name, resource)
          return Effect.provideService(handler, AddedFor, resource)
        }
    )
  ).layer

/**
 * The resource of the route that a request has reached: as `layerMark` says, or for routes of the platform's own functions, which
 * have no mark, that of the request's context. There a server inside that of another resource is refused, too: it uses `add`.
 */
export const servedFor = (context: Context.Context<never>): string | undefined =>
  Option.getOrElse(Context.getOption(context, AddedFor), () =>
    Option.getOrUndefined(Option.map(Context.getOption(context, ProtectedResource), ({ resource }) => resource))
  )

/** A door of one resource stands before what belongs to another. */
export const anotherResource = (name: string, resource: string, own: string): ConfigurationError.ConfigurationError =>
  ConfigurationError.make(
    name,
    resource,
    `protects what belongs to ${own}: a Layer that holds it is shared by two resources; make it a function, or wrap each use in Layer.fresh`
  )

/**
 * Adds the routes of a Layer, and hands the doors around them to `check`, which may refuse them.
 *
 * Always fresh, so that the same constant adds the routes of each resource it is provided to. Effect builds a fresh Layer twice
 * where it is given to `HttpLayerRouter.serve` by itself; the second time changes nothing.
 */
export const layer = <E, R, E2, R2>(
  kind: Partial<Kind>,
  routes: Layer.Layer<never, E, R>,
  check: (doors: ReadonlySet<object>) => Effect.Effect<void, E2, R2>
): Layer.Layer<
  never,
  E | E2 | ConfigurationError.ConfigurationError,
  R | R2 | ProtectedResource | HttpLayerRouter.HttpRouter
> => {
  const added = new WeakMap<object, Added>()
  return Layer.fresh(
    Layer.scopedDiscard(
      Effect.gen(function* () {
        const resource = yield* ProtectedResource
        const router = yield* HttpLayerRouter.HttpRouter
        const doors = new Set<object>()
        const before = added.get(router)
        const isSecondTime = before !== undefined && before.resource === resource
        const built = yield* Effect.scopeWith((scope) =>
          Layer.buildWithScope(Layer.provide(routes, Layer.succeed(Adding, { ...ordinary, ...kind, doors })), scope)
        ).pipe(
          Effect.as(true),
          Effect.catchAllDefect((defect) => {
            if (defect instanceof ConfigurationError.ConfigurationError) return Effect.fail(defect)
            return isSecondTime && isDeclaredTwice(defect) && haveSameMembers(before.doors, doors)
              ? Effect.succeed(false)
              : Effect.die(defect)
          })
        )
        if (!built) return
        added.set(router, { resource, doors })
        yield* check(doors)
      })
    )
  )
}

/** An operation of an API or of a group of procedures. */
export interface Operation {
  readonly name: string
  /** A middleware of its own provides `AccessToken`. */
  readonly isProtected: boolean
  /** It is annotated as open. */
  readonly isOpen: boolean
}

/** Fails for an operation that is neither protected nor declared open, or both, and logs the open ones in one line. */
export const protection = (
  door: string,
  operations: ReadonlyArray<Operation>,
  doors: ReadonlySet<object>
): Effect.Effect<void, ConfigurationError.ConfigurationError> => {
  const contradiction = operations.find(({ isOpen, isProtected }) => isOpen && (isProtected || doors.size > 0))
  if (contradiction !== undefined) {
    return ConfigurationError.make(door, contradiction.name, "is annotated as Open, and a middleware protects it")
  }
  const forgotten = doors.size > 0 ? undefined : operations.find(({ isOpen, isProtected }) => !isOpen && !isProtected)
  if (forgotten !== undefined) {
    return ConfigurationError.make(
      door,
      forgotten.name,
      `asks for no access token: put a tag of ${door} on it, or annotate it with ${door}.Open`
    )
  }
  return logOpen(operations.filter(({ isOpen }) => isOpen).map(({ name }) => name))
}

/** Logs what is open to anyone, in one line. */
export const logOpen = (names: ReadonlyArray<string>): Effect.Effect<void> =>
  names.length === 0 ? Effect.void : Effect.logInfo(`Open to anyone, without an access token: ${names.join(", ")}`)

/** The path of what a resource has at a path of its own: `"/"` is the resource itself. */
export const below = (base: `/${string}`, path: `/${string}`): `/${string}` =>
  path === "/" ? base : (`${base.replace(/\/$/, "")}${path}` as `/${string}`)

/** The path of a route. */
export const routePath = (path: unknown): read.Read<`/${string}`> =>
  Either.filterOrLeft(
    read.text("path", path),
    (text): text is `/${string}` => text.startsWith("/"),
    (text) => ConfigurationError.make("path", text, "does not begin with a slash")
  )

/** What a Layer has added to a router. */
interface Added {
  readonly resource: ProtectedResource["Type"]
  readonly doors: ReadonlySet<object>
}

const haveSameMembers = <A>(one: ReadonlySet<A>, other: ReadonlySet<A>): boolean =>
  one.size === other.size && [...one].every((member) => other.has(member))
