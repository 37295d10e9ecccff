/**
 * Reads the options of Spillway's Layers from the program's configuration. Each variable's name is a prefix plus the
 * option's name (`KAFKA_CONSUMER`, `groupId`: `KAFKA_CONSUMER_GROUP_ID`). A single error lists every problem by
 * variable, option and value. A blank variable counts as unset. For Spillway's own runtimes; unstable.
 */

import * as Config from "effect/Config"
import * as ConfigError from "effect/ConfigError"
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { inspect } from "../internal/render.js"

/** An option's value that can't be used. */
export interface Issue {
  /** The option's name, or a path into it: `brokers[1]`, `tls.ca`. */
  readonly field: string
  /** The value that can't be used. */
  readonly value: unknown
  /** The rule that the value breaks, such as `must be a number`. */
  readonly description: string
}

/** An issue as one line of an error. */
export const describe = ({ description, field, value }: Issue): string =>
  `${field} ${description}, ${value === undefined ? "but isn't set" : `not ${show(value)}`}`

/** A value as errors show it. */
export const show = (value: unknown): string => {
  if (Duration.isDuration(value)) return Duration.format(value)
  return typeof value === "bigint" ? String(value) : inspect(value)
}

/** Parses a variable's text; a left says what it must be. */
export type Parser<out A> = (text: string) => Either.Either<A, string>

/** Any text, as it is. */
export const text: Parser<string> = (text) => Either.right(text)

/** Items separated by commas, without the blanks around them. */
export const listOf =
  <A>(item: Parser<A>): Parser<ReadonlyArray<A>> =>
  (text) =>
    Either.all(text.split(",").map((part) => item(part.trim())))

/** Texts, separated by commas. */
export const list: Parser<ReadonlyArray<string>> = listOf(text)

/** A number as JavaScript reads it; `Infinity` is one. */
export const number: Parser<number> = (text) => {
  const value = Number(text)
  return Number.isNaN(value) ? Either.left("must be a number") : Either.right(value)
}

const words: Readonly<Record<string, boolean>> = {
  true: true,
  yes: true,
  on: true,
  1: true,
  false: false,
  no: false,
  off: false,
  0: false
}

/** `true`, `yes`, `on` or `1`, or their opposites, in upper or lower case. */
export const boolean: Parser<boolean> = (text) =>
  Either.fromNullable(words[text.toLowerCase()], () => "must be true or false")

/** As `Duration` reads it: a number and a unit. */
export const duration: Parser<Duration.Duration> = (text) => {
  const decoded = Duration.decodeUnknown(text)
  const isDuration = Option.isSome(decoded) && !text.startsWith("-")
  return isDuration ? Either.right(decoded.value) : Either.left('must be a duration such as "30 seconds"')
}

/** One of the given words, in the same case. */
export const oneOf =
  <const A extends string>(...values: ReadonlyArray<A>): Parser<A> =>
  (text) => {
    const found = values.find((value) => value === text)
    return found === undefined ? Either.left(`must be one of ${values.join(", ")}`) : Either.right(found)
  }

/** A parser for each option that text can express: all but functions. */
export type Parsers<A> = {
  readonly [K in keyof A as NonNullable<A[K]> extends (...args: never) => unknown ? never : K]-?: Parser<
    NonNullable<A[K]>
  >
}

/** The options to read, and how. */
export interface EnvironmentOptions<A> {
  /** The prefix of the variables' names. */
  readonly prefix: string
  /** How the text of each option's variable is read. */
  readonly parsers: Parsers<A>
  /** The names of variables after the prefix that don't follow from their options' names. Default: none. */
  readonly names?: { readonly [K in keyof A]?: string | undefined } | undefined
  /** The options whose text no error shows. Default: none. */
  readonly secrets?: ReadonlyArray<keyof A> | undefined
  /** The value if no variable is set. */
  readonly defaults?: A | undefined
  /** Every problem with the options. */
  readonly check: (options: A) => ReadonlyArray<Issue>
}

/** A prefix within a namespace, if there is one: `ORDERS_KAFKA_CONSUMER`. */
export const prefixOf = (namespace: string | undefined, prefix: string): string =>
  namespace === undefined ? prefix : `${namespace}_${prefix}`

/** The variable of an option. */
export const nameOf = (prefix: string, field: string): string =>
  `${prefix}_${field.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`

/** The options that a variable or a default sets, and no others. */
export const options = <A extends object>({
  check,
  defaults,
  names = {},
  parsers,
  prefix,
  secrets = []
}: EnvironmentOptions<A>): Config.Config<A> => {
  const fields = Object.entries<Parser<unknown>>(parsers)
  const hidden: ReadonlyArray<PropertyKey> = secrets
  const variableOf = (field: string): string => {
    const name = (names as Readonly<Record<string, string | undefined>>)[field]
    return name === undefined ? nameOf(prefix, field) : `${prefix}_${name}`
  }
  const variables = fields.map(([field]) => Config.option(Config.string(variableOf(field))))
  return Config.mapOrFail(Config.all(variables), (values) => {
    const given: Record<string, unknown> = Object.fromEntries(
      Object.entries(defaults ?? {}).filter(([, value]) => value !== undefined)
    )
    const texts = new Map<string, string>()
    const issues: Array<Issue> = []
    for (const [i, [field, parse]] of fields.entries()) {
      const text = Option.getOrElse(values[i]!, () => "").trim()
      if (text === "") continue
      const shown = hidden.includes(field) ? "<redacted>" : text
      texts.set(field, shown)
      const parsed = parse(text)
      if (Either.isRight(parsed)) given[field] = parsed.right
      else issues.push({ field, value: shown, description: parsed.left })
    }
    const unread = new Set(issues.map(({ field }) => field))
    issues.push(...check(given as A).filter(({ field }) => !unread.has(field.split(/[.[]/, 1)[0]!)))
    return Option.match(errorOf(prefix, issues, texts, variableOf), {
      onNone: () => Either.right(given as A),
      onSome: Either.left
    })
  })
}

/** All issues in one error; values are shown as their variables contain them. */
export const errorOf = (
  prefix: string,
  issues: ReadonlyArray<Issue>,
  texts: ReadonlyMap<string, string> = new Map(),
  variableOf: (option: string) => string = (option) => nameOf(prefix, option.replaceAll(".", "_"))
): Option.Option<ConfigError.ConfigError> => {
  const errors = issues.map((issue) => {
    const { field } = issue
    // An issue may concern a part of an option: `brokers[1]`, `tls.ca`.
    const [option] = field.split("[")
    const value = field === option ? (texts.get(field) ?? issue.value) : issue.value
    return ConfigError.InvalidData([variableOf(option!)], describe({ ...issue, value }))
  })
  return errors.length === 0 ? Option.none() : Option.some(errors.reduce(ConfigError.And))
}
