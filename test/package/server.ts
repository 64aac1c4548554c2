/**
 * A consumer that serves a route, an MCP server, an HttpApi and RPC on a free port: it asks itself without a token, and ends.
 */
import * as Tool from "@effect/ai/Tool"
import * as Toolkit from "@effect/ai/Toolkit"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
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
import { AccessToken, AuthKit, BearerAuth, BearerAuthHttpApi } from "effect-resource-server"
import * as BearerAuthMcp from "effect-resource-server/BearerAuthMcp"
import * as BearerAuthRpc from "effect-resource-server/BearerAuthRpc"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { deepStrictEqual } from "node:assert"
import { createServer } from "node:http"

const Auth = AuthKit.layer({ authkitDomain: "app.authkit.app", baseUrl: "https://api.example", path: "/mcp" })

const subject = Effect.map(AccessToken.AccessToken, (token) => token.subject ?? "nobody")

const whoami = Effect.map(subject, (text) => HttpServerResponse.text(text))
const Route = BearerAuth.add("GET", "/whoami", whoami).pipe(Layer.provide(BearerAuth.layerScopes("profile:read")))

const Tools = Toolkit.make(Tool.make("whoami", { success: Schema.String, dependencies: [AccessToken.AccessToken] }))
const Mcp = BearerAuthMcp.toolkit(Tools).pipe(
  Layer.provide(Tools.toLayer({ whoami: () => subject })),
  Layer.provide(BearerAuthMcp.layerHttpRouter({ name: "notes", version: "1.0.0" }))
)

const Api = HttpApi.make("api").add(
  HttpApiGroup.make("notes")
    .add(HttpApiEndpoint.get("read", "/notes").addSuccess(Schema.String))
    .middleware(BearerAuthHttpApi.Protected)
)
const Handlers = HttpApiBuilder.group(Api, "notes", (handlers) => handlers.handle("read", () => subject))
const Notes = BearerAuthHttpApi.add(Api, Handlers).pipe(
  Layer.provide(BearerAuthHttpApi.layer(BearerAuthHttpApi.Protected))
)

const Procedures = RpcGroup.make(Rpc.make("whoami", { success: Schema.String })).middleware(BearerAuthRpc.Protected)
const Calls = BearerAuthRpc.add(Procedures).pipe(
  Layer.provide([Procedures.toLayer({ whoami: () => subject }), RpcSerialization.layerJson]),
  Layer.provide(BearerAuthRpc.layer(BearerAuthRpc.Protected)),
  Layer.provide(AuthKit.layer({ authkitDomain: "app.authkit.app", baseUrl: "https://api.example", path: "/rpc" }))
)

const Server = HttpLayerRouter.serve(Layer.mergeAll(Route, Mcp, Notes, Calls)).pipe(
  Layer.provide(Auth),
  Layer.provide(FetchHttpClient.layer),
  Layer.provideMerge(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 0 }))
)

/** What the server answers to a request without a token. */
const ask = (path: string, init: RequestInit) =>
  Effect.flatMap(HttpServer.HttpServer, ({ address }) =>
    Effect.promise(async () => {
      const port = address._tag === "TcpAddress" ? address.port : 0
      const { headers, status } = await fetch(`http://127.0.0.1:${port}${path}`, init)
      return [status, headers.get("www-authenticate")]
    })
  )

const main = Effect.gen(function* () {
  const metadata = 'Bearer resource_metadata="https://api.example/.well-known/oauth-protected-resource/mcp"'
  const ping = { body: '{"jsonrpc":"2.0","id":1,"method":"ping"}', headers: { "content-type": "application/json" } }
  deepStrictEqual(yield* ask("/mcp", { method: "POST", ...ping }), [401, metadata])
  deepStrictEqual(yield* ask("/mcp/whoami", {}), [401, `${metadata}, scope="profile:read"`])
  deepStrictEqual(yield* ask("/mcp/notes", {}), [401, metadata])
  deepStrictEqual(yield* ask("/rpc", { method: "POST", body: "[]" }), [200, null])
  console.log("server: ok")
})

NodeRuntime.runMain(Effect.provide(main, Server))
