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
import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Rpc from "@effect/rpc/Rpc"
import * as RpcGroup from "@effect/rpc/RpcGroup"
import * as RpcSerialization from "@effect/rpc/RpcSerialization"
import {
  AccessToken,
  AuthKit,
  BearerAuth,
  BearerAuthHttpApi,
  ProtectedResource,
  TokenVerifier
} from "effect-resource-server"
import * as BearerAuthMcp from "effect-resource-server/BearerAuthMcp"
import * as BearerAuthRpc from "effect-resource-server/BearerAuthRpc"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { createServer } from "node:http"

const Auth = AuthKit.layer({ authkitDomain: "app.authkit.app", baseUrl: "https://api.example", path: "/mcp" })
const Node = Layer.merge(NodeHttpServer.layer(createServer, { port: 0 }), FetchHttpClient.layer)

/** Nothing is left to be provided. */
const run = <A, E>(server: Layer.Layer<A, E>) => Effect.runFork(Layer.launch(server))

const whoami = Effect.map(AccessToken.AccessToken, ({ subject }) => HttpServerResponse.text(subject ?? "nobody"))
const Whoami = BearerAuth.add("GET", "/whoami", whoami)
const PlainWhoami = HttpLayerRouter.add("GET", "/whoami", whoami)
const Erase = BearerAuth.add("DELETE", "/", HttpServerResponse.empty())
const Health = BearerAuth.addOpen("GET", "/health", HttpServerResponse.text("well"))

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

  // The handler reads no token, and is protected all the same.
  const Forgotten = HttpLayerRouter.serve(Erase)
  // @ts-expect-error AccessToken
  run(Forgotten.pipe(Layer.provide(Auth), Layer.provide(Node)))

  // The same where the handler is a function of the request.
  const OfRequest = BearerAuth.add("GET", "/method", ({ method }) => Effect.succeed(HttpServerResponse.text(method)))
  // @ts-expect-error AccessToken
  run(HttpLayerRouter.serve(OfRequest).pipe(Layer.provide(Auth), Layer.provide(Node)))

  run(HttpLayerRouter.serve(Layer.provide(Erase, BearerAuth.layer)).pipe(Layer.provide(Auth), Layer.provide(Node)))

  // What is open says so, and needs no door: a resource is enough.
  const OnlyResource = AuthKit.layerResource({ authkitDomain: "app.authkit.app", baseUrl: "https://api.example" })
  run(HttpLayerRouter.serve(Health).pipe(Layer.provide(OnlyResource), Layer.provide(Node)))

  const OpenBelow = HttpLayerRouter.serve(Layer.provide(Layer.merge(Erase, Health), BearerAuth.layer))
  run(OpenBelow.pipe(Layer.provide(Auth), Layer.provide(Node)))

  // An open handler cannot read a token, not even below a door: the door leaves it alone.
  const OpenReads = BearerAuth.addOpen("GET", "/whoami", whoami)
  const Below = HttpLayerRouter.serve(Layer.provide(OpenReads, BearerAuth.layer))
  // @ts-expect-error AccessToken
  run(Below.pipe(Layer.provide(Auth), Layer.provide(Node)))

  // Nor where `layerRequest` hands the requirement on to the router.
  const HandedOn = HttpLayerRouter.serve(
    OpenReads.pipe(Layer.provide(AccessToken.layerRequest), Layer.provide(BearerAuth.layer))
  )
  // @ts-expect-error the handler of an open route reads AccessToken
  run(HandedOn.pipe(Layer.provide(Auth), Layer.provide(Node)))

  // Nor a function that asks for scopes.
  const OpenAsks = BearerAuth.addOpen("GET", "/", () =>
    Effect.as(AccessToken.requireScopes("admin"), HttpServerResponse.empty())
  )
  // @ts-expect-error AccessToken
  run(HttpLayerRouter.serve(Layer.provide(OpenAsks, BearerAuth.layer)).pipe(Layer.provide(Auth), Layer.provide(Node)))

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
  // @ts-expect-error TokenVerifier
  run(Protected.pipe(Layer.provide(OnlyResource), Layer.provide(Node)))
}

const Own = TokenVerifier.layer(() => Effect.succeed({ claims: {}, scopes: new Set<string>() }))

