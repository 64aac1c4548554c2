/**
 * Loads on runtimes where I/O may outlive the request that started it: all requests share one load, and the load continues
 * when they end.
 */
import * as Fiber from "effect/Fiber"
import type { Loading } from "./loading.ts"

export const loading: Loading = {
  inBackground: true,
  join: (running, start) => running ?? start(),
  own: (load, restore) => restore(Fiber.await(load)),
  others: (load) => Fiber.await(load)
}
