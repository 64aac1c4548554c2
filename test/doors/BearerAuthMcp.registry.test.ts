/**
 * Two MCP servers in one build: a token for one resource runs nothing of the other, however their Layers are shared.
 */
import * as McpSchema from "@effect/ai/McpSchema"
import * as McpServer from "@effect/ai/McpServer"
import * as Tool from "@effect/ai/Tool"
import * as Toolkit from "@effect/ai/Toolkit"
import type * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import { describe, expect, it } from "@effect/vitest"
import { ConfigurationError, KeySet, ProtectedResource, TokenVerifier } from "effect-resource-server"
import * as BearerAuthMcp from "effect-resource-server/BearerAuthMcp"
import * as Testing from "effect-resource-server/Testing"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { issuer, keyFor, mint } from "../support/issuer.ts"
import { body as rejectionBody } from "../support/rejections.ts"
import { serve } from "../support/server.ts"

const authAt = (path: string) =>
  TokenVerifier.layerJwt({ issuer }).pipe(
    Layer.provide(
      Layer.unwrapEffect(
        Effect.promise(async () => KeySet.layerLocal({ jwks: { keys: [(await keyFor("ES256")).jwk] } }))
      )
    ),
    Layer.provideMerge(
      ProtectedResource.layer({ baseUrl: "https://api.example", path, authorizationServers: [issuer] })
    )
  )

const door = () => BearerAuthMcp.layerHttpRouter({ name: "test", version: "1.0.0" })

/** A tool of our own kind, with its handler. */
const tool = (name: string) => {
  const tools = Toolkit.make(Tool.make(name, { success: Schema.String }))
  return Layer.provide(BearerAuthMcp.toolkit(tools), tools.toLayer({ [name]: () => Effect.succeed(name) }))
}

/** The same, registered by the platform's own function. */
const foreign = (name: string, scopes?: readonly [string]) => {
  const made = Tool.make(name, { success: Schema.String })
  const tools = Toolkit.make(scopes === undefined ? made : made.annotate(BearerAuthMcp.Scopes, scopes))
  return Layer.provide(McpServer.toolkit(tools), tools.toLayer({ [name]: () => Effect.succeed(name) }))
}

const id = McpSchema.param("id", Schema.String)
const content = () => Effect.succeed("content")

/** Every kind of registration, by our functions and by the platform's, under a name of its own. */
const registrations: Readonly<Record<string, (name: string) => Layer.Layer<never, unknown>>> = {
  "BearerAuthMcp.toolkit": tool,
  "BearerAuthMcp.layerScopes of a prompt": (name) =>
    BearerAuthMcp.layerScopes("write")(McpServer.registerPrompt({ name, content })),
  "BearerAuthMcp.layerScopes of a resource": (name) =>
    BearerAuthMcp.layerScopes("write")(McpServer.registerResource({ uri: `x://${name}`, name, content: content() })),
  "McpServer.prompt": (name) => McpServer.prompt({ name, content }),
  "McpServer.resource": (name) => McpServer.resource({ uri: `x://${name}`, name, content: content() }),
  "McpServer.resource of a template": (name) => McpServer.resource`x://note/${id}`({ name, content: () => content() })
}

type AnyLayer = Layer.Layer<never, any, any>

class Neighbour extends Context.Tag("test/Neighbour")<Neighbour, string>() {}

/** How a door is shared by two servers: what is provided to each of them is one constant. */
const shared: Readonly<Record<string, () => AnyLayer>> = {
  alone: door,
  "merged with a neighbour": () => Layer.merge(door(), Layer.succeed(Neighbour, "here")),
  "nested twice": () =>
    Layer.mergeAll(Layer.succeed(Neighbour, "here"), Layer.provideMerge(door(), Layer.succeed(Neighbour, "there")))
}

/** Builds a server whose requirements the test kit does not know. */
const build = (server: AnyLayer) => serve(server as Layer.Layer<never, unknown, HttpLayerRouter.HttpRouter>)

/** What the build of a server fails with: typed, or as a defect. */
const failure = (server: AnyLayer) =>
  Effect.map(Effect.flip(Effect.sandbox(build(server))), (cause) => {
    const error = Cause.squash(cause)
    expect(error).toBeInstanceOf(ConfigurationError.ConfigurationError)
    return { message: (error as Error).message, typed: Cause.isFailure(cause) }
  })

const otherResource =
  'BearerAuthMcp resource "https://api.example/b": shares one registry of tools with the MCP server of ' +
  "https://api.example/a: wrap each whole server in Layer.fresh"

const post = (url: string, aud: string, method: string, params: object) =>
  Effect.gen(function* () {
    const token = yield* mint({ claims: { aud: `https://api.example${aud}` } })
    return yield* Effect.promise(async () => {
      const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params })
      const response = await fetch(url, { method: "POST", headers: Testing.bearer(token), body })
      return [response.status, (await response.text()).replace(/^.*"text":"([^}]*)"}.*$/, "$1")]
    })
  })

const call = (url: string, aud: string, name: string) => post(url, aud, "tools/call", { name, arguments: {} })

