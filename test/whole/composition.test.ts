/**
 * Two resources in one process whose doors stand in shared constants: no composition lets a token for one in at the other.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServer from "@effect/platform/HttpServer"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Rpc from "@effect/rpc/Rpc"
import * as RpcGroup from "@effect/rpc/RpcGroup"
import * as RpcSerialization from "@effect/rpc/RpcSerialization"
import * as RpcServer from "@effect/rpc/RpcServer"
import { describe, expect, it } from "@effect/vitest"
import {
  AccessToken,
  BearerAuth,
  BearerAuthHttpApi,
  ConfigurationError,
  ProtectedResource,
  TokenVerifier
} from "effect-resource-server"
import * as BearerAuthRpc from "effect-resource-server/BearerAuthRpc"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { createServer } from "node:http"
import { issuer, mint } from "../support/issuer.ts"
import { Keys } from "../support/rejections.ts"
import { capture, serve } from "../support/server.ts"
import * as Testing from "effect-resource-server/Testing"

const paths = ["/a", "/b"] as const

type Path = (typeof paths)[number]

const authAt = (path: Path) =>
  TokenVerifier.layerJwt({ issuer }).pipe(
    Layer.provide(Keys),
    Layer.provideMerge(
      ProtectedResource.layer({ baseUrl: "https://api.example", path, authorizationServers: [issuer] })
    )
  )

/** A Layer of whatever type: only what becomes of it is looked at here. */
type AnyLayer = Layer.Layer<never, never, never>

const any = <A, E, R>(layer: Layer.Layer<A, E, R>) => layer as unknown as AnyLayer

const subject = Effect.map(AccessToken.AccessToken, (token) => token.subject ?? "nobody")
const text = Effect.map(subject, HttpServerResponse.text)

const Api = HttpApi.make("api").add(
  HttpApiGroup.make("notes")
    .add(HttpApiEndpoint.get("whoami", "/whoami").addSuccess(Schema.String))
    .middleware(BearerAuthHttpApi.Protected)
)
const WholeApi = HttpApi.make("whole")
  .add(HttpApiGroup.make("notes").add(HttpApiEndpoint.get("whoami", "/whoami").addSuccess(Schema.String)))
  .middleware(BearerAuthHttpApi.Protected)
const handlersOf = (api: typeof Api | typeof WholeApi) =>
  HttpApiBuilder.group(api as typeof Api, "notes", (handlers) => handlers.handle("whoami", () => subject))

const Procedures = RpcGroup.make(Rpc.make("whoami", { success: Schema.String })).middleware(BearerAuthRpc.Protected)
const ProcedureHandlers = Procedures.toLayer({ whoami: () => subject })
const call = JSON.stringify({ _tag: "Request", id: "1", tag: "whoami", payload: null, headers: [] })

/** Routes of one resource, still without the door, and how one of them is asked. */
interface Door {
  readonly name: string
  readonly door: AnyLayer
  readonly routes: (path: Path) => AnyLayer
  readonly ask: (url: string, path: Path, token: Testing.Token) => Effect.Effect<string>
}

const get =
  (below: string): Door["ask"] =>
  (url, path, token) =>
    Effect.map(
      Effect.promise(() => fetch(`${url}${path}${below}`, { headers: Testing.bearer(token) })),
      ({ status }) => String(status)
    )

/** RPC answers 200 whatever happened: the tag of the error says it, or that the call died. */
const rpc: Door["ask"] = (url, path, token) =>
  Effect.promise(async () => {
    const headers = { ...Testing.bearer(token), "content-type": "application/json" }
    const response = await fetch(url + path, { method: "POST", headers, body: call })
    const answer = await response.text()
    if (response.status === 401 || answer.includes('"AudienceMismatch"')) return "401"
    return answer.includes('"_tag":"Success"') ? "200" : `${response.status} ${answer}`
  })

