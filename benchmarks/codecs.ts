/**
 * Measures the speed of each compression codec: batches encoded and decoded in this process, and a compressed topic
 * consumed from a broker, beside kafkajs's `eachBatch` where kafkajs reads the codec without further packages.
 */
import * as RecordBatch from "@spillway/kafka/RecordBatch"
import * as Effect from "effect/Effect"
import { median, numberArgument } from "./arguments.js"
import * as Brokers from "./brokers.js"
import { measure } from "./contender.js"
import * as Preload from "./preload.js"

const compressions: ReadonlyArray<RecordBatch.Compression> = ["none", "gzip", "snappy", "lz4", "zstd"]

const kafkaJsReads: ReadonlyArray<RecordBatch.Compression> = ["none", "gzip"]

const batchRecords = Array.from({ length: 1_000 }, (_, i) => ({
  key: null,
  value: new Uint8Array(Preload.textOf(i)),
  headers: [],
  timestamp: 1_700_000_000_000 + i
}))

/** Of the uncompressed records. */
const megabytes = RecordBatch.encode(batchRecords).length / 1e6

/** Megabytes per second: the median of several turns of a quarter second each, after one to warm up. */
const rateOf = (run: () => unknown): number => {
  const turn = () => {
    const startedAt = performance.now()
    let times = 0
    do {
      run()
      times++
    } while (performance.now() - startedAt < 250)
    return (megabytes * times * 1_000) / (performance.now() - startedAt)
  }
  turn()
  return Math.round(median(Array.from({ length: 5 }, turn)))
}

const inProcess = (compression: RecordBatch.Compression) => {
  const encoded = RecordBatch.encode(batchRecords, { compression })
  return {
    encodeMBs: rateOf(() => RecordBatch.encode(batchRecords, { compression })),
    decodeMBs: rateOf(() => RecordBatch.decode(encoded)),
    ratio: Number(((megabytes * 1e6) / encoded.length).toFixed(2))
  }
}

const consumed = Effect.fnUntraced(function* (
  brokers: ReadonlyArray<string>,
  compression: RecordBatch.Compression,
  records: number,
  rounds: number
) {
  const topic = yield* Preload.topic(brokers, records, { compression })
  const contenders = kafkaJsReads.includes(compression) ? (["spillway", "eachBatch"] as const) : (["spillway"] as const)
  const rates = { spillway: [] as Array<number>, eachBatch: [] as Array<number> }
  for (let round = 0; round < rounds; round++) {
    for (const contender of contenders) {
      // From the start, because kafkajs's first response may hold the whole compressed topic.
      const task = { brokers, topic, records, groupId: crypto.randomUUID(), fromStart: true }
      rates[contender].push((yield* measure(contender, task)).recordsPerSecond)
    }
  }
  return {
    spillway: Math.round(median(rates.spillway)),
    eachBatch: rates.eachBatch.length === 0 ? undefined : Math.round(median(rates.eachBatch))
  }
})

export const codecs = Effect.scoped(
  Effect.gen(function* () {
    const bootstrap = yield* Brokers.given
    const records = numberArgument("records", 600_000)
    const rounds = numberArgument("rounds", 3)
    const measured = yield* Effect.forEach(compressions, (codec) =>
      Effect.gen(function* () {
        const { decodeMBs, encodeMBs, ratio } = inProcess(codec)
        const recordsPerSecond = yield* Effect.scoped(consumed(bootstrap, codec, records, rounds))
        console.error(
          `${codec}: encodes ${encodeMBs} MB/s, decodes ${decodeMBs} MB/s, to 1/${ratio}; ` +
            `consumed at ${recordsPerSecond.spillway} records/s, by eachBatch ${recordsPerSecond.eachBatch ?? "not"}`
        )
        return { codec, encodeMBs, decodeMBs, ratio, recordsPerSecond }
      })
    )
    console.log(JSON.stringify({ benchmark: "codecs", codecs: measured }))
  })
)
