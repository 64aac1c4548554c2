/**
 * The one fake authorization server of the tests: the test kit's, for one issuer and one resource.
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

/** One key per algorithm for the whole test run: RSA keys take their time. */
export const keyFor = (algorithm: string): Promise<Testing.Key> => {
  const key = keys.get(algorithm) ?? generateKey(algorithm)
  keys.set(algorithm, key)
  return key
}

/** What differs from one good token. A member of `undefined` is left out. */
export interface Overrides extends Testing.Overrides {
  readonly algorithm?: string
}

const home = Effect.runPromise(Testing.issuer({ issuer, resource, algorithm: "ES256", claims: { scope: "mcp:tools" } }))

/** A good token of `issuer` for `resource`, valid for five minutes of the test's clock, but for the overrides. */
export const mint = ({ algorithm = "ES256", ...overrides }: Overrides = {}): Effect.Effect<Redacted.Redacted> =>
  Effect.gen(function* () {
    const { mint } = yield* Effect.promise(() => home)
    return yield* mint({ key: yield* Effect.promise(() => keyFor(algorithm)), ...overrides })
  })

/** Signs any header text and payload bytes as they are, so that what no JWT library would write can be tried. */
export const sign = (key: Testing.Key, header: string, payload: string | Uint8Array): Promise<string> =>
  Effect.runPromise(Testing.sign(key, header, payload))

export const json = (body: unknown, init?: ResponseInit) => Response.json(body, init)

/** The answers of `issuer` in good order. */
export const publishes = (...published: ReadonlyArray<Testing.Key>): Testing.Answer =>
  Testing.publishes(issuer, ...published)
