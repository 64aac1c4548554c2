import * as McpSchema from "@effect/ai/McpSchema"
import * as McpServer from "@effect/ai/McpServer"
import * as Tool from "@effect/ai/Tool"
import * as Toolkit from "@effect/ai/Toolkit"
import { describe, expect, it } from "@effect/vitest"
import { AccessToken, ProtectedResource, TokenVerifier } from "effect-resource-server"
import * as BearerAuthMcp from "effect-resource-server/BearerAuthMcp"
import { ScopeMissing } from "effect-resource-server/TokenError"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { issuer, mint } from "../support/issuer.ts"
import { body as bodyOf, Keys } from "../support/rejections.ts"
import { serve } from "../support/server.ts"

const Auth = TokenVerifier.layerJwt({ issuer }).pipe(
  Layer.provide(Keys),
  Layer.provideMerge(
    ProtectedResource.layer({
      baseUrl: "https://api.example",
      path: "/mcp",
      authorizationServers: [issuer],
      requiredScopes: ["read"],
      scopeHierarchy: { admin: ["write"], write: ["read"] }
    })
  )
)

/** What ran, by name. */
const ran: Array<string> = []
const runs = (name: string) => Effect.sync(() => (ran.push(name), name))

const Tools = Toolkit.make(
  Tool.make("look", { success: Schema.String }),
  Tool.make("change", { success: Schema.String }).annotate(BearerAuthMcp.Scopes, ["write"]),
  Tool.make("publish", { success: Schema.String }).annotate(BearerAuthMcp.Scopes, ["write", "publish"]),
  Tool.make("inside", { success: Schema.String, failure: ScopeMissing, dependencies: [AccessToken.AccessToken] })
)

const id = McpSchema.param("id", Schema.String)

// Built by the tests and not while this file is loaded: what throws there fails no test.
const operations = Layer.suspend(() =>
  Layer.mergeAll(
    BearerAuthMcp.toolkit(Tools).pipe(
      Layer.provide(
        Tools.toLayer({
          look: () => runs("look"),
          change: () => runs("change"),
          publish: () => runs("publish"),
          inside: () => Effect.zipRight(AccessToken.requireScopes("write"), runs("inside"))
        })
      )
    ),
    McpServer.prompt({ name: "ask", content: () => runs("ask") }),
    McpServer.registerPrompt({
      name: "draft",
      parameters: Schema.Struct({ topic: Schema.String }),
      completion: { topic: () => Effect.as(runs("topics"), ["cats"]) },
      content: () => runs("draft")
    }).pipe(BearerAuthMcp.layerScopes("write")),
    McpServer.resource({ uri: "notes://front", name: "front", content: runs("front") }),
    McpServer.registerResource({ uri: "notes://diary", name: "diary", content: runs("diary") }).pipe(
      BearerAuthMcp.layerScopes("admin")
    ),
    McpServer.registerResource`notes://note/${id}`({
      name: "note",
      completion: { id: () => Effect.as(runs("ids"), ["1"]) },
      content: () => runs("note")
    }).pipe(BearerAuthMcp.layerScopes("write"))
  )
)

const server = (options?: { readonly hideForbidden: boolean }) =>
  serve(
    operations.pipe(
      Layer.provide(BearerAuthMcp.layerHttpRouter({ name: "test", version: "1.0.0", ...options })),
      Layer.provide(Auth)
    )
  )

const challenge = (scope: string) =>
  'Bearer resource_metadata="https://api.example/.well-known/oauth-protected-resource/mcp", ' +
  `scope="${scope}", error="insufficient_scope", error_description="The access token lacks a required scope"`

/** The body that stands beside each of these challenges. */
const lacking = bodyOf("insufficient_scope", "The access token lacks a required scope")

/** Sends a body as it is. What ran is counted anew. */
const post = (url: string, scope: string, body: string, headers: Readonly<Record<string, string>> = {}) =>
  Effect.gen(function* () {
    const token = Redacted.value(yield* mint({ claims: { scope } }))
    ran.length = 0
    return yield* Effect.promise(async () => {
      const response = await fetch(`${url}/mcp`, {
        method: "POST",
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json", ...headers },
        body
      })
      const text = await response.text()
      return { status: response.status, challenge: response.headers.get("www-authenticate"), text, ran: [...ran] }
    })
  })

