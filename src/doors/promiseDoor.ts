/**
 * The door of one resource for servers written without Effect: it answers in promises.
 */
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import { ProtectedResource } from "../resource/ProtectedResource.ts"
import * as published from "../resource/published.ts"
import type { AccessToken } from "../token/AccessToken.ts"
import type { TokenVerifier } from "../token/TokenVerifier.ts"
import type { TokenError } from "../TokenError.ts"
import * as authenticator from "./authenticator.ts"
import type { Challenge } from "./Challenge.ts"
import { type Incoming, isPreflight } from "./request.ts"

/** A resource with its verifier, as `ResourceServer.layer` and `AuthKit.layer` provide them once they have an `HttpClient`. */
export type Auth<E> = Layer.Layer<ProtectedResource | TokenVerifier, E>

/** A rejection, already logged, with its answer. */
export interface Rejection {
  readonly error: TokenError
  readonly challenge: Challenge
}

/** The verified token of a request to one operation, or its rejection. */
export type Authenticate = (request: Incoming) => Promise<Either.Either<AccessToken["Type"], Rejection>>

export interface PromiseDoor {
  readonly resource: ProtectedResource["Type"]
  /** Throws `ConfigurationError`. */
  readonly authenticate: (options: authenticator.Options | undefined) => Authenticate
  /** The answer to a request for the metadata document (RFC 9728 section 3), and to no other. */
  readonly metadata: (method: string, pathname: string) => Response | undefined
  /** `BearerAuthWeb.Guard`. */
  readonly protect: (
    handler: (request: Request, token: AccessToken["Type"]) => Response | Promise<Response>,
    options: authenticator.Options | undefined
  ) => (request: Request) => Promise<Response>
  readonly dispose: () => Promise<void>
}

/** Builds the Layer now, so that what is wrong with it is known at start-up. Rejects with the Layer's own error. */
export const make = async <E>(auth: Auth<E>): Promise<PromiseDoor> => {
  const runtime = ManagedRuntime.make(auth)
  const built = await runtime.runPromiseExit(start)
  // What was built before the failure is held by the runtime.
  if (Exit.isFailure(built)) await runtime.dispose()
  const { metadata, resource } = valueOf(built)
  const authenticate: PromiseDoor["authenticate"] = (options) => {
    const { authenticate, challenge } = valueOf(runtime.runSyncExit(authenticator.make(options)))
    const rejection = (error: TokenError): Rejection => ({ error, challenge: challenge(error) })
    return (request) => runtime.runPromise(Effect.either(Effect.mapError(authenticate(request), rejection)))
  }
  return {
    resource,
    authenticate,
    metadata,
    protect: (handler, options) => {
      const decide = authenticate(options)
      return async (request) => {
        const published = metadata(request.method, new URL(request.url).pathname)
        if (published !== undefined) return published
        const headers = Object.fromEntries(request.headers)
        if (isPreflight({ method: request.method, headers })) return new Response(null, { status: 204 })
        return Either.match(await decide({ headers }), {
          onLeft: ({ challenge: { body, headers, status } }) => new Response(body, { status, headers }),
          onRight: (token) => handler(request, token)
        })
      }
    },
    dispose: () => runtime.dispose()
  }
}

/** Serves the metadata, and builds a door: it refuses a verifier of another resource, and logs the audience of its own. */
const start = Effect.gen(function* () {
  const resource = yield* ProtectedResource
  const metadata = metadataOf(resource)
  yield* authenticator.make()
  return { metadata, resource }
})

/** The value, or throws what failed without Effect's wrapping of it. */
const valueOf = <A, E>(exit: Exit.Exit<A, E>): A => {
  if (Exit.isFailure(exit)) throw Cause.squash(exit.cause)
  return exit.value
}

const metadataOf = (resource: ProtectedResource["Type"]): PromiseDoor["metadata"] => {
  const metadata = published.elsewhere(resource)
  return (method, pathname) => {
    const answer = metadata(method, pathname)
    return answer && HttpServerResponse.toWeb(Effect.runSync(answer), { withoutBody: method === "HEAD" })
  }
}
