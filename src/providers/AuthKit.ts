/**
 * WorkOS AuthKit: a resource server as one Layer. What AuthKit decides is no option.
 */
import type * as HttpClient from "@effect/platform/HttpClient"
import type * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as ConfigurationError from "../ConfigurationError.ts"
import { fromConfig } from "../fromConfig.ts"
import * as read from "../options.ts"
import { resourceOptions } from "../resource/optionNames.ts"
import * as ProtectedResource from "../resource/ProtectedResource.ts"
import * as ResourceServer from "./ResourceServer.ts"
import * as ResourceUrl from "../resource/ResourceUrl.ts"
import type * as TokenVerifier from "../token/TokenVerifier.ts"

/** A resource behind AuthKit. A client id is not an option, and neither is an audience: the resource's URL is the audience. */
export interface ResourceOptions extends Omit<ProtectedResource.Options, "authorizationServers"> {
  /** The AuthKit domain, for example `your-app.authkit.app`; without a scheme it means `https://`. */
  readonly authkitDomain: string
}

/** A resource behind AuthKit, and how its tokens are checked. */
export interface Options
  extends
    ResourceOptions,
    Pick<
      TokenVerifier.JwtOptions,
      "acceptedAudiences" | "accessTokenClaims" | "checks" | "clockTolerance" | "maxTokenLength" | "requiredClaims"
    > {}

/**
 * Provides the resource and a verifier bound to it, for tokens of AuthKit: RS256, keys from `/oauth2/jwks`, `typ` `at+jwt`, `JWT`
 * or none.
 *
 * AuthKit writes no `typ`. The resource's URL in `aud`, or `accessTokenClaims`, distinguishes such a token from an ID token. A line
 * at start names the URL to add to "MCP resource indicators" in the WorkOS Dashboard. Until it is there, AuthKit mints tokens
 * whose audience is the client, and they are rejected with `TypeMismatch`.
 */
export const layer = (
  options: Options
): Layer.Layer<
  ProtectedResource.ProtectedResource | TokenVerifier.TokenVerifier,
  ConfigurationError.ConfigurationError,
  HttpClient.HttpClient
> =>
  Layer.unwrapEffect(
    Effect.map(issuerOf(options, optionNames), (issuer) =>
      ResourceServer.layer({
        ...read.pick(options, ownOptions),
        issuer,
        keys: { jwksUri: `${issuer}/oauth2/jwks` },
        algorithms: ["RS256"],
        // AuthKit does not follow RFC 9068 section 2.1.
        tokenTypes: ["at+jwt", "JWT"],
        acceptMissingType: true,
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
 * Provides the resource alone, for a `TokenVerifier` of your own, which is used as it is. No line at start names the audience,
 * because the audience that your verifier accepts is not known here.
 */
export const layerResource = (
  options: ResourceOptions
): Layer.Layer<ProtectedResource.ProtectedResource, ConfigurationError.ConfigurationError> =>
  Layer.unwrapEffect(
    Effect.map(issuerOf(options, resourceOptionNames), (issuer) =>
      ProtectedResource.layer({ ...read.pick(options, resourceOptions), authorizationServers: [issuer] })
    )
  )

/** `layerResource` with every option from `Config`. */
export const layerResourceConfig = (
  options: Config.Config.Wrap<ResourceOptions>
): Layer.Layer<ProtectedResource.ProtectedResource, ConfigurationError.ConfigurationError | ConfigError.ConfigError> =>
  fromConfig(options, layerResource)

const resourceOptionNames: read.Names<ResourceOptions> = { ...resourceOptions, authkitDomain: true }

/** What is handed on as it is. */
const ownOptions = {
  ...resourceOptions,
  acceptedAudiences: true,
  accessTokenClaims: true,
  checks: true,
  clockTolerance: true,
  maxTokenLength: true,
  requiredClaims: true
} as const

const optionNames: read.Names<Options> = { ...ownOptions, authkitDomain: true }

/** The issuer of an AuthKit domain: its origin, without a slash. */
const issuerOf = (options: ResourceOptions, names: read.Names<ResourceOptions>) =>
  Effect.gen(function* () {
    yield* read.options(options, names)
    const domain = yield* read.text("authkitDomain", options.authkitDomain)
    const wrong = (reason: string) => ConfigurationError.make("authkitDomain", domain, reason)
    const url = domain === "" || domain.includes("://") ? domain : `https://${domain}`
    const { origin, pathname } = yield* Either.mapLeft(ResourceUrl.parse("authkitDomain", url), ({ reason }) =>
      wrong(reason)
    )
    if (pathname !== "/") return yield* wrong("must not have a path")
    return origin
  })
