import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpApiClient from "@effect/platform/HttpApiClient"
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServer from "@effect/platform/HttpServer"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as OpenApi from "@effect/platform/OpenApi"
import { describe, expect, it } from "@effect/vitest"
import { AccessToken, BearerAuth, BearerAuthHttpApi } from "effect-resource-server"
import { ScopeMissing, type TokenError } from "effect-resource-server/TokenError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { createServer } from "node:http"
import { doorContract } from "../support/doorContract.ts"
import { mint, type Overrides, resource } from "../support/issuer.ts"
import {
  challenge,
  authAt,
  missing,
  refused,
  refusedAs,
  refusedMissing,
  refusedUnavailable,
  rejections,
  shown,
  unavailableError
} from "../support/rejections.ts"
import { capture, get, serve } from "../support/server.ts"
import { exchange, head } from "../support/socket.ts"

class Admins extends BearerAuthHttpApi.Tag<Admins>()("Admins", { scopes: ["notes:admin"] }) {}

const Notes = HttpApiGroup.make("notes")
  .add(HttpApiEndpoint.get("whoami", "/whoami").addSuccess(Schema.String))
  .add(HttpApiEndpoint.post("publish", "/publish").addSuccess(Schema.String))
  .middleware(BearerAuthHttpApi.Protected)

const Administration = HttpApiGroup.make("administration")
  .add(
    HttpApiEndpoint.del("erase", "/notes/:id")
      .setPath(Schema.Struct({ id: Schema.String }))
      .addSuccess(Schema.String)
  )
  .middleware(Admins)

/** Both tags: the endpoint's comes before the group's. */
const Nested = HttpApiGroup.make("nested")
  .add(HttpApiEndpoint.get("both", "/both").addSuccess(Schema.String).middleware(BearerAuthHttpApi.Protected))
  .add(HttpApiEndpoint.get("shortfall", "/shortfall").addSuccess(Schema.String).middleware(BearerAuthHttpApi.Protected))
  .middleware(Admins)

const Open = HttpApiGroup.make("open")
  .add(HttpApiEndpoint.get("health", "/health").addSuccess(Schema.String))
  .annotate(BearerAuthHttpApi.Open, true)

const Api = HttpApi.make("api").add(Notes).add(Administration).add(Nested).add(Open)

const subject = Effect.map(AccessToken.AccessToken, (token) => token.subject ?? "nobody")

const Handlers = Layer.mergeAll(
  HttpApiBuilder.group(Api, "notes", (handlers) =>
    handlers
      .handle("whoami", () => subject)
      .handle("publish", () => Effect.as(AccessToken.requireScopes("notes:publish"), "published"))
  ),
  HttpApiBuilder.group(Api, "administration", (handlers) =>
    handlers.handle("erase", ({ path }) => Effect.succeed(path.id))
  ),
  HttpApiBuilder.group(Api, "nested", (handlers) =>
    handlers
      .handle("both", () => subject)
      .handle("shortfall", () => Effect.as(AccessToken.requireScopes("more"), "more"))
  ),
  HttpApiBuilder.group(Api, "open", (handlers) => handlers.handle("health", () => Effect.succeed("well")))
)

const Guards = BearerAuthHttpApi.layer(BearerAuthHttpApi.Protected, Admins)

const Routes = BearerAuthHttpApi.add(Api, Handlers)

/** The API of the resource at a path. */
const appAt = (path: string) =>
  Routes.pipe(Layer.provide(Guards), Layer.provide(authAt(path)), Layer.provide(HttpServer.layerContext))

/** A typed client whose requests carry this header. */
const client = (baseUrl: string, authorization?: string) =>
  HttpApiClient.make(Api, {
    baseUrl,
    transformClient: HttpClient.mapRequest((request) =>
      authorization === undefined ? request : HttpClientRequest.setHeader(request, "authorization", authorization)
    )
  }).pipe(Effect.provide(FetchHttpClient.layer))

const bearer = (overrides?: Overrides) => Effect.map(mint(overrides), (token) => `Bearer ${Redacted.value(token)}`)

const lacking = (scope: string) => challenge("insufficient_scope", "The access token lacks a required scope", scope)

/** The body of a shortfall of scopes: the error itself. */
const bodyOf = (required: ReadonlyArray<string>, granted: ReadonlyArray<string>) =>
  JSON.stringify({ required, granted, _tag: "ScopeMissing" })

