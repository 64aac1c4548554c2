/**
 * The whole story on loopback: an authorization server that binds audiences, an MCP server that accepts only tokens
 * minted for it, clients that find out what they need, and requests that are refused. It ends by itself. With `--serve`
 * there is no story: the servers stay up for clients of your own.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Cause from "effect/Cause"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as AuthorizationServer from "./authorizationServer.ts"
import { callAsMachine, callAsUser, redirectUri } from "./client.ts"
import { freePorts } from "./ports.ts"
import * as print from "./print.ts"
import { createLoggedServer } from "./requestLog.ts"
import { captureLog, type LogLine, requestToken, send, tamper, unsign } from "./requests.ts"
import * as Server from "./server.ts"

const machine = { id: "machine", secret: "machine-secret-of-more-than-32-characters" }
const hasty = { id: "hasty", secret: "hasty-secret-of-more-than-32-characters", tokenLifetime: 1 }

const app = { id: "notes-app", redirectUri }

const story = Effect.gen(function* () {
  const ports = yield* freePorts(2)
  const [notes = "", tasks = ""] = ports.map((port) => `http://127.0.0.1:${port}/mcp`)
  const lines: Array<LogLine> = []
  const serve = (port: number, issuer: string) =>
    listen(Server.layer({ issuer, port }).pipe(Layer.provide(captureLog(lines))), port)

  // Two issuers share one signing key, as tenants of one service may: only `iss` tells their tokens apart.
  const signingKey = yield* AuthorizationServer.newSigningKey()
  const scopes = ["notes:read", "notes:admin"]
  const options = { resources: { [notes]: scopes, [tasks]: scopes }, clients: [machine, hasty], apps: [app] }
  const home = yield* AuthorizationServer.start({ ...options, signingKey })
  const neighbour = yield* AuthorizationServer.start({ ...options, signingKey })
  const stranger = yield* AuthorizationServer.start(options)
  yield* serve(ports[0]!, home.issuer)

  print.title("The cast")
  print.fact("authorization server", home.issuer)
  print.fact("MCP server", notes)
  print.fact("another resource", tasks)
  print.fact("its first words", lines[0]?.text ?? "")

  print.title("A machine, which knows the MCP server's URL and its own credentials")
  const forMachine = yield* Effect.promise(() =>
    callAsMachine(notes, { ...machine, issuer: home.issuer }, "whoami", print.trace)
  )
  print.result(`whoami: ${forMachine.text}`)

  print.title("A user, whose client knows nothing but the MCP server's URL")
  const forUser = yield* Effect.promise(() => callAsUser(notes, "whoami", print.trace))
  print.result(`whoami: ${forUser.text}`)

  print.title(
    "The same user in an app that is known already, and a tool that needs another scope: a 403, and consent again"
  )
  const forApp = yield* Effect.promise(() => callAsUser(notes, "erase_notes", print.trace, app.id))
  print.result(`erase_notes: ${forApp.text}`)

  const good = yield* requestToken(home, machine, notes, "notes:read")
  const forTasks = yield* requestToken(home, machine, tasks, "notes:read")
  const expired = yield* requestToken(home, hasty, notes, "notes:read")
  yield* Effect.sleep("2 seconds")

  print.title("Requests, and what became of them")
  const attempts: ReadonlyArray<
    readonly [name: string, status: number, error: string, authorization: string | undefined]
  > = [
    ["the right token", 200, "", `Bearer ${good}`],
    ["a token for the other resource", 401, "AudienceMismatch", `Bearer ${forTasks}`],
    ["an expired token", 401, "Expired", `Bearer ${expired}`],
    [
      "a token of a neighbour with the same key",
      401,
      "IssuerMismatch",
      `Bearer ${yield* requestToken(neighbour, machine, notes, "notes:read")}`
    ],
    [
      "a token of a stranger",
      401,
      "KeyNotFound",
      `Bearer ${yield* requestToken(stranger, machine, notes, "notes:read")}`
    ],
    ["a tampered token", 401, "SignatureInvalid", `Bearer ${tamper(good)}`],
    ["the same claims, not signed at all", 401, "AlgorithmNotAllowed", `Bearer ${unsign(good)}`],
    [
      "a token without the scope",
      403,
      "ScopeMissing",
      `Bearer ${yield* requestToken(home, machine, notes, "notes:admin")}`
    ],
    ["two tokens at once", 400, "CredentialsMalformed", `Bearer ${good}, Bearer ${good}`],
    ["no token", 401, "TokenMissing", undefined]
  ]
  for (const [name, status, error, authorization] of attempts) {
    yield* told(yield* send(name, notes, authorization, lines), status, error)
  }

  yield* home.stop
  yield* serve(ports[1]!, home.issuer)
  yield* told(
    yield* send("a good token, but the issuer's keys cannot be had", tasks, `Bearer ${forTasks}`, lines),
    503,
    "VerificationUnavailable"
  )
})

/** Prints a row. Fails if the answer is not the one that the story expects. */
const told = (row: Parameters<typeof print.row>[0], status: number, error: string) =>
  Effect.suspend(() => {
    print.row(row)
    return row.status === status && (row.log?.error ?? "") === error
      ? Effect.void
      : Effect.fail(new Error(`expected ${status} ${error}`))
  })

