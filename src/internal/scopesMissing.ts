import type { AccessToken } from "../AccessToken.ts"
import type { ScopeMissing } from "../TokenError.ts"

/** What handlers found their tokens to lack, for a door that sees only the response which was made of it. */
const found = new WeakMap<AccessToken["Type"], ScopeMissing>()

/** Notes what a handler found. */
export const note = (token: AccessToken["Type"], error: ScopeMissing): ScopeMissing => {
  found.set(token, error)
  return error
}

/** What the handler of this very token found last. */
export const of = (token: AccessToken["Type"]): ScopeMissing | undefined => found.get(token)
