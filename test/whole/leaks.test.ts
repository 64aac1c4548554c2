import { describe, expect, it, vi } from "@effect/vitest"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { AccessToken, BearerAuth, KeySet, ProtectedResource, TokenVerifier } from "effect-resource-server"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Redacted from "effect/Redacted"
import * as Tracer from "effect/Tracer"
import { inspect } from "node:util"
import { generateKey, issuer, keyFor, mint, type Overrides, resource } from "../support/issuer.ts"
import { Auth } from "../support/rejections.ts"
import { capture, get, serve } from "../support/server.ts"

const marker = "MARKER"
/** What would break out of a line, paint a terminal or turn text around, with the marker behind it. */
const hostile = `\r\nINFO forged\u001b[31m\u202e\u2028\u0085\u0000${marker}`

const rejections: ReadonlyArray<readonly [string, () => Promise<Overrides>]> = [
  ["TokenMalformed", async () => ({ header: { kid: { [marker]: 1 } }, claims: { sub: marker } })],
  ["AlgorithmNotAllowed", async () => ({ header: { alg: hostile }, claims: { sub: marker } })],
  ["CriticalHeaderUnsupported", async () => ({ header: { crit: [hostile] }, claims: { sub: marker } })],
  ["KeyNotFound", async () => ({ header: { kid: hostile }, claims: { sub: marker } })],
  ["SignatureInvalid", async () => ({ key: await generateKey("ES256"), claims: { sub: marker, iss: marker } })],
  ["TypeMismatch", async () => ({ header: { typ: hostile }, claims: { sub: marker } })],
  ["IssuerMismatch", async () => ({ claims: { iss: `${issuer}${hostile.replace(marker, "")}`, sub: marker } })],
  ["AudienceMismatch", async () => ({ claims: { aud: [hostile.replace(marker, ""), { [marker]: 1 }], sub: marker } })],
  ["Expired", async () => ({ claims: { exp: 1, sub: marker } })],
  ["NotYetValid", async () => ({ claims: { nbf: 9e9, sub: marker } })],
  ["ClaimInvalid", async () => ({ claims: { exp: marker, sub: marker } })],
  ["BindingMismatch", async () => ({ claims: { cnf: { jkt: marker }, sub: marker } })],
  ["ScopeMissing", async () => ({ claims: { scope: hostile.replace(marker, ""), sub: marker } })]
]

/** What each logger wrote, and what the tracer saw: apart, for one that is silent must not hide behind the others. */
const sinks = () => ({
  json: new Array<string>(),
  logfmt: new Array<string>(),
  string: new Array<string>(),
  structured: new Array<string>(),
  prettyTty: new Array<string>(),
  prettyBrowser: new Array<string>(),
  spans: new Array<string>(),
  /** What no logger wrote. */
  console: new Array<string>()
})

type Sinks = ReturnType<typeof sinks>

/** Every logger that Effect ships. */
const loggers = (texts: Sinks) => {
  // The pretty loggers write to the console, at once: whose turn it is says whose text it is.
  let turn = texts.console
  const pretty = (mode: "tty" | "browser", sink: Array<string>) => {
    const logger = Logger.prettyLogger({ colors: false, mode })
    return Logger.make<unknown, void>((options) => {
      turn = sink
      logger.log(options)
      turn = texts.console
    })
  }
  const spied = Layer.scopedDiscard(
    Effect.acquireRelease(
      Effect.sync(() => {
        const write = (...args: ReadonlyArray<unknown>) => void turn.push(args.map(String).join(" "))
        for (const method of ["log", "group", "groupCollapsed", "info", "debug", "warn", "error", "trace"] as const) {
          vi.spyOn(console, method).mockImplementation(write)
        }
      }),
      () => Effect.sync(() => vi.restoreAllMocks())
    )
  )
  const into = (sink: Array<string>) => (text: string) => void sink.push(text)
  return Layer.mergeAll(
    spied,
    Logger.minimumLogLevel(LogLevel.All),
    Logger.remove(Logger.defaultLogger),
    Logger.add(Logger.map(Logger.jsonLogger, into(texts.json))),
    Logger.add(Logger.map(Logger.logfmtLogger, into(texts.logfmt))),
    Logger.add(Logger.map(Logger.stringLogger, into(texts.string))),
    Logger.add(Logger.map(Logger.structuredLogger, (line) => into(texts.structured)(inspect(line, { depth: 9 })))),
    Logger.add(pretty("tty", texts.prettyTty)),
    Logger.add(pretty("browser", texts.prettyBrowser))
  )
}

/** Everything that a tracer gets to see. */
const tracer = (texts: Array<string>) =>
  Layer.setTracer(
    Tracer.make({
      span: (name, parent, context, links, startTime, kind) => {
        texts.push(name)
        return {
          _tag: "Span",
          name,
          spanId: "1",
          traceId: "1",
          parent,
          context,
          links,
          kind,
          sampled: true,
          status: { _tag: "Started", startTime },
          attributes: new Map(),
          attribute: (key, value) => void texts.push(`${key}=${inspect(value)}`),
          event: (event, _time, attributes) => void texts.push(`${event} ${inspect(attributes)}`),
          addLinks: () => {},
          end: (_time, exit) =>
            void texts.push(
              exit._tag === "Failure" ? Cause.pretty(exit.cause, { renderErrorCause: true }) : inspect(exit)
            )
        }
      },
      context: (run) => run()
    })
  )

