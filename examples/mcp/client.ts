/**
 * MCP clients of the TypeScript SDK. They know the server's URL and find out the rest.
 */
import { ClientCredentialsProvider } from "@modelcontextprotocol/sdk/client/auth-extensions.js"
import { type OAuthClientProvider, UnauthorizedError } from "@modelcontextprotocol/sdk/client/auth.js"
import { Client } from "@modelcontextprotocol/sdk/client/index.js"
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js"
import type { OAuthClientInformationMixed, OAuthTokens } from "@modelcontextprotocol/sdk/shared/auth.js"
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js"

/** Takes a line for each request that a client makes, such as `GET 200 http://...`. */
export type Trace = (line: string) => void

/** A machine's credentials, and the authorization server that they belong to: no other server may see them. */
export interface Credentials {
  readonly id: string
  readonly secret: string
  readonly issuer: string
}

/** Calls a tool as a machine: client credentials. */
export const callAsMachine = (url: string, { id, issuer, secret }: Credentials, tool: string, trace: Trace) =>
  callTool(
    url,
    new ClientCredentialsProvider({ clientId: id, clientSecret: secret, expectedIssuer: issuer, scope: "notes:read" }),
    tool,
    trace
  )

/** Calls a tool as a user: an authorization code with PKCE, after dynamic registration unless the app is known already. */
export const callAsUser = (url: string, tool: string, trace: Trace, app?: string) =>
  callTool(url, new Browserless(trace, app), tool, trace)

/** Where the user's browser comes back to. */
export const redirectUri = "http://127.0.0.1/callback"

/** Calls a tool; whenever the server asks for it, the user is sent to the authorization server first. */
export const callTool = async (url: string, authProvider: OAuthClientProvider, tool: string, trace: Trace) => {
  const open = () => {
    const client = new Client({ name: "example", version: "1.0.0" })
    return {
      client,
      transport: new StreamableHTTPClientTransport(new URL(url), { authProvider, fetch: traced(trace) })
    }
  }
  let { client, transport } = open()
  const authorized = async <A>(ask: () => Promise<A>, again = ask): Promise<A> => {
    try {
      return await ask()
    } catch (error) {
      // The SDK throws this when it has sent the user to the authorization server. Here the user is already back.
      if (!(error instanceof UnauthorizedError && authProvider instanceof Browserless)) throw error
      await transport.finishAuth(authProvider.callback.get("code") ?? "")
      return again()
    }
  }
  // The SDK's own types disagree under exactOptionalPropertyTypes.
  const connect = () => client.connect(transport as Transport)
  await authorized(connect, () => {
    ;({ client, transport } = open())
    return connect()
  })
  const result = await authorized(() => client.callTool({ name: tool, arguments: {} }))
  await client.close()
  return { text: (result.content as ReadonlyArray<{ text: string }>)[0]?.text ?? "", isError: result.isError === true }
}

const traced =
  (trace: Trace) =>
  async (url: string | URL, init?: RequestInit): Promise<Response> => {
    const response = await fetch(url, init)
    trace(`${(init?.method ?? "GET").padEnd(4)} ${response.status} ${url}`)
    return response
  }

/** A user without a browser: this class follows the redirects, keeps the cookies, and hands back the code. */
export class Browserless implements OAuthClientProvider {
  /** The query that the authorization server sent the user back with: the code, or an error. */
  callback = new URLSearchParams()
  readonly redirectUrl = redirectUri
  readonly clientMetadata = {
    client_name: "example",
    redirect_uris: [this.redirectUrl],
    grant_types: ["authorization_code"],
    response_types: ["code"],
    token_endpoint_auth_method: "none"
  }
  #registration: OAuthClientInformationMixed | undefined
  #tokens: OAuthTokens | undefined
  #codeVerifier = ""
  readonly #trace: Trace

  constructor(trace: Trace, app?: string) {
    this.#trace = trace
    if (app !== undefined) this.#registration = { client_id: app }
  }

  clientInformation = () => this.#registration
  saveClientInformation = (registration: OAuthClientInformationMixed) => void (this.#registration = registration)
  tokens = () => this.#tokens
  saveTokens = (tokens: OAuthTokens) => void (this.#tokens = tokens)
  codeVerifier = () => this.#codeVerifier
  saveCodeVerifier = (codeVerifier: string) => void (this.#codeVerifier = codeVerifier)

  async redirectToAuthorization(url: URL) {
    const cookies = new Map<string, string>()
    let next = url
    for (let hops = 0; !next.href.startsWith(this.redirectUrl); hops++) {
      if (hops > 10) throw new Error(`${url.origin} redirects for ever`)
      const cookie = [...cookies].map((pair) => pair.join("=")).join("; ")
      const response = await fetch(next, { redirect: "manual", headers: { cookie } })
      this.#trace(`GET  ${response.status} ${next.origin}${next.pathname}`)
      for (const line of response.headers.getSetCookie()) {
        const [name = "", value = ""] = line.split(";", 1)[0]!.split(/=(.*)/)
        cookies.set(name, value)
      }
      const location = response.headers.get("location")
      if (location === null) throw new Error(`${next.href} answered ${response.status}: ${await response.text()}`)
      next = new URL(location, next)
    }
    this.callback = next.searchParams
  }
}