describe.each(Object.entries(shared))("one door for two resources, %s", (_, make) => {
  it.scopedLive.each(Object.entries(registrations))(
    "fails the build where the second registers by %s",
    ([, register]) =>
      Effect.gen(function* () {
        const constant = make()
        const first = tool("of_a").pipe(Layer.provide(constant), Layer.provide(authAt("/a")))
        // In this order, as they are built at the same time otherwise.
        const both = register("of_b").pipe(
          Layer.provide(constant),
          Layer.provide(authAt("/b")),
          Layer.provide(Layer.empty),
          (second) => Layer.provideMerge(second, first)
        )
        expect((yield* failure(both)).message).toBe(otherResource)
      })
  )

  it.scopedLive("works with Layer.fresh around each whole server", () =>
    Effect.gen(function* () {
      const constant = make()
      const server = (path: string, name: string) =>
        Layer.fresh(tool(name).pipe(Layer.provide(constant), Layer.provide(authAt(path))))
      const { url } = yield* build(Layer.merge(server("/a", "of_a"), server("/b", "of_b")))
      expect(yield* call(`${url}/a`, "/a", "of_a")).toEqual([200, '\\"of_a\\"'])
      expect(yield* call(`${url}/b`, "/b", "of_b")).toEqual([200, '\\"of_b\\"'])
      expect((yield* call(`${url}/a`, "/a", "of_b"))[1]).toContain("Tool not found")
      expect((yield* call(`${url}/b`, "/b", "of_a"))[1]).toContain("Tool not found")
      expect(yield* call(`${url}/b`, "/a", "of_b")).toEqual([401, forAnother("/b")])
      expect(yield* call(`${url}/a`, "/b", "of_a")).toEqual([401, forAnother("/a")])
    })
  )
})

const forAnother = (path: string) =>
  rejectionBody(
    "invalid_token",
    "The access token is for another resource",
    `https://api.example/.well-known/oauth-protected-resource${path}`
  )

describe("two doors", () => {
  it.scopedLive("for two resources fail the build, also where they are built at the same time", () =>
    Effect.gen(function* () {
      const server = (path: string, name: string) =>
        tool(name).pipe(Layer.provide(door().pipe(Layer.provide(authAt(path)))))
      const { message, typed } = yield* failure(Layer.merge(server("/a", "of_a"), server("/b", "of_b")))
      expect([message.replaceAll(/\/[ab]/g, "/x"), typed]).toEqual([otherResource.replaceAll(/\/[ab]/g, "/x"), true])
    })
  )

  it.scopedLive("for one resource, at two paths, share their tools", () =>
    Effect.gen(function* () {
      const at = (path: `/${string}`) => BearerAuthMcp.layerHttpRouter({ name: "test", version: "1.0.0", path })
      const { url } = yield* serve(
        tool("one").pipe(Layer.provide(Layer.merge(at("/first"), at("/second"))), Layer.provide(authAt("/a")))
      )
      expect(yield* call(`${url}/first`, "/a", "one")).toEqual([200, '\\"one\\"'])
      expect(yield* call(`${url}/second`, "/a", "one")).toEqual([200, '\\"one\\"'])
    })
  )

  it.scopedLive("do not take a toolkit that was registered before them for another resource", () =>
    Effect.gen(function* () {
      const early = tool("early").pipe(Layer.provide(authAt("/b")))
      const server = tool("of_a").pipe(Layer.provide(door()), Layer.provide(authAt("/a")))
      expect(yield* failure(Layer.provideMerge(server, early))).toEqual({ message: otherResource, typed: true })
    })
  )

  it.scopedLive("take a toolkit that was registered before them for no resource, or for theirs", () =>
    Effect.gen(function* () {
      const Auth = authAt("/a")
      const early = Layer.merge(tool("early"), tool("own").pipe(Layer.provide(Auth)))
      const server = tool("of_a").pipe(Layer.provide(door()), Layer.provide(Auth))
      const { url } = yield* serve(Layer.provideMerge(server, early))
      for (const name of ["early", "own", "of_a"]) {
        expect(yield* call(`${url}/a`, "/a", name)).toEqual([200, `\\"${name}\\"`])
      }
    })
  )
})

describe("a tool that BearerAuthMcp.toolkit did not register", () => {
  const message = (name: string) =>
    `McpServer.toolkit "${name}": is registered without its scopes: use BearerAuthMcp.toolkit`

  it.scopedLive.each([{ scopes: ["write"] as const }, { scopes: undefined }])(
    "fails the build behind the door: with scopes $scopes",
    ({ scopes }) =>
      Effect.gen(function* () {
        const server = foreign("change", scopes).pipe(Layer.provide(door()), Layer.provide(authAt("/a")))
        expect(yield* failure(server)).toEqual({ message: message("change"), typed: false })
      })
  )

  it.scopedLive("fails the build of a door that comes after it", () =>
    Effect.gen(function* () {
      const server = door().pipe(Layer.provide(authAt("/a")))
      expect(yield* failure(Layer.provideMerge(server, foreign("change", ["write"])))).toEqual({
        message: message("change"),
        typed: true
      })
    })
  )

  it.scopedLive("does not run behind the door if it got into the registry by a way of its own", () =>
    Effect.gen(function* () {
      const ran: Array<string> = []
      const found: { add?: McpServer.McpServer["Type"]["addTool"] } = {}
      const before = Layer.effectDiscard(
        Effect.map(McpServer.McpServer, ({ addTool }) => void (found.add = addTool))
      ).pipe(Layer.provide(McpServer.McpServer.layer))
      const server = tool("known").pipe(Layer.provide(door()), Layer.provide(authAt("/a")))
      const { url } = yield* serve(Layer.provideMerge(server, before))
      const add = (name: string) =>
        found.add!({
          tool: new McpSchema.Tool({ name, inputSchema: { type: "object" } }),
          handle: () =>
            Effect.sync(() => {
              ran.push(name)
              return new McpSchema.CallToolResult({ content: [] })
            })
        })
      yield* add("stray")
      expect((yield* call(`${url}/a`, "/a", "stray"))[1]).toContain("Tool not found")
      expect(yield* call(`${url}/a`, "/a", "known")).toEqual([200, '\\"known\\"'])
      // Under a name of ours it would run in place of ours, without its scopes.
      yield* add("known")
      expect((yield* call(`${url}/a`, "/a", "known"))[1]).toContain("Tool not found")
      expect(ran).toEqual([])
    })
  )
})
