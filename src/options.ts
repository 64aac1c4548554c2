/**
 * Reads options whose types the compiler has not seen: those of JavaScript, or of a configuration file.
 */
import * as Either from "effect/Either"
import * as ConfigurationError from "./ConfigurationError.ts"

/** An option that was read, or what is wrong with it. */
export type Read<A> = Either.Either<A, ConfigurationError.ConfigurationError>

const wrong = (option: string, value: unknown, reason: string): Read<never> =>
  Either.left(ConfigurationError.make(option, value, reason))

/** An object with members. A list, a map or a set has none that could be read by name. */
export const record = (option: string, value: unknown): Read<Readonly<Record<string, unknown>>> =>
  typeof value === "object" && value !== null && !(Symbol.iterator in value)
    ? Either.right(value as Readonly<Record<string, unknown>>)
    : wrong(option, value, "is not an object")

export const text = (option: string, value: unknown): Read<string> =>
  typeof value === "string" ? Either.right(value) : wrong(option, value, "is not a string")

/** A text that is not blank: a blank one is an unset variable more often than a decision. */
export const name = (option: string, value: unknown): Read<string> =>
  Either.filterOrLeft(
    text(option, value),
    (read) => read.trim() !== "",
    (read) => ConfigurationError.make(option, read, "is blank")
  )

/** A copy of a list of strings. A single string is refused, because it would be read as the list of its letters. */
export const texts = (option: string, value: unknown): Read<ReadonlyArray<string>> =>
  Array.isArray(value)
    ? Either.all(Array.from(value, (one: unknown) => text(option, one)))
    : wrong(option, value, "is not a list of strings")

/** A list of at least one string, none of them blank. */
export const names = (option: string, value: unknown): Read<readonly [string, ...Array<string>]> =>
  Either.flatMap(texts(option, value), ([first, ...rest]) =>
    first === undefined
      ? wrong(option, "", "is empty")
      : Either.map(Either.all([first, ...rest].map((one) => name(option, one))), () => [first, ...rest] as const)
  )

export const boolean = (option: string, value: unknown): Read<boolean> =>
  typeof value === "boolean" ? Either.right(value) : wrong(option, value, "is not true or false")

/** A copy of a list of functions. */
export const functions = <F>(option: string, value: ReadonlyArray<F>): Read<ReadonlyArray<F>> => {
  if (!Array.isArray(value)) return wrong(option, value, "is not a list of functions")
  const copy: ReadonlyArray<F> = Array.from(value)
  const other = copy.findIndex((one) => typeof one !== "function")
  return other === -1 ? Either.right(copy) : wrong(option, copy[other], "is not a function")
}

/** A number that `holds`; the complaint is about every other value. */
export const number = (
  option: string,
  value: unknown,
  { complaint, holds }: { readonly holds: (value: number) => boolean; readonly complaint: string }
): Read<number> => (typeof value === "number" && holds(value) ? Either.right(value) : wrong(option, value, complaint))

/** The name of the one choice that is made. An unknown choice is refused, because it must not count as the weakest one. */
export const choice = <Name extends string>(
  option: string,
  value: unknown,
  choices: Readonly<Record<Name, true>>
): Read<Name> =>
  Either.flatMap(record(option, value), (given) => {
    const made = Object.keys(given).filter((one) => given[one] !== undefined)
    const [first] = made
    return made.length === 1 && first !== undefined && Object.hasOwn(choices, first)
      ? Either.right(first as Name)
      : wrong(option, made.join(", "), "is not one choice")
  })

/** Exactly one member of an interface of choices. */
export type OneOf<Choices> = {
  [Choice in keyof Choices]: Pick<Choices, Choice> & {
    readonly [Other in Exclude<keyof Choices, Choice>]?: never
  }
}[keyof Choices]

/** What was read. Throws the `ConfigurationError`: for functions that return no effect, such as those of `Check`. */
export const orThrow = <A>(read: Read<A>): A => Either.getOrThrowWith(read, (error) => error)
