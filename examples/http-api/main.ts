/**
 * Runs the API beside an authorization server, calls it with a typed client, and ends.
 */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpApiClient from "@effect/platform/HttpApiClient"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as AuthorizationServer from "../mcp/authorizationServer.ts"
import { freePorts } from "../mcp/ports.ts"
import { requestToken } from "../mcp/requests.ts"
import { Api } from "./api.ts"
import * as Server from "./server.ts"

const machine = { id: "machine", secret: "machine-secret-of-more-than-32-characters" }

/** A client of the resource at this URL: the paths of `Api` are below it. */
const connect = (resource: string, token?: string) =>
  HttpApiClient.make(Api, {
    baseUrl: resource,
    transformClient: HttpClient.mapRequest((request) =>
      token === undefined ? request : HttpClientRequest.bearerToken(request, token)
    )
  }).pipe(Effect.provide(FetchHttpClient.layer))

const main = Effect.gen(function* () {
  const [port = 0] = yield* freePorts(1)
  const baseUrl = `http://127.0.0.1:${port}`
  const resource = `${baseUrl}/api`
  const elsewhere = `${baseUrl}/another`
  const home = yield* AuthorizationServer.start({
    resources: { [resource]: ["notes:read", "notes:admin", "notes:publish"], [elsewhere]: ["notes:read"] },
    clients: [machine]
  })
  const environment = new Map([
    ["ISSUER", home.issuer],
    ["BASE_URL", baseUrl],
    ["PORT", String(port)]
  ])
  yield* Layer.build(Server.layer.pipe(Layer.provide(Layer.setConfigProvider(ConfigProvider.fromMap(environment)))))

  const anonymous = yield* connect(resource)
  const reader = yield* connect(resource, yield* requestToken(home, machine, resource, "notes:read"))
  const admin = yield* connect(resource, yield* requestToken(home, machine, resource, "notes:read notes:admin"))
  const stranger = yield* connect(resource, yield* requestToken(home, machine, elsewhere, "notes:read"))

  yield* anonymous.notes.read().pipe(
    Effect.catchTag("TokenMissing", () => Effect.succeed("TokenMissing")),
    Effect.flatMap((said) => Console.log(`nobody reads -> ${said}`))
  )
  yield* stranger.notes.read().pipe(
    Effect.catchTag("AudienceMismatch", ({ actual }) => Effect.succeed(`AudienceMismatch: for ${actual.join(", ")}`)),
    Effect.flatMap((said) => Console.log(`a token of another resource reads -> ${said}`))
  )
  yield* Effect.flatMap(reader.notes.read(), (said) => Console.log(`reader reads -> ${said}`))
  yield* reader.administration.erase().pipe(
    Effect.catchTag("ScopeMissing", ({ required }) => Effect.succeed(`ScopeMissing: needs ${required.join(" ")}`)),
    Effect.flatMap((said) => Console.log(`reader erases -> ${said}`))
  )
  yield* Effect.flatMap(admin.administration.erase(), (said) => Console.log(`admin erases -> ${said}`))
  yield* admin.notes.publish().pipe(
    Effect.catchTag("ScopeMissing", ({ required }) => Effect.succeed(`ScopeMissing: needs ${required.join(" ")}`)),
    Effect.flatMap((said) => Console.log(`admin publishes -> ${said}`))
  )

  const plain = yield* Effect.promise(() => fetch(`${resource}/notes`))
  yield* Console.log(`without the typed client -> ${plain.status} ${plain.headers.get("www-authenticate")}`)
})

NodeRuntime.runMain(Effect.scoped(main))
