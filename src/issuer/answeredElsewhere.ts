import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Option from "effect/Option"

/**
 * The other URL that an answer came from, or `undefined` where it came from the URL that was asked, as far as the client tells.
 *
 * A client of the user's may follow redirects: by Effect's `followRedirects`, which changes the request; by a `fetch` that does
 * not heed `redirect`, whose `Response` has the URL; or by a dispatcher of undici, which keeps a history.
 */
export const answeredElsewhere = (response: HttpClientResponse.HttpClientResponse, asked: string): URL | undefined => {
  const { context, url } = sourceOf(response)
  return [Option.getOrUndefined(HttpClientRequest.toUrl(response.request)), url, context?.history?.at(-1)]
    .filter((told) => told !== undefined && told !== "")
    .map((told) => new URL(String(told)))
    .find(({ href }) => href !== new URL(asked).href)
}

/** What the platform gave to Effect's client: a web `Response`, or an answer of Node or undici. */
interface Source {
  /** Empty for a `Response` that a program made itself, and on Node. */
  readonly url?: unknown
  readonly context?: { readonly history?: ReadonlyArray<unknown> } | null
}

/** Effect 3 has no public way to it: its answer has it as `source`, below wrappers that have the answer as `original`. */
const sourceOf = (response: object): Source => {
  const { original, source } = response as { readonly original?: object; readonly source?: Source }
  return original === undefined ? (source ?? {}) : sourceOf(original)
}