const Small = HttpApi.make("small").add(
  HttpApiGroup.make("notes")
    .add(HttpApiEndpoint.post("whoami", "/whoami").addSuccess(Schema.String))
    .middleware(BearerAuthHttpApi.Protected)
)

// Its answers have the error itself as the body, for typed clients.
doorContract({
  name: "BearerAuthHttpApi",
  serve: (auth) =>
    serve(
      BearerAuthHttpApi.add(
        Small,
        HttpApiBuilder.group(Small, "notes", (handlers) => handlers.handle("whoami", () => subject))
      ).pipe(Layer.provide(BearerAuthHttpApi.layer(BearerAuthHttpApi.Protected)), Layer.provide(auth))
    ),
  ask: { path: "/mcp/whoami" },
  rejected: (rejection) => ({ ...refusedAs(rejection), body: rejection.error }),
  missing: { ...refusedMissing, body: '{"_tag":"TokenMissing"}' },
  unavailable: { ...refusedUnavailable, body: unavailableError }
})

describe("BearerAuthHttpApi.layer", () => {
  it.scopedLive("provides the verified token to handlers, below the resource's path", () =>
    Effect.gen(function* () {
      const { lines, url } = yield* serve(appAt("/mcp"))
      const { notes, open } = yield* client(`${url}/mcp`, yield* bearer())
      expect(yield* notes.whoami({})).toBe("user-1")
      expect(yield* open.health({})).toBe("well")
      expect(lines.map(({ message }) => message)).toEqual([
        `Access tokens are accepted for aud=${resource}`,
        "Open to anyone, without an access token: GET /mcp/health"
      ])
      expect((yield* get(`${url}/whoami`)).status).toBe(404)
    })
  )

  it.scopedLive.each(rejections)("gives a typed client the error $tag", ({ headers, tag }) =>
    Effect.gen(function* () {
      const { url } = yield* serve(appAt("/mcp"))
      const { notes } = yield* client(`${url}/mcp`, (yield* headers)["authorization"])
      expect((yield* Effect.flip(notes.whoami({})))._tag).toBe(tag)
    })
  )

  it.scopedLive("lets a client match a rejection by its tag", () =>
    Effect.gen(function* () {
      const { url } = yield* serve(appAt("/mcp"))
      const { notes } = yield* client(`${url}/mcp`, yield* bearer({ claims: { aud: "https://other.example" } }))
      const answer = notes
        .whoami({})
        .pipe(
          Effect.catchTag("AudienceMismatch", ({ actual, expected }) => Effect.succeed([...actual, ...expected].join()))
        )
      expect(yield* answer).toBe(`https://other.example,${resource}`)
    })
  )
})

describe("BearerAuthHttpApi.Tag", () => {
  it.scopedLive("needs its scopes besides the resource's, and names them all", () =>
    Effect.gen(function* () {
      const { lines, url } = yield* serve(appAt("/mcp"))
      const erase = (scope: string) =>
        Effect.gen(function* () {
          const authorization = yield* bearer({ claims: { scope } })
          const response = yield* get(`${url}/mcp/notes/7`, { authorization }, "DELETE")
          return [
            response.status,
            response.headers.get("www-authenticate"),
            yield* Effect.promise(() => response.json())
          ]
        })
      lines.length = 0
      expect(yield* erase("mcp:tools notes:admin")).toEqual([200, null, "7"])
      expect(yield* erase("mcp:tools")).toEqual([
        403,
        lacking("mcp:tools notes:admin"),
        { _tag: "ScopeMissing", required: ["mcp:tools", "notes:admin"], granted: ["mcp:tools"] }
      ])
      expect((yield* erase("notes:admin")).slice(0, 2)).toEqual([403, lacking("mcp:tools notes:admin")])
      expect(lines.map(({ annotations }) => annotations["error"])).toEqual(["ScopeMissing", "ScopeMissing"])
    })
  )

  it.scopedLive("answers once where several are on one endpoint", () =>
    Effect.gen(function* () {
      const { lines, url } = yield* serve(appAt("/mcp"))
      lines.length = 0
      const ask = (path: string, scope: string) =>
        Effect.gen(function* () {
          const response = yield* get(url + path, { authorization: yield* bearer({ claims: { scope } }) })
          return [response.status, response.headers.get("www-authenticate")]
        })
      expect(yield* ask("/mcp/both", "mcp:tools notes:admin")).toEqual([200, null])
      expect(lines).toEqual([])
      // The endpoint's tag is content, the group's is not.
      expect(yield* ask("/mcp/both", "mcp:tools")).toEqual([403, lacking("mcp:tools notes:admin")])
      expect(lines.length).toBe(1)
      expect(yield* ask("/mcp/shortfall", "mcp:tools notes:admin")).toEqual([403, expect.stringContaining("more")])
      expect(lines.length).toBe(2)
    })
  )

  it.scopedLive("fails when built if a scope is none", () =>
    Effect.gen(function* () {
      class Wrong extends BearerAuthHttpApi.Tag<Wrong>()("Wrong", { scopes: ["not a scope"] }) {}
      const error = yield* Effect.flip(
        Effect.scoped(Layer.build(BearerAuthHttpApi.layer(Wrong).pipe(Layer.provide(authAt("/mcp")))))
      )
      expect(error.message).toMatch(/^scopes "not a scope": is not a scope/)
    })
  )
})

