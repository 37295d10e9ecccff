/**
 * Order and exactness on three real brokers: an idempotent producer loses connections and answers by a seed, while
 * leaders are killed; then each key's records are read back.
 */
import * as KafkaAdmin from "@spillway/kafka/KafkaAdmin"
import * as KafkaJsWire from "@spillway/kafka/KafkaJsWire"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import * as Faults from "@spillway/memory/Faults"
import { Producer } from "@spillway/transport/Producer"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import { makeCluster } from "../kafka/broker.js"
import { durable, inSync } from "../kafka/durable.js"
import * as Inspect from "../kafka/inspect.js"

export interface ExactnessOptions {
  readonly seed: number
  readonly records: number
  /** Brokers are killed in turn, with this interval in milliseconds. */
  readonly killEveryMs: number
  readonly onEvent: (line: string) => void
}

export interface ExactnessReport {
  readonly seed: number
  readonly records: number
  readonly seconds: number
  readonly faults: Readonly<Record<string, number>>
  readonly brokersKilled: number
  /** Records whose send failed. */
  readonly refused: number
  readonly missing: number
  readonly duplicates: number
  readonly outOfOrder: number
}

const topic = "sequences"
const keys = 1_000
const atOnce = 1_000

/** Each fault happens at least once, then with its probability. */
const onProduce = (fault: Faults.Fault, probability: number): ReadonlyArray<Faults.FaultRule> => [
  { fault, apis: ["Produce"], times: 1 },
  { fault, apis: ["Produce"], probability }
]

const rules: ReadonlyArray<Faults.FaultRule> = [
  ...onProduce({ _tag: "Disconnect", when: "before" }, 0.01),
  ...onProduce({ _tag: "Disconnect", when: "after" }, 0.01),
  ...onProduce({ _tag: "LoseResponse" }, 0.005),
  ...onProduce({ _tag: "LoseRequest" }, 0.005),
  { fault: { _tag: "Delay", min: "1 millis", max: "50 millis" }, apis: ["Produce"], probability: 0.1 }
]

/** The errors in the keys' sequences: each must count up from 0 without a gap. */
const check = Effect.fnUntraced(function* (records: number) {
  const seen = Array.from({ length: keys }, () => new Set<number>())
  const last = new Array<number>(keys).fill(-1)
  let duplicates = 0
  let outOfOrder = 0
  yield* Inspect.forEachRecord(topic, ({ key, value }) => {
    const of = Number(Buffer.from(key ?? []).toString())
    const sequence = Number(Buffer.from(value ?? []).toString())
    if (seen[of]!.has(sequence)) duplicates++
    else if (sequence < last[of]!) outOfOrder++
    seen[of]!.add(sequence)
    last[of] = Math.max(last[of]!, sequence)
  })
  return { duplicates, outOfOrder, missing: records - seen.reduce((sum, { size }) => sum + size, 0) }
})

export const run = ({ killEveryMs, onEvent, records, seed }: ExactnessOptions) =>
  Effect.gen(function* () {
    const brokers = yield* makeCluster(3, durable)
    const addresses = brokers.map(({ bootstrap }) => bootstrap)
    const wire = KafkaJsWire.layer({ brokers: addresses })
    yield* Effect.provide(
      KafkaAdmin.once((admin) => admin.createTopics([{ topic, partitions: 6, replicationFactor: 3 }])),
      wire
    )

    const faults: Record<string, number> = {}
    const plan: Faults.FaultPlan = {
      seed,
      rules,
      requestTimeout: "2 seconds",
      onFault: ({ fault }) => {
        faults[fault._tag] = (faults[fault._tag] ?? 0) + 1
      }
    }
    const producer = KafkaProducer.layer({
      maxBatchRecords: 100,
      acknowledgeTimeout: "1 second",
      deliveryTimeout: "10 minutes"
    }).pipe(Layer.provide(Faults.layer(plan)), Layer.provide(wire))

    let sent = 0
    let refused = 0
    const sendAll = Effect.flatMap(Producer, ({ sendAllEither }) =>
      Stream.range(0, Math.ceil(records / atOnce) - 1).pipe(
        Stream.mapEffect(
          (chunk) => {
            const numbers = Array.from(
              { length: Math.min(atOnce, records - chunk * atOnce) },
              (_, i) => chunk * atOnce + i
            )
            const all = numbers.map((number) => ({
              topic,
              key: String(number % keys),
              value: String(Math.floor(number / keys))
            }))
            return Effect.map(sendAllEither(all), (results) => {
              sent += results.length
              refused += results.filter(({ _tag }) => _tag === "Left").length
            })
          },
          { concurrency: 10 }
        ),
        Stream.runDrain
      )
    )

    let brokersKilled = 0
    const scope = yield* Effect.scope
    const restarting = yield* Effect.makeSemaphore(1)
    const random = Random.make(seed)
    const killing = Effect.forever(
      Effect.gen(function* () {
        yield* Effect.sleep(killEveryMs)
        const index = yield* random.nextIntBetween(0, brokers.length)
        const broker = brokers[index]!
        const away = yield* random.nextRange(500, 2_000)
        onEvent(`broker ${index + 1} is killed; ${sent} records sent`)
        brokersKilled++
        const restarted = yield* Effect.forkIn(
          restarting.withPermits(1)(
            broker.kill.pipe(Effect.zipRight(Effect.sleep(away)), Effect.zipRight(broker.start))
          ),
          scope
        )
        yield* Fiber.join(restarted)
        yield* inSync(addresses)
      })
    )

    const startedAt = performance.now()
    yield* Effect.raceFirst(Effect.provide(sendAll, producer), killing)
    const seconds = Math.round((performance.now() - startedAt) / 1_000)
    onEvent(`all sent in ${seconds} s: ${JSON.stringify(faults)}`)
    // A broker that is down restarts first.
    yield* restarting.withPermits(1)(inSync(addresses))
    const found = yield* Effect.provide(check(records), wire)
    const report: ExactnessReport = { seed, records, seconds, faults, brokersKilled, refused, ...found }
    return report
  }).pipe(Effect.scoped)

export const isGood = ({ duplicates, missing, outOfOrder, refused }: ExactnessReport): boolean =>
  duplicates + missing + outOfOrder + refused === 0
