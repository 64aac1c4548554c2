/**
 * The server under load, in a separate process so that its memory can be measured. It sends its address to the parent process,
 * and its memory whenever the parent asks.
 */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { AccessToken, BearerAuth, ResourceServer } from "effect-resource-server"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { createServer } from "node:http"

const [issuer = "", resource = "", cooldown = ""] = process.argv.slice(2)

const server = createServer()

const App = BearerAuth.add(
  "*",
  "/",
  Effect.map(AccessToken.AccessToken, ({ subject }) => HttpServerResponse.text(subject ?? ""))
).pipe(
  Layer.provide(BearerAuth.layer),
  Layer.provide(
    ResourceServer.layer({
      issuer,
      baseUrl: resource,
      keys: { jwksUri: `${issuer}/jwks` },
      requiredScopes: ["mcp:tools"],
      cooldown: `${Number(cooldown)} millis`,
      freshFor: `${2 * Number(cooldown)} millis`
    })
  )
)

process.on("message", () => {
  globalThis.gc?.()
  process.send?.({ memory: process.memoryUsage() })
})

HttpLayerRouter.serve(App, { disableLogger: true, disableListenLog: true }).pipe(
  Layer.provide(FetchHttpClient.layer),
  Layer.provide(NodeHttpServer.layer(() => server, { port: 0, host: "127.0.0.1" })),
  Layer.provide(Logger.replace(Logger.defaultLogger, Logger.none)),
  Layer.tap(() => Effect.sync(() => process.send?.({ address: server.address() }))),
  Layer.launch,
  NodeRuntime.runMain({ disablePrettyLogger: true })
)