describe("a handler's own ScopeMissing", () => {
  it.scopedLive("is answered with 403, a challenge that names its scopes, and a line in the log", () =>
    Effect.gen(function* () {
      const { lines, url } = yield* serve(appAt("/mcp"))
      lines.length = 0
      const response = yield* get(`${url}/mcp/publish`, { authorization: yield* bearer() }, "POST")
      expect(yield* shown(response)).toEqual(
        refused(403, lacking("mcp:tools notes:publish"), bodyOf(["notes:publish"], ["mcp:tools"]))
      )
      expect(lines).toEqual([
        {
          level: "WARN",
          message: 'Request rejected: expected scopes "notes:publish", got "mcp:tools"',
          annotations: { error: "ScopeMissing" }
        }
      ])
    })
  )
})

describe("a handler's own ScopeMissing behind BearerAuth.layer", () => {
  const Untagged = HttpApi.make("untagged").add(
    HttpApiGroup.make("group").add(
      HttpApiEndpoint.get("get", "/get").addSuccess(Schema.Any).addError(ScopeMissing, { status: 403 })
    )
  )
  type Answer = Effect.Effect<HttpServerResponse.HttpServerResponse, ScopeMissing, AccessToken.AccessToken>
  /** Asks an endpoint without a tag, with the same token each time. */
  const asked = (handler: (times: number) => Answer, times = 1) =>
    Effect.gen(function* () {
      let called = 0
      const handlers = HttpApiBuilder.group(Untagged, "group", (group) =>
        group.handleRaw("get", () => handler(++called) as Effect.Effect<HttpServerResponse.HttpServerResponse>)
      )
      const { lines, url } = yield* serve(
        BearerAuthHttpApi.add(Untagged, handlers).pipe(
          Layer.provide(HttpLayerRouter.cors({ allowedOrigins: ["https://app.example"], exposedHeaders: ["X-App"] })),
          Layer.provide(BearerAuth.layer),
          Layer.provide(authAt("/mcp"))
        )
      )
      lines.length = 0
      const headers = { authorization: yield* bearer(), origin: "https://app.example" }
      const responses = []
      for (let time = 0; time < times; time++) responses.push(yield* get(`${url}/mcp/get`, headers))
      return { lines, responses }
    })

  it.scopedLive("is answered with 403, a challenge that names its scopes, and a line in the log", () =>
    Effect.gen(function* () {
      const { lines, responses } = yield* asked(() =>
        Effect.as(AccessToken.requireScopes("x"), HttpServerResponse.empty())
      )
      const [response] = responses
      expect(response?.headers.get("access-control-expose-headers")).toMatch(/WWW-Authenticate.*Retry-After/)
      expect(response?.headers.get("cache-control")).toBe("no-store")
      expect([
        response?.status,
        response?.headers.get("www-authenticate"),
        yield* Effect.promise(async () => response?.text())
      ]).toEqual([403, lacking("mcp:tools x"), bodyOf(["x"], ["mcp:tools"])])
      expect(lines).toEqual([
        {
          level: "WARN",
          message: 'Request rejected: expected scopes "x", got "mcp:tools"',
          annotations: { error: "ScopeMissing" }
        }
      ])
    })
  )

  it.scopedLive("is not the answer of a server behind this one, nor that of an earlier request", () =>
    Effect.gen(function* () {
      const upstream = HttpServerResponse.text(bodyOf(["x"], ["mcp:tools"]), { status: 403 })
      const { lines, responses } = yield* asked(
        (time) =>
          time < 3 ? Effect.as(AccessToken.requireScopes("x"), HttpServerResponse.empty()) : Effect.succeed(upstream),
        3
      )
      expect(responses.map(({ headers, status }) => [status, headers.get("www-authenticate")])).toEqual([
        [403, lacking("mcp:tools x")],
        [403, lacking("mcp:tools x")],
        [403, null]
      ])
      expect(lines.length).toBe(2)
    })
  )
})

