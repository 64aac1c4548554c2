/**
 * Real servers on free loopback ports, and their log.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServer from "@effect/platform/HttpServer"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { createServer, type RequestListener, type Server } from "node:http"
import { type AddressInfo, connect } from "node:net"

/** One line of a log. */
export interface Line {
  readonly level: string
  readonly message: string
  readonly annotations: Readonly<Record<string, unknown>>
}

/** Collects the log, including `Debug`, without the lines of the platform and those about accepted tokens. */
export const capture = (lines: Array<Line>): Layer.Layer<never> =>
  Layer.merge(
    Logger.minimumLogLevel(LogLevel.Debug),
    Logger.replace(
      Logger.defaultLogger,
      Logger.map(Logger.structuredLogger, ({ annotations, logLevel, message }) => {
        if (message !== "Token accepted") lines.push({ level: logLevel, message: String(message), annotations })
      })
    )
  )

/** Serves the app until the scope ends. Its log is captured unless another one is given. */
export const serve = <E, R>(app: Layer.Layer<never, E, R>, log?: Layer.Layer<never>, server = () => createServer()) => {
  const lines: Array<Line> = []
  return Effect.map(
    Layer.build(
      HttpLayerRouter.serve(app, { disableLogger: true, disableListenLog: true }).pipe(
        Layer.provideMerge(NodeHttpServer.layer(server, { port: 0, host: "127.0.0.1" })),
        Layer.provide(log ?? capture(lines))
      )
    ),
    (context) => {
      const { address } = Context.get(context as Context.Context<HttpServer.HttpServer>, HttpServer.HttpServer)
      if (address._tag !== "TcpAddress") throw new Error("no port")
      return { port: address.port, url: `http://127.0.0.1:${address.port}`, lines }
    }
  )
}

/** Serves an app that is not a Layer until the scope ends, and gives its port. */
export const listen = (app: RequestListener) =>
  Effect.acquireRelease(
    Effect.promise(
      () =>
        new Promise<Server>((done) => {
          const server = createServer(app).listen(0, "127.0.0.1", () => done(server))
        })
    ),
    (server) =>
      Effect.sync(() => {
        server.closeAllConnections()
        server.close()
      })
  ).pipe(Effect.map((server) => (server.address() as AddressInfo).port))

export const get = (url: string, headers: Readonly<Record<string, string>> = {}, method = "GET") =>
  Effect.promise(() => fetch(url, { headers, method }))

/** Sends a request that `fetch` would not send, and reads the answer until the server closes the connection. */
export const raw = (port: number, ...lines: ReadonlyArray<string>) =>
  Effect.promise(
    () =>
      new Promise<{ readonly status: number; readonly challenge: string | undefined }>((resolve, reject) => {
        const socket = connect(port, "127.0.0.1", () => {
          socket.write(Buffer.from([...lines, "Host: 127.0.0.1", "Connection: close", "", ""].join("\r\n"), "latin1"))
        })
        let answer = ""
        socket.setEncoding("latin1")
        socket.on("data", (text: string) => (answer += text))
        socket.on("error", reject)
        socket.on("close", () =>
          resolve({
            status: Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]),
            challenge: /^www-authenticate: (.*)\r$/im.exec(answer)?.[1]
          })
        )
      })
  )

/** Several credentials in one request, at least one of which is good, in different orders. */
export const severalCredentials = (good: string): ReadonlyArray<ReadonlyArray<string>> => [
  [good, good],
  [good, "Basic eA=="],
  ["Basic eA==", good]
]
