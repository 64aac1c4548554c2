/**
 * An authorization server, as far as a resource server needs to know it: the metadata it publishes about itself.
 */
import * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as ConfigurationError from "./ConfigurationError.ts"
import { type Document, type FetchFailure, fetchJson, withinDeadline } from "./internal/fetchJson.ts"
import { printableClaim } from "./internal/printable.ts"
import * as refreshing from "./internal/refreshing.ts"
import * as wellKnown from "./internal/wellKnown.ts"
import { ProtectedResource } from "./ProtectedResource.ts"

/** The places of an issuer's metadata, in the order they are asked: RFC 8414 section 3.1, then OpenID Connect Discovery. */
export const metadataUrls = (issuer: string): readonly [string, ...Array<string>] => {
  const { origin, pathname } = new URL(issuer)
  const path = pathname.replace(/\/$/, "")
  const appended = `${origin}${path}/.well-known/openid-configuration`
  const oauth = `${origin}/.well-known/oauth-authorization-server${path}`
  return path === "" ? [oauth, appended] : [oauth, appended, `${origin}/.well-known/openid-configuration${path}`]
}

/**
 * Fetches an issuer's metadata.
 *
 * The next place is asked only where the one before answers 4xx, and not 429; 5 seconds in all. The document's `issuer` must
 * be the configured one code point by code point (RFC 8414 section 3.3). No other member is checked. Fails with the reason
 * in words, which name the URL and never repeat the answer but for its `issuer`.
 */
export const discover = (client: HttpClient.HttpClient, issuer: string): Effect.Effect<Document, FetchFailure> => {
  const [first, ...rest] = metadataUrls(issuer)
  return rest
    .reduce(
      (tried, url) =>
        Effect.catchAll(tried, (failure) =>
          failure.status !== undefined && failure.status >= 400 && failure.status < 500 && failure.status !== 429
            ? fetchJson(client, url)
            : Effect.fail(failure)
        ),
      fetchJson(client, first)
    )
    .pipe(
      withinDeadline(`the metadata of "${issuer}"`),
      Effect.filterOrFail(
        ({ body }) => body["issuer"] === issuer,
        ({ body }): FetchFailure => ({
          reason: `the metadata of "${issuer}" names issuer "${printableClaim(body["issuer"]) ?? ""}"`
        })
      )
    )
}

/**
 * Forwards the first authorization server's metadata at this server's `/.well-known/oauth-authorization-server`, for
 * clients that still look for it there; with the resource's path after it, too.
 *
 * Fetched on first use and kept: fresh for 10 minutes, served for 24 hours while the authorization server is down. Answers
 * 502 without the upstream's words when there is nothing to serve; the log has the reason once per outage. The document names its own `issuer`, which is
 * not this server: strict clients refuse that (RFC 8414 section 3.3), and need no forwarding.
 */
export const layerMetadataRoute: Layer.Layer<
  never,
  ConfigurationError.ConfigurationError,
  ProtectedResource | HttpClient.HttpClient | HttpLayerRouter.HttpRouter
> = Layer.fresh(
  Layer.scopedDiscard(
    Effect.gen(function* () {
      const { metadata, resource } = yield* ProtectedResource
      const client = yield* HttpClient.HttpClient
      const [issuer = resource] = metadata.authorization_servers
      const document = yield* refreshing.make({
        source: `the metadata of "${issuer}"`,
        load: Effect.flatMap(discover(client, issuer), ({ body, maxAgeMillis }) =>
          // What can be read is not always written: a document of too many levels throws.
          Effect.try({
            try: () => ({ value: wellKnown.document(body), maxAgeMillis }),
            catch: (): FetchFailure => ({ reason: `the metadata of "${issuer}" cannot be written` })
          })
        ),
        freshFor: Duration.minutes(10),
        usableFor: Duration.hours(24),
        cooldown: Duration.seconds(30)
      })
      yield* wellKnown.serve({
        name: "oauth-authorization-server",
        pathname: new URL(resource).pathname.replace(/^\/$/, ""),
        respond: Effect.catchAll(document.get, ({ retryAfter }) =>
          Effect.succeed(
            HttpServerResponse.empty({
              status: 502,
              headers: { "cache-control": "no-store", "retry-after": String(retryAfter) }
            })
          )
        )
      })
    })
  )
)