describe("an answer that only looks like a handler's own ScopeMissing", () => {
  const lookalike = (scope: string) => bodyOf([scope], ["mcp:tools"])
  const upstream = (status: number, body: string, contentType = "application/json") =>
    HttpServerResponse.text(body, { status, contentType })

  const Upstream = HttpApi.make("upstream").add(
    HttpApiGroup.make("group")
      .add(HttpApiEndpoint.get("get", "/get").addSuccess(Schema.Any))
      .middleware(BearerAuthHttpApi.Protected)
  )
  /** Serves what the endpoint's handler answers, and asks it with a token of `mcp:tools`. */
  const asked = (handler: Effect.Effect<HttpServerResponse.HttpServerResponse, TokenError, AccessToken.AccessToken>) =>
    Effect.gen(function* () {
      const handlers = HttpApiBuilder.group(Upstream, "group", (group) => group.handleRaw("get", () => handler))
      const { lines, url } = yield* serve(
        BearerAuthHttpApi.add(Upstream, handlers).pipe(Layer.provide(Guards), Layer.provide(authAt("/mcp")))
      )
      lines.length = 0
      const response = yield* get(`${url}/mcp/get`, { authorization: yield* bearer() })
      const text = yield* Effect.promise(() => response.text())
      return [response.status, response.headers.get("www-authenticate"), text, lines.length]
    })

  it.scopedLive("gets no challenge", () =>
    Effect.gen(function* () {
      expect(yield* asked(Effect.succeed(upstream(403, lookalike("x"))))).toEqual([403, null, lookalike("x"), 0])
      expect(yield* asked(Effect.succeed(upstream(200, lookalike("x"))))).toEqual([200, null, lookalike("x"), 0])
    })
  )

  it.scopedLive("gets none where nobody's token was asked for its scopes", () =>
    Effect.gen(function* () {
      const made = new ScopeMissing({ required: ["x"], granted: ["mcp:tools"] })
      expect(yield* asked(made)).toEqual([403, null, lookalike("x"), 0])
    })
  )

  const shortfall = AccessToken.requireScopes("x")
  it.scopedLive("gets none after a handler that has recovered from its own", () =>
    Effect.gen(function* () {
      const another = upstream(403, lookalike("another"))
      expect(
        yield* asked(Effect.catchTag(Effect.as(shortfall, another), "ScopeMissing", () => Effect.succeed(another)))
      ).toEqual([403, null, lookalike("another"), 0])
      const ok = upstream(200, lookalike("x"))
      expect(yield* asked(Effect.catchTag(Effect.as(shortfall, ok), "ScopeMissing", () => Effect.succeed(ok)))).toEqual(
        [200, null, lookalike("x"), 0]
      )
      const words = upstream(403, "not yours", "text/plain")
      expect(
        yield* asked(Effect.catchTag(Effect.as(shortfall, words), "ScopeMissing", () => Effect.succeed(words)))
      ).toEqual([403, null, "not yours", 0])
    })
  )

  it.scopedLive("is told from the real one, whoever found it: the last that was found counts", () =>
    Effect.gen(function* () {
      const expected = [403, lacking("mcp:tools x"), lookalike("x"), 1]
      expect(yield* asked(Effect.as(shortfall, upstream(200, "")))).toEqual(expected)
      const withScopes = Effect.flatMap(AccessToken.AccessToken, (token) => AccessToken.withScopes(token, ["x"]))
      expect(yield* asked(Effect.as(withScopes, upstream(200, "")))).toEqual(expected)
      const second = Effect.catchTag(AccessToken.requireScopes("y"), "ScopeMissing", () => shortfall)
      expect(yield* asked(Effect.as(second, upstream(200, "")))).toEqual(expected)
    })
  )

  it.scopedLive("is no other request's: a token that comes again was not asked before", () =>
    Effect.gen(function* () {
      let requests = 0
      const handler = Effect.suspend(() =>
        requests++ < 3 ? Effect.as(shortfall, upstream(200, "")) : Effect.succeed(upstream(403, lookalike("x")))
      )
      const handlers = HttpApiBuilder.group(Upstream, "group", (group) => group.handleRaw("get", () => handler))
      const { url } = yield* serve(
        BearerAuthHttpApi.add(Upstream, handlers).pipe(Layer.provide(Guards), Layer.provide(authAt("/mcp")))
      )
      // From its third time on the verifier remembers it, and every request is given the same verified token.
      const authorization = yield* bearer()
      const challenges: Array<string | null> = []
      for (let request = 0; request < 4; request++) {
        challenges.push((yield* get(`${url}/mcp/get`, { authorization })).headers.get("www-authenticate"))
      }
      expect(challenges).toEqual([...Array(3).fill(lacking("mcp:tools x")), null])
    })
  )
})

