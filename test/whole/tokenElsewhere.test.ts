/**
 * RFC 6750 lets a client put its token in a form (section 2.2) or in the query (section 2.3), too. No door looks there: what
 * a URL or a form says ends up in logs and histories.
 */
import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpServer from "@effect/platform/HttpServer"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { describe, expect, it } from "@effect/vitest"
import { AccessToken, BearerAuth, BearerAuthHttpApi, BearerAuthWeb } from "effect-resource-server"
import * as BearerAuthMcpSdk from "effect-resource-server/BearerAuthMcpSdk"
import * as BearerAuthMcpSdkV2 from "effect-resource-server/BearerAuthMcpSdkV2"
import * as Testing from "effect-resource-server/Testing"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import express from "express"
import { mint, resource } from "../support/issuer.ts"
import { Auth, missing, missingBody, refused, shown } from "../support/rejections.ts"
import { capture, type Line, listen, serve } from "../support/server.ts"

/** Sends a request with this query to what the door protects. */
type Send = (query: string, init: RequestInit) => Promise<Response>

const served = <E, R>(app: Layer.Layer<never, E, R>, path: string) =>
  Effect.map(serve(app), ({ lines, url }) => ({
    lines,
    send: ((query, init) => fetch(url + path + query, init)) satisfies Send
  }))

const whoami = Effect.map(AccessToken.AccessToken, ({ subject }) => subject ?? "nobody")

const Routes = BearerAuth.add(
  "*",
  "/",
  Effect.map(whoami, (subject) => HttpServerResponse.text(subject))
).pipe(Layer.provide(BearerAuth.layer), Layer.provide(Auth))

const Api = HttpApi.make("api").add(
  HttpApiGroup.make("notes")
    .add(HttpApiEndpoint.get("read", "/notes").addSuccess(Schema.String))
    .add(HttpApiEndpoint.post("write", "/notes").addSuccess(Schema.String))
    .middleware(BearerAuthHttpApi.Protected)
)

const ApiRoutes = BearerAuthHttpApi.add(
  Api,
  HttpApiBuilder.group(Api, "notes", (handlers) => handlers.handle("read", () => whoami).handle("write", () => whoami))
).pipe(
  Layer.provide(BearerAuthHttpApi.layer(BearerAuthHttpApi.Protected)),
  Layer.provide(Auth),
  Layer.provide(HttpServer.layerContext)
)

/** An edge made without Effect, until the scope ends. */
const made = <A extends { readonly dispose: () => Promise<void> }>(make: (auth: typeof Auth) => Promise<A>) => {
  const lines: Array<Line> = []
  return Effect.acquireRelease(
    Effect.promise(() => make(Auth.pipe(Layer.provideMerge(capture(lines))))),
    (edge) => Effect.promise(() => edge.dispose())
  ).pipe(Effect.map((edge) => ({ edge, lines })))
}

const web = Effect.map(made(BearerAuthWeb.make), ({ edge, lines }) => {
  const answer = edge.protect((_request, { subject }) => new Response(subject))
  return { lines, send: ((query, init) => answer(new Request(resource + query, init))) satisfies Send }
})

const sdk = (make: typeof BearerAuthMcpSdk.make) =>
  Effect.gen(function* () {
    const { edge, lines } = yield* made(make)
    const app = express()
    // Parsed before the door, the form is there to be read.
    app.use(express.urlencoded())
    app.use(edge.path, edge.requireBearerAuth(), (_request, response) => void response.send("user-1"))
    const port = yield* listen(app)
    return { lines, send: ((query, init) => fetch(`http://127.0.0.1:${port}/mcp${query}`, init)) satisfies Send }
  })

const doors = [
  { name: "BearerAuth", door: served(Routes, "/mcp"), body: missingBody },
  { name: "BearerAuthHttpApi", door: served(ApiRoutes, "/mcp/notes"), body: '{"_tag":"TokenMissing"}' },
  { name: "BearerAuthWeb", door: web, body: missingBody },
  { name: "BearerAuthMcpSdk", door: sdk(BearerAuthMcpSdk.make), body: missingBody },
  { name: "BearerAuthMcpSdkV2", door: sdk(BearerAuthMcpSdkV2.make), body: missingBody }
]

describe.each(doors)("a good token at $name", ({ body, door }) => {
  it.scopedLive("is no token in the query or in a form, and in no log line either", () =>
    Effect.gen(function* () {
      const { lines, send } = yield* door
      const token = yield* mint()
      const access_token = Redacted.value(token)
      const good = yield* Effect.promise(() => send("", { method: "POST", headers: Testing.bearer(token) }))
      expect([good.status, yield* Effect.promise(() => good.text())]).toEqual([200, expect.stringContaining("user-1")])
      lines.length = 0

      const query = `?access_token=${access_token}`
      const form = () => ({ method: "POST", body: new URLSearchParams({ access_token }) })
      const attempts: ReadonlyArray<readonly [string, RequestInit]> = [
        [query, {}],
        [query, { method: "POST" }],
        ["", form()],
        [query, form()]
      ]
      for (const [query, init] of attempts) {
        const response = yield* Effect.promise(() => send(query, init))
        expect(yield* shown(response)).toEqual(refused(401, missing, body))
      }
      expect(lines.map(({ annotations }) => annotations)).toEqual(attempts.map(() => ({ error: "TokenMissing" })))
      expect(JSON.stringify(lines)).not.toContain(access_token)
    })
  )
})
