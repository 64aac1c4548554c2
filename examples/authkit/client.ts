/**
 * An MCP client for the server beside it: it registers itself, sends you to AuthKit to log in, and calls `whoami`.
 *
 * `SERVER_URL` is the MCP server (http://127.0.0.1:8000/mcp), `CALLBACK_PORT` where you come back to (8001).
 */
import { type OAuthClientProvider, UnauthorizedError } from "@modelcontextprotocol/sdk/client/auth.js"
import { Client } from "@modelcontextprotocol/sdk/client/index.js"
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js"
import type { OAuthClientInformationMixed, OAuthTokens } from "@modelcontextprotocol/sdk/shared/auth.js"
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js"
import { createServer } from "node:http"

const serverUrl = new URL(process.env["SERVER_URL"] ?? "http://127.0.0.1:8000/mcp")
const callbackUrl = `http://127.0.0.1:${process.env["CALLBACK_PORT"] ?? 8001}/callback`

/** Keeps everything in memory: each run registers and logs in anew. */
class InMemory implements OAuthClientProvider {
  readonly redirectUrl = callbackUrl
  readonly clientMetadata = {
    client_name: "AuthKit example",
    redirect_uris: [callbackUrl],
    grant_types: ["authorization_code"],
    response_types: ["code"],
    scope: "openid",
    // A program on somebody's machine keeps no secret; PKCE stands in for one.
    token_endpoint_auth_method: "none"
  }
  #registration: OAuthClientInformationMixed | undefined
  #tokens: OAuthTokens | undefined
  #codeVerifier = ""

  clientInformation = () => this.#registration
  saveClientInformation = (registration: OAuthClientInformationMixed) => void (this.#registration = registration)
  tokens = () => this.#tokens
  saveTokens = (tokens: OAuthTokens) => void (this.#tokens = tokens)
  codeVerifier = () => this.#codeVerifier
  saveCodeVerifier = (codeVerifier: string) => void (this.#codeVerifier = codeVerifier)
  redirectToAuthorization = (url: URL) => console.log(`Open ${url}`)
}

/** Waits for the browser to come back with an authorization code. */
const authorizationCode = (): Promise<string> =>
  new Promise((resolve, reject) => {
    const server = createServer((request, response) => {
      const query = new URL(request.url ?? "/", callbackUrl).searchParams
      const code = query.get("code")
      response.end(code === null ? "That did not work." : "Thank you. You can close this page.")
      if (!request.url?.startsWith("/callback")) return
      server.close()
      server.closeAllConnections()
      if (code === null) reject(new Error(query.get("error_description") ?? query.get("error") ?? "no code"))
      else resolve(code)
    })
    server.on("error", reject)
    server.listen(Number(new URL(callbackUrl).port), "127.0.0.1")
  })

const authProvider = new InMemory()

const connect = async (): Promise<Client> => {
  const client = new Client({ name: "authkit-example", version: "1.0.0" })
  const transport = new StreamableHTTPClientTransport(serverUrl, { authProvider })
  const code = authProvider.tokens() === undefined ? authorizationCode() : undefined
  try {
    // The SDK's own types disagree under exactOptionalPropertyTypes.
    await client.connect(transport as Transport)
    return client
  } catch (error) {
    if (!(error instanceof UnauthorizedError) || code === undefined) throw error
    await transport.finishAuth(await code)
    return connect()
  }
}

const client = await connect()
const { content } = await client.callTool({ name: "whoami", arguments: {} })
console.log(`You are ${(content as ReadonlyArray<{ text: string }>)[0]?.text}`)
await client.close()
