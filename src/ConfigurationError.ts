/**
 * A mistake in the configuration, found when a Layer is built and never later.
 */
import * as Schema from "effect/Schema"
import { printable } from "./internal/printable.ts"

/**
 * An option has a value that cannot be meant.
 *
 * Layers fail with it when they are built; no request ever does. The message names the option, the value (user info of
 * a URL masked, cut at 256 characters) and the reason.
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

/** A `ConfigurationError` whose value is safe to print. */
export const make = (option: string, value: string, reason: string): ConfigurationError =>
  new ConfigurationError({
    option,
    value: printable(/:.*@/s.test(value) ? value.replace(/([a-z]+:\/\/)?.*@/is, "$1***@") : value),
    reason
  })
