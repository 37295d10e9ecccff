/**
 * Measures how fast a handler that does nothing consumes a topic, beside the peers. Each contender runs in a process of
 * its own, in turn, round after round, on one broker.
 */
import * as Effect from "effect/Effect"
import { choicesArgument, median, numberArgument } from "./arguments.js"
import * as Brokers from "./brokers.js"
import { measure } from "./contender.js"
import type { Measurement } from "./contenders/measure.js"
import * as Preload from "./preload.js"

const choices = ["spillway", "reader", "eachBatch", "eachMessage", "effectKafka"] as const

type Contender = (typeof choices)[number]

const compare = Effect.fnUntraced(function* (brokers: ReadonlyArray<string>) {
  const records = numberArgument("records", 300_000)
  const rounds = numberArgument("rounds", 5)
  const contenders = choicesArgument("contenders", choices)
  const topic = yield* Preload.topic(brokers, records)
  const measurements = Object.fromEntries(choices.map((name) => [name, [] as Array<Measurement>])) as Record<
    Contender,
    Array<Measurement>
  >
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < contenders.length; turn++) {
      const name = contenders[(round + turn) % contenders.length]!
      const measurement = yield* measure(name, { brokers, topic, records, groupId: crypto.randomUUID() })
      measurements[name].push(measurement)
      console.error(
        `round ${round + 1}: ${name} ${Math.round(measurement.recordsPerSecond)} records/s, ` +
          `${measurement.cpuMicrosPerRecord.toFixed(2)} µs CPU a record`
      )
    }
  }
  const medians = contenders.map((name) => ({
    name,
    recordsPerSecond: Math.round(median(measurements[name].map((one) => one.recordsPerSecond))),
    cpuMicrosPerRecord: Number(median(measurements[name].map((one) => one.cpuMicrosPerRecord)).toFixed(3))
  }))
  const rateOf = (name: Contender): number => medians.find((one) => one.name === name)?.recordsPerSecond ?? Number.NaN
  const ratios = contenders
    .filter((name) => name !== "spillway")
    .map((name) => [name, Number((rateOf("spillway") / rateOf(name)).toFixed(2))])
  console.log(JSON.stringify({ benchmark: "consume", contenders: medians, spillwayTo: Object.fromEntries(ratios) }))
})

export const consume = Effect.scoped(Effect.flatMap(Brokers.given, compare))