describe("a handler's own ScopeMissing of very many or very long scopes", () => {
  const thousands = Array.from({ length: 4000 }, (_, index) => `notes:${index + 1000}`)
  const Many = HttpApi.make("many").add(
    HttpApiGroup.make("group")
      .add(HttpApiEndpoint.get("many", "/many").addSuccess(Schema.String))
      .add(HttpApiEndpoint.get("long", "/long").addSuccess(Schema.String))
      .middleware(BearerAuthHttpApi.Protected)
  )
  const handlers = HttpApiBuilder.group(Many, "group", (group) =>
    group
      .handle("many", () => Effect.as(AccessToken.requireScopes("admin", ...thousands), ""))
      .handle("long", () => Effect.as(AccessToken.requireScopes("x".repeat(20_000), "admin"), ""))
  )

  it.scopedLive.each<{ path: string; named: string; required: ReadonlyArray<string> }>([
    {
      path: "/many",
      named: ["mcp:tools", "admin", ...thousands.slice(0, 371)].join(" "),
      required: ["admin", ...thousands]
    },
    { path: "/long", named: "mcp:tools admin", required: ["x".repeat(20_000), "admin"] }
  ])("is answered with what fits into a header: $path", ({ named, path, required }) =>
    Effect.gen(function* () {
      const { url } = yield* serve(
        BearerAuthHttpApi.add(Many, handlers).pipe(Layer.provide(Guards), Layer.provide(authAt("/mcp")))
      )
      const response = yield* get(`${url}/mcp${path}`, { authorization: yield* bearer() })
      expect(yield* shown(response)).toEqual(refused(403, lacking(named), bodyOf(required, ["mcp:tools"])))
    })
  )
})

describe("a rejected request whose body is not read", () => {
  it.scopedLive("closes the connection, also where the handler finds a scope missing", () =>
    Effect.gen(function* () {
      const { port } = yield* serve(appAt("/mcp"))
      const authorization = yield* bearer()
      for (const [status, header] of [
        [401, "X-Token: none"],
        [403, `Authorization: ${authorization}`]
      ] as const) {
        const replies = yield* exchange(port, head("/mcp/publish", header, "Content-Length: 555745280"), "x")
        expect(replies.map(({ headers, status }) => [status, headers["connection"]])).toEqual([[status, "close"]])
      }
    })
  )
})

describe("an app whose own CORS names headers for pages to read", () => {
  it.scopedLive("names those of a rejection, too, and of a handler's own ScopeMissing", () =>
    Effect.gen(function* () {
      const cors = HttpLayerRouter.cors({ exposedHeaders: ["X-Own"] })
      const { url } = yield* serve(Layer.merge(appAt("/mcp"), cors))
      const page = { origin: "https://page.example" }
      const exposed = "X-Own, WWW-Authenticate, Retry-After"
      const rejected = yield* get(`${url}/mcp/whoami`, page)
      expect(yield* shown(rejected)).toEqual({ ...refused(401, missing, '{"_tag":"TokenMissing"}'), exposed })
      const lacks = yield* get(`${url}/mcp/publish`, { ...page, authorization: yield* bearer() }, "POST")
      expect(yield* shown(lacks)).toEqual({
        ...refused(403, lacking("mcp:tools notes:publish"), bodyOf(["notes:publish"], ["mcp:tools"])),
        exposed
      })
      const accepted = yield* get(`${url}/mcp/whoami`, { ...page, authorization: yield* bearer() })
      expect([accepted.status, accepted.headers.get("access-control-expose-headers")]).toEqual([200, "X-Own"])
    })
  )
})

describe("BearerAuthHttpApi.Protected", () => {
  it("has a key of its own", () => {
    expect(BearerAuthHttpApi.Protected.key).toBe("effect-resource-server/BearerAuthHttpApi/Protected")
  })
})

