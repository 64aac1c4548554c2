import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as ConfigurationError from "./ConfigurationError.ts"
import * as read from "./options.ts"

/** A Layer that reads its options from `Config` when it is built. */
export const fromConfig = <Options, A, E, R>(
  options: Config.Config.Wrap<Options>,
  layer: (options: Options) => Layer.Layer<A, E, R>
): Layer.Layer<A, E | ConfigurationError.ConfigurationError | ConfigError.ConfigError, R> =>
  Layer.unwrapEffect(
    Effect.gen(function* () {
      const problem = notConfig("options", options)
      if (problem !== undefined) return yield* problem
      return layer(yield* Config.unwrap(options))
    })
  )

/** The first member that is neither a `Config` nor an object of them. `Config.unwrap` throws for it, or ignores it. */
const notConfig = (option: string, value: unknown): ConfigurationError.ConfigurationError | undefined => {
  if (Config.isConfig(value)) return undefined
  const members = read.record(option, value)
  if (Either.isLeft(members)) return ConfigurationError.make(option, value, "is not a Config")
  for (const [name, member] of Object.entries(members.right)) {
    const problem = notConfig(option === "options" ? name : `${option}.${name}`, member)
    if (problem !== undefined) return problem
  }
  return undefined
}
