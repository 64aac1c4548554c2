import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Option from "effect/Option"

/**
 * The other URL that an answer came from, or `undefined` if it came from the URL that was asked, as far as the client shows.
 *
 * The user's client may follow redirects in three ways: with Effect's `followRedirects`, which changes the request; with a
 * `fetch` that ignores `redirect`, whose `Response` has the URL; or with a dispatcher of undici, which keeps a history.
 */
export const answeredElsewhere = (response: HttpClientResponse.HttpClientResponse, asked: string): URL | undefined => {
  const { context, url } = sourceOf(response)
  return [Option.getOrUndefined(HttpClientRequest.toUrl(response.request)), url, context?.history?.at(-1)]
    .filter((told) => told !== undefined && told !== "")
    .map((told) => new URL(String(told)))
    .find(({ href }) => href !== new URL(asked).href)
}

/** What the platform returned to Effect's client: a web `Response`, or a response of Node or undici. */
interface Source {
  /** Empty on Node, and for a `Response` that a program constructed. */
  readonly url?: unknown
  readonly context?: { readonly history?: ReadonlyArray<unknown> } | null
}

/** Effect 3 has no public access to it. Its response has it as `source`, and a wrapped response is the `original` of its wrapper. */
const sourceOf = (response: object): Source => {
  const { original, source } = response as { readonly original?: object; readonly source?: Source }
  return original === undefined ? (source ?? {}) : sourceOf(original)
}