/** Each of the sinks tells of the rejection, and neither they nor the answer repeat anything secret. */
const expectNoLeak = (texts: Sinks, answered: string, tag: string, secrets: ReadonlyArray<string>) => {
  const { console: unexpected, ...expected } = texts
  expect(unexpected).toEqual([])
  for (const [sink, written] of Object.entries({ ...expected, answered: [answered] })) {
    const all = written.join("\n")
    if (sink !== "answered") expect([sink, all]).toEqual([sink, expect.stringContaining(tag)])
    for (const secret of secrets) expect([sink, all]).toEqual([sink, expect.not.stringContaining(secret)])
    for (const text of written) {
      expect(text.replaceAll(/\n( {2}|$)/g, "")).not.toMatch(
        /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/
      )
      expect(text).not.toMatch(/^INFO forged/m)
    }
  }
}

/** The marker, and enough of each segment of a token to know it by. */
const secretsOf = (token: string) => [marker, ...token.split(".").map((segment) => segment.slice(0, 16))]

describe("a rejected token", () => {
  it.scopedLive.each(rejections)("leaves nothing of itself in any log or span (%s)", ([tag, overrides]) =>
    Effect.gen(function* () {
      const texts = sinks()
      const { jwk } = yield* Effect.promise(() => keyFor("ES256"))
      const { url } = yield* serve(
        BearerAuth.add(
          "GET",
          "/",
          Effect.map(AccessToken.AccessToken, () => HttpServerResponse.empty())
        ).pipe(
          Layer.provide(BearerAuth.layer),
          Layer.provide(TokenVerifier.layerJwt({ issuer })),
          Layer.provide(KeySet.layerLocal({ jwks: { keys: [jwk] } })),
          Layer.provide(
            ProtectedResource.layer({
              baseUrl: resource,
              authorizationServers: [issuer],
              requiredScopes: ["mcp:tools"]
            })
          )
        ),
        Layer.merge(loggers(texts), tracer(texts.spans))
      )
      for (const written of Object.values(texts)) written.length = 0
      const token = Redacted.value(yield* mint(yield* Effect.promise(overrides)))
      const response = yield* get(`${url}/`, { authorization: `Bearer ${token}` })
      expectNoLeak(texts, [...response.headers].flat().join("\n"), tag, secretsOf(token))
    })
  )
})

/** What the edge alone, without a server around it, writes and answers: the error too, for some doors send it. */
const refusedAtEdge = (authorization: string, options?: BearerAuth.Options) =>
  Effect.gen(function* () {
    const texts = sinks()
    const request = HttpServerRequest.fromWeb(new Request(resource))
    const asked = request.modify({
      // A web Request would refuse the control characters itself.
      headers: { ...request.headers, authorization } as typeof request.headers
    })
    const context = yield* Layer.build(Auth.pipe(Layer.provide(capture([]))))
    const { authenticate, challenge } = yield* Effect.provide(BearerAuth.make(options), context)
    const error = yield* authenticate(asked).pipe(
      // Log lines are events of the span they are written in.
      Effect.withSpan("request"),
      Effect.flip,
      Effect.provide(Layer.merge(loggers(texts), tracer(texts.spans)))
    )
    const { headers } = challenge(error)
    return { texts, tag: error._tag, answered: [JSON.stringify(error), ...Object.values(headers)].join("\n") }
  })

describe("a header that is no bearer token", () => {
  it.scopedLive.each([
    `Bearer one ${marker}`,
    `Bearer ${hostile}`,
    `Bearer ${marker}${hostile}`,
    `Bearer realm="${marker}"`,
    `Basic ${marker}, Bearer ${marker}`
  ])("leaves nothing of itself in any log, span, error or challenge (%j)", (authorization) =>
    Effect.gen(function* () {
      const { answered, tag, texts } = yield* refusedAtEdge(authorization)
      expect(tag).toBe("CredentialsMalformed")
      expectNoLeak(texts, answered, tag, [marker])
    })
  )
})

describe("a good token that lacks a scope of the operation", () => {
  it.scopedLive("leaves nothing of itself in any log, span, error or challenge", () =>
    Effect.gen(function* () {
      const token = Redacted.value(yield* mint({ claims: { sub: marker } }))
      const { answered, tag, texts } = yield* refusedAtEdge(`Bearer ${token}`, { scopes: ["admin"] })
      expect(tag).toBe("ScopeMissing")
      // The verifier accepted it: the edge alone refused.
      expect(texts.spans).toContain("oauth.decision='accepted'")
      expectNoLeak(texts, answered, tag, secretsOf(token))
    })
  )
})
