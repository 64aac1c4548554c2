import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import * as AuthorizationServer from "../examples/mcp/authorizationServer.ts"
import { freePorts } from "../examples/mcp/ports.ts"

/** Runs a program of the examples as a user does. Resolves with its output as soon as it says `until`, or ends. */
const run = (file: string, env: Readonly<Record<string, string>>, args: ReadonlyArray<string> = []) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn("node_modules/.bin/tsx", [file, ...args], {
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

  it.scopedLive("stays up with --serve, prints what to try, and says so when its port is in use", () =>
    Effect.gen(function* () {
      const [port, other, third] = yield* freePorts(3)
      const env = { PORT: String(port), AUTHORIZATION_SERVER_PORT: String(other) }
      const server = yield* run("examples/mcp/main.ts", env, ["--serve"])
      yield* server.says(/Stop with Ctrl-C/)
      expect(server.output()).toMatch(new RegExp(`curl -i http://127\\.0\\.0\\.1:${port}/mcp`))
      expect((yield* Effect.promise(() => fetch(`http://127.0.0.1:${port}/mcp`, { method: "POST" }))).status).toBe(401)

      const sameServer = yield* run("examples/mcp/main.ts", { ...env, AUTHORIZATION_SERVER_PORT: String(third) }, [
        "--serve"
      ])
      expect(yield* sameServer.ended).toBe(1)
      expect(sameServer.output().trim()).toMatch(
        new RegExp(`Error: The MCP server cannot listen on 127\\.0\\.0\\.1:${port}: the port is in use$`)
      )
      const sameIssuer = yield* run("examples/mcp/main.ts", { ...env, PORT: String(third) }, ["--serve"])
      expect(yield* sameIssuer.ended).toBe(1)
      expect(sameIssuer.output().trim()).toBe(
        `Error: The authorization server cannot listen on 127.0.0.1:${other}: the port is in use`
      )
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
        "GET /health -> 200",
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
        jwksPath: "/oauth2/jwks"
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
      expect(told("oauth.verdict")).toEqual(["accepted", "accepted", "accepted", "SignatureInvalid"])
      expect(told("oauth.signature_cache")).toEqual(["miss", "miss", "hit", "miss"])
      expect(lines.filter((line) => line === "TokenVerifier.verify").length).toBe(4)
      expect(lines.filter((line) => line === "http.client GET").length).toBe(2)
      expect(lines.filter((line) => line.startsWith("oauth_")).sort()).toEqual([
        "oauth_key_set_refreshes loaded 1",
        "oauth_key_set_refreshes suppressed 1",
        "oauth_signature_cache_lookups hit 1",
        "oauth_signature_cache_lookups miss 3",
        "oauth_token_verdicts SignatureInvalid 1",
        "oauth_token_verdicts accepted 3"
      ])
    })
  )
})
