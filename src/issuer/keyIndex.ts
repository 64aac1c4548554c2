import { importKey } from "#signature"
import * as Effect from "effect/Effect"
import * as LogLevel from "effect/LogLevel"
import type { VerificationKey } from "./KeySet.ts"
import { type Algorithm, judge } from "./jwk.ts"
import { printable } from "../printable.ts"

/** Keys by algorithm, then by `kid`; keys without one are under `undefined`. */
export type Index = ReadonlyMap<Algorithm, ReadonlyMap<string | undefined, ReadonlyArray<VerificationKey>>>

/** The keys that fit a token, however many. */
export const lookUp = (
  index: Index,
  { algorithm, keyId }: { readonly algorithm: Algorithm; readonly keyId: string | undefined }
): ReadonlyArray<VerificationKey> => {
  const fitting = index.get(algorithm)
  if (fitting === undefined) return []
  return keyId === undefined ? [...fitting.values()].flat() : (fitting.get(keyId) ?? [])
}

/** Whether the set has the token's `kid`, be it for another algorithm; for a token without one, any key that fits. */
export const hasKeyId = (
  index: Index,
  { algorithm, keyId }: { readonly algorithm: Algorithm; readonly keyId: string | undefined }
): boolean => (keyId === undefined ? index.has(algorithm) : [...index.values()].some((keys) => keys.has(keyId)))

/** Why a key, named by its position, is not used; or that it is one of several that are. */
export interface Problem {
  readonly key: string
  readonly reason: string
  /** Secret material is an error. Keys that share a `kid` cost a token more checks, and may leave it without a key. */
  readonly logLevel: (typeof levels)[number]
}

/** The loudest first. */
const levels = ["Error", "Warning", "Info"] as const

export const describe = ({ key, reason }: Problem): string => `${key} is ${reason}`

/** Prepares every usable member for every allowed algorithm it fits, and says what is wrong with the others. */
export const make = (members: ReadonlyArray<unknown>, allowed: ReadonlySet<Algorithm>) =>
  Effect.gen(function* () {
    const index = new Map<Algorithm, Map<string | undefined, Array<VerificationKey>>>()
    const problems: Array<Problem> = []
    for (const [position, member] of members.entries()) {
      const key = `key ${position + 1}`
      const judged = judge(member, allowed)
      if ("unusable" in judged) {
        problems.push({ key, reason: judged.unusable, logLevel: judged.secret === true ? "Error" : "Info" })
        continue
      }
      for (const algorithm of judged.algorithms) {
        const verify = yield* Effect.option(Effect.tryPromise(() => importKey(judged.jwk, algorithm)))
        if (verify._tag === "None") {
          problems.push({ key, reason: `no valid ${algorithm} key`, logLevel: "Info" })
          continue
        }
        const byId = index.get(algorithm) ?? new Map<string | undefined, Array<VerificationKey>>()
        index.set(algorithm, byId)
        const same = byId.get(judged.keyId) ?? []
        byId.set(judged.keyId, [...same, { keyId: judged.keyId, verify: verify.value }])
        if (same.length > 0 && judged.keyId !== undefined) {
          problems.push({ key, reason: `one of several ${algorithm} keys with its kid`, logLevel: "Warning" })
        }
      }
    }
    return { index: index as Index, problems: problems as ReadonlyArray<Problem> }
  })

/** Problems that one line shows, and kinds of trouble that are remembered: how many there are is the issuer's to choose. */
const shown = 20

/** Logs what is wrong with a set once, and not at every refresh, in whatever order and from whichever node its keys come. */
export const reporter = (source: string) => {
  const reported = new Set<string>()
  return (problems: ReadonlyArray<Problem>) =>
    Effect.suspend(() => {
      const kind = [...new Set(problems.map(({ reason }) => reason))].sort().join("; ")
      if (kind === "" || reported.has(kind)) return Effect.void
      if (reported.size === shown) reported.clear()
      reported.add(kind)
      const loudestFirst = levels.flatMap((level) => problems.filter(({ logLevel }) => logLevel === level))
      const listed = loudestFirst.slice(0, shown).map(describe)
      const more = problems.length > shown ? [`${problems.length - shown} more`] : []
      const text = [...listed, ...more].join("; ")
      const name = printable(source)
      const { logLevel } = loudestFirst[0]!
      const line =
        logLevel === "Error"
          ? `The issuer publishes secret key material at ${name}`
          : `Not all keys of ${name} are in order`
      return Effect.logWithLevel(LogLevel.fromLiteral(logLevel), `${line}: ${text}`)
    })
}
