/**
 * The registry of an MCP server behind a door: it belongs to one resource, and all of its tools were registered with their
 * scopes.
 *
 * Effect builds `McpServer.layer` once, so that all MCP servers of one build share one registry.
 */
import type * as McpServer from "@effect/ai/McpServer"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as ConfigurationError from "../ConfigurationError.ts"
import { ProtectedResource } from "../resource/ProtectedResource.ts"
import * as operations from "./mcpOperations.ts"
import { someScopes } from "../resource/scope.ts"

type Registry = McpServer.McpServer["Type"]
type Add = Pick<Registry, "addTool" | "addPrompt" | "addResource" | "addResourceTemplate">
type Scopes = ReadonlyArray<string>

/** A registry behind a door. */
export interface Guarded {
  readonly resource: string
  readonly scopes: operations.ScopeRegistry
  /** There is such a tool, and `BearerAuthMcp.toolkit` registered it. */
  readonly hasTool: (name: unknown) => boolean
  /** The registry's own functions. */
  readonly add: Add
}

const guarded = new WeakMap<Registry, Guarded>()

/** The tools that `BearerAuthMcp.toolkit` registered, each with the resource that it did so for, where there was one. */
const ownTools = new WeakMap<Registry["tools"][number], string | undefined>()

/**
 * Puts a registry behind the door of a resource. Fails if it is behind the door of another resource, or has a tool that
 * `BearerAuthMcp.toolkit` did not register, or registered for another resource.
 *
 * After that, registering for another resource is a defect, and so is a tool of `McpServer.toolkit`.
 */
export const guard = <R>(
  registry: Registry,
  resource: string,
  make: Effect.Effect<Registry, never, R>
): Effect.Effect<Guarded, ConfigurationError.ConfigurationError, R> =>
  // `make` comes first although it may not be needed: Effect builds two doors at once, and the rest must run in one step.
  Effect.flatMap(make, (another) =>
    Effect.suspend(() => {
      const known = guarded.get(registry)
      if (known !== undefined) return Effect.as(sameResource(resource, known.resource), known)
      const foreign = registry.tools.find((tool) => !ownTools.has(tool))
      if (foreign !== undefined) return withoutScopes(foreign.name)
      const elsewhere = registry.tools.map((tool) => ownTools.get(tool)).find((of) => (of ?? resource) !== resource)
      if (elsewhere !== undefined) return differs(elsewhere, resource)
      const own: Guarded = {
        resource,
        scopes: { registry: another, resources: new Map(), templates: new Map() },
        hasTool: (name) => {
          const named = registry.tools.filter((tool) => tool.name === name)
          return named.length > 0 && named.every((tool) => ownTools.has(tool))
        },
        add: { ...registry }
      }
      guarded.set(registry, own)
      Object.assign(registry, platforms(own))
      return Effect.succeed(own)
    })
  )

/** What the platform's own functions find in the registry. */
const platforms = ({ add, resource }: Guarded): Add => {
  const checked = (registration: Effect.Effect<void>) =>
    Effect.flatMap(ownResource, (own) =>
      Effect.zipRight(Effect.orDie(sameResource(own ?? resource, resource)), registration)
    )
  return {
    addTool: ({ tool }) => Effect.die(withoutScopes(tool.name)),
    addPrompt: (options) => checked(add.addPrompt(options)),
    addResource: (entry, content) => checked(add.addResource(entry, content)),
    addResourceTemplate: (options) => checked(add.addResourceTemplate(options))
  }
}

/** What registered operations need: tools by their names, or whatever else is registered. */
export type Needed = { readonly tools: ReadonlyMap<string, Scopes> } | { readonly others: Scopes }

/**
 * The registry for our own registrations. Fails if it belongs to another resource than theirs, or a scope is none, or no
 * door asks for the scopes.
 */
export const declaring = (
  registry: Registry,
  needed: Needed
): Effect.Effect<Registry, ConfigurationError.ConfigurationError> =>
  Effect.gen(function* () {
    const lists = "tools" in needed ? [...needed.tools.values()] : [needed.others]
    const scopes = (yield* Effect.forEach(lists, (list) => someScopes("BearerAuthMcp scopes", list))).flat()
    const own = yield* ownResource
    const door = guarded.get(registry)
    if (door === undefined && scopes.length > 0) {
      const reason = "nothing asks for them: provide BearerAuthMcp.layerHttpRouter to this Layer"
      return yield* ConfigurationError.make("BearerAuthMcp scopes", scopes.join(" "), reason)
    }
    if (door !== undefined && own !== undefined) yield* sameResource(own, door.resource)
    const add: Add = {
      ...registry,
      ...door?.add,
      addTool: (options) =>
        Effect.suspend(() => {
          ownTools.set(options.tool, own)
          return (guarded.get(registry)?.add ?? registry).addTool(options)
        })
    }
    if (door === undefined) return { ...registry, ...add }
    return {
      ...registry,
      ...("tools" in needed
        ? operations.tools(add, door.scopes, needed.tools)
        : operations.others(add, door.scopes, scopes))
    }
  })

/** The resource of what is being built. */
const ownResource = Effect.map(
  Effect.serviceOption(ProtectedResource),
  Option.match({ onNone: () => undefined, onSome: ({ resource }) => resource })
)

const sameResource = (own: string, resource: string) => (own === resource ? Effect.void : differs(own, resource))

const differs = (own: string, resource: string) =>
  ConfigurationError.make(
    "BearerAuthMcp resource",
    own,
    `shares one registry of tools with the MCP server of ${resource}: wrap each whole server in Layer.fresh`
  )

const withoutScopes = (tool: string) =>
  ConfigurationError.make("McpServer.toolkit", tool, "is registered without its scopes: use BearerAuthMcp.toolkit")
