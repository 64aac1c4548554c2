/**
 * The metadata of a resource is served without being asked where a door knows the router, and a warning says so where none does.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServer from "@effect/platform/HttpServer"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Rpc from "@effect/rpc/Rpc"
import * as RpcGroup from "@effect/rpc/RpcGroup"
import * as RpcSerialization from "@effect/rpc/RpcSerialization"
import { describe, expect, it } from "@effect/vitest"
import {
  AccessToken,
  AuthorizationServer,
  BearerAuth,
  BearerAuthHttpApi,
  ConfigurationError,
  ProtectedResource
} from "effect-resource-server"
import * as BearerAuthMcp from "effect-resource-server/BearerAuthMcp"
import * as BearerAuthRpc from "effect-resource-server/BearerAuthRpc"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { createServer } from "node:http"
import { issuer, json, network } from "../support/issuer.ts"
import { captureLogs } from "../support/logs.ts"
import { Auth, metadataUrl, Resource } from "../support/rejections.ts"
import { get, serve } from "../support/server.ts"

const pathname = new URL(metadataUrl).pathname
const root = "/.well-known/oauth-protected-resource"

const subject = Effect.map(AccessToken.AccessToken, (token) => token.subject ?? "nobody")
const whoami = Effect.map(subject, HttpServerResponse.text)
const open = HttpServerResponse.text("open")

const group = HttpApiGroup.make("notes").add(HttpApiEndpoint.get("whoami", "/whoami").addSuccess(Schema.String))
const Api = HttpApi.make("api").add(group.middleware(BearerAuthHttpApi.Protected))
const ApiHandlers = HttpApiBuilder.group(Api, "notes", (handlers) => handlers.handle("whoami", () => subject))
const Guards = BearerAuthHttpApi.layer(BearerAuthHttpApi.Protected)

const Notes = RpcGroup.make(Rpc.make("whoami", { success: Schema.String }))
const Rpcs = [Notes.toLayer({ whoami: () => Effect.succeed("x") }), RpcSerialization.layerNdjson] as const

const documentAt = (url: string) =>
  Effect.gen(function* () {
    const response = yield* get(url)
    const body = yield* Effect.promise(() => response.text())
    return [response.status, (response.status === 200 ? (JSON.parse(body) as { resource: string }) : {}).resource]
  })

const doors = [
  ["BearerAuth.layer", HttpLayerRouter.add("GET", "/mcp", whoami).pipe(Layer.provide(BearerAuth.layer))],
  ["BearerAuth.layerScopes", HttpLayerRouter.add("GET", "/", whoami).pipe(Layer.provide(BearerAuth.layerScopes("a")))],
  ["BearerAuth.add", BearerAuth.add("GET", "/", whoami).pipe(Layer.provide(BearerAuth.layer))],
  ["BearerAuth.addOpen", BearerAuth.addOpen("GET", "/", open)],
  ["BearerAuthHttpApi.add", BearerAuthHttpApi.add(Api, ApiHandlers).pipe(Layer.provide(Guards))],
  [
    "BearerAuthHttpApi.layer, HttpLayerRouter.addHttpApi",
    HttpLayerRouter.addHttpApi(Api).pipe(Layer.provide(ApiHandlers), Layer.provide(Guards))
  ],
  [
    "BearerAuthRpc.add",
    BearerAuthRpc.add(Notes.middleware(BearerAuthRpc.Protected)).pipe(
      Layer.provide(Rpcs),
      Layer.provide(BearerAuthRpc.layer(BearerAuthRpc.Protected))
    )
  ],
  ["BearerAuthMcp.layerHttpRouter", BearerAuthMcp.layerHttpRouter({ name: "notes", version: "1.0.0" })],
  ["ProtectedResource.layerMetadataRoute", ProtectedResource.layerMetadataRoute]
] as const

/** A router of a prefix, for whatever is provided with it. */
const Prefixed = Layer.effect(
  HttpLayerRouter.HttpRouter,
  Effect.map(HttpLayerRouter.HttpRouter, (router) => router.prefixed("/v1").prefixed("/deep"))
)

