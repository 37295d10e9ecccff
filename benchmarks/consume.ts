/**
 * How fast a topic is consumed by a handler that does nothing, beside the peers: each contender in a process of its
 * own, round after round in turn, on one broker.
 */
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Broker from "../scripts/kafka/broker.js"
import { median, numberArgument } from "./arguments.js"
import type { Measurement, Task } from "./contenders/measure.js"
import * as Preload from "./preload.js"

const contenders = ["spillway", "eachBatch", "eachMessage", "effectKafka"] as const

type Contender = (typeof contenders)[number]

/** Runs one contender in a process of its own. */
export const measure = (contender: Contender, task: Task): Effect.Effect<Measurement, Error> =>
  Effect.async<Measurement, Error>((resume) => {
    const program = fileURLToPath(new URL(`contenders/${contender}.ts`, import.meta.url))
    const child = spawn(
      process.execPath,
      ["--conditions=@spillway/source", "--import", "tsx", program, JSON.stringify(task)],
      { stdio: ["ignore", "pipe", "inherit"], env: { ...process.env, KAFKAJS_NO_PARTITIONER_WARNING: "1" } }
    )
    let output = ""
    child.stdout.on("data", (chunk) => {
      output += String(chunk)
    })
    child.on("close", (code) => {
      const last = output.trim().split("\n").at(-1) ?? ""
      resume(
        code === 0 ? Effect.sync(() => JSON.parse(last)) : Effect.fail(new Error(`${contender}: exit code ${code}`))
      )
    })
    return Effect.sync(() => child.kill("SIGKILL"))
  }).pipe(
    Effect.timeoutFail({
      duration: "5 minutes",
      onTimeout: () => new Error(`${contender}: not done within 5 minutes`)
    })
  )

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

/** The bootstrap list: `KAFKA_BROKERS`, or a broker of its own. */
export const brokers = Effect.flatMap(Effect.orDie(Config.option(Config.nonEmptyString("KAFKA_BROKERS"))), (given) =>
  given._tag === "Some"
    ? Effect.succeed(given.value.split(","))
    : Effect.map(Broker.make(), ({ bootstrap }) => [bootstrap])
)

export const consume = Effect.scoped(Effect.flatMap(brokers, compare))
