/**
 * The resource that access tokens are minted for: its URL, and the metadata with which clients discover it (RFC 9728).
 */
import type * as HttpApp from "@effect/platform/HttpApp"
import type * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import type * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ConfigurationError from "../ConfigurationError.ts"
import { fromConfig } from "../fromConfig.ts"
import * as published from "./published.ts"
import { parseUrl } from "../url.ts"
import * as read from "../options.ts"
import { resourceOptions } from "./optionNames.ts"
import { scopeList } from "./scope.ts"
import * as ResourceUrl from "./ResourceUrl.ts"
import * as ScopeHierarchy from "./ScopeHierarchy.ts"

/** The metadata document (RFC 9728 section 2), with the member names of the RFC. Empty lists are left out. */
export interface Metadata {
  readonly resource: string
  readonly authorization_servers: ReadonlyArray<string>
  readonly scopes_supported?: ReadonlyArray<string>
  readonly bearer_methods_supported: readonly ["header"]
  readonly resource_name?: string
  readonly resource_documentation?: string
}

/**
 * The resource of this server. Its URL is derived once, and audience, metadata, challenges, the start-up line and routes use
 * it.
 */
export class ProtectedResource extends Context.Tag("effect-resource-server/ProtectedResource")<
  ProtectedResource,
  {
    /** The canonical URL, which the `aud` of a token must name. */
    readonly resource: string
    /** The spellings of the URL that an `aud` may have: one, or two for a bare origin. */
    readonly audiences: readonly [string, ...Array<string>]
    /** The path that this process serves the resource at. */
    readonly path: `/${string}`
    /** The URL of the metadata document, which is the `resource_metadata` of challenges. */
    readonly metadataUrl: string
    readonly metadata: Metadata
    /** Scopes that every operation needs. */
    readonly requiredScopes: ReadonlyArray<string>
    /** Scopes that challenges ask for. They are `requiredScopes` unless the options say otherwise. */
    readonly challengeScopes: ReadonlyArray<string>
    /** The scopes that imply others, for all checks and challenges. If it is left out, no scope implies another. */
    readonly scopeHierarchy?: ScopeHierarchy.ScopeHierarchy | undefined
  }
>() {}

/** The options of a resource. */
export interface Options {
  /** The public base URL of this server, for example `https://api.example.com`. It may have a path, as a prefix. */
  readonly baseUrl: string
  /** The path of the resource below the base URL. Default: none, so that the resource is the base URL itself. */
  readonly path?: string | undefined
  /** The public base URL of the resource if it differs from `baseUrl`. It then replaces `baseUrl`. */
  readonly resourceBaseUrl?: string | undefined
  /** The issuers whose tokens are accepted, exactly as they spell themselves. */
  readonly authorizationServers: readonly [string, ...Array<string>]
  /** Scopes that every operation needs. Default: none. */
  readonly requiredScopes?: ReadonlyArray<string> | undefined
  /** Scopes to advertise in the metadata. Default: `requiredScopes`. */
  readonly scopesSupported?: ReadonlyArray<string> | undefined
  /**
   * Scopes that challenges ask for, if an authorization server spells scopes in requests in another way than in its tokens.
   * Default: `requiredScopes`.
   */
  readonly challengeScopes?: ReadonlyArray<string> | undefined
  /**
   * The scopes that each scope implies. With `{ admin: ["write"], write: ["read"] }` a token with `admin` may do everything
   * that needs `write` or `read`, and a challenge that asks for `write` does not ask for `read`. Implications are
   * transitive. Default: no scope implies another.
   */
  readonly scopeHierarchy?: ScopeHierarchy.Implications | undefined
  /** A name for people. */
  readonly resourceName?: string | undefined
  /** The URL of documentation for developers. */
  readonly resourceDocumentation?: string | undefined
}