const any = (layer: unknown) => layer as Layer.Layer<never, never, HttpLayerRouter.HttpRouter>

describe("the metadata document", () => {
  for (const [name, door] of doors) {
    const app = any(Layer.provide(door as Layer.Layer<never>, Auth))

    it.scopedLive(`is served by ${name}, at its own place and at the root`, () =>
      Effect.gen(function* () {
        const { url } = yield* serve(app)
        for (const at of [pathname, `${pathname}/`, root]) {
          expect([at, ...(yield* documentAt(url + at))]).toEqual([at, 200, "https://api.example/mcp"])
        }
      })
    )

    it.scopedLive(`is served by ${name} below a prefix, where it is without one`, () =>
      Effect.gen(function* () {
        const { url } = yield* serve(Layer.provide(app, Prefixed))
        expect(yield* documentAt(url + pathname)).toEqual([200, "https://api.example/mcp"])
        expect(yield* documentAt(`${url}/v1/deep${pathname}`)).toEqual([404, undefined])
      })
    )
  }

  it.scopedLive("is served once by several doors, and by the Layer that serves nothing else", () =>
    Effect.gen(function* () {
      const app = Layer.mergeAll(
        BearerAuth.add("GET", "/", whoami).pipe(Layer.provide(BearerAuth.layer)),
        BearerAuth.addOpen("GET", "/open", open),
        ProtectedResource.layerMetadataRoute
      ).pipe(Layer.provide(Auth))
      const { url } = yield* serve(app)
      expect(yield* documentAt(url + pathname)).toEqual([200, "https://api.example/mcp"])
    })
  )

  it.scopedLive("is not that of another resource with the same path: the Layer fails", () =>
    Effect.gen(function* () {
      const at = (origin: string, authorizationServer: string, route: `/${string}` = "/other") =>
        BearerAuth.addOpen("GET", route, open).pipe(
          Layer.provide(
            ProtectedResource.layer({ baseUrl: origin, path: "/mcp", authorizationServers: [authorizationServer] })
          )
        )
      for (const other of [at("https://other.example", issuer), at("https://api.example", "https://as2.example")]) {
        const error = yield* Effect.flip(serve(Layer.merge(at("https://api.example", issuer, "/one"), other)))
        expect(error).toEqual(
          ConfigurationError.make(
            "path",
            "/mcp",
            "two resources on one router share /.well-known/oauth-protected-resource/mcp"
          )
        )
      }
    })
  )

  const OwnRoute = HttpLayerRouter.add("GET", pathname as `/${string}`, HttpServerResponse.text("own"))
  const Fallback = HttpLayerRouter.add("*", "*", HttpServerResponse.text("page"))
  const Door = BearerAuth.addOpen("GET", "/", open).pipe(Layer.provide(Resource))

  it.scopedLive.each([
    ["before", Layer.provideMerge(Door, OwnRoute)],
    ["after", Layer.provideMerge(OwnRoute, Door)]
  ] as const)("gives way to a route of the app's own that is added %s the door", ([, app]) =>
    Effect.gen(function* () {
      const { url } = yield* serve(app)
      const response = yield* get(url + pathname)
      expect([response.status, yield* Effect.promise(() => response.text())]).toEqual([200, "own"])
      expect(yield* documentAt(url + root)).toEqual([200, "https://api.example/mcp"])
    })
  )

  it.scopedLive("stands before a route that takes every path", () =>
    Effect.gen(function* () {
      const { url } = yield* serve(Layer.merge(Fallback, Door))
      expect(yield* documentAt(url + pathname)).toEqual([200, "https://api.example/mcp"])
      expect((yield* get(`${url}/elsewhere`)).status).toBe(200)
    })
  )

  it.scopedLive("is served by a web handler, too", () =>
    Effect.gen(function* () {
      const { dispose, handler } = HttpLayerRouter.toWebHandler(Layer.provideMerge(Door, HttpServer.layerContext), {
        disableLogger: true
      })
      const response = yield* Effect.promise(() => handler(new Request(`http://127.0.0.1${pathname}`)))
      expect(response.status).toBe(200)
      yield* Effect.promise(dispose)
    })
  )
})