const message = (method: string, params: object, id: number | undefined = 1) => ({ jsonrpc: "2.0", id, method, params })
const call = (name: string, id?: number) => message("tools/call", { name, arguments: {} }, id)
const notification = (method: string) => ({ jsonrpc: "2.0", method })
const complete = (ref: object, name: string) => message("completion/complete", { ref, argument: { name, value: "" } })

describe("an operation with scopes", () => {
  const rows: ReadonlyArray<readonly [operation: object, name: string, suffices: string, asks: string]> = [
    [call("change"), "change", "write", "write"],
    [call("publish"), "publish", "write publish", "write publish"],
    [message("prompts/get", { name: "draft", arguments: { topic: "cats" } }), "draft", "write", "write"],
    [message("resources/read", { uri: "notes://diary" }), "diary", "admin", "admin"],
    // The server matches URIs as paths: these lead to the diary, too.
    [message("resources/read", { uri: "notes://diary/" }), "diary", "admin", "admin"],
    [message("resources/read", { uri: "notes:////diary?x=1" }), "diary", "admin", "admin"],
    [message("resources/read", { uri: "notes://note/7" }), "note", "write", "write"],
    [message("resources/read", { uri: "notes://note/%37" }), "note", "write", "write"],
    [complete({ type: "ref/prompt", name: "draft" }, "topic"), "topics", "write", "write"],
    [complete({ type: "ref/resource", uri: "notes://note/{id}" }, "id"), "ids", "write", "write"],
    // A key of the server's own: the name may end in the argument's, or the other way about.
    [complete({ type: "ref/resource", uri: "notes:" }, "/note/{id}/id"), "ids", "write", "write"]
  ]

  it.scopedLive.each(rows)("of %j: %s runs with %j alone", ([operation, name, suffices, asks]) =>
    Effect.gen(function* () {
      const { url } = yield* server()
      const body = JSON.stringify(operation)
      const refused = { status: 403, challenge: challenge(asks), text: lacking, ran: [] }
      expect(yield* post(url, "read", body)).toEqual(refused)
      // Nor does the first challenge name only what was missing first.
      expect(yield* post(url, "other", body)).toEqual(refused)
      expect(yield* post(url, suffices, body)).toMatchObject({ status: 200, challenge: null, ran: [name] })
      expect(yield* post(url, "admin publish", body)).toMatchObject({ status: 200, ran: [name] })
    })
  )

  it.scopedLive("says nothing of scopes where none of its own are needed", () =>
    Effect.gen(function* () {
      const { lines, url } = yield* server()
      for (const operation of [
        call("look"),
        call("nothing"),
        message("prompts/get", { name: "ask" }),
        message("resources/read", { uri: "notes://front" }),
        message("ping", {})
      ]) {
        expect((yield* post(url, "read", JSON.stringify(operation))).status).toBe(200)
      }
      lines.length = 0
      expect((yield* post(url, "other", JSON.stringify(call("look")))).challenge).toBe(challenge("read"))
      yield* post(url, "read", JSON.stringify(call("publish")))
      expect(lines.map(({ annotations, level, message }) => [annotations["error"], level, message])).toEqual([
        ["ScopeMissing", "WARN", 'Request rejected: expected scopes "read", got "other"'],
        ["ScopeMissing", "WARN", 'Request rejected: expected scopes "write", "publish", got "read"']
      ])
    })
  )

  it.scopedLive("asks for a batch's scopes together, and runs nothing of it before they are there", () =>
    Effect.gen(function* () {
      const { url } = yield* server()
      const batch = JSON.stringify([
        call("look", 1),
        call("publish", 2),
        message("resources/read", { uri: "notes://diary" }, 3)
      ])
      expect(yield* post(url, "write", batch)).toEqual({
        status: 403,
        challenge: challenge("publish admin"),
        text: lacking,
        ran: []
      })
      const answered = yield* post(url, "admin publish", batch)
      expect([answered.status, answered.ran.sort()]).toEqual([200, ["diary", "look", "publish"]])
    })
  )

  it.scopedLive("is not told to who shows no token", () =>
    Effect.gen(function* () {
      const { url } = yield* server()
      const response = yield* Effect.promise(() =>
        fetch(`${url}/mcp`, { method: "POST", body: JSON.stringify(call("change")) })
      )
      expect([response.status, response.headers.get("www-authenticate")]).toEqual([
        401,
        'Bearer resource_metadata="https://api.example/.well-known/oauth-protected-resource/mcp", scope="read"'
      ])
    })
  )

  it.scopedLive("needs them at each path of the server", () =>
    Effect.gen(function* () {
      const at = (path: `/${string}`) => BearerAuthMcp.layerHttpRouter({ name: "test", version: "1.0.0", path })
      const { url } = yield* serve(
        operations.pipe(Layer.provide(Layer.merge(at("/one/mcp"), at("/two/mcp"))), Layer.provide(Auth))
      )
      for (const path of ["one", "two"]) {
        expect(yield* post(`${url}/${path}`, "read", JSON.stringify(call("change")))).toEqual({
          status: 403,
          challenge: challenge("write"),
          text: lacking,
          ran: []
        })
      }
    })
  )

  it.scopedLive("needs them still if another toolkit has a tool of its name, without scopes", () =>
    Effect.gen(function* () {
      const Others = Toolkit.make(
        Tool.make("change", { success: Schema.String }),
        Tool.make("other", { success: Schema.String }).annotate(BearerAuthMcp.Scopes, ["write"])
      )
      const others = BearerAuthMcp.toolkit(Others).pipe(
        Layer.provide(Others.toLayer({ change: () => runs("changed"), other: () => runs("other") }))
      )
      const { url } = yield* serve(
        others.pipe(
          Layer.provideMerge(operations),
          Layer.provide(BearerAuthMcp.layerHttpRouter({ name: "test", version: "1.0.0" })),
          Layer.provide(Auth)
        )
      )
      const body = JSON.stringify(call("change"))
      expect(yield* post(url, "read", body)).toMatchObject({ status: 403, challenge: challenge("write"), ran: [] })
      expect(yield* post(url, "write", body)).toMatchObject({ status: 200, ran: ["changed"] })
    })
  )

  it.scopedLive("is told from the body, not from a header", () =>
    Effect.gen(function* () {
      const { url } = yield* server()
      const headers = { "mcp-method": "tools/call", "mcp-name": "look" }
      expect(yield* post(url, "read", JSON.stringify(call("change")), headers)).toMatchObject({ status: 403, ran: [] })
    })
  )

  it.scopedLive("implies in handlers what it implies at the door", () =>
    Effect.gen(function* () {
      const { url } = yield* server()
      expect(yield* post(url, "admin", JSON.stringify(call("inside")))).toMatchObject({ status: 200, ran: ["inside"] })
      const short = yield* post(url, "read", JSON.stringify(call("inside")))
      expect([short.status, short.ran, JSON.parse(short.text).result.isError]).toEqual([200, [], true])
    })
  )
})

