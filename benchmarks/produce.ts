/**
 * How fast records are produced, beside the peers: each contender in a process of its own, round after round in turn,
 * on one broker.
 */
import * as Effect from "effect/Effect"
import { median, numberArgument } from "./arguments.js"
import * as Brokers from "./brokers.js"
import * as Preload from "./preload.js"
import { type Measured, type ProduceTask, ways } from "./producers/produce.js"
import * as Program from "./program.js"

const contenders = ["spillway", "kafkajs", "platformatic"] as const

type Contender = (typeof contenders)[number]

/** One turn of a contender, on a topic of its own that must have taken exactly what was acknowledged. */
const measure = Effect.fnUntraced(function* (brokers: ReadonlyArray<string>, contender: Contender, seconds: number) {
  const topic = yield* Preload.emptyTopic(brokers, "produce")
  const task: ProduceTask = { brokers, topic, seconds }
  const measured = yield* Program.run<Measured>(`producers/${contender}`, task)
  const written = yield* Preload.recordsIn(brokers, topic)
  if (written !== measured.acknowledged) {
    return yield* Effect.fail(new Error(`${contender}: ${written} records of ${measured.acknowledged} acknowledged`))
  }
  return measured.rates
}, Effect.scoped)

const compare = Effect.fnUntraced(function* (brokers: ReadonlyArray<string>) {
  const seconds = numberArgument("seconds", 3)
  const rounds = numberArgument("rounds", 5)
  const measured: Record<Contender, Array<Measured["rates"]>> = { spillway: [], kafkajs: [], platformatic: [] }
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < contenders.length; turn++) {
      const name = contenders[(round + turn) % contenders.length]!
      const rates = yield* measure(brokers, name, seconds)
      measured[name].push(rates)
      const shown = ways.map((way) => `${way} ${Math.round(rates[way].recordsPerSecond)}`)
      console.error(`round ${round + 1}: ${name}: ${shown.join(", ")} records/s`)
    }
  }
  const cases = ways.map((way) => {
    const medianOf = (name: Contender, field: keyof Measured["rates"][typeof way]) =>
      median(measured[name].map((rates) => rates[way][field]))
    const rate = (name: Contender) => medianOf(name, "recordsPerSecond")
    return {
      case: way,
      contenders: contenders.map((name) => ({
        name,
        recordsPerSecond: Math.round(rate(name)),
        cpuMicrosPerRecord: Number(medianOf(name, "cpuMicrosPerRecord").toFixed(3))
      })),
      ratios: {
        vsKafkaJs: Number((rate("spillway") / rate("kafkajs")).toFixed(2)),
        vsPlatformatic: Number((rate("spillway") / rate("platformatic")).toFixed(2))
      }
    }
  })
  console.log(JSON.stringify({ benchmark: "produce", cases }))
})

export const produce = Effect.scoped(Effect.flatMap(Brokers.given, compare))
