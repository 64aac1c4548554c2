/**
 * Runs the server beside an authorization server, sends it a few requests, and ends.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as AuthorizationServer from "../mcp/authorizationServer.ts"
import { freePorts } from "../mcp/ports.ts"
import { requestToken } from "../mcp/requests.ts"
import { start } from "./server.ts"

const client = { id: "machine", secret: "machine-secret-of-more-than-32-characters" }

const main = Effect.gen(function* () {
  const [port = 0, otherPort = 0] = yield* freePorts(2)
  const baseUrl = `http://127.0.0.1:${port}`
  const resource = `${baseUrl}/notes`
  const other = "https://other.example/notes"
  const scopes = ["notes:read", "notes:admin"]
  const home = yield* AuthorizationServer.start({
    resources: { [resource]: scopes, [other]: scopes },
    clients: [client]
  })
  yield* serving({ issuer: home.issuer, port })

  const reader = yield* requestToken(home, client, resource, "notes:read")
  const admin = yield* requestToken(home, client, resource, "notes:read notes:admin")
  const elsewhere = yield* requestToken(home, client, other, "notes:read")
  yield* request(baseUrl, "GET", "/health")
  yield* request(baseUrl, "GET", "/.well-known/oauth-protected-resource/notes")
  yield* request(baseUrl, "GET", "/notes")
  yield* request(baseUrl, "GET", "/notes", reader)
  yield* request(baseUrl, "GET", "/notes", elsewhere)
  yield* request(baseUrl, "DELETE", "/notes", reader)
  yield* request(baseUrl, "DELETE", "/notes", admin)

  // A second server, which has never seen the issuer's keys when the issuer goes away.
  yield* serving({ issuer: home.issuer, port: otherPort })
  yield* home.stop
  yield* request(`http://127.0.0.1:${otherPort}`, "GET", "/notes", reader)
})

const serving = (options: Parameters<typeof start>[0]) =>
  Effect.acquireRelease(
    Effect.promise(() => start(options)),
    (stop) => Effect.promise(stop)
  )

const request = (baseUrl: string, method: string, path: string, token?: string) =>
  Effect.promise(async () => {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
    const response = await fetch(baseUrl + path, { method, headers })
    const retryAfter = response.headers.get("retry-after")
    const refused = response.headers.get("www-authenticate") ?? (retryAfter && `Retry-After: ${retryAfter}`)
    console.log(`${method} ${path} -> ${response.status} ${refused ?? (await response.text())}`)
  })

NodeRuntime.runMain(Effect.scoped(main))
