/**
 * Serves procedures in the two ways, each a resource of its own, configured by the environment: `ISSUER`, `BASE_URL`, `PORT`.
 */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as RpcSerialization from "@effect/rpc/RpcSerialization"
import { AccessToken, BearerAuth, ResourceServer } from "effect-resource-server"
import * as BearerAuthRpc from "effect-resource-server/BearerAuthRpc"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { createServer } from "node:http"
import { Admins, Notes, Status } from "./notes.ts"

const authAt = (path: string) =>
  ResourceServer.layerConfig({
    issuer: Config.string("ISSUER"),
    baseUrl: Config.string("BASE_URL"),
    path: Config.succeed(path),
    requiredScopes: Config.succeed(["notes:read"])
  })

const subject = Effect.map(AccessToken.AccessToken, (token) => token.subject ?? "nobody")

/** `/notes`: each procedure is protected, and its rejections are errors of the call. */
const Typed = BearerAuthRpc.add(Notes).pipe(
  Layer.provide(
    Notes.toLayer({
      read: () => Effect.map(subject, (name) => `the notes of ${name}`),
      erase: () => Effect.succeed("erased")
    })
  ),
  Layer.provide(BearerAuthRpc.layer(BearerAuthRpc.Protected, Admins)),
  Layer.provide(authAt("/notes"))
)

/** `/status`: the route is protected, and its rejections are answers of HTTP. */
const Guarded = BearerAuthRpc.add(Status).pipe(
  Layer.provide(Status.toLayer({ status: () => Effect.map(subject, (name) => `well, ${name}`) })),
  Layer.provide(AccessToken.layerRequest),
  Layer.provide(BearerAuth.layer),
  Layer.provide(authAt("/status"))
)

export const layer = HttpLayerRouter.serve(Layer.merge(Typed, Guarded), { disableLogger: true }).pipe(
  Layer.provide([RpcSerialization.layerNdjson, FetchHttpClient.layer]),
  Layer.provide(
    NodeHttpServer.layerConfig(createServer, { port: Config.integer("PORT"), host: Config.succeed("127.0.0.1") })
  )
)