const doors: ReadonlyArray<Door> = [
  {
    name: "BearerAuth.layer, BearerAuth.add",
    door: any(BearerAuth.layer),
    routes: () => any(BearerAuth.add("GET", "/", text)),
    ask: get("")
  },
  {
    name: "BearerAuth.layerScopes, BearerAuth.add",
    door: any(BearerAuth.layerScopes("mcp:tools")),
    routes: () => any(BearerAuth.add("GET", "/", text)),
    ask: get("")
  },
  {
    name: "BearerAuth.layer, HttpLayerRouter.add",
    door: any(BearerAuth.layer),
    routes: (path) => any(HttpLayerRouter.add("GET", path, text)),
    ask: get("")
  },
  {
    name: "BearerAuthHttpApi.layer, BearerAuthHttpApi.add",
    door: any(BearerAuthHttpApi.layer(BearerAuthHttpApi.Protected)),
    routes: () => any(BearerAuthHttpApi.add(Api, handlersOf(Api))),
    ask: get("/whoami")
  },
  {
    name: "BearerAuthHttpApi.layer on the whole API, BearerAuthHttpApi.add",
    door: any(BearerAuthHttpApi.layer(BearerAuthHttpApi.Protected)),
    routes: () => any(BearerAuthHttpApi.add(WholeApi as never, handlersOf(WholeApi))),
    ask: get("/whoami")
  },
  {
    name: "BearerAuth.layer, BearerAuthHttpApi.add",
    door: any(BearerAuth.layer),
    routes: () => any(BearerAuthHttpApi.add(Unmarked, UnmarkedHandlers)),
    ask: get("/whoami")
  },
  {
    name: "BearerAuthRpc.layer, BearerAuthRpc.add",
    door: any(BearerAuthRpc.layer(BearerAuthRpc.Protected)),
    routes: () =>
      any(BearerAuthRpc.add(Procedures).pipe(Layer.provide([ProcedureHandlers, RpcSerialization.layerJson]))),
    ask: rpc
  },
  {
    name: "BearerAuth.layer, BearerAuthRpc.add",
    door: any(BearerAuth.layer),
    routes: () =>
      any(
        BearerAuthRpc.add(RpcGroup.make(Rpc.make("whoami", { success: Schema.String }))).pipe(
          Layer.provide([ProcedureHandlers, RpcSerialization.layerJson])
        )
      ),
    ask: rpc
  }
]

const Unmarked = HttpApi.make("unmarked").add(
  HttpApiGroup.make("notes").add(HttpApiEndpoint.get("whoami", "/whoami").addSuccess(Schema.String))
)
const UnmarkedHandlers = HttpApiBuilder.group(Unmarked, "notes", (handlers) =>
  handlers.handle("whoami", () => subject as never)
)

class Neighbour extends Context.Tag("test/composition/Neighbour")<Neighbour, string>() {}

const Database = Layer.succeed(Neighbour, "database")

/** How a constant holds a door. Effect builds a constant once, but for those that are fresh. */
const constants: ReadonlyArray<{ readonly constant: string; readonly of: (door: AnyLayer) => AnyLayer }> = [
  { constant: "merged with a neighbour", of: (door) => any(Layer.mergeAll(door, Database)) },
  { constant: "nested twice", of: (door) => any(Layer.merge(Layer.empty, Layer.mergeAll(Database, door))) },
  { constant: "provided with a neighbour", of: (door) => any(Layer.provideMerge(door, Database)) }
]

const appOf = ({ routes }: Door, door: () => AnyLayer) =>
  paths
    .map((path) => any(routes(path).pipe(Layer.provide(door()), Layer.provide(authAt(path)))))
    .reduce((all, one) => Layer.merge(all, one))

/** What each resource says to the tokens of each, or why the app is not built. */
const outcome = (door: Door, app: AnyLayer) =>
  Effect.gen(function* () {
    const served = yield* Effect.exit(serve(app))
    if (Exit.isFailure(served)) return Cause.squash(served.cause)
    return yield* Effect.forEach(paths, (path) =>
      Effect.forEach(paths, (aud) =>
        Effect.flatMap(mint({ claims: { aud: `https://api.example${aud}` } }), (token) =>
          door.ask(served.value.url, path, token)
        )
      )
    )
  })

const apart = [
  ["200", "401"],
  ["401", "200"]
]

describe.each(doors)("$name", (door) => {
  it.scopedLive("keeps two resources apart where its constant stands alone", () =>
    Effect.gen(function* () {
      expect(
        yield* outcome(
          door,
          appOf(door, () => door.door)
        )
      ).toEqual(apart)
    })
  )

  for (const { constant, of } of constants) {
    it.scopedLive(`fails when built where two resources share a constant in which it is ${constant}`, () =>
      Effect.gen(function* () {
        const shared = of(door.door)
        const error = yield* outcome(
          door,
          appOf(door, () => shared)
        )
        expect(error).toBeInstanceOf(ConfigurationError.ConfigurationError)
        expect((error as Error).message).toMatch(
          /^BearerAuth(HttpApi|Rpc)? "https:\/\/api\.example\/[ab]": protects what belongs to https:\/\/api\.example\/[ab]: a Layer that holds it is shared/
        )
      })
    )

    it.scopedLive(`keeps two resources apart where that constant is fresh for each: ${constant}`, () =>
      Effect.gen(function* () {
        const shared = of(door.door)
        expect(
          yield* outcome(
            door,
            appOf(door, () => Layer.fresh(shared))
          )
        ).toEqual(apart)
      })
    )
  }
})

