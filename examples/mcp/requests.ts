/**
 * Requests with good and bad tokens, and their answers. Each token was issued by a real authorization server, or is made
 * from one that was.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import type { AuthorizationServer, Client } from "./authorizationServer.ts"

/** One line of the server's log; `error` is the tag of a rejection. */
export interface LogLine {
  readonly level: string
  readonly error: string
  readonly text: string
}

/** One request, its answer, and the line in the server's log. */
export interface Row {
  readonly name: string
  readonly status: number
  readonly challenge: string | undefined
  readonly retryAfter: string | undefined
  readonly log: LogLine | undefined
}

/** Keeps the server's log lines instead of printing them. */
export const captureLog = (lines: Array<LogLine>) =>
  Layer.merge(
    Logger.minimumLogLevel(LogLevel.Debug),
    Logger.replace(
      Logger.defaultLogger,
      Logger.structuredLogger.pipe(
        Logger.map(({ annotations, logLevel, message }) => {
          lines.push({ level: logLevel, error: String(annotations["error"] ?? ""), text: String(message) })
        })
      )
    )
  )

/** Gets a token for one resource by the client credentials grant. */
export const requestToken = (server: AuthorizationServer, client: Client, resource: string, scope: string) =>
  Effect.promise(async (): Promise<string> => {
    const response = await fetch(server.tokenEndpoint, {
      method: "POST",
      headers: { authorization: `Basic ${btoa(`${client.id}:${client.secret}`)}` },
      body: new URLSearchParams({ grant_type: "client_credentials", resource, scope })
    })
    const { access_token: token } = (await response.json()) as { access_token?: string }
    if (token === undefined) throw new Error(`no token: ${response.status}`)
    return token
  })

/** Sends one JSON-RPC request with this `Authorization` header. */
export const send = (name: string, url: string, authorization: string | undefined, lines: Array<LogLine>) =>
  Effect.promise(async (): Promise<Row> => {
    lines.length = 0
    const response = await fetch(url, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
        ...(authorization !== undefined && { authorization })
      },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "ping" })
    })
    await response.text()
    return {
      name,
      status: response.status,
      challenge: response.headers.get("www-authenticate") ?? undefined,
      retryAfter: response.headers.get("retry-after") ?? undefined,
      log: lines.find(({ error }) => error !== "")
    }
  })

/** The same token with one letter of its claims changed. */
export const tamper = (token: string): string => {
  const [header = "", payload = "", signature = ""] = token.split(".")
  const changed = payload[20] === "A" ? "B" : "A"
  return [header, payload.slice(0, 20) + changed + payload.slice(21), signature].join(".")
}

/** The same claims under a header that says that there is no signature. */
export const unsign = (token: string): string => {
  const header = Buffer.from(JSON.stringify({ alg: "none", typ: "at+jwt" })).toString("base64url")
  return `${header}.${token.split(".")[1]}.AA`
}
