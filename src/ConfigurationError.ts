/**
 * Mistakes in the configuration, which are found when a Layer is built and not later.
 */
import * as Schema from "effect/Schema"
import { printable, printableClaim } from "./printable.ts"

/**
 * An option has a value that is not allowed.
 *
 * Layers fail with it when they are built. The message names the option, the value and the reason. The user info of a URL is
 * masked, and a string is cut at 256 characters. A list, an object or a missing value is shown as the name of its type.
 */
export class ConfigurationError extends Schema.TaggedError<ConfigurationError>()("ConfigurationError", {
  option: Schema.String,
  value: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `${this.option} "${this.value}": ${this.reason}`
  }
}

/** Makes a `ConfigurationError` from a value of any type. The value in it is safe to print. */
export const make = (option: string, value: unknown, reason: string): ConfigurationError =>
  new ConfigurationError({ option, value: shown(value), reason })

const shown = (value: unknown): string => {
  if (typeof value === "number" || typeof value === "boolean") return String(value)
  if (typeof value !== "string") return printableClaim(value) ?? "(undefined)"
  return printable(/:.*@/s.test(value) ? value.replace(/([a-z]+:\/\/)?.*@/is, "$1***@") : value)
}
