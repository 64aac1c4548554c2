/**
 * Runs the MCP server beside an authorization server, sends it a few requests, and ends.
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
  const resource = `http://127.0.0.1:${port}/mcp`
  const other = "https://other.example/mcp"
  const scopes = ["notes:read", "notes:list"]
  const home = yield* AuthorizationServer.start({
    resources: { [resource]: scopes, [other]: scopes },
    clients: [client]
  })
  yield* serving({ issuer: home.issuer, port })

  const reader = yield* requestToken(home, client, resource, "notes:read")
  const lister = yield* requestToken(home, client, resource, "notes:list")
  const elsewhere = yield* requestToken(home, client, other, "notes:read")
  yield* whoami("a good token", resource, reader)
  yield* whoami("no token", resource)
  yield* whoami("another resource's token", resource, elsewhere)
  yield* whoami("a token without the scope", resource, lister)

  // A second server, which has never seen the issuer's keys when the issuer goes away.
  yield* serving({ issuer: home.issuer, port: otherPort })
  yield* home.stop
  yield* whoami("an outage", `http://127.0.0.1:${otherPort}/mcp`, reader)
})

const serving = (options: Parameters<typeof start>[0]) =>
  Effect.acquireRelease(
    Effect.promise(() => start(options)),
    (stop) => Effect.promise(stop)
  )

/** Calls the tool `whoami`. */
const whoami = (name: string, url: string, token?: string) =>
  Effect.promise(async () => {
    const response = await fetch(url, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
        ...(token !== undefined && { authorization: `Bearer ${token}` })
      },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "whoami", arguments: {} } })
    })
    const retryAfter = response.headers.get("retry-after")
    const refused = response.headers.get("www-authenticate") ?? (retryAfter && `Retry-After: ${retryAfter}`)
    console.log(`${name} -> ${response.status} ${refused ?? (await response.text())}`)
  })

NodeRuntime.runMain(Effect.scoped(main))
