/**
 * An MCP server behind WorkOS AuthKit, configured by the environment: `AUTHKIT_DOMAIN`, and `PORT` (8000).
 */
import * as Tool from "@effect/ai/Tool"
import * as Toolkit from "@effect/ai/Toolkit"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { AccessToken, AuthKit, AuthorizationServer } from "effect-resource-server"
import * as BearerAuthMcp from "effect-resource-server/BearerAuthMcp"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { createServer } from "node:http"

const port = Config.integer("PORT").pipe(Config.withDefault(8000))

const Auth = AuthKit.layerConfig({
  authkitDomain: Config.string("AUTHKIT_DOMAIN"),
  baseUrl: Config.map(port, (port) => `http://127.0.0.1:${port}`),
  path: Config.succeed("/mcp")
})

const Tools = Toolkit.make(
  Tool.make("whoami", {
    description: "Says whose token this is",
    success: Schema.String,
    dependencies: [AccessToken.AccessToken]
  })
)

const Mcp = BearerAuthMcp.toolkit(Tools).pipe(
  Layer.provide(
    Tools.toLayer({ whoami: () => Effect.map(AccessToken.AccessToken, ({ subject }) => subject ?? "nobody") })
  ),
  Layer.provide(BearerAuthMcp.layerHttpRouter({ name: "example", version: "1.0.0" }))
)

const App = Layer.merge(Mcp, AuthorizationServer.layerMetadataRoute)

HttpLayerRouter.serve(App).pipe(
  Layer.provide(Auth),
  Layer.provide(FetchHttpClient.layer),
  Layer.provide(NodeHttpServer.layerConfig(createServer, { port, host: Config.succeed("127.0.0.1") })),
  Layer.launch,
  NodeRuntime.runMain
)