describe("BearerAuthHttpApi.add", () => {
  it.scopedLive("keeps two resources of one process apart, though they share every Layer", () =>
    Effect.gen(function* () {
      const { url } = yield* serve(Layer.merge(appAt("/a"), appAt("/b")))
      for (const [own, other] of [
        ["/a", "/b"],
        ["/b", "/a"]
      ]) {
        const authorization = yield* bearer({ claims: { aud: `https://api.example${own}` } })
        expect((yield* get(`${url}${own}/whoami`, { authorization })).status).toBe(200)
        const refused = yield* get(`${url}${other}/whoami`, { authorization })
        expect([refused.status, refused.headers.get("www-authenticate")]).toEqual([
          401,
          challenge("invalid_token", "The access token is for another resource").replace('/mcp"', `${other}"`)
        ])
      }
    })
  )

  it.scopedLive("serves a resource that is a bare origin, and one with a trailing slash", () =>
    Effect.gen(function* () {
      for (const [path, aud] of [
        ["/", "https://api.example/"],
        ["/deep/", "https://api.example/deep/"]
      ] as const) {
        const { url } = yield* serve(appAt(path))
        const { notes } = yield* client(`${url}${path}`.replace(/\/$/, ""), yield* bearer({ claims: { aud } }))
        expect(yield* notes.whoami({})).toBe("user-1")
      }
    })
  )
})

describe("HttpApiBuilder.serve", () => {
  it.scopedLive("is protected the same way, by whole paths", () =>
    Effect.gen(function* () {
      const server = HttpApiBuilder.serve().pipe(
        Layer.provide(HttpApiBuilder.api(Api)),
        Layer.provide(Handlers),
        Layer.provide(Guards),
        Layer.provide(authAt("/mcp")),
        Layer.provideMerge(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })),
        Layer.provide(capture([]))
      )
      const { address } = Context.get(yield* Layer.build(server), HttpServer.HttpServer)
      const url = `http://127.0.0.1:${address._tag === "TcpAddress" ? address.port : 0}`
      const authorization = yield* bearer()
      expect((yield* get(`${url}/whoami`, { authorization })).status).toBe(200)
      for (const [method, path, header, status, expected] of [
        ["GET", "/whoami", "", 401, missing],
        ["DELETE", "/notes/7", authorization, 403, lacking("mcp:tools notes:admin")],
        ["POST", "/publish", authorization, 403, lacking("mcp:tools notes:publish")]
      ] as const) {
        const response = yield* get(url + path, { authorization: header }, method)
        expect([response.status, response.headers.get("www-authenticate")]).toEqual([status, expected])
      }
    })
  )
})

describe("OpenApi.fromApi", () => {
  const { components, paths } = OpenApi.fromApi(Api)

  it("lists the security scheme, and requires it where a tag is", () => {
    expect(components.securitySchemes).toEqual({ bearer: { type: "http", scheme: "bearer" } })
    expect(paths["/whoami"]?.get?.security).toEqual([{ bearer: [] }])
    expect(paths["/health"]?.get?.security).toEqual([])
  })

  it("lists the statuses, and the errors of each", () => {
    const errors = Object.entries(paths["/whoami"]?.get?.responses ?? {}).map(([status, { content }]) => {
      const { anyOf, ...one } = content?.["application/json"]?.schema as {
        readonly $ref?: string
        readonly anyOf?: ReadonlyArray<{ readonly $ref: string }>
      }
      return [status, (anyOf ?? [one]).map(({ $ref }) => $ref?.replace("#/components/schemas/", ""))]
    })
    expect(Object.fromEntries(errors)).toEqual({
      200: [undefined],
      400: ["HttpApiDecodeError", "CredentialsMalformed"],
      401: [
        "TokenMissing",
        "TokenMalformed",
        "AlgorithmNotAllowed",
        "CriticalHeaderUnsupported",
        "KeyNotFound",
        "SignatureInvalid",
        "TypeMismatch",
        "IssuerMismatch",
        "AudienceMismatch",
        "Expired",
        "NotYetValid",
        "ClaimInvalid",
        "BindingMismatch"
      ],
      403: ["ScopeMissing"],
      503: ["VerificationUnavailable"]
    })
    expect(Object.keys(paths["/health"]?.get?.responses ?? {})).toEqual(["200", "400"])
  })
})
