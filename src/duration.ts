import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as ConfigurationError from "./ConfigurationError.ts"
import type { Read } from "./options.ts"

/** What an option asks of a duration, and the complaint about one that is not so. */
export interface Bounds {
  readonly holds: (value: Duration.Duration) => boolean
  readonly complaint: string
}

/** The duration of an option. Types do not stop `"soon"` from a configuration file. */
export const duration = (option: string, input: unknown, { complaint, holds }: Bounds): Read<Duration.Duration> =>
  isBelowZero(input)
    ? Either.left(ConfigurationError.make(option, input, complaint))
    : Either.fromOption(Option.filter(Duration.decodeUnknown(input), holds), () =>
        ConfigurationError.make(option, Duration.isDuration(input) ? Duration.format(input) : input, complaint)
      )

/** Effect reads these as no time at all, which turns a mistake into a decision. */
const isBelowZero = (input: unknown): boolean => {
  if (typeof input === "number" || typeof input === "bigint") return !(input >= 0)
  if (typeof input === "string") return input.startsWith("-")
  return Array.isArray(input) && input.some(isBelowZero)
}
