/**
 * Tokens that are rejected, compared with good tokens that are new.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { generateKey, mint } from "../support/issuer.ts"
import { tokens, verifier } from "./contenders.ts"
import { type Contender, interleave, median, ratio } from "./measure.ts"
import type { Figure } from "./report.ts"

export const rejections = async (): Promise<ReadonlyArray<Figure>> => {
  const [operations, rounds] = [100, 41]
  const key = await generateKey("RS256")
  const { verify } = await verifier({ keys: [key.jwk] }, "RS256")
  const good = (await tokens(key, operations * (rounds + 3))).map((token) => Redacted.make(token))
  const [token = ""] = await tokens(key, 1)
  const minted = (claims: Readonly<Record<string, unknown>>) => Effect.runPromise(mint({ key, claims }))
  const rejected: Readonly<Record<string, Redacted.Redacted>> = {
    garbage: Redacted.make("garbage".repeat(70)),
    "wrong signature": Redacted.make(`${token.slice(0, -6)}AAAAAA`),
    expired: await minted({ exp: 1 }),
    "wrong audience": await minted({ aud: "https://other.example" })
  }
  const again =
    (token: Redacted.Redacted): Contender =>
    () =>
      Effect.runPromise(
        Effect.forEach(Array<typeof token>(operations).fill(token), (one) => Effect.ignore(verify(one)), {
          discard: true
        })
      )
  const taken = await interleave<string>(
    {
      good: (round) =>
        Effect.runPromise(
          Effect.forEach(good.slice(round * operations, (round + 1) * operations), verify, { discard: true })
        ),
      ...Object.fromEntries(Object.entries(rejected).map(([name, token]) => [name, again(token)]))
    },
    { operations, rounds }
  )
  return Object.keys(rejected).map((name) => ({
    what: `${name} / distinct token (RS256)`,
    ratio: ratio(taken[name]!.wall, taken["good"]!.wall),
    ...(name === "garbage" && { target: 0.15 }),
    note: `${median(taken[name]!.wall).toFixed(1)} us / ${median(taken["good"]!.wall).toFixed(1)} us`
  }))
}
