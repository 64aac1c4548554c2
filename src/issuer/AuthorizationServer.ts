/**
 * The metadata that an authorization server publishes about itself.
 */
import * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as ConfigurationError from "../ConfigurationError.ts"
import { deadline, type Document, type FetchFailure, fetchJson, withinDeadline } from "./fetchJson.ts"
import { printable, printableClaim } from "../printable.ts"
import * as refreshing from "./refreshing.ts"
import * as wellKnown from "../resource/wellKnown.ts"
import { ProtectedResource } from "../resource/ProtectedResource.ts"
import { parseUrl } from "../url.ts"

/** The URLs of an issuer's metadata, in the order in which they are tried: RFC 8414 section 3.1, then OpenID Connect Discovery. */
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
 * The next URL is tried when one fails, or has not answered within an equal share of the 5 seconds that all of them have
 * together; a slow one may still answer. The `issuer` in the document must be the configured one, code point by code point
 * (RFC 8414 section 3.3). The `required` members must be strings; by default this is `jwks_uri`, which RFC 8414 does not
 * require. Not checked: the other members.
 *
 * Fails with the reason for each URL and the longest `Retry-After`. A reason names the URL and, of the answer, only the
 * `issuer`.
 */
export const discover = (
  client: HttpClient.HttpClient,
  issuer: string,
  required: ReadonlyArray<string> = ["jwks_uri"]
): Effect.Effect<Document, FetchFailure> => {
  const name = printable(issuer)
  if (parseUrl(issuer) === undefined) return Effect.fail({ reason: `the issuer "${name}" is not a URL` })
  const ask = (url: string) =>
    Effect.flatMap(fetchJson(client, url, "application/json"), (document): Effect.Effect<Document, FetchFailure> => {
      const problem = problemOf(document.body, issuer, required)
      return problem === undefined ? Effect.succeed(document) : Effect.fail({ reason: `${printable(url)} ${problem}` })
    })
  return Effect.mapError(inTurn(metadataUrls(issuer), ask), (failures) => {
    const delays = failures.flatMap(({ retryAfterMillis }) => retryAfterMillis ?? [])
    return {
      reason: `no metadata of "${name}" was found: ${failures.map(({ reason }) => reason).join("; ")}`,
      ...(delays.length > 0 && { retryAfterMillis: Math.max(...delays) })
    }
  })
}

const problemOf = (body: Document["body"], issuer: string, required: ReadonlyArray<string>): string | undefined => {
  const named = printableClaim(body["issuer"])
  if (body["issuer"] !== issuer) return named === undefined ? "names no issuer" : `names issuer "${named}"`
  const missing = required.find((member) => typeof body[member] !== "string")
  return missing === undefined ? undefined : `has no ${missing}`
}

/** The first success within one deadline, or all failures in the order of the URLs. */
const inTurn = (
  urls: ReadonlyArray<string>,
  ask: (url: string) => Effect.Effect<Document, FetchFailure>
): Effect.Effect<Document, ReadonlyArray<FetchFailure>> =>
  Effect.flatMap(
    Effect.forEach(urls, () => Deferred.make<FetchFailure>()),
    (failed) => {
      const asked = urls.map((url, position) => {
        const share = Duration.times(deadline, position / urls.length)
        const before = failed[position - 1]
        const turn = before === undefined ? Effect.void : Effect.raceFirst(Deferred.await(before), Effect.sleep(share))
        return Effect.zipRight(turn, ask(url)).pipe(
          withinDeadline(printable(url)),
          Effect.tapError((failure) => Deferred.succeed(failed[position]!, failure))
        )
      })
      return Effect.catchAll(Effect.raceAll(asked), () =>
        Effect.flatMap(Effect.forEach(failed, Deferred.await), Effect.fail)
      )
    }
  )

/**
 * Serves the metadata of the first authorization server at this server's `/.well-known/oauth-authorization-server`, also with
 * the resource's path after it, for clients that look for it there.
 *
 * The metadata is fetched on first use and kept. It is fresh for 10 minutes and served for 24 hours while the authorization
 * server is down. If there is nothing to serve, the answer is 502 without a reason, and the log has the reason once per outage.
 * The `issuer` in the document is not this server. Strict clients refuse that (RFC 8414 section 3.3), and do not need this
 * Layer.
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
        load: Effect.flatMap(discover(client, issuer, []), ({ body, maxAgeMillis }) =>
          // `JSON.stringify` throws for a document with too many levels, although `JSON.parse` reads it.
          Effect.try({
            try: () => ({ value: wellKnown.document(body), maxAgeMillis }),
            catch: (): FetchFailure => ({ reason: `the metadata of "${printable(issuer)}" cannot be written as JSON` })
          })
        ),
        freshFor: Duration.minutes(10),
        usableFor: Duration.hours(24),
        cooldown: Duration.seconds(30)
      })
      yield* wellKnown.serve({
        name: "oauth-authorization-server",
        pathname: new URL(resource).pathname.replace(/^\/$/, ""),
        about: `${resource} ${issuer}`,
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
