import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as ConfigurationError from "../ConfigurationError.ts"

/** What an option asks of a duration, and the complaint about one that is not so. */
export interface Bounds {
  readonly holds: (value: Duration.Duration) => boolean
  readonly complaint: string
}

/** The duration of an option. Types do not stop `"soon"` from a configuration file. */
export const duration = (
  option: string,
  input: Duration.DurationInput,
  { complaint, holds }: Bounds
): Effect.Effect<Duration.Duration, ConfigurationError.ConfigurationError> =>
  Option.match(Option.filter(Duration.decodeUnknown(input), holds), {
    onSome: Effect.succeed,
    onNone: () =>
      ConfigurationError.make(option, Duration.isDuration(input) ? Duration.format(input) : String(input), complaint)
  })
