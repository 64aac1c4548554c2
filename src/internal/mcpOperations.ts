import type * as McpServer from "@effect/ai/McpServer"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as RpcSerialization from "@effect/rpc/RpcSerialization"
import * as Effect from "effect/Effect"
import * as ConfigurationError from "../ConfigurationError.ts"
import { scopeList } from "./scopeList.ts"

type Registry = McpServer.McpServer["Type"]
type Scopes = ReadonlyArray<string>

/**
 * The operations that need scopes of their own, as a second registry for each server's: there they answer with their
 * scopes instead of running. Names and URIs lead to the same operation in both, because the same code follows them.
 */
const shadows = new WeakMap<Registry, Registry>()

/** The shadow of a server whose requests are asked for scopes. */
export const guard = <R>(registry: Registry, make: Effect.Effect<Registry, never, R>) =>
  Effect.suspend(() => {
    const known = shadows.get(registry)
    if (known !== undefined) return Effect.succeed(known)
    return Effect.tap(make, (shadow) => Effect.sync(() => shadows.set(registry, shadow)))
  })

/** What registered operations need: tools by their names, or whatever else is registered. */
export type Needed = { readonly tools: ReadonlyMap<string, Scopes> } | { readonly others: Scopes }

/** A server's registry, for operations that need scopes. Without a guard nothing would ask for them. */
export const declaring = (
  registry: Registry,
  needed: Needed
): Effect.Effect<Registry, ConfigurationError.ConfigurationError> =>
  Effect.gen(function* () {
    const lists = "tools" in needed ? [...needed.tools.values()] : [needed.others]
    const scopes = (yield* Effect.forEach(lists, (list) => scopeList("BearerAuthMcp scopes", list))).flat()
    if (scopes.length === 0) return registry
    const shadow = shadows.get(registry)
    if (shadow !== undefined)
      return "tools" in needed ? tools(registry, shadow, needed.tools) : others(registry, shadow, scopes)
    const reason = "nothing asks for them: provide BearerAuthMcp.layerHttpRouter to this Layer"
    return yield* ConfigurationError.make("BearerAuthMcp scopes", scopes.join(" "), reason)
  })

/** What an operation of a shadow answers, typed as what the server's own answers. */
const answer = (scopes: Scopes) => () => Effect.succeed(scopes as never)

const tools = (registry: Registry, shadow: Registry, needed: ReadonlyMap<string, Scopes>): Registry => ({
  ...registry,
  addTool: (options) => {
    const scopes = needed.get(options.tool.name)
    const add = registry.addTool(options)
    return scopes === undefined ? add : Effect.zipRight(shadow.addTool({ ...options, handle: answer(scopes) }), add)
  }
})

const others = (registry: Registry, shadow: Registry, scopes: Scopes): Registry => {
  const handle = answer(scopes)
  const completionsOf = (options: { readonly completions: object }) =>
    Object.fromEntries(Object.keys(options.completions).map((name) => [name, handle]))
  return {
    ...registry,
    addTool: ({ tool }) =>
      Effect.dieMessage(`the tool ${tool.name} is to be annotated with BearerAuthMcp.Scopes: a toolkit has no scopes`),
    addPrompt: (options) =>
      Effect.zipRight(
        shadow.addPrompt({ ...options, handle, completions: completionsOf(options) }),
        registry.addPrompt(options)
      ),
    addResource: (resource, content) =>
      Effect.zipRight(shadow.addResource(resource, handle()), registry.addResource(resource, content)),
    addResourceTemplate: (options) =>
      Effect.zipRight(
        shadow.addResourceTemplate({ ...options, handle, completions: completionsOf(options) }),
        registry.addResourceTemplate(options)
      )
  }
}

/** What a request asks for: the scopes of all its operations together, and whether lists are among them. */
export interface Asked {
  readonly scopes: Scopes
  readonly lists: boolean
}

