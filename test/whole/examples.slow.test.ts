import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import { auth } from "@modelcontextprotocol/sdk/client/auth.js"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { decodeJwt } from "jose"
import { execFile, spawn } from "node:child_process"
import { connect } from "node:net"
import { promisify } from "node:util"
import * as AuthorizationServer from "../../examples/mcp/authorizationServer.ts"
import { Browserless, callAsUser, callTool, redirectUri } from "../../examples/mcp/client.ts"
import { freePorts } from "../../examples/mcp/ports.ts"
import { callToolV2 } from "../support/sdkV2.ts"

/** Runs a program of the examples as a user does. Resolves with its output as soon as it says `until`, or ends. */
const run = (file: string, env: Readonly<Record<string, string>>, args: ReadonlyArray<string> = []) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn("node_modules/.bin/tsx", ["-C", "effect-resource-server", file, ...args], {
        env: { ...process.env, ...env, NO_COLOR: "1" },
        detached: true
      })
      let output = ""
      const listeners = new Set<() => void>()
      const heard = (text: Buffer) => {
        output += text
        listeners.forEach((listener) => listener())
      }
      child.stdout.on("data", heard)
      child.stderr.on("data", heard)
      const ended = new Promise<number | null>((resolve) => child.on("close", resolve))
      return {
        child,
        output: () => output,
        ended: Effect.promise(() => ended),
        says: (pattern: RegExp) =>
          Effect.async<RegExpExecArray>((resume) => {
            const look = () => {
              const match = pattern.exec(output)
              if (match !== null) resume(Effect.succeed(match))
            }
            listeners.add(look)
            look()
            void ended.then((code) =>
              resume(Effect.dieMessage(`ended with ${code} before it said ${pattern}: ${output}`))
            )
          })
      }
    }),
    // The whole group: tsx is a process around the program.
    ({ child }) => Effect.sync(() => child.exitCode === null && process.kill(-child.pid!))
  )

/** Goes where a browser would, with cookies. */
const browse = (url: string) =>
  Effect.promise(async () => {
    const cookies = new Map<string, string>()
    let next = new URL(url)
    for (let hops = 0; hops < 10; hops++) {
      const cookie = [...cookies].map((pair) => pair.join("=")).join("; ")
      const response = await fetch(next, { redirect: "manual", headers: { cookie } })
      for (const line of response.headers.getSetCookie()) {
        const [, name = "", value = ""] = /^([^=]*)=([^;]*)/.exec(line) ?? []
        cookies.set(name, value)
      }
      const location = response.headers.get("location")
      if (location === null) return response.text()
      next = new URL(location, next)
    }
    throw new Error(`${url} redirects for ever`)
  })

describe("examples/mcp", () => {
  it.scopedLive("tells the whole story and ends by itself", () =>
    Effect.gen(function* () {
      const story = yield* run("examples/mcp/main.ts", {})
      expect([yield* story.ended, story.output()]).toEqual([0, expect.any(String)])
      const output = story.output()
      expect(output).toMatch(/-> whoami: "subject machine, client machine, scopes notes:read"/)
      expect(output).toMatch(/-> whoami: "subject ada, client \S+, scopes notes:read"/)
      expect(output).toMatch(/POST 403 [^]*authorize[^]*-> erase_notes: "all notes are erased"/)
      const rows = [...output.matchAll(/^ {2}(\d{3}) {2}(.{50}) (\w*)$/gm)].map(
        ([, status, , tag]) => `${status} ${tag}`
      )
      expect(rows).toEqual([
        "200 ",
        "401 AudienceMismatch",
        "401 Expired",
        "401 IssuerMismatch",
        "401 KeyNotFound",
        "401 SignatureInvalid",
        "401 AlgorithmNotAllowed",
        "403 ScopeMissing",
        "400 CredentialsMalformed",
        "401 TokenMissing",
        "503 VerificationUnavailable"
      ])
    })
  )
})

