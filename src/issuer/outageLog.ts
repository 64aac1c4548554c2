import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as LogLevel from "effect/LogLevel"

/** Log lines of the loads that fail. */
export interface OutageLog {
  /** A load failed. `inUseMillis` is the age of the value that stays in use, if there is one. */
  readonly failed: (reason: string, inUseMillis: number | undefined) => Effect.Effect<void>
  /** The outage is over: the next failure is the first of another one. */
  readonly succeeded: () => void
}

/**
 * Logs the first failure of an outage as a warning, or as an error if there is no value to use, and the others at Debug. A
 * warning that becomes an error is logged again.
 */
export const make = (): OutageLog => {
  let logged: LogLevel.Literal | undefined
  return {
    failed: (reason, inUseMillis) => {
      const level = inUseMillis === undefined ? "Error" : "Warning"
      const logLevel = logged === level ? "Debug" : level
      logged = level
      const line =
        inUseMillis === undefined
          ? "Loading failed, and there is no earlier value to use"
          : `Refreshing failed; the value loaded ${Duration.format(Duration.millis(inUseMillis))} ago stays in use`
      return Effect.logWithLevel(LogLevel.fromLiteral(logLevel), `${line}: ${reason}`)
    },
    succeeded: () => {
      logged = undefined
    }
  }
}
