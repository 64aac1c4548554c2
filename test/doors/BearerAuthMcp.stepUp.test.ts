/**
 * Clients as they come get a wider token when a tool asks for one: both generations of the MCP SDK, an MCP server of
 * `@effect/ai`, and a real authorization server.
 */
import { describe, expect, it } from "@effect/vitest"
import {
  Client,
  type OAuthClientProvider,
  StreamableHTTPClientTransport,
  UnauthorizedError
} from "@modelcontextprotocol/client"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as AuthorizationServer from "../../examples/mcp/authorizationServer.ts"
import { Browserless, callAsUser, redirectUri, type Trace } from "../../examples/mcp/client.ts"
import { freePorts } from "../../examples/mcp/ports.ts"
import * as Server from "../../examples/mcp/server.ts"
import { capture } from "../support/server.ts"

const app = { id: "notes-app", redirectUri }

const start = Effect.gen(function* () {
  const [port = 0] = yield* freePorts(1)
  const url = `http://127.0.0.1:${port}/mcp`
  const { issuer } = yield* AuthorizationServer.start({
    resources: { [url]: ["notes:read", "notes:admin"] },
    clients: [],
    apps: [app]
  })
  yield* Layer.build(Server.layer({ issuer, port }).pipe(Layer.provide(capture([]))))
  return url
})

/** What the server answered, and how often users were asked, in order. */
const tracer = (url: string) => {
  const steps: Array<string> = []
  const trace: Trace = (line) => {
    const [, method, status = "", target = ""] = /^(\w+) +(\d+) (\S+)/.exec(line) ?? []
    if (method === "POST" && target === url) steps.push(status)
    if (target.endsWith("/authorize")) steps.push("authorize")
  }
  return { steps, trace }
}

const stepUp = ["401", "authorize", "200", "202", "403", "authorize", "200"]

describe("a client that lacks a tool's scope", () => {
  it.scopedLive("gets it and calls again: @modelcontextprotocol/sdk", () =>
    Effect.gen(function* () {
      const url = yield* start
      const { steps, trace } = tracer(url)
      const result = yield* Effect.promise(() => callAsUser(url, "erase_notes", trace, app.id))
      expect(result).toEqual({ text: '"all notes are erased"', isError: false })
      expect(steps).toEqual(stepUp)
    })
  )

  it.scopedLive("gets it and calls again: @modelcontextprotocol/client", () =>
    Effect.gen(function* () {
      const url = yield* start
      const { steps, trace } = tracer(url)
      const user = new Browserless(trace, app.id)
      // The interface of the older SDK, which this class implements, differs from the newer one's in names of types.
      const authProvider = user as unknown as OAuthClientProvider
      const traced = async (to: string | URL, init?: RequestInit) => {
        const response = await fetch(to, init)
        trace(`${init?.method ?? "GET"} ${response.status} ${to}`)
        return response
      }
      const connect = async (): Promise<readonly [Client, StreamableHTTPClientTransport]> => {
        const client = new Client({ name: "test", version: "1.0.0" })
        const transport = new StreamableHTTPClientTransport(new URL(url), { authProvider, fetch: traced })
        try {
          await client.connect(transport)
          return [client, transport]
        } catch (error) {
          if (!(error instanceof UnauthorizedError)) throw error
          await transport.finishAuth(user.callback)
          return connect()
        }
      }
      const result = yield* Effect.promise(async () => {
        const [client, transport] = await connect()
        const erase = () => client.callTool({ name: "erase_notes", arguments: {} })
        const erased = await erase().catch(async (error: unknown) => {
          if (!(error instanceof UnauthorizedError)) throw error
          await transport.finishAuth(user.callback)
          return erase()
        })
        await client.close()
        return erased
      })
      expect(result).toMatchObject({ content: [{ type: "text", text: '"all notes are erased"' }], isError: false })
      expect(steps).toEqual(stepUp)
    })
  )
})
