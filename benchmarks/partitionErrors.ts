/**
 * How soon one partition's records are handled while another partition of the same broker can't be fetched: on Kafka,
 * whose answers for partition 0 are replaced by errors on their way.
 */
import { KafkaConsumer, KafkaJsWire, KafkaProducer, Wire } from "@spillway/kafka"
import { KafkaErrorCode as Code, nameOf } from "@spillway/kafka/KafkaErrorCode"
import * as Faults from "@spillway/memory/Faults"
import { Codec, DeadLetter, Producer } from "@spillway/transport"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { numberArgument } from "./arguments.js"
import * as Brokers from "./brokers.js"
import * as Preload from "./preload.js"

const failing = 0
const healthy = 1
const intervalMs = 170

const answers = (code: number): Faults.FaultRule => ({
  fault: { _tag: "Answer", code, when: "instead", partitions: [failing] },
  apis: ["Fetch"]
})

const cases: Readonly<Record<string, ReadonlyArray<Faults.FaultRule>>> = {
  none: [],
  ...Object.fromEntries(
    [Code.KAFKA_STORAGE_ERROR, Code.UNKNOWN_SERVER_ERROR, Code.NOT_LEADER_OR_FOLLOWER].map((code) => [
      nameOf(code),
      [answers(code)]
    ])
  ),
  "OFFSET_OUT_OF_RANGE, ListOffsets unanswered": [
    answers(Code.OFFSET_OUT_OF_RANGE),
    { fault: { _tag: "LoseResponse" }, apis: ["ListOffsets"] }
  ]
}

const quantile = (sorted: ReadonlyArray<number>, part: number): number =>
  Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))]! * 10) / 10

const measure = Effect.fnUntraced(function* (name: string, brokers: ReadonlyArray<string>) {
  const topic = yield* Preload.emptyTopic(brokers, "partition-errors", 2)
  const { send } = yield* Producer.Producer
  const handledAt = new Map<string, number>()
  const wire = yield* Wire.Wire
  // The faults begin once the consumer has joined and found its positions.
  const rules = cases[name]!.map((rule) => ({ ...rule, from: "5 seconds" as const }))
  const faulty = yield* Faults.wrap(wire, { seed: 1, rules })
  yield* KafkaConsumer.make({
    groupId: crypto.randomUUID(),
    topics: [topic],
    value: Codec.text,
    initialOffset: "earliest",
    handler: ({ value }) => Effect.sync(() => handledAt.set(value, performance.now())),
    deadLetter: DeadLetter.none("stop")
  }).pipe(Effect.provideService(Wire.Wire, faulty))
  yield* Effect.sleep("6 seconds")
  const latencies: Array<number> = []
  const rounds = Math.ceil((numberArgument("seconds", 15) * 1_000) / intervalMs)
  for (let i = 0; i < rounds; i++) {
    yield* send({ topic, partition: failing, value: `failing ${i}` })
    const sentAt = performance.now()
    yield* send({ topic, partition: healthy, value: `${i}` })
    yield* Effect.sleep(intervalMs)
    while (!handledAt.has(`${i}`)) yield* Effect.sleep("10 millis")
    latencies.push(handledAt.get(`${i}`)! - sentAt)
  }
  latencies.sort((a, b) => a - b)
  const failed = [...handledAt.keys()].filter((value) => value.startsWith("failing")).length
  return { name, records: rounds, medianMs: quantile(latencies, 0.5), maxMs: quantile(latencies, 1), failed }
}, Effect.scoped)

export const partitionErrors = Effect.gen(function* () {
  const brokers = yield* Brokers.given
  const measured = yield* Effect.forEach(Object.keys(cases), (name) =>
    measure(name, brokers).pipe(
      Effect.provide(KafkaProducer.layer()),
      Effect.provide(KafkaJsWire.layer({ brokers })),
      Logger.withMinimumLogLevel(LogLevel.None),
      Effect.tap((result) => Effect.sync(() => console.error(JSON.stringify(result))))
    )
  )
  console.log(JSON.stringify({ benchmark: "partitionErrors", cases: measured }))
}).pipe(Effect.scoped)
