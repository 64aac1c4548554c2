/**
 * Good tokens: distinct ones, the same one again, and with many keys.
 */
import type { TokenVerifier } from "effect-resource-server"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { generateKey } from "../support/issuer.ts"
import {
  type Algorithm,
  awsJwtVerify,
  bare,
  callAll,
  fastJwt,
  joseVerify,
  jsonWebToken,
  tokens,
  verifier,
  verifyAll
} from "./contenders.ts"
import { type Contender, interleave, median, ratio } from "./measure.ts"
import type { Figure } from "./report.ts"

const algorithms: ReadonlyArray<Algorithm> = ["RS256", "ES256", "EdDSA"]

const slices =
  <A>(all: ReadonlyArray<A>, size: number) =>
  (round: number) =>
    all.slice(round * size, (round + 1) * size)

const one = (all: ReadonlyArray<string>, verify: (token: string) => unknown) => {
  for (const token of all) verify(token)
}

const micros = (taken: ReadonlyArray<number>) => `${median(taken).toFixed(1)} us`

/** Distinct tokens, one after the other and 64 at once. */
export const distinct = async (): Promise<ReadonlyArray<Figure>> => {
  const figures: Array<Figure> = []
  const [operations, rounds] = [800, 31]
  for (const algorithm of algorithms) {
    const key = await generateKey(algorithm)
    const all = await tokens(key, operations * (rounds + 10))
    const batch = slices(all, operations)
    const wrapped = slices(
      all.map((token) => Redacted.make(token)),
      operations
    )
    const ours = await verifier({ keys: [key.jwk] }, algorithm)
    const concurrent = await verifier({ keys: [key.jwk] }, algorithm)
    const [floor, fast, aws, jose] = [bare(key), fastJwt(key, false), awsJwtVerify(key), await joseVerify(key)]
    const sequential = await interleave<string>(
      {
        ours: (round) => verifyAll(ours, wrapped(round)),
        bare: (round) => one(batch(round), floor),
        "fast-jwt": (round) => one(batch(round), fast),
        "fast-jwt in a fiber": (round) => callAll(fast, batch(round)),
        "aws-jwt-verify": (round) => one(batch(round), aws),
        jose: async (round) => {
          for (const token of batch(round)) await jose(token)
        },
        ...(algorithm !== "EdDSA" && { jsonwebtoken: (round: number) => one(batch(round), jsonWebToken(key)) })
      } satisfies Readonly<Record<string, Contender>>,
      { operations, rounds, warmUp: 10 }
    )
    const targets: Readonly<Record<string, number>> = {
      bare: algorithm === "RS256" ? 1.25 : 1.15,
      "fast-jwt": 1,
      "aws-jwt-verify": 1
    }
    for (const [name, taken] of Object.entries(sequential)) {
      if (name === "ours") continue
      figures.push({
        what: `${algorithm} distinct token / ${name === "bare" ? "bare signature check" : name}`,
        ratio: ratio(sequential["ours"]!.wall, taken.wall),
        ...(targets[name] !== undefined && { target: targets[name] }),
        note: `${micros(sequential["ours"]!.wall)} / ${micros(taken.wall)}`
      })
    }
    const atOnce = await interleave(
      {
        ours: (round) => {
          const left = [...wrapped(round)]
          const work: Effect.Effect<void, TokenVerifier.Rejection> = Effect.whileLoop({
            while: () => left.length > 0,
            body: () => concurrent.verify(left.pop()!),
            step: () => {}
          })
          return Effect.runPromise(
            Effect.forEach(Array(64).keys(), () => work, { concurrency: "unbounded", discard: true })
          )
        },
        jose: async (round) => {
          const left = [...batch(round)]
          const work = async () => {
            for (let token = left.pop(); token !== undefined; token = left.pop()) await jose(token)
          }
          await Promise.all(Array.from({ length: 64 }, work))
        },
        bare: (round) => one(batch(round), floor)
      },
      { operations, rounds, warmUp: 10 }
    )
    figures.push({
      what: `${algorithm} distinct token / jose, CPU at 64 concurrent`,
      ratio: ratio(atOnce.ours.cpu, atOnce.jose.cpu),
      target: 0.7,
      note: `${micros(atOnce.ours.cpu)} / ${micros(atOnce.jose.cpu)}`
    })
    figures.push({
      what: `${algorithm} bare signature check / jose, CPU at 64 concurrent`,
      ratio: ratio(atOnce.bare.cpu, atOnce.jose.cpu),
      note: `${micros(atOnce.bare.cpu)} / ${micros(atOnce.jose.cpu)}`
    })
  }
  return figures
}