const serve = Effect.gen(function* () {
  const port = yield* Config.integer("PORT").pipe(Config.withDefault(8787))
  const authorizationPort = yield* Config.integer("AUTHORIZATION_SERVER_PORT").pipe(Config.withDefault(8788))
  const resource = `http://127.0.0.1:${port}/mcp`
  const home = yield* AuthorizationServer.start({
    resources: { [resource]: ["notes:read", "notes:admin"] },
    clients: [machine],
    port: authorizationPort,
    createServer: () => createLoggedServer((line) => print.fact("authorization server", line))
  })
  const createServer = () => createLoggedServer((line) => print.fact("MCP server", line))
  yield* listen(Server.layer({ issuer: home.issuer, port, createServer }), port)
  print.title("Try")
  for (const [what, line] of curlLines(resource, home.tokenEndpoint)) {
    print.trace(what)
    console.log(`  ${line}\n`)
  }
  console.log(`  Or connect an MCP client to ${resource}. It registers itself, and the browser logs you in as ada.\n`)
  console.log("  Each request is logged below. Stop with Ctrl-C.\n")
  return yield* Effect.never
})

/** Requests to type, in this order, each with what it shows. */
const curlLines = (resource: string, tokenEndpoint: string): ReadonlyArray<readonly [what: string, line: string]> => {
  const post = (message: object) =>
    `curl -i ${resource} -H 'content-type: application/json' -d '${JSON.stringify({ jsonrpc: "2.0", id: 1, ...message })}'`
  const withToken = `-H "authorization: Bearer $TOKEN"`
  return [
    ["No token: 401, and the challenge says where the metadata is", post({ method: "ping" })],
    [
      "The metadata, which names the authorization server",
      `curl -i ${resource.replace("/mcp", "/.well-known/oauth-protected-resource/mcp")}`
    ],
    [
      "A token for this server",
      `TOKEN=$(curl -s ${tokenEndpoint} -u '${machine.id}:${machine.secret}' -d grant_type=client_credentials -d scope=notes:read -d resource=${resource} | node -p 'JSON.parse(fs.readFileSync(0)).access_token')`
    ],
    ["The same request with the token: 200", `${post({ method: "ping" })} ${withToken}`],
    [
      "A tool that needs another scope: 403, and the challenge names the scope",
      `${post({ method: "tools/call", params: { name: "erase_notes", arguments: {} } })} ${withToken}`
    ]
  ]
}

/** Builds a server into the scope. Fails with a sentence for the user, for example when the port is in use. */
const listen = <A, E extends Error, R>(server: Layer.Layer<A, E, R>, port: number) =>
  Layer.build(server).pipe(
    Effect.mapError((error) => {
      const cause = (error.cause ?? error) as NodeJS.ErrnoException
      const reason = cause.code === "EADDRINUSE" ? "the port is in use" : cause.message
      return new Error(`The MCP server cannot listen on 127.0.0.1:${port}: ${reason}`)
    })
  )

const main = process.argv.includes("--serve") ? serve : story

Effect.scoped(main).pipe(
  Effect.tapErrorCause((cause) => Effect.sync(() => console.error(Cause.prettyErrors(cause).join("\n")))),
  NodeRuntime.runMain({ disableErrorReporting: true, disablePrettyLogger: main === story })
)