describe("odd bodies", () => {
  const guarded = new Set(["change", "publish", "draft", "topics", "diary", "note", "ids"])
  const escaped = (text: string) => [...text].map((c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`).join("")
  const literal = FastCheck.constantFrom(
    ...["change", "publish", "look", "inside", "Change", "change ", "draft", "ask", "toString", "__proto__"]
  ).chain((name) => FastCheck.constantFrom(JSON.stringify(name), `"${escaped(name)}"`))
  const uri = FastCheck.constantFrom(
    ...["notes://diary", "notes:/diary", "notesX//diary", "notes://diary#x", "notes://note/1", "notes://note/%zz"],
    ...["notes://note//1", "NOTES://diary", "notes://front", "", "/", "notes://note/", "notes://dia%72y"]
  ).map((value) => JSON.stringify(value))
  const odd = FastCheck.constantFrom("null", "1", "[]", '["change"]', '{"name":"change"}', "true", '""')
  const member = (name: string, value: FastCheck.Arbitrary<string>) => value.map((text) => `"${name}":${text}`)
  const members = (...of: ReadonlyArray<FastCheck.Arbitrary<string>>) =>
    FastCheck.shuffledSubarray([...of.keys(), ...of.keys()], { minLength: 1 }).chain((indexes) =>
      FastCheck.tuple(...indexes.map((index) => of[index]!)).map((texts) => `{${texts.join(",")}}`)
    )
  const ref = FastCheck.constantFrom(
    '{"type":"ref/prompt","name":"draft"}',
    '{"type":"ref/resource","uri":"notes://note/{id}"}',
    '{"type":"ref/resource","name":"draft","uri":{"toString":1}}',
    '{"type":"ref/prompt","uri":"notes://note/{id}","name":"x"}'
  )
  const argument = FastCheck.constantFrom('{"name":"topic","value":""}', '{"name":"id","value":""}', '{"name":{}}')
  const value = FastCheck.oneof({ weight: 4, arbitrary: literal }, { weight: 1, arbitrary: odd })
  const params = FastCheck.oneof(
    { weight: 1, arbitrary: odd },
    {
      weight: 8,
      arbitrary: FastCheck.oneof(
        members(member("name", value), member("arguments", FastCheck.constantFrom("{}", '{"topic":"x"}'))),
        members(member("uri", FastCheck.oneof(uri, odd))),
        members(member("ref", FastCheck.oneof(ref, odd)), member("argument", argument)),
        members(
          member(
            "__proto__",
            value.map((name) => `{"name":${name}}`)
          ),
          member("arguments", FastCheck.constant("{}"))
        )
      )
    }
  )
  const method = FastCheck.constantFrom(
    ...["tools/call", "prompts/get", "resources/read", "completion/complete", "tools/list", "ping"],
    ...["tools\\u002fcall", "Tools/call", "@effect/rpc/Request", "@effect/rpc/Eof", "notifications/initialized"]
  ).map((text) => `"${text}"`)
  const request = members(
    member("jsonrpc", FastCheck.constant('"2.0"')),
    member("id", FastCheck.constantFrom("1", "2", "0", "1.5", "null", "{}", '"3"', '"a"')),
    member("method", FastCheck.oneof({ weight: 9, arbitrary: method }, { weight: 1, arbitrary: odd })),
    member("params", params)
  )
  /** A request that the server runs, often with a name that another one overrides. */
  const pair = (name: string, of: FastCheck.Arbitrary<string>, rest = "") =>
    FastCheck.array(of, { minLength: 1, maxLength: 2 }).map(
      (values) => `{${rest}${values.map((text) => `"${name}":${text}`).join(", ")}}`
    )
  const named = FastCheck.oneof(
    FastCheck.tuple(FastCheck.constant("tools/call"), pair("name", value, '"arguments":{},')),
    FastCheck.tuple(FastCheck.constant("prompts/get"), pair("name", value, '"arguments":{"topic":"x"},')),
    FastCheck.tuple(FastCheck.constant("resources/read"), pair("uri", uri)),
    FastCheck.tuple(
      FastCheck.constant("completion/complete"),
      members(member("ref", ref), member("argument", argument))
    )
  )
  const whole = FastCheck.tuple(
    named,
    FastCheck.constantFrom('"id":1,', '"id":7,', '"id":"a",', '"id":0,', "", '"id":1,"method":"ping",')
  ).map(([[name, given], first]) => `{${first}"method":"${name}" ,"params":${given}}`)
  const space = FastCheck.constantFrom("", " ", "", "\n\t", "", "\r\n", "", "", "\ufeff")
  const entry = FastCheck.oneof(
    { weight: 9, arbitrary: whole },
    { weight: 2, arbitrary: request },
    { weight: 1, arbitrary: odd }
  )
  const list = (of: FastCheck.Arbitrary<string>) =>
    FastCheck.array(of, { maxLength: 3 }).map((texts) => `[${texts.join(",")}]`)
  const body = FastCheck.tuple(
    space,
    FastCheck.oneof(
      { weight: 4, arbitrary: entry },
      { weight: 3, arbitrary: list(entry) },
      { weight: 1, arbitrary: list(list(entry)) },
      { weight: 1, arbitrary: entry.map((text) => text.slice(0, -1)) },
      { weight: 1, arbitrary: FastCheck.string() }
    ),
    space
  ).map((parts) => parts.join(""))

  it.scopedLive(
    "run nothing that has scopes for a token without them, and all for one with them",
    () =>
      Effect.gen(function* () {
        const { url } = yield* server()
        let refused = 0
        let reached = 0
        yield* Effect.promise(() =>
          FastCheck.assert(
            FastCheck.asyncProperty(body, async (text) => {
              const poor = await Effect.runPromise(post(url, "read", text))
              expect(poor.ran.filter((name) => guarded.has(name))).toEqual([])
              expect([200, 202, 400, 403]).toContain(poor.status)
              const rich = await Effect.runPromise(post(url, "read admin publish", text))
              expect(rich.status).not.toBe(403)
              if (poor.status === 403) refused++
              if (rich.ran.some((name) => guarded.has(name))) {
                reached++
                expect(poor).toMatchObject({ status: 403, ran: [] })
              } else if (poor.status !== 403) {
                expect(poor.status).toBe(rich.status)
              }
            }),
            { numRuns: 600 }
          )
        )
        expect(refused).toBeGreaterThan(40)
        expect(reached).toBeGreaterThan(40)
      }),
    60_000
  )

  it.scopedLive.each([
    { ...call("look"), params: undefined },
    message("ping", [1]),
    message("tools/call", { name: 1 }),
    message("prompts/get", { name: ["draft"] }),
    message("resources/read", { uri: 1 }),
    message("resources/read", { uri: { toString: 1 } }),
    complete({ type: "ref/prompt", name: { toString: 1 } }, "topic"),
    complete({ type: "ref/resource", uri: { toString: 1 } }, "id"),
    message("completion/complete", { ref: { type: "ref/prompt", name: "draft" }, argument: { name: { toString: 1 } } }),
    message("completion/complete", { ref: null }),
    { jsonrpc: "2.0", id: 1, result: {} },
    { jsonrpc: "2.0", id: 1, method: 5 },
    [],
    [null]
  ])("of a wrong form are answered to a poor token as to a rich one: %j", (odd) =>
    Effect.gen(function* () {
      const { url } = yield* server()
      const open = yield* serve(
        Layer.provide(
          McpServer.prompt({ name: "ask", content: () => runs("ask") }),
          BearerAuthMcp.layerHttpRouter({ name: "test", version: "1.0.0" })
        ).pipe(Layer.provide(Auth))
      )
      const body = JSON.stringify(odd)
      const { challenge, ran, status } = yield* post(open.url, "read", body)
      for (const scope of ["read", "read admin publish"]) {
        expect(yield* post(url, scope, body)).toMatchObject({ challenge, ran, status })
      }
    })
  )

  it.scopedLive("of any depth and size are answered, and run nothing more", () =>
    Effect.gen(function* () {
      const { url } = yield* server()
      const deep = "[".repeat(200_000) + "]".repeat(200_000)
      const large = JSON.stringify({ ...call("change"), filler: "x".repeat(1_000_000) })
      expect(yield* post(url, "read", deep)).toMatchObject({ status: 200, ran: [] })
      expect(yield* post(url, "read", large)).toMatchObject({ status: 403, ran: [] })
      expect(yield* post(url, "read", JSON.stringify(call("look")))).toMatchObject({ status: 200, ran: ["look"] })
    })
  )
})

describe("lists", () => {
  const listed = (url: string, scope: string) =>
    Effect.gen(function* () {
      const methods = ["tools/list", "prompts/list", "resources/list", "resources/templates/list"]
      const { text } = yield* post(
        url,
        scope,
        JSON.stringify(methods.map((method, index) => message(method, {}, index + 1)))
      )
      const results = (
        JSON.parse(text) as ReadonlyArray<{ id: number; result: Record<string, Array<{ name: string }>> }>
      )
        .toSorted((one, other) => one.id - other.id)
        .map(({ result }) =>
          Object.entries(result).map(([name, entries]) => [name, entries.map((entry) => entry.name)])
        )
      return Object.fromEntries(results.flat()) as Readonly<Record<string, ReadonlyArray<string>>>
    })
  const all = {
    tools: ["look", "change", "publish", "inside"],
    prompts: ["ask", "draft"],
    resources: ["front", "diary"],
    resourceTemplates: ["note"]
  }
  const sorted = (lists: Readonly<Record<string, ReadonlyArray<string>>>) =>
    Object.fromEntries(Object.entries(lists).map(([name, names]) => [name, [...names].sort()]))

  it.scopedLive("show everything, so that a client can ask for what it lacks", () =>
    Effect.gen(function* () {
      const { url } = yield* server()
      expect(sorted(yield* listed(url, "read"))).toEqual(sorted(all))
    })
  )

  it.scopedLive("hide what the token may not call if they are to", () =>
    Effect.gen(function* () {
      const { url } = yield* server({ hideForbidden: true })
      expect(sorted(yield* listed(url, "read"))).toEqual(
        sorted({ tools: ["look", "inside"], prompts: ["ask"], resources: ["front"], resourceTemplates: [] })
      )
      expect(sorted(yield* listed(url, "write"))).toEqual(
        sorted({ ...all, tools: ["look", "change", "inside"], resources: ["front"] })
      )
      expect(sorted(yield* listed(url, "admin publish"))).toEqual(sorted(all))
    })
  )

  it.scopedLive("hide it too where one list is asked for alone, or among calls", () =>
    Effect.gen(function* () {
      const { url } = yield* server({ hideForbidden: true })
      const names = (answer: { readonly result: { readonly tools: ReadonlyArray<{ readonly name: string }> } }) =>
        answer.result.tools.map(({ name }) => name).sort()
      const alone = yield* post(url, "read", JSON.stringify(message("tools/list", {})))
      expect(names(JSON.parse(alone.text))).toEqual(["inside", "look"])
      for (const [method, forbidden] of [
        ["prompts/list", "draft"],
        ["resources/list", "diary"],
        ["resources/templates/list", "note"]
      ] as const) {
        const { status, text } = yield* post(url, "read", JSON.stringify(message(method, {})))
        expect([method, status, text.includes(`"name":"${forbidden}"`)]).toEqual([method, 200, false])
        const rich = yield* post(url, "admin", JSON.stringify(message(method, {})))
        expect([method, rich.text.includes(`"name":"${forbidden}"`)]).toEqual([method, true])
      }
      const batch = JSON.stringify([message("tools/list", {}, 1), call("look", 2)])
      const among: ReadonlyArray<{ readonly id: number }> = JSON.parse((yield* post(url, "read", batch)).text)
      expect(names(among.find(({ id }) => id === 1) as never)).toEqual(["inside", "look"])
    })
  )

  it.scopedLive("hide resources and templates whatever the scheme of their URI is", () =>
    Effect.gen(function* () {
      const schemes = ["http", "https", "HTTPS", "file", "notes"]
      const content = Effect.succeed("content")
      const resources = schemes.flatMap((scheme) => [
        McpServer.resource({ uri: `${scheme}://host/open`, name: `${scheme} open`, content }),
        BearerAuthMcp.layerScopes("write")(
          McpServer.registerResource({ uri: `${scheme}://host/shut`, name: `${scheme} shut`, content })
        )
      ])
      const of = { content: () => content }
      const templates = Layer.mergeAll(
        McpServer.resource`http://host/open/${id}`({ ...of, name: "http open" }),
        McpServer.resource`https://host/open/${id}`({ ...of, name: "https open" }),
        McpServer.resource`notes://host/open/${id}`({ ...of, name: "notes open" }),
        McpServer.registerResource`http://host/shut/${id}`({ ...of, name: "http shut" }).pipe(
          BearerAuthMcp.layerScopes("write")
        ),
        McpServer.registerResource`https://host/shut/${id}`({ ...of, name: "https shut" }).pipe(
          BearerAuthMcp.layerScopes("write")
        ),
        McpServer.registerResource`notes://host/shut/${id}/${id}`({ ...of, name: "notes shut" }).pipe(
          BearerAuthMcp.layerScopes("write")
        )
      )
      const { url } = yield* serve(
        resources
          .reduce((all, one) => Layer.merge(all, one), templates)
          .pipe(
            Layer.provide(BearerAuthMcp.layerHttpRouter({ name: "test", version: "1.0.0", hideForbidden: true })),
            Layer.provide(Auth)
          )
      )
      const names = (state: string, of: ReadonlyArray<string>) => of.map((scheme) => `${scheme} ${state}`)
      const own = ["http", "https", "notes"]
      const poor = sorted(yield* listed(url, "read"))
      expect([poor["resources"], poor["resourceTemplates"]]).toEqual([
        names("open", schemes).sort(),
        names("open", own).sort()
      ])
      const rich = sorted(yield* listed(url, "write"))
      expect([rich["resources"], rich["resourceTemplates"]]).toEqual([
        [...names("open", schemes), ...names("shut", schemes)].sort(),
        [...names("open", own), ...names("shut", own)].sort()
      ])
    })
  )

  it.scopedLive("are byte for byte the server's own where nothing is hidden", () =>
    Effect.gen(function* () {
      const open = yield* server()
      const hiding = yield* server({ hideForbidden: true })
      for (const operation of [message("tools/list", {}), notification("tools/list"), call("look")]) {
        const body = JSON.stringify(operation)
        const one = yield* post(open.url, "admin publish", body)
        expect(one.status).toBeLessThan(300)
        expect(yield* post(hiding.url, "admin publish", body)).toEqual(one)
      }
    })
  )
})

