/**
 * Captures what a program logs: one line with level and text each, and their annotations.
 */
import * as HashMap from "effect/HashMap"
import type * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"

export const captureLogs = (): {
  readonly lines: Array<string>
  readonly annotations: Array<object>
  readonly layer: Layer.Layer<never>
} => {
  const lines: Array<string> = []
  const annotations: Array<object> = []
  const layer = Logger.add(
    Logger.make(({ annotations: beside, logLevel, message }) => {
      annotations.push(Object.fromEntries(HashMap.toEntries(beside)))
      lines.push(`${logLevel.label} ${Array.isArray(message) ? message.join(" ") : String(message)}`)
    })
  )
  return { lines, annotations, layer }
}