/** Derives a `ProtectedResource`. Fails with `ConfigurationError` for an option that is not valid. */
export const make = (
  options: Options
): Effect.Effect<ProtectedResource["Type"], ConfigurationError.ConfigurationError> =>
  Effect.gen(function* () {
    yield* read.options<Options>(options, { ...resourceOptions, authorizationServers: true })
    yield* ResourceUrl.parse("baseUrl", options.baseUrl)
    const { baseUrl, path, resourceBaseUrl, resourceDocumentation, resourceName, scopeHierarchy } = options
    const url = yield* resourceBaseUrl === undefined
      ? ResourceUrl.make({ baseUrl, path })
      : ResourceUrl.make({ baseUrl: resourceBaseUrl, baseUrlOption: "resourceBaseUrl", path })
    const authorizationServers = yield* read.texts("authorizationServers", options.authorizationServers)
    if (authorizationServers.length === 0) {
      return yield* ConfigurationError.make("authorizationServers", "", "is empty")
    }
    for (const issuer of authorizationServers) yield* ResourceUrl.parse("authorizationServers", issuer)
    if (resourceName !== undefined) yield* read.text("resourceName", resourceName)
    if (resourceDocumentation !== undefined) yield* documentationUrl(resourceDocumentation)
    const {
      requiredScopes: required = [],
      scopesSupported: supported = required,
      challengeScopes: asked = required
    } = options
    const requiredScopes = yield* scopeList("requiredScopes", required)
    const scopesSupported = yield* scopeList("scopesSupported", supported)
    const challengeScopes = yield* scopeList("challengeScopes", asked)
    return {
      resource: url.href,
      audiences: url.spellings,
      path: url.path,
      metadataUrl: url.metadataUrl,
      metadata: {
        resource: url.href,
        authorization_servers: authorizationServers,
        ...(scopesSupported.length > 0 && { scopes_supported: scopesSupported }),
        bearer_methods_supported: ["header"],
        ...(resourceName !== undefined && { resource_name: resourceName }),
        ...(resourceDocumentation !== undefined && { resource_documentation: resourceDocumentation })
      },
      requiredScopes,
      challengeScopes,
      ...(scopeHierarchy !== undefined && { scopeHierarchy: yield* ScopeHierarchy.make(scopeHierarchy) })
    }
  })

/** Provides the resource of this server. */
export const layer = (options: Options): Layer.Layer<ProtectedResource, ConfigurationError.ConfigurationError> =>
  Layer.effect(ProtectedResource, make(options))

/** `layer` with every option from `Config`. */
export const layerConfig = (
  options: Config.Config.Wrap<Options>
): Layer.Layer<ProtectedResource, ConfigurationError.ConfigurationError | ConfigError.ConfigError> =>
  fromConfig(options, layer)

/**
 * Serves the metadata document (RFC 9728 section 3) at the resource's well-known URL, to any origin, for GET and HEAD.
 *
 * The doors of `HttpLayerRouter` do this themselves, and this Layer then changes nothing. If the router serves no other
 * resource, `/.well-known/oauth-protected-resource` has the document, too. The document is never behind authentication and
 * never below a prefix. A route of the app at the same path is used instead. Fails with `ConfigurationError` if another
 * resource with the same path is served by the same router.
 */
export const layerMetadataRoute: Layer.Layer<
  never,
  ConfigurationError.ConfigurationError,
  ProtectedResource | HttpLayerRouter.HttpRouter
> = Layer.fresh(Layer.effectDiscard(Effect.flatMap(ProtectedResource, published.onRouter)))

/**
 * A middleware that serves the metadata document if there is no `HttpLayerRouter`: around an app of `HttpApiBuilder.serve`,
 * `HttpRouter` or `HttpApp`.
 *
 * For example `Layer.unwrapEffect(Effect.map(ProtectedResource.metadataMiddleware, HttpApiBuilder.serve))`. It answers at the
 * resource's well-known URL and at `/.well-known/oauth-protected-resource`, to any origin, and passes all other requests on.
 */
export const metadataMiddleware: Effect.Effect<
  <E, R>(app: HttpApp.Default<E, R>) => HttpApp.Default<E, R>,
  never,
  ProtectedResource
> = Effect.map(ProtectedResource, (resource) => {
  const metadata = published.elsewhere(resource)
  return (app) =>
    Effect.flatMap(
      HttpServerRequest.HttpServerRequest,
      ({ method, url }) => metadata(method, url.replace(/[?#].*/s, "")) ?? app
    )
})

const documentationUrl = (value: unknown) =>
  typeof value === "string" && parseUrl(value) !== undefined && /^https?:/i.test(value)
    ? Effect.void
    : ConfigurationError.make("resourceDocumentation", value, "is not an absolute http(s) URL")
