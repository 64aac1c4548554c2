import * as Either from "effect/Either"
import * as ConfigurationError from "../ConfigurationError.ts"
import type { Claims } from "./claims.ts"
import * as read from "../options.ts"
import { printable, quoted } from "../printable.ts"

/** A value that a claim can be required to have. */
export type ClaimValue = string | number | boolean

/**
 * A claim that must be there and not null, by its name; or one that must have one of these values, which are compared with
 * `===`: a claim that is a list or an object has none of them.
 */
export type RequiredClaim =
  string | { readonly name: string; readonly values: readonly [ClaimValue, ...Array<ClaimValue>] }

/** A required claim as it was read. */
export interface Requirement {
  readonly name: string
  /** Left out: any value but null is accepted. */
  readonly values?: ReadonlyArray<unknown>
}

/** The required claims of an option. */
export const requirements = (option: string, value: unknown): read.Read<ReadonlyArray<Requirement>> =>
  Array.isArray(value)
    ? Either.all(Array.from(value, (one: unknown) => requirement(option, one)))
    : Either.left(ConfigurationError.make(option, value, "is not a list"))

const requirement = (option: string, value: unknown): read.Read<Requirement> =>
  Either.gen(function* () {
    if (typeof value === "string") return { name: yield* read.name(option, value) }
    const given = yield* read.record(option, value)
    const name = yield* read.name(`${option}.name`, given["name"])
    return { name, values: yield* claimValues(`${option}.values`, given["values"]) }
  })

const claimValues = (option: string, value: unknown): read.Read<ReadonlyArray<ClaimValue>> => {
  const wrong = (shown: unknown, reason: string) => Either.left(ConfigurationError.make(option, shown, reason))
  if (!Array.isArray(value)) return wrong(value, "is not a list of strings, numbers or booleans")
  if (value.length === 0) return wrong("", "is empty")
  const values: ReadonlyArray<unknown> = Array.from(value)
  const other = values.findIndex((one) => !isClaimValue(one))
  return other === -1
    ? Either.right(values.filter(isClaimValue))
    : wrong(values[other], "is not a string, a number or a boolean")
}

const isClaimValue = (value: unknown): value is ClaimValue =>
  typeof value === "string" || typeof value === "boolean" || Number.isFinite(value)

/** A claim that is not as it is required to be. */
export interface Shortfall {
  readonly claim: string
  readonly reason: string
}

/** The first of the requirements that the claims do not meet. What the claim says instead is not shown. */
export const shortfall = (claims: Claims, required: ReadonlyArray<Requirement>): Shortfall | undefined => {
  for (const { name, values } of required) {
    const claim = claims[name]
    if (claim === undefined || claim === null) return { claim: printable(name), reason: "is missing" }
    if (values !== undefined && !values.includes(claim)) {
      return { claim: printable(name), reason: `is not one of ${quoted(values.map((one) => printable(String(one))))}` }
    }
  }
  return undefined
}