describe("a Layer that is served by itself, which Effect builds twice", () => {
  const layers = [
    ["BearerAuth.addOpen", BearerAuth.addOpen("GET", "/", open), "/mcp", 200],
    ["ProtectedResource.layerMetadataRoute", ProtectedResource.layerMetadataRoute, pathname, 200],
    [
      "AuthorizationServer.layerMetadataRoute",
      AuthorizationServer.layerMetadataRoute,
      "/.well-known/oauth-authorization-server",
      200
    ],
    ["BearerAuthHttpApi.add", BearerAuthHttpApi.add(Api, ApiHandlers), "/mcp/whoami", 401],
    ["BearerAuthRpc.add", BearerAuthRpc.add(Notes.middleware(BearerAuthRpc.Protected)), "/mcp", 404],
    ["BearerAuthMcp.layerHttpRouter", BearerAuthMcp.layerHttpRouter({ name: "a", version: "1.0.0" }), "/mcp", 401]
  ] as const

  it.scopedLive.each(layers)("%s adds the same once", ([, layer, path, status]) =>
    Effect.gen(function* () {
      const net = network(() => json({ issuer }))
      const logs = captureLogs()
      const server = HttpLayerRouter.serve(layer as Layer.Layer<never, unknown>, {
        disableLogger: true,
        disableListenLog: true
      }).pipe(
        Layer.provide([Guards, BearerAuthRpc.layer(BearerAuthRpc.Protected), net.layer, ...Rpcs]),
        Layer.provide(Auth),
        Layer.provideMerge(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })),
        Layer.provide(logs.layer)
      )
      const { address } = Context.get(yield* Layer.build(server), HttpServer.HttpServer)
      const url = `http://127.0.0.1:${address._tag === "TcpAddress" ? address.port : 0}`
      expect((yield* get(url + path)).status).toBe(status)
      expect(new Set(logs.lines).size).toBe(logs.lines.length)
    })
  )
})

