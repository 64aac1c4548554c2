/**
 * The verified access token of the current request.
 */
import type * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { type Claimed, clientIdClaims } from "./claims.ts"
import * as read from "../options.ts"
import { scopeMissing } from "./scopeMissing.ts"
import { verifiedToken, type VerifiedToken } from "./verifiedToken.ts"
import { covers } from "../resource/ScopeHierarchy.ts"
import type { ClaimInvalid, ScopeMissing } from "../TokenError.ts"

export type { VerifiedToken } from "./verifiedToken.ts"

/**
 * The verified access token of the current request. A handler that reads it does not compile where nothing provides it.
 *
 * Never provide a value of it as a Layer under HTTP: each request would then get that value and not its own token.
 */
export class AccessToken extends Context.Tag("effect-resource-server/AccessToken")<AccessToken, VerifiedToken>() {}

/**
 * Reads what a token claims as an `AccessToken`. Fails with `ClaimInvalid` if `iss`, `sub`, `client_id`, `azp` or `jti` is there
 * but is not a string. Not checked: anything else; that is for the checks before it.
 */
export const fromJwt = (jwt: Claimed): Effect.Effect<VerifiedToken, ClaimInvalid> => verifiedToken(jwt, clientIdClaims)

/** Returns the token itself if it has all of these scopes, or others that imply them. */
export const withScopes = (
  token: VerifiedToken,
  required: ReadonlyArray<string>
): Effect.Effect<VerifiedToken, ScopeMissing> =>
  covers(token.scopes, required, token.scopeHierarchy)
    ? Effect.succeed(token)
    : scopeMissing(token, required, token.scopeHierarchy)

/**
 * Checks that the current request's token has all of these scopes, or others that imply them. In an `HttpLayerRouter` handler
 * behind `BearerAuth` the failure becomes 403 with a challenge; a tool of `@effect/ai` reports it as its own failure.
 *
 * Throws `ConfigurationError` if no scope is given, because an empty list would ask for nothing.
 */
export const requireScopes = (
  ...required: readonly [string, ...Array<string>]
): Effect.Effect<VerifiedToken, ScopeMissing, AccessToken> => {
  const scopes = read.orThrow(read.someTexts("scopes", required))
  return Effect.flatMap(AccessToken, (token) => withScopes(token, scopes))
}

/**
 * Lets Layers whose handlers run inside a request read `AccessToken`: it passes the requirement on to the router, and only
 * `BearerAuth` satisfies it there. It provides no token itself; the request does.
 */
export const layerRequest: Layer.Layer<
  AccessToken,
  never,
  HttpLayerRouter.Request<"Requires", AccessToken>
> = Layer.empty as unknown as Layer.Layer<AccessToken, never, HttpLayerRouter.Request<"Requires", AccessToken>>