/** Reads a request's body as the server does. Of one that cannot be read so, the server runs nothing either. */
export const asked = (shadow: Registry, request: HttpServerRequest.HttpServerRequest): Effect.Effect<Asked> =>
  Effect.suspend(() => {
    // Where no operation has scopes, no body need be read twice.
    const { prompts, resourceTemplates, resources, tools } = shadow
    const operations = [...prompts, ...resourceTemplates, ...resources, ...tools]
    if (operations.length === 0) return Effect.succeed({ scopes: [], lists: false })
    return Effect.flatMap(Effect.orDie(request.text), (body) => {
      const messages = decode(body)
      return Effect.map(
        Effect.forEach(messages, (message) => ask(shadow, message)),
        (scopes) => ({
          scopes: [...new Set(scopes.flat())],
          lists: messages.some(({ tag }) => lists.some(([method]) => method === tag))
        })
      )
    })
  })

/** A JSON-RPC message: its method, and its parameters as they came. */
interface Message {
  readonly tag?: unknown
  readonly payload?: unknown
}

const decode = (body: string): ReadonlyArray<Message> => {
  try {
    return RpcSerialization.jsonRpc().unsafeMake().decode(body) as ReadonlyArray<Message>
  } catch {
    return []
  }
}

/** The scopes of one message's operation. The server runs none whose parameters have a wrong form. */
const ask = (shadow: Registry, { payload, tag }: Message): Effect.Effect<Scopes> => {
  const { argument, name, ref, uri } = fields(payload)
  if (tag === "tools/call") return scopesOf(shadow.callTool({ name: text(name), arguments: {} }))
  if (tag === "prompts/get") return scopesOf(shadow.getPromptResult({ name: text(name) }))
  if (tag === "resources/read") return scopesOf(shadow.findResource(text(uri)))
  if (tag === "completion/complete") return askCompletion(shadow, fields(ref), fields(argument))
  return Effect.succeed([])
}

const askCompletion = (shadow: Registry, { name, type, uri }: Fields, argument: Fields): Effect.Effect<Scopes> => {
  const rest = { argument: { name: text(argument["name"]), value: "" }, context: { arguments: {} } }
  return type === "ref/resource"
    ? scopesOf(shadow.completion({ ref: { type, uri: text(uri) }, ...rest }))
    : scopesOf(shadow.completion({ ref: { type: "ref/prompt", name: text(name) }, ...rest }))
}

/** What the shadow answers. An operation that it does not know is one that needs nothing. */
const scopesOf = <E, R>(answer: Effect.Effect<unknown, E, R>): Effect.Effect<Scopes> =>
  Effect.match(answer as Effect.Effect<unknown, E>, {
    onFailure: () => [],
    onSuccess: (scopes) => (Array.isArray(scopes) ? scopes : [])
  })

type Fields = Readonly<Record<string, unknown>>

const fields = (value: unknown): Fields => Object(value) as Fields

const text = (value: unknown): string => (typeof value === "string" ? value : "")

/** What lists: methods, the members of their answers, and how the operation of an entry is called. */
const lists: ReadonlyArray<readonly [method: string, member: string, call: (entry: Fields) => Message]> = [
  ["tools/list", "tools", ({ name }) => ({ tag: "tools/call", payload: { name } })],
  ["prompts/list", "prompts", ({ name }) => ({ tag: "prompts/get", payload: { name } })],
  ["resources/list", "resources", ({ uri }) => ({ tag: "resources/read", payload: { uri } })],
  // A template matches itself: what stands in braces is a value like any other.
  [
    "resources/templates/list",
    "resourceTemplates",
    ({ uriTemplate }) => ({ tag: "resources/read", payload: { uri: uriTemplate } })
  ]
]

/** A server's answer, its lists without the operations whose scopes are not held. All else stays as it is. */
export const withoutForbidden = (shadow: Registry, answer: string, holds: (scopes: Scopes) => boolean) =>
  Effect.gen(function* () {
    const answers: unknown = JSON.parse(answer)
    for (const message of Array.isArray(answers) ? answers : [answers]) {
      const result = fields(fields(message)["result"]) as Record<string, unknown>
      for (const [, member, call] of lists) {
        const entries = result[member]
        if (!Array.isArray(entries)) continue
        result[member] = yield* Effect.filter(entries, (entry) => Effect.map(ask(shadow, call(fields(entry))), holds))
      }
    }
    return JSON.stringify(answers)
  })