/** A client that registers itself as the MCP Inspector, VS Code and Claude Code do, for refresh tokens too. */
class Registering extends Browserless {
  override readonly clientMetadata = {
    client_name: "a client that registers itself",
    redirect_uris: [redirectUri],
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
    token_endpoint_auth_method: "none"
  }

  constructor() {
    super(() => {})
  }

  /** The server refuses the access token that it holds, as it refuses an expired one. */
  spoilToken() {
    const { access_token, ...tokens } = this.tokens()!
    this.saveTokens({ ...tokens, access_token: `${access_token}.` })
  }
}

describe("examples/mcp --serve", () => {
  const scope = Effect.runSync(Scope.make())
  let demo: Effect.Effect.Success<ReturnType<typeof run>>
  let mcp: string
  let issuer: string

  beforeAll(async () => {
    const [port, authorizationPort] = await Effect.runPromise(freePorts(2))
    mcp = `http://127.0.0.1:${port}/mcp`
    issuer = `http://127.0.0.1:${authorizationPort}`
    const env = { PORT: String(port), AUTHORIZATION_SERVER_PORT: String(authorizationPort) }
    demo = await Effect.runPromise(
      run("examples/mcp/main.ts", env, ["--serve"]).pipe(
        Effect.tap(({ says }) => says(/Stop with Ctrl-C/)),
        Scope.extend(scope)
      )
    )
  })
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

  /** Where the output ends now, with the lines of all requests before. */
  const mark = async () => {
    const path = `/mark-${demo.output().length}`
    await fetch(new URL(path, mcp))
    await Effect.runPromise(demo.says(new RegExp(`GET  404 ${path}\n`)))
    return demo.output().length
  }

  /** What the log says of the requests that something made, but those for metadata and keys, which are cached. */
  const logOf = async <A>(something: () => Promise<A>) => {
    const begin = await mark()
    const result = await something()
    const end = await mark()
    const text = demo.output().slice(begin, end)
    const lines = [...text.matchAll(/^ {2}(?:(authorization) server|(MCP) server) +(\w+ +\S+ \S+)$/gm)]
      .map(([, ...parts]) => parts.filter((part) => part !== undefined).join(" "))
      .filter((line) => !/ \/(\.well-known\/|jwks$|mark-)/.test(line))
      .map((line) => line.replace(/(\/(?:interaction|authorize)\/)\S+/, "$1..."))
    return { result, lines, text }
  }

  const register = (metadata: object, headers: Readonly<Record<string, string>> = {}) =>
    fetch(`${issuer}/register`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(metadata)
    })

  const authorize = [
    "authorization GET  303 /authorize",
    "authorization GET  303 /interaction/...",
    "authorization GET  303 /authorize/...",
    "authorization POST 200 /token"
  ]
  /** `initialize`, the notification that follows it, and the stream that clients ask for and the server does not have. */
  const initialized = ["MCP POST 200 /mcp", "MCP POST 202 /mcp", "MCP GET  405 /mcp"]
  const session = [...initialized, "MCP POST 200 /mcp"]

  it("prints lines that do what they say when they are typed", async () => {
    const lines = demo.output().match(/^ {2}(?:curl|TOKEN=) ?.*$/gm) ?? []
    expect(lines).toHaveLength(5)
    const { lines: log, result } = await logOf(() => promisify(execFile)("sh", ["-e", "-c", lines.join("\n")]))
    expect([...result.stdout.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status)).toEqual([
      "401",
      "200",
      "200",
      "403"
    ])
    expect(result.stdout).toContain('{"jsonrpc":"2.0","id":1,"result":{}}')
    expect(result.stdout).toContain('scope="notes:read notes:admin", error="insufficient_scope"')
    expect(log).toEqual([
      "MCP POST 401 /mcp",
      "authorization POST 200 /token",
      "MCP POST 200 /mcp",
      "MCP POST 403 /mcp"
    ])
  })

  it("gives a client of SDK 1 that asks for offline access a refresh token, which gets tokens for the server", async () => {
    const user = new Registering()
    const { lines, result } = await logOf(async () => {
      expect(await auth(user, { serverUrl: mcp, scope: "notes:read offline_access" })).toBe("REDIRECT")
      const authorizationCode = user.callback.get("code") ?? ""
      expect(await auth(user, { serverUrl: mcp, authorizationCode })).toBe("AUTHORIZED")
      return callTool(mcp, user, "whoami", () => {})
    })
    expect(result.text).toMatch(/^"subject ada, client \S+, scopes notes:read"$/)
    expect(lines).toEqual(["authorization POST 201 /register", ...authorize, ...session])
    expect(user.clientInformation()).toMatchObject(user.clientMetadata)

    const first = user.tokens()!
    user.spoilToken()
    const refreshed = await logOf(() => callTool(mcp, user, "whoami", () => {}))
    expect(refreshed.result).toEqual(result)
    expect(refreshed.lines).toEqual(["MCP POST 401 /mcp", "authorization POST 200 /token", ...session])
    const second = user.tokens()!
    expect(decodeJwt(second.access_token)).toMatchObject({ iss: issuer, aud: mcp, scope: "notes:read" })
    expect(second.access_token).not.toBe(first.access_token)
    expect(second.refresh_token).not.toBe(first.refresh_token)
  })

  it("gives a client of SDK 1 that registered itself with fewer scopes a wider token when a tool asks for it", async () => {
    const { lines, result } = await logOf(() => callAsUser(mcp, "erase_notes", () => {}))
    expect(result).toEqual({ text: '"all notes are erased"', isError: false })
    expect(lines).toEqual([
      "MCP POST 401 /mcp",
      "authorization POST 201 /register",
      ...authorize,
      ...initialized,
      "MCP POST 403 /mcp",
      ...authorize,
      "MCP POST 200 /mcp"
    ])
  })

  it("gives a client of SDK 2 a refresh token, a wider token and then a refreshed one with all scopes", async () => {
    const user = new Registering()
    const { lines, result } = await logOf(() => callToolV2(mcp, user, "erase_notes"))
    expect(result).toBe('"all notes are erased"')
    expect(lines).toEqual([
      "MCP POST 401 /mcp",
      "authorization POST 201 /register",
      ...authorize,
      ...initialized,
      "MCP POST 403 /mcp",
      ...authorize,
      "MCP POST 200 /mcp"
    ])
    user.spoilToken()
    const refreshed = await logOf(() => callToolV2(mcp, user, "whoami"))
    expect(refreshed.result).toMatch(/^"subject ada, client \S+, scopes notes:read notes:admin"$/)
    expect(refreshed.lines).toEqual(["MCP POST 401 /mcp", "authorization POST 200 /token", ...session])
    expect(decodeJwt(user.tokens()!.access_token)).toMatchObject({ aud: mcp, scope: "notes:read notes:admin" })
  })

  const good = {
    redirect_uris: ["http://127.0.0.1:6274/callback"],
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
    token_endpoint_auth_method: "none"
  }

  const vsCode = {
    redirect_uris: [
      "https://insiders.vscode.dev/redirect",
      "https://vscode.dev/redirect",
      "http://127.0.0.1/",
      "http://127.0.0.1:33418/"
    ],
    client_uri: "https://code.visualstudio.com",
    application_type: "native"
  }

  for (const [name, metadata, comesBackTo] of [
    ["that comes back to any port of 127.0.0.1", {}, "http://127.0.0.1:49152/callback"],
    [
      "that comes back to any port of localhost",
      { redirect_uris: ["http://localhost/cb"] },
      "http://localhost:49152/cb"
    ],
    ["that comes back to any port of ::1", { redirect_uris: ["http://[::1]:1/cb"] }, "http://[::1]:49152/cb"],
    ["that comes back to a scheme of its own", { redirect_uris: ["cursor://app/callback"] }, "cursor://app/callback"],
    ["that comes back to a web app", { redirect_uris: ["https://app.example/cb"] }, "https://app.example/cb"],
    ["with the metadata of VS Code", vsCode, "http://127.0.0.1:33418/"],
    [
      "with the metadata of VS Code, which comes back to another port if its own is taken",
      vsCode,
      "http://127.0.0.1:49152/"
    ],
    [
      "that asks for all scopes",
      { scope: "openid offline_access notes:read notes:admin" },
      "http://127.0.0.1:6274/callback"
    ],
    ["with an empty scope, as the MCP Inspector may send it", { scope: "" }, "http://127.0.0.1:6274/callback"],
    ["that asks for a scope unknown here", { scope: "notes:read email" }, "http://127.0.0.1:6274/callback"],
    ["that keeps a secret", { token_endpoint_auth_method: "client_secret_post" }, "http://127.0.0.1:6274/callback"]
  ] as ReadonlyArray<readonly [string, object, string]>) {
    it(`registers a client ${name}`, async () => {
      const registration = await register({ ...good, ...metadata })
      const { client_id: clientId = "", ...registered } = (await registration.json()) as Record<string, string>
      expect([registration.status, registered["scope"]]).toEqual([201, undefined])
      const query = new URLSearchParams({
        client_id: clientId,
        response_type: "code",
        redirect_uri: comesBackTo,
        code_challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        code_challenge_method: "S256",
        scope: "notes:admin unknown",
        resource: mcp
      })
      const answer = await fetch(`${issuer}/authorize?${query}`, { redirect: "manual" })
      expect([answer.status, answer.headers.get("location")]).toEqual([303, expect.stringMatching(/^\/interaction\//)])
    })
  }

  for (const [name, metadata, error, description] of [
    [
      "plain HTTP to another host",
      { redirect_uris: ["http://app.example/cb"] },
      "invalid_redirect_uri",
      "redirect_uris for native clients using http as a protocol can only use loopback addresses as hostnames"
    ],
    [
      "a scheme that runs code",
      { redirect_uris: ["javascript:alert(1)"] },
      "invalid_redirect_uri",
      "redirect_uris must not use the javascript URI scheme"
    ],
    ["no list of redirect URIs", { redirect_uris: {} }, "invalid_redirect_uri", "redirect_uris must be an array"],
    [
      "a grant that is not served",
      { grant_types: ["password"] },
      "invalid_client_metadata",
      "grant_types can only contain 'implicit', 'authorization_code', 'refresh_token', or 'client_credentials'"
    ]
  ] as const) {
    it(`refuses to register ${name}`, async () => {
      const answer = await register({ ...good, ...metadata })
      expect([answer.status, await answer.json()]).toEqual([400, { error, error_description: description }])
    })
  }

  it("lets web apps on this machine register and call, and lets no others register", async () => {
    const preflight = (url: string, origin: string) =>
      fetch(url, {
        method: "OPTIONS",
        headers: { origin, "access-control-request-method": "POST", "access-control-request-headers": "content-type" }
      })
    const allowed = ({ headers, status }: Response) => [
      status,
      headers.get("access-control-allow-origin"),
      headers.get("access-control-allow-headers")
    ]
    for (const origin of ["http://localhost:6274", "http://127.0.0.1:6274"]) {
      for (const path of ["/register", "/token", "/.well-known/oauth-authorization-server"]) {
        expect(allowed(await preflight(issuer + path, origin))).toEqual([204, origin, "content-type"])
      }
      expect(allowed(await register(good, { origin }))).toEqual([201, origin, "*"])
    }
    for (const origin of ["https://app.example", "http://localhost.example", "http://127.0.0.1.example:6274", "null"]) {
      expect(allowed(await preflight(`${issuer}/register`, origin))).toEqual([204, null, null])
    }
    expect(allowed(await preflight(mcp, "http://localhost:6274"))).toEqual([204, "*", "content-type"])
  })

  it("logs neither queries nor tokens, and survives requests that nobody should send", async () => {
    const { lines, text } = await logOf(async () => {
      const raw = (base: string, head: string) =>
        new Promise<void>((done) => {
          const socket = connect(Number(new URL(base).port), "127.0.0.1")
          socket.write(`${head} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)
          socket.on("close", () => done()).resume()
        })
      await fetch(`${mcp}?access_token=secret`, { method: "POST", headers: { authorization: "Bearer secret" } })
      await raw(mcp, "GET http://secret:secret@127.0.0.1/mcp?secret")
      await raw(issuer, "GET //[?secret")
      const answer = await fetch(`${issuer}/interaction/unknown?secret`)
      expect([answer.status, await answer.text()]).toEqual([400, "No login has begun here. Connect again.\n"])
    })
    expect(lines).toEqual([
      "MCP POST 401 /mcp",
      "MCP GET  401 /mcp",
      "authorization GET  404 //[",
      "authorization GET  400 /interaction/..."
    ])
    expect(text).not.toContain("secret")
  })

  it.scopedLive("says so when a port is in use", () =>
    Effect.gen(function* () {
      const [port, other] = [new URL(mcp).port, new URL(issuer).port]
      const [free] = yield* freePorts(1)
      for (const [server, env] of [
        [`MCP server cannot listen on 127.0.0.1:${port}`, { PORT: port, AUTHORIZATION_SERVER_PORT: String(free) }],
        [
          `authorization server cannot listen on 127.0.0.1:${other}`,
          { PORT: String(free), AUTHORIZATION_SERVER_PORT: other }
        ]
      ] as const) {
        const second = yield* run("examples/mcp/main.ts", env, ["--serve"])
        expect(yield* second.ended).toBe(1)
        expect(second.output().trim().split("\n").at(-1)).toBe(`Error: The ${server}: the port is in use`)
      }
    })
  )
})

describe("examples/http", () => {
  it.scopedLive("answers every request as its README says", () =>
    Effect.gen(function* () {
      const story = yield* run("examples/http/main.ts", {})
      expect(yield* story.ended).toBe(0)
      const requests = [...story.output().matchAll(/^(\w+ \/\S* -> \d{3})/gm)].map(([, line]) => line)
      expect(requests).toEqual([
        "GET /api/health -> 200",
        "GET /api/notes -> 401",
        "GET /api/notes -> 200",
        "DELETE /api/notes -> 403",
        "DELETE /api/notes -> 200",
        "POST /api/notes/publish -> 403"
      ])
    })
  )
})

describe("examples/http-api", () => {
  it.scopedLive("lets a typed client match every rejection as its README says", () =>
    Effect.gen(function* () {
      const story = yield* run("examples/http-api/main.ts", {})
      expect(yield* story.ended).toBe(0)
      const answers = [...story.output().matchAll(/^(\w.* -> \w+)/gm)].map(([, line]) => line)
      expect(answers).toEqual([
        "nobody reads -> TokenMissing",
        "a token of another resource reads -> AudienceMismatch",
        "reader reads -> the",
        "reader erases -> ScopeMissing",
        "admin erases -> erased",
        "admin publishes -> ScopeMissing",
        "without the typed client -> 401"
      ])
    })
  )
})

describe("examples/rpc", () => {
  it.scopedLive("shows both ways as its README says", () =>
    Effect.gen(function* () {
      const story = yield* run("examples/rpc/main.ts", {})
      expect(yield* story.ended).toBe(0)
      const answers = [...story.output().matchAll(/^(\w.* -> \w+)/gm)].map(([, line]) => line)
      expect(answers).toEqual([
        "nobody reads -> TokenMissing",
        "a token of another resource reads -> AudienceMismatch",
        "reader reads -> the",
        "reader erases -> ScopeMissing",
        "admin erases -> erased",
        "status with its token -> well",
        "status with a token of the notes -> RpcClientError",
        "without the typed client -> 401"
      ])
    })
  )
})

describe("examples/web", () => {
  it.scopedLive("answers every request as its README says", () =>
    Effect.gen(function* () {
      const story = yield* run("examples/web/main.ts", {})
      expect(yield* story.ended).toBe(0)
      const requests = [...story.output().matchAll(/^(\w+ \/\S* -> \d{3})/gm)].map(([, line]) => line)
      expect(requests).toEqual([
        "GET /health -> 200",
        "GET /.well-known/oauth-protected-resource/notes -> 200",
        "GET /notes -> 401",
        "GET /notes -> 200",
        "GET /notes -> 401",
        "DELETE /notes -> 403",
        "DELETE /notes -> 200",
        "GET /notes -> 503"
      ])
      expect(story.output()).toMatch(/503 Retry-After: 1$/m)
    })
  )
})

describe("examples/mcp-sdk", () => {
  it.scopedLive("answers every request as its README says", () =>
    Effect.gen(function* () {
      const story = yield* run("examples/mcp-sdk/main.ts", {})
      expect(yield* story.ended).toBe(0)
      const requests = [...story.output().matchAll(/^([a-z].* -> \d{3})/gm)].map(([, line]) => line)
      expect(requests).toEqual([
        "a good token -> 200",
        "no token -> 401",
        "another resource's token -> 401",
        "a token without the scope -> 403",
        "an outage -> 503"
      ])
      expect(story.output()).toMatch(/machine with notes:read/)
    })
  )
})

describe("examples/authkit", () => {
  it.scopedLive("lets a user in through an authorization server that looks like AuthKit", () =>
    Effect.gen(function* () {
      const [port, callbackPort] = yield* freePorts(2)
      const resource = `http://127.0.0.1:${port}/mcp`
      const authKit = yield* AuthorizationServer.start({
        resources: { [resource]: [] },
        clients: [],
        signingKey: yield* AuthorizationServer.newSigningKey("RS256"),
        jwksPath: "/oauth2/jwks",
        untyped: true
      })
      const server = yield* run("examples/authkit/server.ts", { AUTHKIT_DOMAIN: authKit.issuer, PORT: String(port) })
      yield* server.says(/Listening on/)
      expect(server.output()).toMatch(
        `Access tokens are accepted for aud=${resource} (add this URL to "MCP resource indicators" in the WorkOS Dashboard)`
      )
      const client = yield* run("examples/authkit/client.ts", {
        SERVER_URL: resource,
        CALLBACK_PORT: String(callbackPort)
      })
      const [, url = ""] = yield* client.says(/Open (\S+)/)
      expect(yield* browse(url)).toBe("Thank you. You can close this page.")
      expect(yield* client.ended).toBe(0)
      expect(client.output()).toMatch('You are "ada"')
    })
  )

  it.scopedLive("names the option and the value of a mistake, and does not start", () =>
    Effect.gen(function* () {
      const server = yield* run("examples/authkit/server.ts", { AUTHKIT_DOMAIN: "http://app.authkit.app", PORT: "0" })
      expect(yield* server.ended).toBe(1)
      expect(server.output()).toMatch(
        'authkitDomain "http://app.authkit.app": must be https (http is for loopback hosts only)'
      )
    })
  )
})

describe("examples/observability", () => {
  it.scopedLive("exports a span for each verification, and the metrics", () =>
    Effect.gen(function* () {
      const story = yield* run("examples/observability/main.ts", {})
      expect(yield* story.ended).toBe(0)
      const lines = story
        .output()
        .split("\n")
        .map((line) => line.trim())
      const told = (name: string) =>
        lines.filter((line) => line.startsWith(name)).map((line) => line.replace(/.* = /, ""))
      expect(told("oauth.decision")).toEqual(["accepted", "accepted", "accepted", "SignatureInvalid"])
      expect(told("oauth.signature_cache")).toEqual(["miss", "miss", "hit", "miss"])
      expect(lines.filter((line) => line === "TokenVerifier.verify").length).toBe(4)
      expect(lines.filter((line) => line === "http.client GET").length).toBe(2)
      expect(lines.filter((line) => line.startsWith("oauth_")).sort()).toEqual([
        "oauth_key_set_refreshes loaded 1",
        "oauth_key_set_refreshes suppressed 1",
        "oauth_signature_cache_lookups hit 1",
        "oauth_signature_cache_lookups miss 3",
        "oauth_token_decisions SignatureInvalid 1",
        "oauth_token_decisions accepted 3"
      ])
    })
  )
})
