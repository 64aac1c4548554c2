/**
 * The log of `--serve`: one line for each request.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"

/**
 * Makes a Node server that logs each request when its answer has ended, as `POST 401 /mcp`.
 *
 * Queries and headers are not logged: they may hold tokens and codes.
 */
export const createLoggedServer = (log: (line: string) => void) => {
  const server = createServer()
  server.on("request", (request, response) => {
    response.once("close", () => log(`${(request.method ?? "").padEnd(4)} ${status(response)} ${path(request)}`))
  })
  return server
}

/** There is no status if the client went away before the answer began. */
const status = (response: ServerResponse) => (response.headersSent ? response.statusCode : "---")

/** The path of the request, without an origin before it and without the query after it. */
const path = ({ url = "" }: IncomingMessage) => url.replace(/^[a-z]+:\/\/[^/?]*/i, "").replace(/[?#].*/, "")