describe("BearerAuthMcp.Scopes", () => {
  it("has a key of its own", () => {
    expect(BearerAuthMcp.Scopes.key).toBe("effect-resource-server/BearerAuthMcp/Scopes")
  })
})

describe("a server that cannot be meant", () => {
  const build = <E>(layer: Layer.Layer<never, E, McpServer.McpServer>) =>
    Effect.flip(
      Effect.sandbox(
        serve(
          layer.pipe(
            Layer.provide(BearerAuthMcp.layerHttpRouter({ name: "test", version: "1.0.0" })),
            Layer.provide(Auth)
          )
        )
      )
    )
  const prompt = McpServer.registerPrompt({ name: "p", content: () => Effect.succeed("p") })

  it.scopedLive("is refused when built: a scope that is none", () =>
    Effect.gen(function* () {
      const tools = Toolkit.make(Tool.make("t", {}).annotate(BearerAuthMcp.Scopes, ["two words"]))
      const handlers = tools.toLayer({ t: () => Effect.void })
      for (const layer of [
        Layer.provide(BearerAuthMcp.toolkit(tools), handlers),
        BearerAuthMcp.layerScopes("two words")(prompt)
      ]) {
        expect(Cause.squash(yield* build(layer))).toHaveProperty(
          "message",
          'BearerAuthMcp scopes "two words": is not a scope (printable ASCII, no space, quote, backslash)'
        )
      }
    })
  )

  it.scoped("is refused when built: a toolkit that is given scopes as a whole", () =>
    Effect.gen(function* () {
      const tools = Toolkit.make(Tool.make("t", {}))
      const layer = BearerAuthMcp.layerScopes("write")(McpServer.registerToolkit(tools))
      const cause = yield* build(Layer.provide(layer, tools.toLayer({ t: () => Effect.void })))
      expect(Cause.pretty(cause)).toContain(
        "the tool t is to be annotated with BearerAuthMcp.Scopes: a toolkit has no scopes"
      )
    })
  )

  it.scoped("is not refused: a toolkit without scopes on a server that asks for none", () =>
    Effect.gen(function* () {
      const tools = Toolkit.make(Tool.make("t", {}))
      const handlers = tools.toLayer({ t: () => Effect.void })
      expect(yield* Layer.build(Layer.provide(BearerAuthMcp.toolkit(tools), handlers))).toBeDefined()
    })
  )

  it.scoped("is refused when built: scopes that nothing asks for", () =>
    Effect.gen(function* () {
      const tools = Toolkit.make(Tool.make("t", {}).annotate(BearerAuthMcp.Scopes, ["write", "admin"]))
      const handlers = tools.toLayer({ t: () => Effect.void })
      for (const layer of [
        Layer.provide(BearerAuthMcp.toolkit(tools), handlers),
        BearerAuthMcp.layerScopes("write", "admin")(prompt)
      ]) {
        const error = yield* Effect.flip(Layer.build(layer))
        expect(error.message).toBe(
          'BearerAuthMcp scopes "write admin": nothing asks for them: provide BearerAuthMcp.layerHttpRouter to this Layer'
        )
      }
    })
  )
})
