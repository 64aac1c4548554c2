/**
 * The verified access token of the current request.
 */
import type * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as read from "../options.ts"
import { scopeMissing } from "./scopeMissing.ts"
import type { Claims, Jwt } from "./Jwt.ts"
import { covers, type ScopeHierarchy } from "../resource/ScopeHierarchy.ts"
import { ClaimInvalid, type ScopeMissing } from "../TokenError.ts"

/**
 * The verified access token of the current request. A handler that reads it does not compile where nothing provides it.
 *
 * Never provide a value of it as a Layer under HTTP: a Layer's value would stand in for every request's.
 */
export class AccessToken extends Context.Tag("effect-resource-server/AccessToken")<
  AccessToken,
  {
    readonly claims: Claims
    /** `iss`. A user is a pair of issuer and subject, never the subject alone. */
    readonly issuer?: string | undefined
    /** `sub`. For a token of the client credentials grant this may be the client itself. */
    readonly subject?: string | undefined
    /** `client_id`, else `azp`. */
    readonly clientId?: string | undefined
    /** The scopes as the issuer wrote them. What they imply is for `requireScopes` to know. */
    readonly scopes: ReadonlySet<string>
    /** What scopes imply at this resource. `BearerAuth` puts it here, so that every door and handler knows it. */
    readonly scopeHierarchy?: ScopeHierarchy | undefined
    /** `exp`, in seconds since 1970. */
    readonly expiresAt?: number | undefined
  }
>() {}

/**
 * Reads a checked token as an `AccessToken`. Fails with `ClaimInvalid` if `iss`, `sub`, `client_id`, `azp` or `jti` is
 * there but no string.
 */
export const fromJwt = ({ claims, scopes }: Jwt): Effect.Effect<AccessToken["Type"], ClaimInvalid> => {
  // Read by name and not in a loop: this is on the way of every new token.
  const { azp, client_id, exp, iss, jti, sub } = claims
  if (!isText(iss)) return notText("iss")
  if (!isText(sub)) return notText("sub")
  if (!isText(client_id)) return notText("client_id")
  if (!isText(azp)) return notText("azp")
  if (!isText(jti)) return notText("jti")
  const expiresAt = typeof exp === "number" ? exp : undefined
  return Effect.succeed({ claims, issuer: iss, subject: sub, clientId: client_id ?? azp, scopes, expiresAt })
}

const isText = (claim: unknown): claim is string | undefined => claim === undefined || typeof claim === "string"

const notText = (claim: string) => new ClaimInvalid({ claim, reason: "is not a string" })

/** The token itself if it has all of these scopes, or others that imply them. */
export const withScopes = (
  token: AccessToken["Type"],
  required: ReadonlyArray<string>
): Effect.Effect<AccessToken["Type"], ScopeMissing> =>
  covers(token.scopes, required, token.scopeHierarchy)
    ? Effect.succeed(token)
    : scopeMissing(token, required, token.scopeHierarchy)

/**
 * The current request's token has all of these scopes, or others that imply them. In an `HttpLayerRouter` handler behind
 * `BearerAuth` the failure becomes 403 with a challenge; a tool of `@effect/ai` reports it as its own failure.
 *
 * Throws `ConfigurationError` for no scopes at all: a list that a program made may be empty, and would ask for nothing.
 */
export const requireScopes = (
  ...required: readonly [string, ...Array<string>]
): Effect.Effect<AccessToken["Type"], ScopeMissing, AccessToken> => {
  const scopes = read.orThrow(read.someTexts("scopes", required))
  return Effect.flatMap(AccessToken, (token) => withScopes(token, scopes))
}

/**
 * Lets Layers whose handlers run inside a request read `AccessToken`: it passes the requirement on to the router, which
 * only `BearerAuth` meets. It provides no token itself; the request does.
 */
export const layerRequest: Layer.Layer<
  AccessToken,
  never,
  HttpLayerRouter.Request<"Requires", AccessToken>
> = Layer.empty as unknown as Layer.Layer<AccessToken, never, HttpLayerRouter.Request<"Requires", AccessToken>>
