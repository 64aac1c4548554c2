import * as Effect from "effect/Effect"
import { createServer, type AddressInfo } from "node:net"

/** Ports that are free now. The port is a part of the resource's URL, so it must be known before the server starts. */
export const freePorts = (count: number) =>
  Effect.promise(async () => {
    const servers = await Promise.all(
      Array.from({ length: count }, async () => {
        const server = createServer()
        await new Promise<void>((done) => server.listen(0, "127.0.0.1", done))
        return server
      })
    )
    const ports = servers.map((server) => (server.address() as AddressInfo).port)
    await Promise.all(servers.map((server) => new Promise((done) => server.close(done))))
    return ports
  })
