/**
 * What the log says of a request: who was let in, if that is asked for, and which request it was.
 */
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { describe, expect, it } from "@effect/vitest"
import { AccessToken, BearerAuth } from "effect-resource-server"
import * as Testing from "effect-resource-server/Testing"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { mint, type Overrides } from "../support/issuer.ts"
import { captureLogs } from "../support/logs.ts"
import { Auth } from "../support/rejections.ts"
import { get, serve } from "../support/server.ts"

const ok = Effect.as(AccessToken.AccessToken, HttpServerResponse.empty())
const App = Layer.merge(
  BearerAuth.add("GET", "/", ok),
  BearerAuth.add("GET", "/admin", Effect.zipRight(AccessToken.requireScopes("admin"), ok))
).pipe(Layer.provide(BearerAuth.layer), Layer.provide(Auth))

/** What a request is answered, its lines, and what stands beside them. */
const asked = (path: string, headers: Readonly<Record<string, string>>, level = LogLevel.Debug) =>
  Effect.gen(function* () {
    const { annotations, layer, lines } = captureLogs()
    const quiet = Layer.merge(layer, Logger.remove(Logger.defaultLogger))
    const { url } = yield* serve(App, Layer.provideMerge(Logger.minimumLogLevel(level), quiet))
    lines.length = annotations.length = 0
    const { status } = yield* get(`${url}/mcp${path}`, headers)
    return { status, lines, annotations }
  })

const bearer = (overrides?: Overrides) => Effect.map(mint(overrides), Testing.bearer)

describe("an accepted request", () => {
  const accepted = (annotations: object) => ({
    status: 204,
    lines: ["DEBUG Token accepted"],
    annotations: [annotations]
  })

  it.scopedLive("is told at Debug, with whose token it was", () =>
    Effect.gen(function* () {
      const headers = yield* bearer({
        claims: { sub: "user-1", client_id: "client-1", jti: "id-1", scope: "mcp:tools mcp:more" }
      })
      expect(yield* asked("", headers)).toEqual(
        accepted({ subject: "user-1", clientId: "client-1", tokenId: "id-1", scopes: ["mcp:tools", "mcp:more"] })
      )
    })
  )

  it.scopedLive("is told without what its token does not say", () =>
    Effect.gen(function* () {
      const claims = { sub: undefined, client_id: undefined, azp: undefined, jti: undefined, scope: "mcp:tools" }
      expect(yield* asked("", yield* bearer({ claims }))).toEqual(accepted({ scopes: ["mcp:tools"] }))
    })
  )

  it.scopedLive("is told with everything escaped, and cut", () =>
    Effect.gen(function* () {
      const hostile = "a\r\n\u001b[31m\u202e\u2028\u0085é"
      const shown = "a\\u000d\\u000a\\u001b[31m\\u202e\\u2028\\u0085\\u00e9"
      const long = "x".repeat(300)
      const cut = `${"x".repeat(253)}...`
      const many = Array.from({ length: 12 }, (_, i) => `s${i}`)
      const headers = yield* bearer({
        claims: {
          sub: hostile,
          client_id: long,
          jti: `${hostile}${long}`,
          scope: ["mcp:tools", hostile, ...many].join(" ")
        }
      })
      expect(yield* asked("", headers)).toEqual(
        accepted({
          subject: shown,
          clientId: cut,
          tokenId: `${shown}${"x".repeat(253 - shown.length)}...`,
          scopes: ["mcp:tools", shown, ...many.slice(0, 8), "(4 more)"]
        })
      )
    })
  )

  it.scopedLive("is not told to who does not ask for it", () =>
    Effect.gen(function* () {
      expect(yield* asked("", yield* bearer(), LogLevel.Info)).toEqual({ status: 204, lines: [], annotations: [] })
    })
  )
})

describe("the X-Request-Id of a request", () => {
  const idOf = (path: string, headers: Readonly<Record<string, string>>) =>
    Effect.map(asked(path, headers), ({ annotations }) =>
      annotations.map((beside) => "requestId" in beside && beside.requestId)
    )

  it.scopedLive("stands beside its line, whatever the verdict", () =>
    Effect.gen(function* () {
      const id = { "x-request-id": "7f3c.A_~-9" }
      const good = yield* bearer()
      expect(yield* idOf("", { ...good, ...id })).toEqual(["7f3c.A_~-9"])
      expect(yield* idOf("", id)).toEqual(["7f3c.A_~-9"])
      expect(yield* idOf("", { authorization: "Bearer one two", ...id })).toEqual(["7f3c.A_~-9"])
      expect(yield* idOf("", { authorization: "Bearer forged", ...id })).toEqual(["7f3c.A_~-9"])
      // Accepted at the door, and refused by the handler.
      expect(yield* idOf("/admin", { ...good, ...id })).toEqual(["7f3c.A_~-9", "7f3c.A_~-9"])
    })
  )

  it.scopedLive.each([["none"], ["a b"], ["a\tb"], ["a,b"], ['"a"'], ["\u00e9"], ["a".repeat(65)], [""]])(
    "is left out where it is not harmless (%j)",
    ([id]) =>
      Effect.gen(function* () {
        const headers: Record<string, string> = id === "none" ? {} : { "x-request-id": id! }
        expect(yield* idOf("", { authorization: "Bearer forged", ...headers })).toEqual([false])
      })
  )
})
