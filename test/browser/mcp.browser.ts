import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServer from "@effect/platform/HttpServer"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { describe, expect, it } from "@effect/vitest"
import { AccessToken, BearerAuth, ProtectedResource, ResourceServer } from "effect-resource-server"
import * as Testing from "effect-resource-server/Testing"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { issuer, keyFor, mint, publishes } from "../support/issuer.ts"
import { serve } from "../support/server.ts"
import { type Exchange, recordingServer } from "./exchanges.ts"
import * as Page from "./page.ts"

const published = publishes(await keyFor("ES256"))

const Tools = BearerAuth.add(
  "POST",
  "/",
  Effect.map(AccessToken.AccessToken, ({ subject }) => HttpServerResponse.unsafeJson({ subject }))
).pipe(Layer.provide(BearerAuth.layer))

/** A protected server whose issuer answers so. Its resource has the port in it that the server got. */
const protectedBy = (answer: Testing.Answer) =>
  Layer.unwrapEffect(
    HttpServer.addressFormattedWith((baseUrl) =>
      Effect.succeed(
        Layer.merge(Tools, ProtectedResource.layerMetadataRoute).pipe(
          Layer.provide(ResourceServer.layer({ issuer, baseUrl, path: "/mcp", requiredScopes: ["mcp:tools"] })),
          Layer.provide(Testing.network(answer).layer)
        )
      )
    )
  )

const Cors = HttpLayerRouter.cors()

/** What an MCP client sends with every request once it knows the version. */
const version = { "mcp-protocol-version": "2025-11-25" }

/** Not a request that browsers send to another origin unasked. */
const call = (resource: string, headers: Page.Request["headers"] = {}): Page.Request => ({
  url: resource,
  method: "POST",
  headers: { "content-type": "application/json", ...version, ...headers },
  body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list" })
})

/** What is served, and how it and its page see each other. */
const setUp = <E, R>(app: Layer.Layer<never, E, R>) =>
  Effect.gen(function* () {
    const exchanges: Array<Exchange> = []
    const { lines, url } = yield* serve(app, undefined, recordingServer(exchanges))
    const page = yield* Page.open
    const resource = `${url}/mcp`
    const metadata = `${url}/.well-known/oauth-protected-resource/mcp`
    const token = (scope: string) => Effect.map(mint({ claims: { aud: resource, scope } }), Testing.bearer)
    return { exchanges, lines, metadata, page, resource, token }
  })

/** The exchanges in one line each. A browser may ask twice: it remembers the answer to a preflight for five seconds only. */
const shown = (exchanges: ReadonlyArray<Exchange>, origin: string) => [
  ...new Set(
    exchanges.map(({ asks, challenge, status, ...from }) => {
      expect(from.origin).toBe(origin)
      return `${from.request}${asks === undefined ? "" : ` (${asks})`} -> ${status}${challenge ? ", challenged" : ""}`
    })
  )
]

/** What a page reads of a rejection: the headers of the challenge, and a JSON body. */
const rejected = (status: number, headers: Readonly<Record<string, string>>, body: object) => ({
  status,
  headers: {
    "cache-control": "no-store",
    "content-length": String(JSON.stringify(body).length),
    "content-type": "application/json",
    ...headers
  },
  body: JSON.stringify(body)
})

describe("a page of another origin", () => {
  it.scopedLive("finds its way from the challenge to an answer, and reads what a token lacks", () =>
    Effect.gen(function* () {
      const app = Layer.merge(protectedBy(published), Cors)
      const { exchanges, lines, metadata, page, resource, token } = yield* setUp(app)
      expect(new URL(resource).origin).not.toBe(page.origin)

      const challenge = `Bearer resource_metadata="${metadata}", scope="mcp:tools"`
      const missing = yield* page.fetch(call(resource))
      expect(missing).toEqual(
        rejected(
          401,
          { "www-authenticate": challenge },
          { error_description: "The request carries no access token", resource_metadata: metadata }
        )
      )
      const [, found = ""] = /resource_metadata="([^"]*)"/.exec(missing.headers?.["www-authenticate"] ?? "") ?? []
      const document = yield* page.fetch({ url: found, method: "GET", headers: version })
      expect({ ...document, body: JSON.parse(document.body ?? "") as unknown }).toEqual({
        status: 200,
        headers: {
          "cache-control": "public, max-age=3600",
          "content-length": expect.any(String),
          "content-type": "application/json"
        },
        body: {
          resource,
          authorization_servers: [issuer],
          scopes_supported: ["mcp:tools"],
          bearer_methods_supported: ["header"]
        }
      })
      expect(yield* page.fetch(call(resource, yield* token("mcp:tools")))).toEqual({
        status: 200,
        headers: { "content-length": "20", "content-type": "application/json" },
        body: '{"subject":"user-1"}'
      })
      const description = "The access token lacks a required scope"
      expect(yield* page.fetch(call(resource, yield* token("mail")))).toEqual(
        rejected(
          403,
          { "www-authenticate": `${challenge}, error="insufficient_scope", error_description="${description}"` },
          { error: "insufficient_scope", error_description: description, resource_metadata: metadata }
        )
      )

      expect(shown(exchanges, page.origin)).toEqual([
        "OPTIONS /mcp (content-type,mcp-protocol-version) -> 204",
        "POST /mcp -> 401, challenged",
        "OPTIONS /.well-known/oauth-protected-resource/mcp (mcp-protocol-version) -> 204",
        "GET /.well-known/oauth-protected-resource/mcp -> 200",
        "OPTIONS /mcp (authorization,content-type,mcp-protocol-version) -> 204",
        "POST /mcp -> 200",
        "POST /mcp -> 403, challenged"
      ])
      expect(lines.map(({ annotations, message }) => annotations["error"] ?? message)).toEqual([
        expect.stringContaining(`Access tokens are accepted for aud=${resource}`),
        "TokenMissing",
        "ScopeMissing"
      ])
    })
  )

  it.scopedLive("reads when to come back while no token can be verified", () =>
    Effect.gen(function* () {
      const app = Layer.merge(
        protectedBy(() => "refuse"),
        Cors
      )
      const { page, resource, token } = yield* setUp(app)
      expect(yield* page.fetch(call(resource, yield* token("mcp:tools")))).toEqual(
        rejected(
          503,
          { "retry-after": "1" },
          { error: "temporarily_unavailable", error_description: "The access token cannot be verified now" }
        )
      )
    })
  )

  it.scopedLive("reads nothing but the metadata of a server without HttpLayerRouter.cors()", () =>
    Effect.gen(function* () {
      const { exchanges, metadata, page, resource } = yield* setUp(protectedBy(published))
      const hidden = { rejected: "TypeError: Failed to fetch" }
      expect(yield* page.fetch(call(resource))).toEqual(hidden)
      // No preflight for this one: it is sent, and its answer is kept from the script.
      expect(yield* page.fetch({ url: resource, method: "POST", headers: {} })).toEqual(hidden)
      expect(yield* page.fetch({ url: metadata, method: "GET", headers: version })).toMatchObject({
        status: 200,
        body: expect.stringContaining(resource)
      })
      expect(shown(exchanges, page.origin)).toEqual([
        "OPTIONS /mcp (content-type,mcp-protocol-version) -> 404",
        "POST /mcp -> 401, challenged",
        "OPTIONS /.well-known/oauth-protected-resource/mcp (mcp-protocol-version) -> 204",
        "GET /.well-known/oauth-protected-resource/mcp -> 200"
      ])
    })
  )
})
