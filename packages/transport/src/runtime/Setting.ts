/**
 * The description of one option, and the kinds of options. For Spillway's own runtimes; unstable.
 */
import * as Duration from "effect/Duration"
import * as Environment from "./Environment.js"

/** Reports a value that can't be used. `path` leads from the option to the part that is wrong, such as `[1]`. */
export type Refuse = (value: unknown, description: string, path?: string | undefined) => void

/** The documentation of an option. */
export interface Documentation {
  /** What the option does, as a row of docs/configuration.md. */
  readonly meaning: string
  /** The settings of Kafka's Java client that it replaces. Default: none. */
  readonly kafka?: ReadonlyArray<string> | undefined
}

/** All that is known about an option: of type `A` in a program, of type `S` when it is decoded. */
export interface Setting<out A, out S> extends Documentation {
  /** The default as text, if there is one. */
  readonly shown: string | undefined
  /** The variable's name after the prefix, if it doesn't follow from the option's name. */
  readonly variable?: string | undefined
  /** Whether no error may show the variable's text. Default: false. */
  readonly isSecret?: boolean | undefined
  /** Reads the text of the option's variable. `undefined`: text can't express the option. */
  readonly parse: Environment.Parser<A> | undefined
  /** Decodes a value from a program. What it returns is used only if nothing was refused. */
  readonly decode: (given: unknown, refuse: Refuse) => S
}

/** An option whose variable is named after something else. */
export const named = <A, S>(
  setting: Setting<A, S>,
  variable: string,
  parse: Environment.Parser<A> | undefined = setting.parse
): Setting<A, S> => ({ ...setting, variable, parse })

/** An option with a default. */
export const or = <A, S>(setting: Setting<A, S>, fallback: A, shown: string = String(fallback)): Setting<A, S> => ({
  ...setting,
  shown,
  decode: (given, refuse) => setting.decode(given === undefined ? fallback : given, refuse)
})

/** An option that may be absent. `shown`: the default that follows from elsewhere. */
export const optional = <A, S>(setting: Setting<A, S>, shown?: string | undefined): Setting<A, S | undefined> => ({
  ...setting,
  shown,
  decode: (given, refuse) => (given === undefined ? undefined : setting.decode(given, refuse))
})

/** An option whose value is used as it is, if it is valid. `rule` says which values are. */
export const make = <A>(
  documentation: Documentation,
  parse: Environment.Parser<A> | undefined,
  isValid: (given: unknown) => boolean,
  rule: string
): Setting<A, A> => ({
  ...documentation,
  shown: undefined,
  parse,
  decode: (given, refuse) => {
    if (!isValid(given)) refuse(given, rule)
    return given as A
  }
})

/** Text that isn't blank, and that is valid. */
export const text = (
  documentation: Documentation,
  isValid: (text: string) => boolean = () => true,
  rule = "must not be empty"
): Setting<string, string> =>
  make(
    documentation,
    Environment.text,
    (given) => typeof given === "string" && given.trim() !== "" && isValid(given),
    rule
  )

/** `true` or `false`. */
export const boolean = (documentation: Documentation): Setting<boolean, boolean> =>
  make(documentation, Environment.boolean, (given) => typeof given === "boolean", "must be true or false")

/** One of some words. */
export const oneOf = <const A extends string>(
  documentation: Documentation,
  ...values: ReadonlyArray<A>
): Setting<A, A> =>
  make(
    documentation,
    Environment.oneOf(...values),
    (given) => values.some((value) => value === given),
    `must be one of ${values.join(", ")}`
  )

/** Code, which text can't express. */
export const code = <A extends (...args: never) => unknown>(documentation: Documentation): Setting<A, A> =>
  make(documentation, undefined, (given) => typeof given === "function", "must be a function")

/** A number; NaN if it was refused. */
export const number = (
  documentation: Documentation,
  isValid: (given: number) => boolean,
  rule: string
): Setting<number, number> => ({
  ...documentation,
  shown: undefined,
  parse: Environment.number,
  decode: (given, refuse) => {
    if (typeof given === "number" && isValid(given)) return given
    refuse(given, rule)
    return Number.NaN
  }
})

/** The largest 32-bit integer: the limit of the protocol's fields, and of timers in milliseconds. */
export const maxInt32 = 2 ** 31 - 1

/** A whole number. */
export const whole = (documentation: Documentation, least = 1, most?: number | undefined): Setting<number, number> =>
  number(
    documentation,
    (given) => Number.isSafeInteger(given) && given >= least && (most === undefined || given <= most),
    most === undefined
      ? `must be a whole number of at least ${least}`
      : `must be a whole number from ${least} to ${most}`
  )

/** The milliseconds of a duration; NaN for anything else. `Duration` itself reads negative numbers as zero. */
const millisOf = (given: unknown): number => {
  const decoded = Duration.decodeUnknown(given)
  return decoded._tag === "Some" && !isNegative(given) ? Duration.toMillis(decoded.value) : Number.NaN
}

const isNegative = (given: unknown): boolean =>
  typeof given === "number" || typeof given === "bigint"
    ? !(given >= 0)
    : typeof given === "string"
      ? given.startsWith("-")
      : Array.isArray(given) && given.some((part) => !(part >= 0))

/** The shortest duration that isn't zero. */
export const aboveZero = Number.MIN_VALUE

const durationRule = (least: number, most: number | undefined): string => {
  if (most === undefined) {
    return least === 0
      ? "must be a finite duration of zero or more"
      : `must be a finite duration of at least ${least} ms`
  }
  return `must be a duration ${least === aboveZero ? "above zero" : `of at least ${least} ms`} and below 25 days`
}

/** A duration that a timer can wait for, decoded to milliseconds; NaN if it was refused. */
export const duration = (documentation: Documentation, least = aboveZero): Setting<Duration.DurationInput, number> =>
  limited(documentation, least, maxInt32)

/** A finite duration without a further limit, decoded to milliseconds; NaN if it was refused. */
export const finiteDuration = (documentation: Documentation, least = 0): Setting<Duration.DurationInput, number> =>
  limited(documentation, least, undefined)

const limited = (
  documentation: Documentation,
  least: number,
  most: number | undefined
): Setting<Duration.DurationInput, number> => ({
  ...documentation,
  shown: undefined,
  parse: Environment.duration,
  decode: (given, refuse) => {
    const millis = millisOf(given)
    if (millis >= least && millis <= (most ?? Number.MAX_VALUE)) return millis
    refuse(given, durationRule(least, most))
    return Number.NaN
  }
})

/** A list whose items are valid. `rule` is that of an empty list. */
export const list = <A>(
  documentation: Documentation,
  item: Environment.Parser<A>,
  isItem: (given: unknown) => boolean,
  rule: string,
  itemRule: string
): Setting<ReadonlyArray<A>, ReadonlyArray<A>> => ({
  ...documentation,
  shown: undefined,
  parse: Environment.listOf(item),
  decode: (given, refuse) => {
    if (!Array.isArray(given) || given.length === 0) {
      refuse(given, rule)
      return []
    }
    for (const [index, each] of given.entries()) if (!isItem(each)) refuse(each, itemRule, `[${index}]`)
    return given
  }
})
