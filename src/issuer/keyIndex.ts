import { importKey } from "#signature"
import * as Effect from "effect/Effect"
import * as LogLevel from "effect/LogLevel"
import type { Algorithm } from "./algorithm.ts"
import { readJwk } from "./jwk.ts"
import { printable } from "../printable.ts"
import type { KeyHeader, VerificationKey } from "./verificationKey.ts"

/** Keys by algorithm, then by `kid`. Keys without a `kid` are under `undefined`. */
export type Index = ReadonlyMap<Algorithm, ReadonlyMap<string | undefined, ReadonlyArray<VerificationKey>>>

/** All keys that fit a token. */
export const lookUp = (index: Index, { algorithm, keyId }: KeyHeader): ReadonlyArray<VerificationKey> => {
  const fitting = index.get(algorithm)
  if (fitting === undefined) return []
  return keyId === undefined ? [...fitting.values()].flat() : (fitting.get(keyId) ?? [])
}

/** Whether the set has a key with the token's `kid`, for any algorithm; for a token without `kid`, whether any key fits. */
export const hasKeyId = (index: Index, { algorithm, keyId }: KeyHeader): boolean =>
  keyId === undefined ? index.has(algorithm) : [...index.values()].some((keys) => keys.has(keyId))

/** Why a key is not used, or that it is one of several with the same `kid`. The key is named by its position. */
export interface Problem {
  readonly key: string
  readonly reason: string
  /** Secret key material is an error. Keys with the same `kid` are a warning, because all of them have to be tried. */
  readonly logLevel: (typeof levels)[number]
}

/** The most severe first. */
const levels = ["Error", "Warning", "Info"] as const

export const describe = ({ key, reason }: Problem): string => `${key} is ${reason}`

/** Prepares each usable member of a key set for each allowed algorithm that it fits, and says what is wrong with the others. */
export const make = (members: ReadonlyArray<unknown>, allowed: ReadonlySet<Algorithm>) =>
  Effect.gen(function* () {
    const index = new Map<Algorithm, Map<string | undefined, Array<VerificationKey>>>()
    const problems: Array<Problem> = []
    for (const [position, member] of members.entries()) {
      const key = `key ${position + 1}`
      const read = readJwk(member, allowed)
      if ("unusable" in read) {
        problems.push({ key, reason: read.unusable, logLevel: read.secret === true ? "Error" : "Info" })
        continue
      }
      for (const algorithm of read.algorithms) {
        const verify = yield* Effect.option(Effect.tryPromise(() => importKey(read.jwk, algorithm)))
        if (verify._tag === "None") {
          problems.push({ key, reason: `no valid ${algorithm} key`, logLevel: "Info" })
          continue
        }
        const byId = index.get(algorithm) ?? new Map<string | undefined, Array<VerificationKey>>()
        index.set(algorithm, byId)
        const same = byId.get(read.keyId) ?? []
        byId.set(read.keyId, [...same, { keyId: read.keyId, verify: verify.value }])
        if (same.length > 0 && read.keyId !== undefined) {
          problems.push({ key, reason: `one of several ${algorithm} keys with its kid`, logLevel: "Warning" })
        }
      }
    }
    return { index: index as Index, problems: problems as ReadonlyArray<Problem> }
  })

/** The most problems that one line shows, and the most lines that are remembered: an issuer could publish any number. */
const most = 20

/** Logs the same problems of a key set once, and not at every refresh, also if its keys come in another order. */
export const reporter = (source: string) => {
  const reported = new Set<string>()
  return (problems: ReadonlyArray<Problem>) =>
    Effect.suspend(() => {
      const kind = [...new Set(problems.map(({ reason }) => reason))].sort().join("; ")
      if (kind === "" || reported.has(kind)) return Effect.void
      if (reported.size === most) reported.clear()
      reported.add(kind)
      const severestFirst = levels.flatMap((level) => problems.filter(({ logLevel }) => logLevel === level))
      const listed = severestFirst.slice(0, most).map(describe)
      const more = problems.length > most ? [`${problems.length - most} more`] : []
      const text = [...listed, ...more].join("; ")
      const name = printable(source)
      const { logLevel } = severestFirst[0]!
      const line =
        logLevel === "Error"
          ? `The issuer publishes secret key material at ${name}`
          : `Some keys of ${name} are not usable or not unique`
      return Effect.logWithLevel(LogLevel.fromLiteral(logLevel), `${line}: ${text}`)
    })
}
