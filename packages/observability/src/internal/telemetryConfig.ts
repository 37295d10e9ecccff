/**
 * The share of traces to sample, which OpenTelemetry names by two variables: the sampler, and its argument.
 */
import * as Environment from "@spillway/transport/runtime/Environment"
import type { Row } from "@spillway/transport/runtime/Settings"
import * as Config from "effect/Config"
import * as ConfigError from "effect/ConfigError"
import * as Either from "effect/Either"
import * as Option from "effect/Option"

const samplers = ["parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio"] as const

const variable = <A>(name: string, parse: Environment.Parser<A>): Config.Config<A | undefined> =>
  Config.mapOrFail(Config.option(Config.string(name)), (given) => {
    const text = Option.getOrElse(given, () => "").trim()
    return text === ""
      ? Either.right(undefined)
      : Either.mapLeft(parse(text), (rule) => ConfigError.InvalidData([name], `${rule}, not ${Environment.show(text)}`))
  })

/** The rows of docs/configuration.md. */
export const rows: ReadonlyArray<Row> = [
  {
    option: "sampleRatio",
    variable: "OTEL_TRACES_SAMPLER",
    shown: "parentbased_always_on",
    meaning: `which traces that begin here are sampled: ${samplers.map((name) => `\`${name}\``).join(", ")}`
  },
  {
    option: "sampleRatio",
    variable: "OTEL_TRACES_SAMPLER_ARG",
    shown: "1",
    meaning: "the share that `parentbased_traceidratio` samples, from 0 to 1"
  }
]

/** The ratio; `undefined` without a variable. */
export const sampleRatio = (prefix: string): Config.Config<number | undefined> =>
  Config.all([
    variable(`${prefix}_TRACES_SAMPLER`, Environment.oneOf(...samplers)),
    variable(`${prefix}_TRACES_SAMPLER_ARG`, (text) =>
      Either.filterOrLeft(
        Environment.number(text),
        (ratio) => ratio >= 0 && ratio <= 1,
        () => "must be a number from 0 to 1"
      )
    )
  ]).pipe(
    Config.map(([sampler, ratio = 1]) => {
      if (sampler === undefined) return undefined
      return sampler === "parentbased_always_on" ? 1 : sampler === "parentbased_always_off" ? 0 : ratio
    })
  )
