/**
 * An authorization server, as far as a resource server needs to know it: the metadata it publishes about itself.
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
 * The next place is asked when one fails in whatever way, or has not answered within an equal share of the 5 seconds that
 * all have: one that hangs leaves time for the others, and one that is only slow may still answer. The document's `issuer`
 * must be the configured one code point by code point (RFC 8414 section 3.3), and `required` members must be strings:
 * `jwks_uri` by default, which RFC 8414 lets a document lack that another place has. No other member is checked.
 *
 * Fails with what each place answered, which names the URL and never repeats the answer but for its `issuer`, and with the
 * longest `Retry-After`.
 */
export const discover = (
  client: HttpClient.HttpClient,
  issuer: string,
  required: ReadonlyArray<string> = ["jwks_uri"]
): Effect.Effect<Document, FetchFailure> => {
  const name = printable(issuer)
  if (!URL.canParse(issuer)) return Effect.fail({ reason: `the issuer "${name}" is not a URL` })
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

/** The first success, within one deadline; or all failures, in the order of the places. */
const inTurn = (
  places: ReadonlyArray<string>,
  ask: (place: string) => Effect.Effect<Document, FetchFailure>
): Effect.Effect<Document, ReadonlyArray<FetchFailure>> =>
  Effect.flatMap(
    Effect.forEach(places, () => Deferred.make<FetchFailure>()),
    (failed) => {
      const asked = places.map((place, position) => {
        const share = Duration.times(deadline, position / places.length)
        const before = failed[position - 1]
        const turn = before === undefined ? Effect.void : Effect.raceFirst(Deferred.await(before), Effect.sleep(share))
        return Effect.zipRight(turn, ask(place)).pipe(
          withinDeadline(printable(place)),
          Effect.tapError((failure) => Deferred.succeed(failed[position]!, failure))
        )
      })
      return Effect.catchAll(Effect.raceAll(asked), () =>
        Effect.flatMap(Effect.forEach(failed, Deferred.await), Effect.fail)
      )
    }
  )

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
        load: Effect.flatMap(discover(client, issuer, []), ({ body, maxAgeMillis }) =>
          // What can be read is not always written: a document of too many levels throws.
          Effect.try({
            try: () => ({ value: wellKnown.document(body), maxAgeMillis }),
            catch: (): FetchFailure => ({ reason: `the metadata of "${printable(issuer)}" cannot be written` })
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
