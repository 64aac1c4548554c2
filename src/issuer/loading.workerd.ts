/**
 * Loads on runtimes where I/O belongs to the request that started it (Cloudflare Workers): a request never waits for the I/O
 * of another request, and the load of a request ends with it.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { Loading } from "./loading.ts"

export const loading: Loading = {
  inBackground: false,
  join: (_running, start) => start(),
  own: (load, restore) => Effect.onInterrupt(restore(Fiber.await(load)), () => Fiber.interrupt(load)),
  others: (_load, isOver) => Effect.repeat(Effect.delay(isOver, "50 millis"), { until: (over) => over })
}
