/**
 * An MCP server that accepts only tokens minted for it.
 */
import * as Tool from "@effect/ai/Tool"
import * as Toolkit from "@effect/ai/Toolkit"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { AccessToken, ProtectedResource, ResourceServer } from "effect-resource-server"
import * as BearerAuthMcp from "effect-resource-server/BearerAuthMcp"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Http from "node:http"

const Tools = Toolkit.make(
  Tool.make("whoami", {
    description: "Says whose token this is",
    success: Schema.String,
    dependencies: [AccessToken.AccessToken]
  }),
  Tool.make("erase_notes", {
    description: "Erases all notes",
    success: Schema.String
  }).annotate(BearerAuthMcp.Scopes, ["notes:admin"])
)

const ToolHandlers = Tools.toLayer({
  whoami: () =>
    Effect.map(AccessToken.AccessToken, ({ clientId, scopes, subject }) =>
      [`subject ${subject}`, `client ${clientId}`, `scopes ${[...scopes].join(" ")}`].join(", ")
    ),
  // It runs only for tokens with the scope that it declares above.
  erase_notes: () => Effect.succeed("all notes are erased")
})

const Mcp = BearerAuthMcp.toolkit(Tools).pipe(
  Layer.provide(ToolHandlers),
  Layer.provide(BearerAuthMcp.layerHttpRouter({ name: "notes", version: "1.0.0" }))
)

/** Clients that run in a browser, such as the MCP Inspector, have another origin than the server. */
const Cors = HttpLayerRouter.cors()

export interface Options {
  readonly issuer: string
  readonly port: number
  /** Makes the server that listens. Default: one of `node:http`. */
  readonly createServer?: () => Http.Server
}

/** The whole server. Its path is written here and nowhere else, and it finds out where the issuer publishes its keys. */
export const layer = (options: Options) =>
  HttpLayerRouter.serve(Layer.mergeAll(Mcp, ProtectedResource.layerMetadataRoute, Cors), {
    disableLogger: true,
    disableListenLog: true
  }).pipe(
    Layer.provide(
      ResourceServer.layer({
        issuer: options.issuer,
        baseUrl: `http://127.0.0.1:${options.port}`,
        path: "/mcp",
        requiredScopes: ["notes:read"],
        scopesSupported: ["notes:read", "notes:admin"],
        resourceName: "Notes",
        // Only for the example, which waits until a token has expired. Leave this out: the default is 30 seconds.
        clockTolerance: 0
      })
    ),
    Layer.provide(FetchHttpClient.layer),
    Layer.provide(
      NodeHttpServer.layer(options.createServer ?? Http.createServer, { port: options.port, host: "127.0.0.1" })
    )
  )
