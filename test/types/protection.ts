/**
 * What must not compile, and beside it what must.
 *
 * The text behind a directive must occur in what the compiler says: a case that fails for another reason proves nothing.
 */
// @effect-diagnostics *:skip-file
import * as McpServer from "@effect/ai/McpServer"
import * as Tool from "@effect/ai/Tool"
import * as Toolkit from "@effect/ai/Toolkit"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { AccessToken, AuthKit, BearerAuth, ProtectedResource } from "effect-resource-server"
import * as BearerAuthMcp from "effect-resource-server/BearerAuthMcp"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { createServer } from "node:http"

const Auth = AuthKit.layer({ authkitDomain: "app.authkit.app", baseUrl: "https://api.example", path: "/mcp" })
const Node = Layer.merge(NodeHttpServer.layer(createServer, { port: 0 }), FetchHttpClient.layer)

/** Nothing is left to be provided. */
const run = <A, E>(server: Layer.Layer<A, E>) => Effect.runFork(Layer.launch(server))

const whoami = Effect.map(AccessToken.AccessToken, ({ subject }) => HttpServerResponse.text(subject ?? "nobody"))
const Whoami = ProtectedResource.add("GET", "/whoami", whoami)
const PlainWhoami = HttpLayerRouter.add("GET", "/whoami", whoami)

export const routes = () => {
  const Protected = HttpLayerRouter.serve(Layer.provide(Whoami, BearerAuth.layer))
  run(Protected.pipe(Layer.provide(Auth), Layer.provide(Node)))

  const Scoped = HttpLayerRouter.serve(Layer.provide(PlainWhoami, BearerAuth.layerScopes("notes:read")))
  run(Scoped.pipe(Layer.provide(Auth), Layer.provide(Node)))

  // The handler reads a token that nobody has verified.
  const Open = HttpLayerRouter.serve(Whoami)
  // @ts-expect-error AccessToken
  run(Open.pipe(Layer.provide(Auth), Layer.provide(Node)))

  // The same with Effect's own `add`.
  const PlainOpen = HttpLayerRouter.serve(PlainWhoami)
  // @ts-expect-error AccessToken
  run(PlainOpen.pipe(Layer.provide(Auth), Layer.provide(Node)))

  // BearerAuth stands around another route than the one that reads the token.
  const Misplaced = HttpLayerRouter.serve(
    Layer.merge(Whoami, Layer.provide(ProtectedResource.layerMetadataRoute, BearerAuth.layer))
  )
  // @ts-expect-error AccessToken
  run(Misplaced.pipe(Layer.provide(Auth), Layer.provide(Node)))

  // Protected, but nothing says for which resource, nor by which verifier.
  // @ts-expect-error ProtectedResource
  run(Layer.provide(Protected, Node))

  // A resource without a verifier: protection cannot be had from the URL alone.
  const Resource = AuthKit.layerResource({ authkitDomain: "app.authkit.app", baseUrl: "https://api.example" })
  // @ts-expect-error TokenVerifier
  run(Protected.pipe(Layer.provide(Resource), Layer.provide(Node)))
}

const Tools = Toolkit.make(Tool.make("whoami", { success: Schema.String, dependencies: [AccessToken.AccessToken] }))
const subject = Effect.map(AccessToken.AccessToken, (token) => token.subject ?? "nobody")
const Whose = Layer.provide(BearerAuthMcp.toolkit(Tools), Tools.toLayer({ whoami: () => subject }))
const Profile = McpServer.resource({ uri: "notes://profile", name: "profile", content: subject })
const Guarded = BearerAuthMcp.layerHttpRouter({ name: "notes", version: "1.0.0" })
const Plain = McpServer.layerHttpRouter({ name: "notes", version: "1.0.0", path: "/mcp" })

export const mcp = () => {
  const Protected = HttpLayerRouter.serve(Layer.provide(Layer.merge(Whose, Profile), Guarded))
  run(Protected.pipe(Layer.provide(Auth), Layer.provide(Node)))

  // The tool reads a token, and the MCP server of Effect asks for none.
  const OpenTool = HttpLayerRouter.serve(Layer.provide(Whose, Plain))
  // @ts-expect-error AccessToken
  run(OpenTool.pipe(Layer.provide(Auth), Layer.provide(Node)))

  // The same for a resource of MCP.
  const OpenResource = HttpLayerRouter.serve(Layer.provide(Profile, Plain))
  // @ts-expect-error AccessToken
  run(OpenResource.pipe(Layer.provide(Auth), Layer.provide(Node)))

  // `layerRequest` provides no token: it only passes the requirement on.
  const Passed = HttpLayerRouter.serve(Whose.pipe(Layer.provide(AccessToken.layerRequest), Layer.provide(Plain)))
  // @ts-expect-error AccessToken
  run(Passed.pipe(Layer.provide(Auth), Layer.provide(Node)))

  // Why `BearerAuthMcp.toolkit` exists: `McpServer.toolkit` forgets what its tools read. Once it does not, both go.
  const Forgotten = Layer.provide(McpServer.toolkit(Tools), Tools.toLayer({ whoami: () => subject }))
  run(HttpLayerRouter.serve(Layer.provide(Forgotten, Plain)).pipe(Layer.provide(Node)))
}