/** The same token again and again, in one fiber as in a server. */
export const same = async (): Promise<ReadonlyArray<Figure>> => {
  const figures: Array<Figure> = []
  // Enough operations for a round to include its own garbage collection.
  const [operations, rounds] = [50_000, 31]
  for (const algorithm of algorithms) {
    const key = await generateKey(algorithm)
    const [token = ""] = await tokens(key, 1)
    const wrapped = Redacted.make(token)
    const ours = await verifier({ keys: [key.jwk] }, algorithm)
    const fast = fastJwt(key, true)
    const jose = await joseVerify(key)
    const taken = await interleave(
      {
        ours: () => verifyAgain(ours, wrapped, operations),
        fast: () => {
          for (let turn = 0; turn < operations; turn++) fast(token)
        }
      },
      { operations, rounds, warmUp: 10 }
    )
    figures.push({
      what: `${algorithm} same token / fast-jwt with cache`,
      ratio: ratio(taken.ours.wall, taken.fast.wall),
      target: algorithm === "RS256" ? 0.25 : 0.4,
      note: `${median(taken.ours.wall).toFixed(2)} us / ${median(taken.fast.wall).toFixed(2)} us`
    })
    const slow = await interleave(
      {
        ours: () => verifyAgain(ours, wrapped, 200),
        jose: async () => {
          for (let turn = 0; turn < 200; turn++) await jose(token)
        }
      },
      { operations: 200, rounds }
    )
    figures.push({
      what: `${algorithm} same token / jose`,
      ratio: ratio(slow.ours.wall, slow.jose.wall),
      target: 0.02
    })
  }
  return figures
}

type Verifier = Awaited<ReturnType<typeof verifier>>

const verifyAgain = ({ verify }: Verifier, token: Redacted.Redacted, operations: number): Promise<void> => {
  let turn = 0
  return Effect.runPromise(
    Effect.whileLoop({ while: () => turn++ < operations, body: () => verify(token), step: () => {} })
  )
}

/** The cost of a token with 1 key and with up to 1,000, and in a process with 100 resources. */
export const manyKeys = async (): Promise<ReadonlyArray<Figure>> => {
  const [operations, rounds] = [300, 15]
  const key = await generateKey("ES256", "the-one")
  const others = await Promise.all(Array.from({ length: 999 }, (_, index) => generateKey("ES256", `other-${index}`)))
  const wrapped = slices(
    (await tokens(key, operations * (rounds + 3))).map((token) => Redacted.make(token)),
    operations
  )
  const among = (count: number) =>
    verifier({ keys: [...others.slice(0, count - 1), key].map(({ jwk }) => jwk) }, "ES256")
  const sizes = [1, 10, 100, 1000]
  const verifiers = await Promise.all(sizes.map(among))
  const taken = await interleave<string>(
    Object.fromEntries(
      sizes.map((size, index) => [size, (round: number) => verifyAll(verifiers[index]!, wrapped(round))])
    ),
    { operations, rounds }
  )
  const alone = await among(1)
  const crowd = await Promise.all(Array.from({ length: 100 }, () => among(1)))
  const resources = await interleave(
    {
      alone: (round) => verifyAll(alone, wrapped(round)),
      crowd: async (round) => {
        const tokens = wrapped(round)
        for (const [index, verifier] of crowd.entries())
          await verifyAll(verifier, tokens.slice(index * 3, index * 3 + 3))
      }
    },
    { operations, rounds }
  )
  return [
    ...sizes.slice(1).map((size) => ({
      what: `cost with ${size} keys / with 1`,
      ratio: ratio(taken[size]!.wall, taken["1"]!.wall),
      ...(size === 1000 && { target: 1.1 })
    })),
    { what: "cost spread over 100 resources / with 1", ratio: ratio(resources.crowd.wall, resources.alone.wall) }
  ]
}
