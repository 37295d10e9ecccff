/**
 * The description of a module's options. From it follow the check of given options, the parser of their environment
 * variables, the defaults, and the rows of docs/configuration.md. For Spillway's own runtimes; unstable.
 */
import type { Config } from "effect/Config"
import * as Effect from "effect/Effect"
import { InvalidOptions, type OptionIssue } from "../InvalidOptions.js"
import * as Environment from "./Environment.js"
import type { Documentation, Setting } from "./Setting.js"

export * from "./Setting.js"

/** The settings of an options type: one for each option. */
export type FieldsOf<Options> = {
  readonly [K in keyof Options]-?: Setting<NonNullable<Options[K]>, unknown>
}

/** Any settings. */
export type Fields = Readonly<Record<string, Setting<unknown, unknown>>>

/** The decoded options. */
export type Decoded<F extends Fields> = {
  readonly [K in keyof F]: F[K] extends Setting<infer _A, infer S> ? S : never
}

/** The options of a module. */
export interface Settings<F extends Fields> {
  /** The module's name, as errors show it. */
  readonly module: string
  /** The prefix of the variables' names. */
  readonly prefix: string
  /** Each option. */
  readonly fields: F
  /** The rules between options. A number that was refused is NaN. */
  readonly rules?:
    | ((values: Decoded<F>, refuse: (field: keyof F & string, description: string) => void) => void)
    | undefined
}

/** The options that were decoded, valid if there are no issues. */
export interface Checked<A> {
  /** The decoded options. */
  readonly values: A
  /** Every option that can't be used. */
  readonly issues: ReadonlyArray<OptionIssue>
}

/** Decodes the options and reports every issue. */
export const check = <F extends Fields>(settings: Settings<F>, options: unknown): Checked<Decoded<F>> => {
  const given: Readonly<Record<string, unknown>> = { ...(options as object) }
  const issues: Array<OptionIssue> = []
  if (options !== undefined && (typeof options !== "object" || options === null || Array.isArray(options))) {
    issues.push({ field: "options", value: options, description: "must be an object" })
  }
  const values: Record<string, unknown> = {}
  for (const [field, { decode }] of Object.entries(settings.fields)) {
    values[field] = decode(given[field], (value, description, path = "") => {
      issues.push({ field: `${field}${path}`, value, description })
    })
  }
  settings.rules?.(values as Decoded<F>, (field, description) => {
    issues.push({ field, value: given[field] ?? settings.fields[field]!.shown, description })
  })
  return { values: values as Decoded<F>, issues }
}

/** Succeeds without issues. */
export const refuse = (module: string, issues: ReadonlyArray<OptionIssue>): Effect.Effect<void, InvalidOptions> =>
  issues.length === 0 ? Effect.void : Effect.fail(new InvalidOptions({ module, issues }))

/** The decoded options. */
export const decode = <F extends Fields>(
  settings: Settings<F>,
  options: unknown
): Effect.Effect<Decoded<F>, InvalidOptions> =>
  Effect.suspend(() => {
    const { issues, values } = check(settings, options)
    return Effect.as(refuse(settings.module, issues), values)
  })

/** The settings of an options type. */
export interface SettingsOf<Options> {
  /** The module's name, as errors show it. */
  readonly module: string
  /** The prefix of the variables' names. */
  readonly prefix: string
  /** Each option. */
  readonly fields: FieldsOf<Options>
}

/**
 * The options that variables or `defaults` set, and no others. `find` finds every issue; by default it is `check`.
 */
export const config = <A extends object>(
  settings: SettingsOf<A>,
  defaults: Partial<A> | undefined,
  namespace: string | undefined,
  find: (given: A) => ReadonlyArray<OptionIssue> = (given) => check(settings as Settings<Fields>, given).issues
): Config<A> => {
  const readable = Object.entries(settings.fields as Fields).filter(([, { parse }]) => parse !== undefined)
  return Environment.options<A>({
    prefix: Environment.prefixOf(namespace, settings.prefix),
    parsers: Object.fromEntries(readable.map(([field, { parse }]) => [field, parse])) as Environment.Parsers<A>,
    names: Object.fromEntries(readable.map(([field, { variable }]) => [field, variable])) as {
      readonly [K in keyof A]?: string | undefined
    },
    secrets: readable.filter(([, { isSecret }]) => isSecret).map(([field]) => field as keyof A),
    defaults: defaults as A | undefined,
    check: find
  })
}

/** A row of docs/configuration.md. */
export interface Row extends Documentation {
  /** The option's name. */
  readonly option: string
  /** The option's variable, without a namespace. */
  readonly variable: string
  /** The default as text, if there is one. */
  readonly shown: string | undefined
}

/** The rows of the options that have a variable. `within`: the option whose parts they are. */
export const rows = (
  { fields, prefix }: Pick<Settings<Fields>, "fields" | "prefix">,
  within = ""
): ReadonlyArray<Row> =>
  Object.entries(fields).flatMap(([field, { kafka, meaning, parse, shown, variable }]) =>
    parse === undefined
      ? []
      : [
          {
            option: `${within}${field}`,
            variable: variable === undefined ? Environment.nameOf(prefix, field) : `${prefix}_${variable}`,
            shown,
            kafka,
            meaning
          }
        ]
  )
