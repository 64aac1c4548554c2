/**
 * Runs the procedures beside an authorization server, calls them with typed clients, and ends.
 */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as RpcClient from "@effect/rpc/RpcClient"
import * as RpcSerialization from "@effect/rpc/RpcSerialization"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as AuthorizationServer from "../mcp/authorizationServer.ts"
import { freePorts } from "../mcp/ports.ts"
import { requestToken } from "../mcp/requests.ts"
import { Notes, Status } from "./notes.ts"
import * as Server from "./server.ts"

const machine = { id: "machine", secret: "machine-secret-of-more-than-32-characters" }

/** Without it, a client of a protected route waits for ever when it is refused. */
const FilterStatusOk = Layer.effect(
  HttpClient.HttpClient,
  Effect.map(HttpClient.HttpClient, HttpClient.filterStatusOk)
).pipe(Layer.provide(FetchHttpClient.layer))

/** The token goes into the header of the HTTP request; those of RPC messages are not looked at. */
const protocol = (url: string, token?: string) =>
  RpcClient.layerProtocolHttp({
    url,
    transformClient: HttpClient.mapRequest((request) =>
      token === undefined ? request : HttpClientRequest.bearerToken(request, token)
    )
  }).pipe(Layer.provide([FilterStatusOk, RpcSerialization.layerNdjson]))

const main = Effect.gen(function* () {
  const [port = 0] = yield* freePorts(1)
  const baseUrl = `http://127.0.0.1:${port}`
  const notes = `${baseUrl}/notes`
  const status = `${baseUrl}/status`
  const home = yield* AuthorizationServer.start({
    resources: { [notes]: ["notes:read", "notes:admin"], [status]: ["notes:read"] },
    clients: [machine]
  })
  const environment = new Map([
    ["ISSUER", home.issuer],
    ["BASE_URL", baseUrl],
    ["PORT", String(port)]
  ])
  yield* Layer.build(Server.layer.pipe(Layer.provide(Layer.setConfigProvider(ConfigProvider.fromMap(environment)))))

  const readerToken = yield* requestToken(home, machine, notes, "notes:read")
  const adminToken = yield* requestToken(home, machine, notes, "notes:read notes:admin")
  const statusToken = yield* requestToken(home, machine, status, "notes:read")
  const notesWith = (token?: string) => Effect.provide(RpcClient.make(Notes), protocol(notes, token))
  const statusWith = (token?: string) => Effect.provide(RpcClient.make(Status), protocol(status, token))

  const [anonymous, stranger, reader, admin] = yield* Effect.all([
    notesWith(),
    notesWith(statusToken),
    notesWith(readerToken),
    notesWith(adminToken)
  ])
  yield* anonymous.read().pipe(
    Effect.catchTag("TokenMissing", () => Effect.succeed("TokenMissing")),
    Effect.flatMap((said) => Console.log(`nobody reads -> ${said}`))
  )
  yield* stranger.read().pipe(
    Effect.catchTag("AudienceMismatch", ({ actual }) => Effect.succeed(`AudienceMismatch: for ${actual.join(", ")}`)),
    Effect.flatMap((said) => Console.log(`a token of another resource reads -> ${said}`))
  )
  yield* Effect.flatMap(reader.read(), (said) => Console.log(`reader reads -> ${said}`))
  yield* reader.erase().pipe(
    Effect.catchTag("ScopeMissing", ({ required }) => Effect.succeed(`ScopeMissing: needs ${required.join(" ")}`)),
    Effect.flatMap((said) => Console.log(`reader erases -> ${said}`))
  )
  yield* Effect.flatMap(admin.erase(), (said) => Console.log(`admin erases -> ${said}`))

  const member = yield* statusWith(statusToken)
  yield* Effect.flatMap(member.status(), (said) => Console.log(`status with its token -> ${said}`))
  const wrong = yield* statusWith(readerToken)
  yield* wrong.status().pipe(
    Effect.catchTag("RpcClientError", ({ _tag, reason }) => Effect.succeed(`${_tag}: ${reason}`)),
    Effect.flatMap((said) => Console.log(`status with a token of the notes -> ${said}`))
  )
  const plain = yield* Effect.promise(() => fetch(status, { method: "POST" }))
  yield* Console.log(`without the typed client -> ${plain.status} ${plain.headers.get("www-authenticate")}`)
})

NodeRuntime.runMain(Effect.scoped(main))
