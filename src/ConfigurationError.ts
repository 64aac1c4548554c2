/**
 * A mistake in the configuration, found when a Layer is built and never later.
 */
import * as Schema from "effect/Schema"
import { printable, printableClaim } from "./printable.ts"

/**
 * An option has a value that cannot be meant.
 *
 * Layers fail with it when they are built. The message names the option, the value and the reason. Of a URL the user info is
 * masked; a text is cut at 256 characters; of a list, an object or a missing value the type is named.
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

/** A `ConfigurationError` whose value, of whatever type, is safe to print. */
export const make = (option: string, value: unknown, reason: string): ConfigurationError =>
  new ConfigurationError({ option, value: shown(value), reason })

const shown = (value: unknown): string => {
  if (typeof value === "number" || typeof value === "boolean") return String(value)
  if (typeof value !== "string") return printableClaim(value) ?? "(undefined)"
  return printable(/:.*@/s.test(value) ? value.replace(/([a-z]+:\/\/)?.*@/is, "$1***@") : value)
}
