/**
 * WorkOS AuthKit: a resource server as one Layer, with nothing to configure that could be configured wrong.
 */
import type * as HttpClient from "@effect/platform/HttpClient"
import type * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as ConfigurationError from "./ConfigurationError.ts"
import { fromConfig } from "./internal/fromConfig.ts"
import * as ProtectedResource from "./ProtectedResource.ts"
import * as ResourceServer from "./ResourceServer.ts"
import * as ResourceUrl from "./ResourceUrl.ts"
import type * as TokenVerifier from "./TokenVerifier.ts"

/** A resource behind AuthKit. There is no client id, and no audience: that is the resource's URL. */
export interface ResourceOptions extends Omit<ProtectedResource.Options, "authorizationServers"> {
  /** The AuthKit domain, for example `your-app.authkit.app`; without a scheme it means `https://`. */
  readonly authkitDomain: string
}

/** A resource behind AuthKit, and how its tokens are checked. */
export interface Options
  extends ResourceOptions, Pick<TokenVerifier.JwtOptions, "acceptedAudiences" | "clockTolerance" | "requiredClaims"> {}

/**
 * Provides the resource and a verifier bound to it, for tokens of AuthKit: RS256, keys from `/oauth2/jwks`, `typ` `at+jwt` or
 * `JWT`.
 *
 * Logs the URL to add to "MCP resource indicators" in the WorkOS Dashboard. Until it is there, AuthKit mints tokens for an
 * audience of the whole environment, and they are rejected with `AudienceMismatch`.
 */
export const layer = (
  options: Options
): Layer.Layer<
  ProtectedResource.ProtectedResource | TokenVerifier.TokenVerifier,
  ConfigurationError.ConfigurationError,
  HttpClient.HttpClient
> =>
  Layer.unwrapEffect(
    Effect.map(issuerOf(options.authkitDomain), (issuer) =>
      ResourceServer.layer({
        ...options,
        issuer,
        keys: { jwksUri: `${issuer}/oauth2/jwks` },
        algorithms: ["RS256"],
        // AuthKit's access tokens are not all explicitly typed (RFC 9068 section 2.1).
        tokenTypes: ["at+jwt", "JWT"],
        registrationHint: 'add this URL to "MCP resource indicators" in the WorkOS Dashboard'
      })
    )
  )

/** `layer` with every option from `Config`. */
export const layerConfig = (
  options: Config.Config.Wrap<Options>
): Layer.Layer<
  ProtectedResource.ProtectedResource | TokenVerifier.TokenVerifier,
  ConfigurationError.ConfigurationError | ConfigError.ConfigError,
  HttpClient.HttpClient
> => fromConfig(options, layer)

/**
 * Provides the resource alone, to stand beside a `TokenVerifier` of your own, which is used as it is. The start-up line is then
 * not logged: the audience that your verifier accepts is not known here.
 */
export const layerResource = (
  options: ResourceOptions
): Layer.Layer<ProtectedResource.ProtectedResource, ConfigurationError.ConfigurationError> =>
  Layer.unwrapEffect(
    Effect.map(issuerOf(options.authkitDomain), (issuer) =>
      ProtectedResource.layer({ ...options, authorizationServers: [issuer] })
    )
  )

/** `layerResource` with every option from `Config`. */
export const layerResourceConfig = (
  options: Config.Config.Wrap<ResourceOptions>
): Layer.Layer<ProtectedResource.ProtectedResource, ConfigurationError.ConfigurationError | ConfigError.ConfigError> =>
  fromConfig(options, layerResource)

/** The issuer of an AuthKit domain: its origin, without a slash. */
const issuerOf = (domain: string) =>
  ResourceUrl.parse("authkitDomain", domain === "" || domain.includes("://") ? domain : `https://${domain}`).pipe(
    Either.mapLeft(({ reason }) => ConfigurationError.make("authkitDomain", domain, reason)),
    Either.filterOrLeft(
      ({ pathname }) => pathname === "/",
      () => ConfigurationError.make("authkitDomain", domain, "must not have a path")
    ),
    Either.map(({ origin }) => origin)
  )
