/**
 * The fake authorization server of the tests: that of the test kit, for one issuer and one resource.
 */
import * as Testing from "effect-resource-server/Testing"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"

export { type Answer, type Key, type Network, network } from "effect-resource-server/Testing"

export const issuer = "https://as.example"
export const resource = "https://api.example/mcp"

export const generateKey = (algorithm: string, keyId?: string): Promise<Testing.Key> =>
  Effect.runPromise(Testing.generateKey(algorithm, keyId))

const keys = new Map<string, Promise<Testing.Key>>()

/** One key per algorithm for the whole test run, because RSA keys take long to generate. */
export const keyFor = (algorithm: string): Promise<Testing.Key> => {
  const key = keys.get(algorithm) ?? generateKey(algorithm)
  keys.set(algorithm, key)
  return key
}

/** How a token differs from a good one. A member that is `undefined` is left out. */
export interface Overrides extends Testing.Overrides {
  readonly algorithm?: string
}

const home = Effect.runPromise(Testing.issuer({ issuer, resource, algorithm: "ES256", claims: { scope: "mcp:tools" } }))

/** Mints a good token of `issuer` for `resource`, changed by the overrides. It is valid for five minutes of the test clock. */
export const mint = ({ algorithm = "ES256", ...overrides }: Overrides = {}): Effect.Effect<Redacted.Redacted> =>
  Effect.gen(function* () {
    const { mint } = yield* Effect.promise(() => home)
    return yield* mint({ key: yield* Effect.promise(() => keyFor(algorithm)), ...overrides })
  })

/** Signs a header and a payload without changes, for tokens that no JWT library would write. */
export const sign = (key: Testing.Key, header: string, payload: string | Uint8Array): Promise<string> =>
  Effect.runPromise(Testing.sign(key, header, payload))

export const json = (body: unknown, init?: ResponseInit) => Response.json(body, init)

/** The answers of `issuer` when it works. */
export const publishes = (...published: ReadonlyArray<Testing.Key>): Testing.Answer =>
  Testing.publishes(issuer, ...published)
