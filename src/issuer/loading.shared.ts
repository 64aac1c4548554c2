/**
 * Loads where I/O may outlive the request that started it: one load serves all requests, and goes on without them.
 */
import * as Fiber from "effect/Fiber"
import type { Loading } from "./refreshing.ts"

export const loading: Loading = {
  inBackground: true,
  join: (running, start) => running ?? start(),
  own: (load, restore) => restore(Fiber.await(load)),
  others: (load) => Fiber.await(load)
}
