/**
 * The operations of an MCP server that need scopes of their own.
 */
import type * as McpServer from "@effect/ai/McpServer"
import * as Effect from "effect/Effect"
import type { Request } from "./mcpMessages.ts"

type Registry = McpServer.McpServer["Type"]
type Add = Pick<Registry, "addTool" | "addPrompt" | "addResource" | "addResourceTemplate">
type Scopes = ReadonlyArray<string>

/**
 * The scopes of a server's operations. The first member is a second registry, where operations answer with their scopes
 * instead of running: names and URIs lead to the same operation in both, because the same code follows them.
 */
export interface ScopeRegistry {
  readonly registry: Registry
  /** By the URI as it was registered: the server takes the host of an http(s) URI off before it looks for it. */
  readonly resources: Map<string, Scopes>
  /** By the URI template as it was registered. */
  readonly templates: Map<string, Scopes>
}

/** What an operation of the second registry answers, typed as what the server's own answers. */
const answer = (scopes: Scopes) => () => Effect.succeed(scopes as never)

/** Registers tools, each with its own scopes. */
export const tools = (add: Add, { registry }: ScopeRegistry, needed: ReadonlyMap<string, Scopes>): Add => ({
  ...add,
  addTool: (options) => {
    const scopes = needed.get(options.tool.name)
    const added = add.addTool(options)
    return scopes === undefined
      ? added
      : Effect.zipRight(registry.addTool({ ...options, handle: answer(scopes) }), added)
  }
})

/** Registers prompts, resources and resource templates, all with these scopes. */
export const others = (add: Add, { registry, resources, templates }: ScopeRegistry, scopes: Scopes): Add => {
  const handle = answer(scopes)
  const completionsOf = (options: { readonly completions: object }) =>
    Object.fromEntries(Object.keys(options.completions).map((name) => [name, handle]))
  return {
    addTool: ({ tool }) =>
      Effect.dieMessage(`the tool ${tool.name} is to be annotated with BearerAuthMcp.Scopes: a toolkit has no scopes`),
    addPrompt: (options) =>
      Effect.zipRight(
        registry.addPrompt({ ...options, handle, completions: completionsOf(options) }),
        add.addPrompt(options)
      ),
    addResource: (resource, content) =>
      Effect.suspend(() => {
        resources.set(resource.uri, scopes)
        return Effect.zipRight(registry.addResource(resource, handle()), add.addResource(resource, content))
      }),
    addResourceTemplate: (options) =>
      Effect.suspend(() => {
        templates.set(options.template.uriTemplate, scopes)
        return Effect.zipRight(
          registry.addResourceTemplate({ ...options, handle, completions: completionsOf(options) }),
          add.addResourceTemplate(options)
        )
      })
  }
}

/** The scopes of all these requests together. */
export const scopesOf = (
  { registry }: ScopeRegistry,
  requests: ReadonlyArray<Pick<Request, "method" | "params">>
): Effect.Effect<Scopes> =>
  Effect.map(
    Effect.forEach(requests, (request) => ask(registry, request)),
    (scopes) => [...new Set(scopes.flat())]
  )

/** The scopes of one request's operation. The server runs none whose parameters have a wrong form. */
const ask = (registry: Registry, { method, params }: Pick<Request, "method" | "params">): Effect.Effect<Scopes> => {
  const { argument, name, ref, uri } = fields(params)
  if (method === "tools/call") return answered(registry.callTool({ name: text(name), arguments: {} }))
  if (method === "prompts/get") return answered(registry.getPromptResult({ name: text(name) }))
  if (method === "resources/read") return answered(registry.findResource(text(uri)))
  if (method === "completion/complete") return askCompletion(registry, fields(ref), fields(argument))
  return Effect.succeed([])
}

const askCompletion = (registry: Registry, { name, type, uri }: Fields, argument: Fields): Effect.Effect<Scopes> => {
  const rest = { argument: { name: text(argument["name"]), value: "" }, context: { arguments: {} } }
  return type === "ref/resource"
    ? answered(registry.completion({ ref: { type, uri: text(uri) }, ...rest }))
    : answered(registry.completion({ ref: { type: "ref/prompt", name: text(name) }, ...rest }))
}

/** What the second registry answers. An operation that it does not know is one that needs nothing. */
const answered = <E, R>(answer: Effect.Effect<unknown, E, R>): Effect.Effect<Scopes> =>
  Effect.match(answer as Effect.Effect<unknown, E>, {
    onFailure: () => [],
    onSuccess: (scopes) => (Array.isArray(scopes) ? scopes : [])
  })

type Fields = Readonly<Record<string, unknown>>

const fields = (value: unknown): Fields => Object(value) as Fields

const text = (value: unknown): string => (typeof value === "string" ? value : "")

/** The members of answers that are lists, and the scopes of what an entry names. */
const lists: Readonly<Record<string, (scopes: ScopeRegistry, entry: Fields) => Effect.Effect<Scopes>>> = {
  tools: ({ registry }, params) => ask(registry, { method: "tools/call", params }),
  prompts: ({ registry }, params) => ask(registry, { method: "prompts/get", params }),
  resources: ({ registry, resources }, { uri }) =>
    Effect.map(ask(registry, { method: "resources/read", params: { uri } }), (read) => [
      ...read,
      ...(resources.get(text(uri)) ?? [])
    ]),
  resourceTemplates: ({ templates }, { uriTemplate }) => Effect.succeed(templates.get(text(uriTemplate)) ?? [])
}

/** The methods whose answers have lists. */
const listMethods: ReadonlyArray<string> = ["tools/list", "prompts/list", "resources/list", "resources/templates/list"]

/** Some request's answer has a list. */
export const asksForList = (requests: ReadonlyArray<Request>): boolean =>
  requests.some(({ method }) => listMethods.includes(method))

/** A server's answer, its lists without the operations whose scopes are not held. All else stays as it is. */
export const withoutForbidden = (scopes: ScopeRegistry, answer: string, holds: (scopes: Scopes) => boolean) =>
  Effect.gen(function* () {
    const answers: unknown = JSON.parse(answer)
    for (const message of Array.isArray(answers) ? answers : [answers]) {
      const result = fields(fields(message)["result"]) as Record<string, unknown>
      for (const [member, needed] of Object.entries(lists)) {
        const entries = result[member]
        if (!Array.isArray(entries)) continue
        result[member] = yield* Effect.filter(entries, (entry) => Effect.map(needed(scopes, fields(entry)), holds))
      }
    }
    return JSON.stringify(answers)
  })
