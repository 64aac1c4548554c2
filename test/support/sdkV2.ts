/**
 * A client of the MCP SDK, version 2, and its user.
 */
import {
  Client,
  type OAuthClientProvider,
  StreamableHTTPClientTransport,
  UnauthorizedError
} from "@modelcontextprotocol/client"
import type { Browserless } from "../../examples/mcp/client.ts"

/** Calls a tool. If the server asks for it, the user is first sent to the authorization server. */
export const callToolV2 = async (url: string, user: Browserless, tool: string): Promise<string> => {
  // The interface of version 1, which the class implements, differs from that of version 2 in names of types.
  const authProvider = user as unknown as OAuthClientProvider
  const connect = async (): Promise<readonly [Client, StreamableHTTPClientTransport]> => {
    const client = new Client({ name: "test", version: "1.0.0" })
    const transport = new StreamableHTTPClientTransport(new URL(url), { authProvider })
    try {
      await client.connect(transport)
      return [client, transport]
    } catch (error) {
      if (!(error instanceof UnauthorizedError)) throw error
      await transport.finishAuth(user.callback)
      return connect()
    }
  }
  const [client, transport] = await connect()
  const call = () => client.callTool({ name: tool, arguments: {} })
  const result = await call().catch(async (error: unknown) => {
    if (!(error instanceof UnauthorizedError)) throw error
    await transport.finishAuth(user.callback)
    return call()
  })
  await client.close()
  return (result.content as ReadonlyArray<{ text: string }>)[0]?.text ?? ""
}
