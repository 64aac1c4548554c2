/**
 * Serves the API, configured by the environment: `ISSUER`, `BASE_URL`, `PORT`.
 */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { AccessToken, BearerAuthHttpApi, ResourceServer } from "effect-resource-server"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { createServer } from "node:http"
import { Admins, Api } from "./api.ts"

const Notes = HttpApiBuilder.group(Api, "notes", (handlers) =>
  handlers
    .handle("read", () => Effect.map(AccessToken.AccessToken, ({ subject }) => `the notes of ${subject}`))
    // What is needed shows only in the handler; its failure is answered all the same.
    .handle("publish", () => Effect.as(AccessToken.requireScopes("notes:publish"), "published"))
)

const Administration = HttpApiBuilder.group(Api, "administration", (handlers) =>
  handlers.handle("erase", () => Effect.succeed("erased"))
)

const Routes = BearerAuthHttpApi.add(Api, Layer.merge(Notes, Administration)).pipe(
  Layer.provide(BearerAuthHttpApi.layer(BearerAuthHttpApi.Protected, Admins))
)

const Auth = ResourceServer.layerConfig({
  issuer: Config.string("ISSUER"),
  baseUrl: Config.string("BASE_URL"),
  path: Config.succeed("/api"),
  requiredScopes: Config.succeed(["notes:read"]),
  scopesSupported: Config.succeed(["notes:read", "notes:admin", "notes:publish"])
})

export const layer = HttpLayerRouter.serve(Routes, { disableLogger: true }).pipe(
  Layer.provide(Auth),
  Layer.provide(FetchHttpClient.layer),
  Layer.provide(
    NodeHttpServer.layerConfig(createServer, { port: Config.integer("PORT"), host: Config.succeed("127.0.0.1") })
  )
)