describe("an open route", () => {
  it.scopedLive("is open below a door, and a line at start names it", () =>
    Effect.gen(function* () {
      const { lines, url } = yield* serve(
        Layer.merge(BearerAuth.add("GET", "/", whoami), BearerAuth.addOpen("GET", "/health", open)).pipe(
          Layer.provide(BearerAuth.layer),
          Layer.provide(Auth)
        )
      )
      expect((yield* get(`${url}/mcp`)).status).toBe(401)
      expect((yield* get(`${url}/mcp/health`)).status).toBe(200)
      expect(lines).toContainEqual({
        level: "INFO",
        message: "Open to anyone, without an access token: GET /mcp/health",
        annotations: {}
      })
    })
  )

  it.scopedLive("is not what BearerAuth.add adds, whatever the types were made to say", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(serve(any(BearerAuth.add("DELETE", "/", open).pipe(Layer.provide(Auth)))))
      expect(error).toEqual(ConfigurationError.make("BearerAuth.add", "DELETE /mcp", "has no BearerAuth.layer"))
    })
  )

  it.scopedLive("has a path that begins with a slash, as every route of ours has", () =>
    Effect.gen(function* () {
      for (const add of [BearerAuth.add, BearerAuth.addOpen]) {
        for (const [path, shown, reason] of [
          ["health", "health", "does not begin with a slash"],
          ["", "", "does not begin with a slash"],
          [undefined, "(undefined)", "is not a string"]
        ] as const) {
          const route = add("GET", path as never, open)
          const error = yield* Effect.flip(serve(any(route.pipe(Layer.provide(BearerAuth.layer), Layer.provide(Auth)))))
          expect(error).toEqual(new ConfigurationError.ConfigurationError({ option: "path", value: shown, reason }))
        }
      }
    })
  )

  it.scopedLive("is an endpoint of HttpApi that says so, and no other", () =>
    Effect.gen(function* () {
      const health = HttpApiEndpoint.get("health", "/health").addSuccess(Schema.String)
      const appOf = (endpoint: typeof health, also: (g: typeof group) => typeof group = (g) => g) => {
        const api = HttpApi.make("api").add(also(group.add(endpoint) as never))
        const handlers = HttpApiBuilder.group(
          api as never,
          "notes" as never,
          ((one: { handle: (name: string, handler: () => Effect.Effect<string>) => typeof one }) =>
            one.handle("whoami", () => Effect.succeed("me")).handle("health", () => Effect.succeed("fine"))) as never
        )
        return any(
          BearerAuthHttpApi.add(api, handlers as never).pipe(Layer.provide(Guards as never), Layer.provide(Auth))
        )
      }
      const tagged = (g: typeof group) => g.middleware(BearerAuthHttpApi.Protected) as never
      const isOpen = health.annotate(BearerAuthHttpApi.Open, true)

      expect(yield* Effect.flip(serve(appOf(health)))).toMatchObject({
        option: "BearerAuthHttpApi",
        value: "GET /mcp/whoami"
      })
      expect(yield* Effect.flip(serve(appOf(isOpen)))).toMatchObject({ value: "GET /mcp/whoami" })
      expect(yield* Effect.flip(serve(appOf(isOpen, tagged)))).toEqual(
        ConfigurationError.make(
          "BearerAuthHttpApi",
          "GET /mcp/health",
          "is annotated as Open, and a middleware protects it"
        )
      )
      const { lines, url } = yield* serve(appOf(health, (g) => g.annotate(BearerAuthHttpApi.Open, true) as never))
      expect((yield* get(`${url}/mcp/health`)).status).toBe(200)
      expect(lines.map(({ message }) => message)).toContain(
        "Open to anyone, without an access token: GET /mcp/whoami, GET /mcp/health"
      )
      // What an untyped caller wrote is no word for open.
      for (const value of ["false", "true", 1, {}]) {
        const error = yield* Effect.flip(
          serve(appOf(health, (g) => g.annotate(BearerAuthHttpApi.Open, value as never) as never))
        )
        expect(error).toMatchObject({ option: "BearerAuthHttpApi", value: "GET /mcp/whoami" })
      }
      const nearest = yield* Effect.flip(
        serve(
          appOf(
            health.annotate(BearerAuthHttpApi.Open, false),
            (g) => g.annotate(BearerAuthHttpApi.Open, true) as never
          )
        )
      )
      expect(nearest).toMatchObject({ value: "GET /mcp/health" })
    })
  )

  it.scopedLive("is a procedure that says so, and no other", () =>
    Effect.gen(function* () {
      const whoami = Rpc.make("whoami", { success: Schema.String })
      const appOf = (procedures: RpcGroup.RpcGroup<typeof whoami>) =>
        any(
          BearerAuthRpc.add(procedures).pipe(
            Layer.provide(Rpcs),
            Layer.provide(BearerAuthRpc.layer(BearerAuthRpc.Protected)),
            Layer.provide(Auth)
          )
        )
      const isOpen = whoami.annotate(BearerAuthRpc.Open, true)
      expect(yield* Effect.flip(serve(appOf(RpcGroup.make(whoami))))).toEqual(
        ConfigurationError.make(
          "BearerAuthRpc",
          "POST /mcp whoami",
          "has no token to ask for: put a tag of BearerAuthRpc on it, or annotate it with BearerAuthRpc.Open"
        )
      )
      expect(
        yield* Effect.flip(serve(appOf(RpcGroup.make(isOpen).middleware(BearerAuthRpc.Protected) as never)))
      ).toEqual(
        ConfigurationError.make(
          "BearerAuthRpc",
          "POST /mcp whoami",
          "is annotated as Open, and a middleware protects it"
        )
      )
      for (const value of ["false", "true", 1, {}]) {
        const group = RpcGroup.make(whoami.annotate(BearerAuthRpc.Open, value as never))
        expect(yield* Effect.flip(serve(appOf(group)))).toMatchObject({ value: "POST /mcp whoami" })
      }
      const { lines } = yield* serve(appOf(RpcGroup.make(isOpen)))
      expect(lines.map(({ message }) => message)).toContain("Open to anyone, without an access token: POST /mcp whoami")
    })
  )
})

