import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as outageLog from "../../src/issuer/outageLog.ts"
import { captureLogs } from "../support/logs.ts"

const refreshing = "Refreshing failed; the value loaded 1m ago stays in use: down"
const loading = "Loading failed, and there is no earlier value to use: down"

describe("outageLog", () => {
  it.effect("logs the first failure of an outage, and the first without a value, and the others at Debug", () => {
    const logs = captureLogs()
    return Effect.gen(function* () {
      const log = outageLog.make()
      yield* log.failed("down", 60_000)
      yield* log.failed("down", 60_000)
      yield* log.failed("down", undefined)
      yield* log.failed("down", undefined)
      log.succeeded()
      yield* log.failed("down", 60_000)
      expect(logs.lines).toEqual([
        `WARN ${refreshing}`,
        `DEBUG ${refreshing}`,
        `ERROR ${loading}`,
        `DEBUG ${loading}`,
        `WARN ${refreshing}`
      ])
    }).pipe(Effect.provide(logs.layer), Logger.withMinimumLogLevel(LogLevel.Debug))
  })
})