describe("a platform's own function", () => {
  const shared = Layer.mergeAll(BearerAuthHttpApi.layer(BearerAuthHttpApi.Protected), Database)

  it.scopedLive("HttpLayerRouter.addHttpApi fails when built for an API whose door is another resource's", () =>
    Effect.gen(function* () {
      const door: Door = {
        name: "",
        door: any(shared),
        // A router of the resource's path: else the two APIs have the same routes.
        routes: (path) =>
          any(
            HttpLayerRouter.addHttpApi(Api).pipe(
              Layer.provide(Layer.fresh(handlersOf(Api))),
              Layer.provide(
                Layer.effect(
                  HttpLayerRouter.HttpRouter,
                  Effect.map(HttpLayerRouter.HttpRouter, (router) => router.prefixed(path))
                )
              )
            )
          ),
        ask: get("/whoami")
      }
      const error = yield* outcome(
        door,
        appOf(door, () => any(shared))
      )
      expect(String(error)).toMatch(/BearerAuthHttpApi "https:\/\/api\.example\/[ab]": protects what belongs to/)
    })
  )

  /** `HttpLayerRouter.addHttpApi` below a router of each resource's path, and what stands around it. */
  const mounted = (handlers: AnyLayer, around: () => AnyLayer): Door => ({
    name: "",
    door: any(Layer.empty),
    routes: (path) =>
      any(
        HttpLayerRouter.addHttpApi(Api).pipe(
          Layer.provide(handlers),
          Layer.provide(around()),
          Layer.provide(
            Layer.effect(
              HttpLayerRouter.HttpRouter,
              Effect.map(HttpLayerRouter.HttpRouter, (router) => router.prefixed(path))
            )
          )
        )
      ),
    ask: get("/whoami")
  })
  const Door = () => any(BearerAuthHttpApi.layer(BearerAuthHttpApi.Protected))
  const elsewhere = [
    ["200", "401"],
    ["500", "500"]
  ]

  it.scopedLive("HttpLayerRouter.addHttpApi answers 500 where handlers that are built once have another's door", () =>
    Effect.gen(function* () {
      const handlers = any(handlersOf(Api))
      const own = mounted(handlers, Door)
      expect(
        yield* outcome(
          own,
          appOf(own, () => own.door)
        )
      ).toEqual(elsewhere)
      const inside = mounted(any(Layer.provide(handlers, Door())), () => any(Layer.empty))
      expect(
        yield* outcome(
          inside,
          appOf(inside, () => inside.door)
        )
      ).toEqual(elsewhere)
      const shared = any(Layer.merge(Door(), Database))
      const both = mounted(handlers, () => shared)
      expect(
        String(
          yield* outcome(
            both,
            appOf(both, () => both.door)
          )
        )
      ).toMatch(/BearerAuthHttpApi "https.*protects what/)
    })
  )

  it.scopedLive("HttpApiBuilder.serve answers 500 where handlers that are built once have another's door", () =>
    Effect.gen(function* () {
      const handlers = any(Layer.provide(handlersOf(Api), Door()))
      const urls = new Map<Path, string>()
      const serverAt = (path: Path) =>
        any(
          Layer.merge(
            HttpApiBuilder.serve().pipe(Layer.provide(HttpApiBuilder.api(Api)), Layer.provide(handlers)),
            Layer.effectDiscard(
              HttpServer.addressWith((address) =>
                Effect.sync(() =>
                  urls.set(path, `http://127.0.0.1:${address._tag === "TcpAddress" ? address.port : 0}/whoami`)
                )
              )
            )
          ).pipe(
            Layer.provide(authAt(path)),
            Layer.provide(Layer.fresh(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })))
          )
        )
      yield* Layer.build(Layer.provideMerge(serverAt("/b"), serverAt("/a")))
      const token = yield* mint({ claims: { aud: "https://api.example/a" } })
      const statusOf = (path: Path) => get("")(urls.get(path) ?? "", "" as Path, token)
      expect([yield* statusOf("/a"), yield* statusOf("/b")]).toEqual(["200", "500"])
    })
  )

  it.scopedLive("HttpApiBuilder.serve fails when built for an API whose door is another resource's", () =>
    Effect.gen(function* () {
      const serverAt = (path: Path) =>
        HttpApiBuilder.serve().pipe(
          Layer.provide(HttpApiBuilder.api(Api)),
          Layer.provide(handlersOf(Api)),
          Layer.provide(shared),
          Layer.provide(authAt(path)),
          Layer.provide(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" }))
        )
      const exit = yield* Effect.exit(Layer.build(Layer.merge(serverAt("/a"), serverAt("/b"))))
      expect(Exit.isFailure(exit) && String(Cause.squash(exit.cause))).toMatch(
        /BearerAuthHttpApi "https.*protects what/
      )
    })
  )

  it.scopedLive(
    "RpcServer.layerHttpRouter serves no procedure with a tag: only BearerAuthRpc.add knows whose it is",
    () =>
      Effect.gen(function* () {
        const door: Door = {
          name: "",
          door: any(BearerAuthRpc.layer(BearerAuthRpc.Protected)),
          routes: (path) =>
            any(
              RpcServer.layerHttpRouter({ group: Procedures, path, protocol: "http" }).pipe(
                Layer.provide([ProcedureHandlers, RpcSerialization.layerJson])
              )
            ),
          ask: rpc
        }
        const answers = yield* outcome(
          door,
          appOf(door, () => door.door)
        )
        for (const answer of (answers as ReadonlyArray<ReadonlyArray<string>>).flat()) {
          expect(answer).toContain("protects procedures that BearerAuthRpc.add does not serve")
        }
      })
  )
})