describe("a server that is not HttpLayerRouter", () => {
  const warning =
    "WARN Nothing serves the metadata of https://api.example/mcp: clients that follow a challenge to " +
    `${metadataUrl} get no answer. Wrap the app in ProtectedResource.metadataMiddleware`

  const built = <E, R>(layer: Layer.Layer<never, E, R>) =>
    Effect.gen(function* () {
      const logs = captureLogs()
      yield* Layer.build(any(layer).pipe(Layer.provide(logs.layer)) as Layer.Layer<never>)
      yield* TestClock.adjust("1 second")
      return logs.lines.filter((line) => line.startsWith("WARN"))
    })

  const node = NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })
  const served = (server: Layer.Layer<never, never, HttpServer.HttpServer>) =>
    server.pipe(
      Layer.provide(HttpApiBuilder.api(Api)),
      Layer.provide(ApiHandlers),
      Layer.provide(Guards),
      Layer.provide(Auth)
    )
  const WithMetadata = Layer.unwrapEffect(Effect.map(ProtectedResource.metadataMiddleware, HttpApiBuilder.serve))

  it.scoped("is warned of when a door is built", () =>
    Effect.gen(function* () {
      expect(yield* built(Layer.provide(served(HttpApiBuilder.serve() as never), node))).toEqual([warning])
    })
  )

  it.scoped("is not warned of where the middleware stands around the app, or a router knows better", () =>
    Effect.gen(function* () {
      expect(yield* built(Layer.provide(served(WithMetadata as never), node))).toEqual([])
      const routed = HttpLayerRouter.serve(
        HttpLayerRouter.add("GET", "/mcp", whoami).pipe(Layer.provide(BearerAuth.layer)),
        {
          disableLogger: true
        }
      )
      expect(yield* built(routed.pipe(Layer.provide(Auth), Layer.provide(node)))).toEqual([])
    })
  )

  const urlOf = (server: Layer.Layer<never, never, HttpServer.HttpServer>) =>
    Effect.map(Layer.build(Layer.provideMerge(server, node)), (context) => {
      const { address } = Context.get(context, HttpServer.HttpServer)
      return `http://127.0.0.1:${address._tag === "TcpAddress" ? address.port : 0}`
    })

  it.scopedLive("HttpApiBuilder.serve answers at both places, and for the rest as before", () =>
    Effect.gen(function* () {
      const url = yield* urlOf(served(WithMetadata as never) as never)
      for (const at of [pathname, `${pathname}/`, root, `${root}/`, `${root}?x=1`]) {
        expect([at, ...(yield* documentAt(url + at))]).toEqual([at, 200, "https://api.example/mcp"])
      }
      expect((yield* get(url + pathname, {}, "POST")).status).toBe(405)
      expect((yield* get(url + pathname, {}, "OPTIONS")).status).toBe(204)
      expect((yield* get(`${url}/whoami`)).status).toBe(401)
      expect((yield* get(`${url}${root}/other`)).status).toBe(404)
    })
  )

  it.scopedLive("HttpRouter and HttpApp, too", () =>
    Effect.gen(function* () {
      const router = HttpRouter.empty.pipe(HttpRouter.get("/", HttpServerResponse.text("home")))
      const server = Layer.unwrapEffect(
        Effect.map(ProtectedResource.metadataMiddleware, (metadata) => HttpServer.serve(metadata(router)))
      ).pipe(Layer.provide(Resource))
      const url = yield* urlOf(server as never)
      expect(yield* documentAt(url + pathname)).toEqual([200, "https://api.example/mcp"])
      expect((yield* get(url)).status).toBe(200)
    })
  )
})
