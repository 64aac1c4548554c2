/**
 * An HTTP API of protected and open routes, configured by the environment: `ISSUER`, `BASE_URL`, `PORT`.
 */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { AccessToken, BearerAuth, ResourceServer } from "effect-resource-server"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { createServer } from "node:http"

/** `GET /api/health`: anyone may ask, and nothing is verified. A line at start names it. */
const Health = BearerAuth.addOpen("GET", "/health", HttpServerResponse.text("well"))

/** `GET /api/notes`: any token of this resource with the scope that every operation needs. */
const ReadNotes = BearerAuth.add(
  "GET",
  "/notes",
  Effect.map(AccessToken.AccessToken, ({ subject }) => HttpServerResponse.text(`the notes of ${subject}`))
).pipe(Layer.provide(BearerAuth.layer))

/** `DELETE /api/notes`: one scope more. */
const EraseNotes = BearerAuth.add("DELETE", "/notes", HttpServerResponse.text("erased")).pipe(
  Layer.provide(BearerAuth.layerScopes("notes:admin"))
)

/** `POST /api/notes/publish`: what is needed shows only in the handler; its failure is answered all the same. */
const PublishNotes = BearerAuth.add(
  "POST",
  "/notes/publish",
  Effect.as(AccessToken.requireScopes("notes:publish"), HttpServerResponse.text("published"))
).pipe(Layer.provide(BearerAuth.layer))

const Auth = ResourceServer.layerConfig({
  issuer: Config.string("ISSUER"),
  baseUrl: Config.string("BASE_URL"),
  path: Config.succeed("/api"),
  requiredScopes: Config.succeed(["notes:read"]),
  scopesSupported: Config.succeed(["notes:read", "notes:admin", "notes:publish"])
})

const Routes = Layer.mergeAll(Health, ReadNotes, EraseNotes, PublishNotes)

export const layer = HttpLayerRouter.serve(Routes, { disableLogger: true }).pipe(
  Layer.provide(Auth),
  Layer.provide(FetchHttpClient.layer),
  Layer.provide(
    NodeHttpServer.layerConfig(createServer, { port: Config.integer("PORT"), host: Config.succeed("127.0.0.1") })
  )
)
