/**
 * What a program logs, one line of level and text each.
 */
import type * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"

export const captureLogs = (): { readonly lines: Array<string>; readonly layer: Layer.Layer<never> } => {
  const lines: Array<string> = []
  const layer = Logger.add(
    Logger.make(({ logLevel, message }) => {
      lines.push(`${logLevel.label} ${Array.isArray(message) ? message.join(" ") : String(message)}`)
    })
  )
  return { lines, layer }
}
