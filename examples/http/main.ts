/**
 * Runs the API beside an authorization server, sends it a few requests, and ends.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as AuthorizationServer from "../mcp/authorizationServer.ts"
import { freePorts } from "../mcp/ports.ts"
import { requestToken } from "../mcp/requests.ts"
import * as Server from "./server.ts"

const client = { id: "machine", secret: "machine-secret-of-more-than-32-characters" }

const main = Effect.gen(function* () {
  const [port = 0] = yield* freePorts(1)
  const baseUrl = `http://127.0.0.1:${port}`
  const resource = `${baseUrl}/api`
  const home = yield* AuthorizationServer.start({
    resources: { [resource]: ["notes:read", "notes:admin", "notes:publish"] },
    clients: [client]
  })
  const environment = new Map([
    ["ISSUER", home.issuer],
    ["BASE_URL", baseUrl],
    ["PORT", String(port)]
  ])
  yield* Layer.build(Server.layer.pipe(Layer.provide(Layer.setConfigProvider(ConfigProvider.fromMap(environment)))))

  const request = (method: string, path: string, token?: string) =>
    Effect.promise(async () => {
      const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
      const response = await fetch(baseUrl + path, { method, headers })
      const said = response.headers.get("www-authenticate") ?? (await response.text())
      console.log(`${method} ${path} -> ${response.status} ${said}`)
    })

  const reader = yield* requestToken(home, client, resource, "notes:read")
  const admin = yield* requestToken(home, client, resource, "notes:read notes:admin")
  yield* request("GET", "/api/health")
  yield* request("GET", "/api/notes")
  yield* request("GET", "/api/notes", reader)
  yield* request("DELETE", "/api/notes", reader)
  yield* request("DELETE", "/api/notes", admin)
  yield* request("POST", "/api/notes/publish", admin)
})

NodeRuntime.runMain(Effect.scoped(main))
