/**
 * Reads options whose types the compiler has not checked: those of JavaScript, or of a configuration file.
 */
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as ConfigurationError from "./ConfigurationError.ts"
import { nearest } from "./nearest.ts"
import { printable } from "./printable.ts"

/** An option that was read, or what is wrong with it. */
export type Read<A> = Either.Either<A, ConfigurationError.ConfigurationError>

/** The values that an option may have, and the reason that is given for any other value. */
export interface Bounds<A> {
  readonly holds: (value: A) => boolean
  readonly complaint: string
}

const wrong = (option: string, value: unknown, reason: string): Read<never> =>
  Either.left(ConfigurationError.make(option, value, reason))

/** An object with named members. A list, a map or a set is refused, because it has none. */
export const record = (option: string, value: unknown): Read<Readonly<Record<string, unknown>>> =>
  typeof value === "object" && value !== null && !(Symbol.iterator in value)
    ? Either.right(value as Readonly<Record<string, unknown>>)
    : wrong(option, value, "is not an object")

/** The names of all options of a record: the compiler asks for each of them. */
export type Names<Options> = { readonly [Name in keyof Options]-?: true }

/**
 * A record of options with known names. An unknown name is refused, because a mistyped option would count as one that is left
 * out. Its value is not shown: it may be a secret that belongs elsewhere.
 */
export const options = <Options>(
  value: unknown,
  names: Names<Options>
): Read<{ readonly [Name in keyof Options]?: unknown }> =>
  Either.flatMap(record("options", value), (given) => {
    const unknown = Object.keys(given).find((name) => given[name] !== undefined && !Object.hasOwn(names, name))
    if (unknown === undefined) return Either.right(given as { readonly [Name in keyof Options]?: unknown })
    const meant = nearest(unknown, Object.keys(names))
    const reason = meant === undefined ? "is not an option" : `is not an option; did you mean ${meant}?`
    return wrong(printable(unknown), `(${typeof given[unknown]})`, reason)
  })

/** Those of the options that have these names. */
export const pick = <Options extends object, Name extends keyof Options>(
  options: Options,
  names: Readonly<Record<Name, true>>
): Pick<Options, Name> =>
  Object.fromEntries(Object.entries(options).filter(([name]) => Object.hasOwn(names, name))) as Pick<Options, Name>

export const text = (option: string, value: unknown): Read<string> =>
  typeof value === "string" ? Either.right(value) : wrong(option, value, "is not a string")

/** A string that is not blank. A blank one is usually an environment variable that was left empty. */
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

/** A list of at least one string. */
export const someTexts = (option: string, value: unknown): Read<readonly [string, ...Array<string>]> =>
  Either.flatMap(texts(option, value), ([first, ...rest]) =>
    first === undefined ? wrong(option, "", "is empty") : Either.right([first, ...rest])
  )

/** A list of at least one string, none of them blank. */
export const names = (option: string, value: unknown): Read<readonly [string, ...Array<string>]> =>
  Either.flatMap(someTexts(option, value), (list) =>
    Either.map(Either.all(list.map((one) => name(option, one))), () => list)
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

/** A number within bounds. */
export const number = (option: string, value: unknown, { complaint, holds }: Bounds<number>): Read<number> =>
  typeof value === "number" && holds(value) ? Either.right(value) : wrong(option, value, complaint)

/** A duration within bounds. */
export const duration = (
  option: string,
  value: unknown,
  { complaint, holds }: Bounds<Duration.Duration>
): Read<Duration.Duration> => {
  const decoded = isBelowZero(value) ? Option.none() : Duration.decodeUnknown(value)
  return Either.fromOption(Option.filter(decoded, holds), () =>
    ConfigurationError.make(option, Duration.isDuration(value) ? Duration.format(value) : value, complaint)
  )
}

/** Whether Effect would read this as a duration of zero, although it is a mistake. */
const isBelowZero = (value: unknown): boolean => {
  if (typeof value === "number" || typeof value === "bigint") return !(value >= 0)
  if (typeof value === "string") return value.startsWith("-")
  return Array.isArray(value) && value.some(isBelowZero)
}

/** The name of the one choice that was made. An unknown name is refused, because it must not count as one of the choices. */
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
      : wrong(option, made.join(", "), `must have exactly one of ${Object.keys(choices).join(", ")}`)
  })

/** Exactly one member of an interface of choices. */
export type OneOf<Choices> = {
  [Choice in keyof Choices]: Pick<Choices, Choice> & {
    readonly [Other in Exclude<keyof Choices, Choice>]?: never
  }
}[keyof Choices]

/** The option that was read. Throws the `ConfigurationError`: for functions that return no effect, such as those of `Check`. */
export const orThrow = <A>(read: Read<A>): A => Either.getOrThrowWith(read, (error) => error)
