/**
 * Serves a web-standard handler with `node:http` on 127.0.0.1. Bun, Deno and Workers do this by themselves.
 */
import { createServer, type IncomingMessage } from "node:http"
import { type AddressInfo } from "node:net"

export const listen = async (handler: (request: Request) => Promise<Response>, port: number) => {
  const server = createServer((incoming, outgoing) => {
    handler(toRequest(incoming))
      .catch(() => new Response(null, { status: 500 }))
      .then(async (response) => {
        outgoing.writeHead(response.status, Object.fromEntries(response.headers))
        outgoing.end(new Uint8Array(await response.arrayBuffer()))
      })
      .catch(() => outgoing.destroy())
  })
  await new Promise<void>((done) => server.listen(port, "127.0.0.1", done))
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      server.closeAllConnections()
      server.close()
    }
  }
}

/** All lines of each header: Node's own `headers` drops the second `Authorization`, which nobody should send. */
const toRequest = ({ method = "GET", rawHeaders, url = "/" }: IncomingMessage): Request => {
  const headers = new Headers()
  for (let i = 0; i < rawHeaders.length; i += 2) headers.append(rawHeaders[i]!, rawHeaders[i + 1]!)
  return new Request(`http://127.0.0.1${url}`, { method, headers })
}
