/**
 * What every door does, whatever server it stands in.
 */
import { describe, expect, it } from "@effect/vitest"
import type { ConfigurationError, ProtectedResource, TokenVerifier } from "effect-resource-server"
import * as Testing from "effect-resource-server/Testing"
import { answers } from "effect-resource-server/TokenError"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { mint } from "./issuer.ts"
import {
  Auth,
  AuthDown,
  refusedAs,
  refusedMissing,
  refusedUnavailable,
  type Rejection,
  rejections,
  type Shown,
  shown,
  timeless
} from "./rejections.ts"
import { type Line, severalCredentials } from "./server.ts"
import { chunk, exchange, head } from "./socket.ts"

/** The resource of the tests, and a verifier that is bound to it. */
export type AnyAuth = Layer.Layer<
  ProtectedResource.ProtectedResource | TokenVerifier.TokenVerifier,
  ConfigurationError.ConfigurationError
>

/** A door, and what it does in its own way. */
export interface Door {
  readonly name: string
  /** Serves an app behind the door until the scope ends. To a good token of `user-1` it answers with that name. */
  readonly serve: (
    auth: AnyAuth
  ) => Effect.Effect<{ readonly port: number; readonly lines: Array<Line> }, unknown, Scope.Scope>
  /** A request that a good token may make, but for the token. It is a POST. */
  readonly ask: { readonly path: string; readonly contentType?: string; readonly body?: string }
  /** What `shown` is of a rejection, of a request without a token, and of an outage. By default that of `BearerAuth`. */
  readonly rejected?: (rejection: Rejection) => Shown
  readonly missing?: Shown
  readonly unavailable?: Shown
  /** The server keeps a connection whose body nobody reads: that is not the door's to decide. */
  readonly closes?: false
  /** It reads the body before it looks at the token, because its answer is one to the messages in it. */
  readonly readsBodyFirst?: boolean
}

/** The lines about rejections. The platform has lines of its own. */
const rejectionsIn = (lines: ReadonlyArray<Line>) =>
  lines
    .filter(({ annotations }) => annotations["error"] !== undefined)
    .map(({ annotations, level, message }) => [annotations["error"], level, timeless(message)])

const malformed = rejections.find(({ tag }) => tag === "TokenMalformed")!
const credentials = rejections.find(({ tag }) => tag === "CredentialsMalformed")!

/** Bodies of which nothing more will come: what they are, the header that announces them, and what comes. */
const unread: ReadonlyArray<readonly [what: string, framing: string, part: string]> = [
  ["a chunked body that has begun", "Transfer-Encoding: chunked", chunk("{")],
  ["a body of 530 MiB that has not begun", "Content-Length: 555745280", ""]
]