export const ownVerifier = () => {
  const Protected = HttpLayerRouter.serve(Layer.provide(Whoami, BearerAuth.layer))
  run(Protected.pipe(Layer.provide(Layer.provideMerge(Own, Auth)), Layer.provide(Node)))

  // Beside a preset, which has a verifier: one of the two would be ignored without a word.
  const Beside = Layer.merge(Auth, Own)
  // @ts-expect-error ProtectedResource
  run(Protected.pipe(Layer.provide(Beside), Layer.provide(Node)))

  // The same in the other order.
  const Before = Layer.merge(Own, Auth)
  // @ts-expect-error ProtectedResource
  run(Protected.pipe(Layer.provide(Before), Layer.provide(Node)))

  // A verifier that says nothing of its resource could be bound to any.
  // @ts-expect-error Property 'resource' is missing
  Layer.succeed(TokenVerifier.TokenVerifier, {
    verify: () => Effect.succeed({ claims: {}, scopes: new Set<string>() })
  })
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

const endpoint = HttpApiEndpoint.get("whoami", "/whoami").addSuccess(Schema.String)
const ProtectedApi = HttpApi.make("api").add(
  HttpApiGroup.make("notes").add(endpoint).middleware(BearerAuthHttpApi.Protected)
)
const OpenApi = HttpApi.make("api").add(HttpApiGroup.make("notes").add(endpoint))

export const httpApi = () => {
  const Handlers = HttpApiBuilder.group(ProtectedApi, "notes", (handlers) => handlers.handle("whoami", () => subject))
  const Routes = BearerAuthHttpApi.add(ProtectedApi, Handlers)
  const Guarded = HttpLayerRouter.serve(Layer.provide(Routes, BearerAuthHttpApi.layer(BearerAuthHttpApi.Protected)))
  run(Guarded.pipe(Layer.provide(Auth), Layer.provide(Node)))

  // The API has the tag, and nothing that verifies.
  const Unguarded = HttpLayerRouter.serve(Routes)
  // @ts-expect-error Type 'Protected' is not assignable to type 'never'
  run(Unguarded.pipe(Layer.provide(Auth), Layer.provide(Node)))

  // The handler reads a token, and its API has no tag.
  const Open = HttpApiBuilder.group(OpenApi, "notes", (handlers) => handlers.handle("whoami", () => subject))
  const OpenRoutes = HttpLayerRouter.serve(BearerAuthHttpApi.add(OpenApi, Open))
  // @ts-expect-error AccessToken
  run(OpenRoutes.pipe(Layer.provide(Auth), Layer.provide(Node)))

  // A handler fails with what its endpoint declares; an open one declares no shortfall.
  const shortfall = () => Effect.as(AccessToken.requireScopes("admin"), "done")
  HttpApiBuilder.group(ProtectedApi, "notes", (handlers) => handlers.handle("whoami", shortfall))
  // @ts-expect-error ScopeMissing
  HttpApiBuilder.group(OpenApi, "notes", (handlers) => handlers.handle("whoami", shortfall))
}

const OpenGroup = RpcGroup.make(Rpc.make("whoami", { success: Schema.String }))
const ProtectedGroup = OpenGroup.middleware(BearerAuthRpc.Protected)
const Rpcs = Layer.merge(Node, RpcSerialization.layerNdjson)

export const rpc = () => {
  const Routes = Layer.provide(BearerAuthRpc.add(ProtectedGroup), ProtectedGroup.toLayer({ whoami: () => subject }))
  const Guarded = HttpLayerRouter.serve(Layer.provide(Routes, BearerAuthRpc.layer(BearerAuthRpc.Protected)))
  run(Guarded.pipe(Layer.provide(Auth), Layer.provide(Rpcs)))

  // The procedures have the tag, and nothing that verifies.
  const Unguarded = HttpLayerRouter.serve(Routes)
  // @ts-expect-error Type 'Protected' is not assignable to type 'never'
  run(Unguarded.pipe(Layer.provide(Auth), Layer.provide(Rpcs)))

  // The handler reads a token, and its procedure has no tag.
  const Open = Layer.provide(BearerAuthRpc.add(OpenGroup), OpenGroup.toLayer({ whoami: () => subject }))
  const OpenRoutes = HttpLayerRouter.serve(Open)
  // @ts-expect-error AccessToken
  run(OpenRoutes.pipe(Layer.provide(Auth), Layer.provide(Rpcs)))

  // `layerRequest` asks for a protected route.
  const Passed = HttpLayerRouter.serve(Layer.provide(Open, AccessToken.layerRequest))
  // @ts-expect-error AccessToken
  run(Passed.pipe(Layer.provide(Auth), Layer.provide(Rpcs)))

  const Behind = HttpLayerRouter.serve(
    Open.pipe(Layer.provide(AccessToken.layerRequest), Layer.provide(BearerAuth.layer))
  )
  run(Behind.pipe(Layer.provide(Auth), Layer.provide(Rpcs)))
}