describe("a server inside a resource", () => {
  it.scopedLive("is not taken for the resource of an API whose door stands around it", () =>
    Effect.gen(function* () {
      const around = BearerAuthHttpApi.layer(BearerAuthHttpApi.Protected)
      const apis = [
        BearerAuthHttpApi.add(Api, handlersOf(Api)).pipe(Layer.provide(around)),
        HttpLayerRouter.addHttpApi(Api).pipe(Layer.provide(handlersOf(Api)), Layer.provide(around))
      ]
      for (const [api, path] of [
        [apis[0], "/b/whoami"],
        [apis[1], "/whoami"]
      ] as const) {
        const server = HttpLayerRouter.serve(any(api!.pipe(Layer.provide(authAt("/b")) as never)), {
          disableLogger: true,
          disableListenLog: true
        }).pipe(
          Layer.provide(authAt("/a")),
          Layer.provideMerge(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" }))
        )
        const { address } = Context.get(yield* Layer.build(server), HttpServer.HttpServer)
        const url = `http://127.0.0.1:${address._tag === "TcpAddress" ? address.port : 0}${path}`
        const statusOf = (aud: Path) =>
          Effect.flatMap(mint({ claims: { aud: `https://api.example${aud}` } }), (token) =>
            get("")(url, "" as Path, token)
          )
        expect([yield* statusOf("/a"), yield* statusOf("/b")]).toEqual(["401", "200"])
      }
    })
  )

  it.scopedLive("is compared by what adds a route, and not by the server that a request comes from", () =>
    Effect.gen(function* () {
      const inner = BearerAuth.add("GET", "/", text).pipe(Layer.provide(BearerAuth.layer), Layer.provide(authAt("/b")))
      const lines: Parameters<typeof capture>[0] = []
      // The whole server stands in the context of resource /a.
      const server = HttpLayerRouter.serve(inner, { disableLogger: true, disableListenLog: true }).pipe(
        Layer.provide(authAt("/a")),
        Layer.provideMerge(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })),
        Layer.provide(capture(lines))
      )
      const { address } = Context.get(yield* Layer.build(server), HttpServer.HttpServer)
      const url = `http://127.0.0.1:${address._tag === "TcpAddress" ? address.port : 0}`
      const statusOf = (aud: Path) =>
        Effect.flatMap(mint({ claims: { aud: `https://api.example${aud}` } }), (token) => get("")(url, "/b", token))
      expect([yield* statusOf("/a"), yield* statusOf("/b")]).toEqual(["401", "200"])
    })
  )
})
