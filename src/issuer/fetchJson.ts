import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { isSecure } from "../resource/ResourceUrl.ts"
import { answeredElsewhere } from "./answeredElsewhere.ts"
import { parseObject } from "../json.ts"
import { printable } from "../printable.ts"
import { parseUrl } from "../url.ts"

/** Why a document could not be fetched, in words that are safe to log, and how long the server asks to wait (`Retry-After`). */
export interface FetchFailure {
  readonly reason: string
  readonly retryAfterMillis?: number | undefined
}

export interface Document {
  readonly body: Readonly<Record<string, unknown>>
  /** `max-age` in the answer's `Cache-Control`, in milliseconds. */
  readonly maxAgeMillis: number | undefined
}

/** The longest that one fetch may take, body included. */
export const deadline = Duration.seconds(5)

/** The most bytes of one answer that are read. */
const maxBytes = 1_048_576

/**
 * Fetches a JSON object from an issuer that may be slow, broken or hostile; by default a key set.
 *
 * The whole answer may take 5 seconds and have 1 MiB, which is counted while it arrives. Its status must be 200. The URL must
 * be `https`, except on loopback hosts. No trace headers are sent to the issuer. Redirects are not followed, and if the client
 * followed one nevertheless, the answer is not read. A byte order mark is skipped. Of two members with the same name the last
 * one counts. Not checked: the content type of the answer.
 */
export const fetchJson = (
  client: HttpClient.HttpClient,
  url: string,
  accept = "application/json, application/jwk-set+json"
): Effect.Effect<Document, FetchFailure> => {
  const fail: Fail = (what, retryAfterMillis) =>
    Effect.fail({ reason: `${printable(url)} ${what}`, ...(retryAfterMillis !== undefined && { retryAfterMillis }) })
  const parsed = parseUrl(url)
  if (parsed === undefined || !isSecure(parsed)) return fail("is not an https URL")
  return HttpClient.withTracerPropagation(client, false)
    .get(url, { headers: { accept } })
    .pipe(
      withoutRedirects,
      // The user's client may treat other statuses as errors.
      Effect.catchAll((error) =>
        error._tag === "ResponseError" && error.reason === "StatusCode"
          ? Effect.succeed(error.response)
          : fail("cannot be reached")
      ),
      Effect.flatMap((response) => read(response, url, fail)),
      // The deadline holds even if the client cannot be interrupted.
      Effect.disconnect,
      withinDeadline(printable(url)),
      // A defect of the user's client counts as an outage.
      Effect.catchAllDefect(() => fail("cannot be reached"))
    )
}

/** Fails if an effect takes longer than one fetch may take. */
export const withinDeadline = (what: string) =>
  Effect.timeoutFail({
    duration: deadline,
    onTimeout: (): FetchFailure => ({ reason: `${what} did not answer within ${Duration.format(deadline)}` })
  })

type Fail = (what: string, retryAfterMillis?: number) => Effect.Effect<never, FetchFailure>

const read = (
  response: HttpClientResponse.HttpClientResponse,
  url: string,
  fail: Fail
): Effect.Effect<Document, FetchFailure> => {
  const other = answeredElsewhere(response, url)
  if (other !== undefined) {
    return Effect.zipRight(release(response), fail(`was answered by another URL (host ${printable(other.host)})`))
  }
  if (response.status === 200) {
    return Effect.map(readBody(response, fail), (body) => ({ body, maxAgeMillis: maxAge(response) }))
  }
  const { location, "retry-after": delay } = response.headers
  return release(response).pipe(
    Effect.zipRight(Clock.currentTimeMillis),
    Effect.flatMap((now) => fail(`answered ${response.status}${leadingTo(location, url)}`, retryAfter(delay, now)))
  )
}

const readBody = (response: HttpClientResponse.HttpClientResponse, fail: Fail) =>
  response.stream.pipe(
    Stream.catchAll(() => Stream.fromEffect(fail("ended its answer early"))),
    Stream.runFoldEffect({ bytes: 0, chunks: [] as Array<Uint8Array> }, ({ bytes, chunks }, chunk) => {
      const total = bytes + chunk.length
      if (total > maxBytes) return fail(`answered more than ${maxBytes} bytes`)
      chunks.push(chunk)
      return Effect.succeed({ bytes: total, chunks })
    }),
    Effect.flatMap(({ bytes, chunks }) => {
      const body = decodeObject(concat(chunks, bytes))
      const type = response.headers["content-type"] ?? "none"
      return body === undefined
        ? fail(`did not answer with a JSON object (content type ${printable(type)})`)
        : Effect.succeed(body)
    })
  )

/** Starts to read a body that is not needed, and stops. Otherwise it would keep its connection until it is garbage collected. */
const release = (response: HttpClientResponse.HttpClientResponse) =>
  Effect.raceFirst(Effect.exit(Stream.runDrain(response.stream)), Effect.yieldNow())

const decodeObject = (bytes: Uint8Array) => {
  try {
    return parseObject(new TextDecoder("utf-8", { fatal: true }).decode(bytes))
  } catch {
    return undefined
  }
}

const concat = (chunks: ReadonlyArray<Uint8Array>, bytes: number): Uint8Array => {
  const all = new Uint8Array(bytes)
  let offset = 0
  for (const chunk of chunks) {
    all.set(chunk, offset)
    offset += chunk.length
  }
  return all
}

/** The fetch client follows redirects by default. Other clients ignore this setting. */
const withoutRedirects = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(Effect.serviceOption(FetchHttpClient.RequestInit), (init) =>
    Effect.provideService(effect, FetchHttpClient.RequestInit, {
      ...Option.getOrUndefined(init),
      redirect: "manual"
    })
  )

/** Where a redirect leads that is not followed. Only the host is shown, because the rest may hold secrets. */
const leadingTo = (location: string | undefined, url: string): string => {
  const target = location === undefined ? undefined : parseUrl(location, url)
  return target === undefined ? "" : ` (to ${printable(target.host)})`
}

const maxAge = (response: HttpClientResponse.HttpClientResponse): number | undefined => {
  const cacheControl = response.headers["cache-control"] ?? ""
  if (/(^|[\s,])no-(cache|store)([\s,]|$)/i.test(cacheControl)) return 0
  const seconds = /(?:^|[\s,])max-age="?(\d{1,9})"?(?:[\s,]|$)/i.exec(cacheControl)?.[1]
  return seconds === undefined ? undefined : Number(seconds) * 1000
}

/** `Retry-After`, a number of seconds or a date (RFC 9110 section 10.2.3), in milliseconds from now. */
const retryAfter = (header: string | undefined, now: number): number | undefined => {
  if (header === undefined) return undefined
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000
  const date = Date.parse(header)
  return Number.isNaN(date) ? undefined : Math.max(0, date - now)
}
