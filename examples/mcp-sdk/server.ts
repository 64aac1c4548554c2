/**
 * A server of the MCP TypeScript SDK on Express. Effect is in the one value that describes the resource.
 */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js"
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js"
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js"
import { ResourceServer } from "effect-resource-server"
import * as BearerAuthMcpSdk from "effect-resource-server/BearerAuthMcpSdk"
import * as Layer from "effect/Layer"
import express from "express"

/** The server of one request: it keeps no sessions. */
const makeServer = () => {
  const server = new McpServer({ name: "notes", version: "1.0.0" })
  server.registerTool("whoami", { description: "Says whose token this is" }, ({ authInfo }) => ({
    content: [{ type: "text", text: `${String(authInfo?.extra?.["subject"])} with ${authInfo?.scopes.join(" ")}` }]
  }))
  return server
}

/** Starts the server; it stops when it is told to. */
export const start = async (options: { readonly issuer: string; readonly port: number }) => {
  const auth = await BearerAuthMcpSdk.make(
    ResourceServer.layer({
      issuer: options.issuer,
      baseUrl: `http://127.0.0.1:${options.port}`,
      path: "/mcp",
      requiredScopes: ["notes:read"]
    }).pipe(Layer.provide(FetchHttpClient.layer))
  )

  const app = express()
  app.use(auth.metadata)
  app.post(auth.path, auth.requireBearerAuth(), express.json(), async (request, response) => {
    const transport = new StreamableHTTPServerTransport({ enableJsonResponse: true })
    // The SDK's own types disagree under exactOptionalPropertyTypes.
    await makeServer().connect(transport as Transport)
    await transport.handleRequest(request, response, request.body)
  })
  const server = app.listen(options.port, "127.0.0.1")
  await new Promise((done) => server.once("listening", done))

  return async () => {
    server.closeAllConnections()
    server.close()
    await auth.dispose()
  }
}
