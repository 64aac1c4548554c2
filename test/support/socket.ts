/**
 * Sends requests as bytes on a socket, for requests that `fetch` would not send and for connections that the server closes.
 */
import * as Effect from "effect/Effect"
import { connect } from "node:net"

/** What a server sent until it closed the connection. */
export interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** The replies in this text, one after another. */
const replies = (text: string): ReadonlyArray<Reply> => {
  if (text === "") return []
  const end = text.indexOf("\r\n\r\n")
  const [first = "", ...lines] = text.slice(0, end).split("\r\n")
  const headers = Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 2)])
  )
  const [body, rest] = bodyOf(headers, text.slice(end + 4))
  return [{ status: Number(first.split(" ")[1]), headers, body }, ...replies(rest)]
}

/** A body and what follows it. */
const bodyOf = (headers: Reply["headers"], text: string): readonly [body: string, rest: string] => {
  if (headers["transfer-encoding"] !== "chunked") {
    const length = Number(headers["content-length"] ?? 0)
    return [text.slice(0, length), text.slice(length)]
  }
  const start = text.indexOf("\r\n") + 2
  const length = parseInt(text, 16)
  const next = text.slice(start + length + 2)
  if (!(length > 0)) return ["", next]
  const [body, rest] = bodyOf(headers, next)
  return [text.slice(start, start + length) + body, rest]
}

/** Writes these parts, each in a packet of its own, and resolves with all replies once the server closes the connection. */
export const exchange = (port: number, ...parts: ReadonlyArray<string | Uint8Array>) =>
  Effect.promise(
    () =>
      new Promise<ReadonlyArray<Reply>>((resolve) => {
        let text = ""
        const socket = connect({ port, host: "127.0.0.1", noDelay: true }, () => {
          const write = ([part, ...rest]: ReadonlyArray<string | Uint8Array>): void => {
            if (part === undefined || socket.destroyed) return
            socket.write(part, () => setImmediate(write, rest))
          }
          write(parts)
        })
        socket.setEncoding("latin1")
        socket.on("data", (chunk: string) => (text += chunk))
        // A server that closes a connection with unread data resets it. The replies before that count.
        socket.on("error", () => undefined)
        socket.on("close", () => resolve(replies(text)))
      })
  )

/** Writes these bytes, and destroys the connection. */
export const breakOff = (port: number, text: string) =>
  Effect.promise(
    () =>
      new Promise<void>((resolve) => {
        const socket = connect(port, "127.0.0.1", () => socket.write(text, () => setImmediate(() => socket.destroy())))
        socket.on("close", () => resolve())
      })
  )

/** The head of a POST request. */
export const head = (path: string, ...lines: ReadonlyArray<string>) =>
  [`POST ${path} HTTP/1.1`, "Host: 127.0.0.1", ...lines, "", ""].join("\r\n")

/** One chunk of a chunked body. */
export const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`

/** The end of a chunked body. */
export const lastChunk = "0\r\n\r\n"
