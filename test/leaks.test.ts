import { describe, expect, it, vi } from "@effect/vitest"
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
import { generateKey, issuer, keyFor, mint, type Overrides, resource } from "./support/issuer.ts"
import { get, serve } from "./support/server.ts"

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

/** Every logger that Effect ships, each into the same list of texts. */
const loggers = (texts: Array<string>) =>
  Layer.mergeAll(
    Logger.minimumLogLevel(LogLevel.All),
    Logger.remove(Logger.defaultLogger),
    ...[Logger.jsonLogger, Logger.logfmtLogger, Logger.stringLogger].map((logger) =>
      Logger.add(Logger.map(logger, (text) => void texts.push(text)))
    ),
    Logger.add(Logger.map(Logger.structuredLogger, (line) => void texts.push(inspect(line, { depth: 9 })))),
    Logger.add(Logger.prettyLogger({ colors: false, mode: "tty" })),
    Logger.add(Logger.prettyLogger({ colors: false, mode: "browser" }))
  )

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
              exit._tag === "Success" ? inspect(exit) : Cause.pretty(exit.cause, { renderErrorCause: true })
            )
        }
      },
      context: (run) => run()
    })
  )

describe("a rejected token", () => {
  it.scopedLive.each(rejections)("leaves nothing of itself in any log or span (%s)", ([tag, overrides]) =>
    Effect.gen(function* () {
      const texts: Array<string> = []
      const write = (...args: ReadonlyArray<unknown>) => void texts.push(args.map(String).join(" "))
      for (const method of ["log", "group", "groupCollapsed", "info", "debug", "warn", "error", "trace"] as const) {
        vi.spyOn(console, method).mockImplementation(write)
      }
      yield* Effect.addFinalizer(() => Effect.sync(() => vi.restoreAllMocks()))
      const { jwk } = yield* Effect.promise(() => keyFor("ES256"))
      const { url } = yield* serve(
        ProtectedResource.add(
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
        Layer.merge(loggers(texts), tracer(texts))
      )
      texts.length = 0
      const token = Redacted.value(yield* mint(yield* Effect.promise(overrides)))
      const response = yield* get(`${url}/`, { authorization: `Bearer ${token}` })
      const answered = [...response.headers].flat().join("\n")

      const all = [...texts, answered].join("\n")
      expect(texts.filter((text) => text.includes(tag)).length).toBeGreaterThanOrEqual(5)
      expect(all).not.toContain(marker)
      for (const segment of token.split(".")) expect(all).not.toContain(segment.slice(0, 16))
      for (const text of texts) {
        expect(text.replaceAll(/\n( {2}|$)/g, "")).not.toMatch(
          /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/
        )
        expect(text).not.toMatch(/^INFO forged/m)
      }
    })
  )
})
