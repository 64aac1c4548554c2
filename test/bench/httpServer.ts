/**
 * The server of `http.ts`: one handler, open and protected. It sends its address to the parent process.
 */
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { BearerAuth, KeySet, ProtectedResource, TokenVerifier } from "effect-resource-server"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { createServer } from "node:http"
import { issuer, resource } from "../support/issuer.ts"

const server = createServer()
const jwk = JSON.parse(process.argv[2] ?? "") as object
const answer = HttpServerResponse.text("hello")

const App = Layer.merge(
  HttpLayerRouter.add("GET", "/open", answer),
  HttpLayerRouter.add("GET", "/protected", answer).pipe(Layer.provide(BearerAuth.layer))
).pipe(
  Layer.provide(TokenVerifier.layerJwt({ issuer })),
  Layer.provide(KeySet.layerLocal({ jwks: { keys: [jwk] } })),
  Layer.provide(
    ProtectedResource.layer({ baseUrl: resource, authorizationServers: [issuer], requiredScopes: ["mcp:tools"] })
  )
)

HttpLayerRouter.serve(App, { disableLogger: true, disableListenLog: true }).pipe(
  Layer.provide(NodeHttpServer.layer(() => server, { port: 0, host: "127.0.0.1" })),
  Layer.tap(() => Effect.sync(() => process.send?.(server.address()))),
  Layer.launch,
  NodeRuntime.runMain
)
