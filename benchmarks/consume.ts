/**
 * Measures how fast a handler that does nothing consumes a topic, beside the peers. Each contender runs in a process of
 * its own, in turn, round after round, on one broker.
 */
import * as Effect from "effect/Effect"
import { median, numberArgument } from "./arguments.js"
import * as Brokers from "./brokers.js"
import { measure } from "./contender.js"
import type { Measurement } from "./contenders/measure.js"
import * as Preload from "./preload.js"

const contenders = ["spillway", "eachBatch", "eachMessage", "effectKafka"] as const

type Contender = (typeof contenders)[number]

const compare = Effect.fnUntraced(function* (brokers: ReadonlyArray<string>) {
  const records = numberArgument("records", 300_000)
  const rounds = numberArgument("rounds", 5)
  const topic = yield* Preload.topic(brokers, records)
  const measurements: Record<Contender, Array<Measurement>> = {
    spillway: [],
    eachBatch: [],
    eachMessage: [],
    effectKafka: []
  }
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
  const rate = (name: Contender): number => medians.find((one) => one.name === name)!.recordsPerSecond
  const ratio = (peer: Contender): number => Number((rate("spillway") / rate(peer)).toFixed(2))
  console.log(
    JSON.stringify({
      benchmark: "consume",
      contenders: medians,
      ratios: {
        vsEachBatch: ratio("eachBatch"),
        vsEachMessage: ratio("eachMessage"),
        vsEffectKafka: ratio("effectKafka")
      }
    })
  )
})

export const consume = Effect.scoped(Effect.flatMap(Brokers.given, compare))