/** Runs what every door does as tests of this one. */
export const doorContract = ({
  ask,
  closes,
  missing = refusedMissing,
  name,
  readsBodyFirst = false,
  rejected = refusedAs,
  serve,
  unavailable = refusedUnavailable
}: Door): void => {
  const contentType = ask.contentType ?? "application/json"

  const send = (port: number, headers: Readonly<Record<string, string>>, query = "", body: BodyInit = ask.body ?? "") =>
    Effect.promise(() =>
      fetch(`http://127.0.0.1:${port}${ask.path}${query}`, {
        method: "POST",
        headers: typeof body === "string" ? { "content-type": contentType, ...headers } : headers,
        body
      })
    )

  /** What it answers. */
  const answered = (response: Response) =>
    Effect.map(shown(response), (answer) => ({ ...answer, body: timeless(answer.body) }))

  describe(`${name}, as every door`, () => {
    it("is tested with every rejection", () => {
      const apart = ["TokenMissing", "VerificationUnavailable"]
      expect([...rejections.map(({ tag }) => tag), ...apart].sort()).toEqual(Object.keys(answers).sort())
    })

    it.scopedLive("hands a good token to the handler, and logs no rejection", () =>
      Effect.gen(function* () {
        const { lines, port } = yield* serve(Auth)
        const response = yield* send(port, Testing.bearer(yield* mint()))
        const { body, challenge, status } = yield* shown(response)
        expect({ status, challenge, body }).toEqual({
          status: 200,
          challenge: null,
          body: expect.stringContaining("user-1")
        })
        expect(rejectionsIn(lines)).toEqual([])
      })
    )

    it.scopedLive.each(rejections)("answers $tag whole, and logs one line", (rejection) =>
      Effect.gen(function* () {
        const { lines, port } = yield* serve(Auth)
        const response = yield* send(port, yield* rejection.headers)
        expect(yield* answered(response)).toEqual(rejected(rejection))
        const [level, text] = rejection.line
        expect(rejectionsIn(lines)).toEqual([[rejection.tag, level, `Request rejected: ${text}`]])
      })
    )

    it.scopedLive("answers a request without a token, or with credentials of another scheme", () =>
      Effect.gen(function* () {
        const { lines, port } = yield* serve(Auth)
        const requests = [{}, { authorization: "Basic dXNlcjpwYXNz" }, { authorization: "Bearerish token" }]
        for (const headers of requests) expect(yield* answered(yield* send(port, headers))).toEqual(missing)
        const line = ["TokenMissing", "DEBUG", "Request rejected: the request carries no bearer token"]
        expect(rejectionsIn(lines)).toEqual(requests.map(() => line))
      })
    )

    it.scopedLive("answers an outage with when to come back and no challenge, and says why to the log alone", () =>
      Effect.gen(function* () {
        const { lines, port } = yield* serve(AuthDown)
        expect(yield* answered(yield* send(port, Testing.bearer(yield* mint())))).toEqual(unavailable)
        expect(rejectionsIn(lines)).toEqual([
          ["VerificationUnavailable", "ERROR", "Request rejected: the issuer is down"]
        ])
      })
    )

    it.scopedLive("trusts none of several Authorization lines, in whatever order they come", () =>
      Effect.gen(function* () {
        const { port } = yield* serve(Auth)
        const { authorization } = Testing.bearer(yield* mint())
        const { body, challenge, status } = rejected(credentials)
        const several = "the request has several Authorization headers"
        for (const values of severalCredentials(authorization)) {
          const lines = values.map((value) => `Authorization: ${value}`)
          const content = ask.body ?? ""
          const [reply] = yield* exchange(
            port,
            head(ask.path, ...lines, `Content-Type: ${contentType}`, `Content-Length: ${content.length}`, close) +
              content
          )
          expect([values, reply?.status, reply?.headers["www-authenticate"] ?? null, reply?.body]).toEqual([
            values,
            status,
            challenge,
            typeof body === "string" ? body.replace(JSON.parse(credentials.error).reason, several) : body
          ])
        }
      })
    )

    it.scopedLive("takes no token from the query or from a form, and logs none", () =>
      Effect.gen(function* () {
        const { lines, port } = yield* serve(Auth)
        const access_token = Redacted.value(yield* mint())
        const form = () => new URLSearchParams({ access_token })
        const query = `?${form()}`
        const responses = [yield* send(port, {}, query)]
        if (!readsBodyFirst) responses.push(yield* send(port, {}, "", form()), yield* send(port, {}, query, form()))
        for (const response of responses) expect(yield* answered(response)).toEqual(missing)
        expect(rejectionsIn(lines).length).toBe(responses.length)
        expect(JSON.stringify(lines)).not.toContain(access_token)
      })
    )

    it.scopedLive.each(readsBodyFirst ? [] : unread)(
      "rejects a token without waiting for %s, and closes the connection",
      ([, framing, part]) =>
        Effect.gen(function* () {
          const { port } = yield* serve(Auth)
          const lines = [framing, `Content-Type: ${contentType}`, ...(closes === false ? [close] : [])]
          for (const [authorization, { body, challenge, status }] of [
            [["Authorization: Bearer not-a-token"], rejected(malformed)],
            [[], missing]
          ] as const) {
            const replies = yield* exchange(port, head(ask.path, ...authorization, ...lines), part)
            expect(
              replies.map((one) => [one.status, one.headers["www-authenticate"], one.headers["connection"], one.body])
            ).toEqual([[status, challenge, "close", body]])
          }
        })
    )
  })
}

const close = "Connection: close"
