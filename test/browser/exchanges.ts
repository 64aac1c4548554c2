import { createServer, ServerResponse } from "node:http"

/** A request and its answer, as the server saw them. */
export interface Exchange {
  readonly request: string
  /** What a preflight asks for: the names of the headers of the request to come. */
  readonly asks: string | undefined
  readonly origin: string | undefined
  readonly status: number
  readonly challenge: string | undefined
}

/** A server that writes down what it is asked and what it answers, preflights too, which no page gets to see. */
export const recordingServer = (exchanges: Array<Exchange>) => () =>
  createServer({
    ServerResponse: class extends ServerResponse {
      // oxlint-disable-next-line typescript/no-explicit-any -- an overload of `writeHead` has a text in this place.
      override writeHead(status: number, headers?: any) {
        const { headers: asked, method, url } = this.req
        exchanges.push({
          request: `${method} ${url}`,
          asks: asked["access-control-request-headers"],
          origin: asked.origin,
          status,
          challenge: new Headers(headers).get("www-authenticate") ?? undefined
        })
        return super.writeHead(status, headers)
      }
    }
  })
