/**
 * Measures the memory of a consumer whose batches unpack to far more than its buffer, and of a client whose broker
 * lies: each case in a process of its own, on Kafka, whose log is written batch by batch.
 */

import { crc32c } from "@node-rs/crc32"
import { KafkaAdmin, KafkaJsWire } from "@spillway/kafka"
import * as RecordBatch from "@spillway/kafka/RecordBatch"
import { Wire } from "@spillway/kafka/Wire"
import * as Effect from "effect/Effect"
import * as Broker from "../scripts/kafka/broker.js"
import { choicesArgument } from "./arguments.js"
import type { Unpacked, UnpackTask } from "./contenders/unpacking.js"
import * as Liar from "./liar.js"
import * as Program from "./program.js"

const MiB = 1024 * 1024

/** The memory that a case may use above its start, besides two buffers. */
const allowance = 100e6

/** The same batch, `count` times. */
interface Case {
  readonly bufferBytes: number
  readonly times: number
  readonly records: number
  readonly batch: () => Uint8Array
  readonly handlerMs?: number
}

const record = (value: Uint8Array): RecordBatch.EncodableRecord => ({ key: null, value, headers: [], timestamp: 0 })

const batchOf = (records: number, valueBytes: number, compression: RecordBatch.Compression) => (): Uint8Array => {
  const one = record(new Uint8Array(valueBytes))
  return RecordBatch.encode(new Array<typeof one>(records).fill(one), { compression })
}

const defaults = 64 * MiB

const xxh32 = (bytes: Uint8Array): number => {
  const [prime2, prime3, prime4, prime5] = [0x85ebca77, 0xc2b2ae3d, 0x27d4eb2f, 0x165667b1]
  const rotated = (value: number, bits: number) => (value << bits) | (value >>> (32 - bits))
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  // Of fewer than 16 bytes, with the seed 0.
  let hash = (prime5 + bytes.length) | 0
  let at = 0
  for (; at + 4 <= bytes.length; at += 4) {
    hash = Math.imul(rotated((hash + Math.imul(view.getUint32(at, true), prime3)) | 0, 17), prime4)
  }
  for (; at < bytes.length; at++) hash = Math.imul(rotated((hash + Math.imul(bytes[at]!, prime5)) | 0, 11), 0x9e3779b1)
  hash = Math.imul(hash ^ (hash >>> 15), prime2)
  hash = Math.imul(hash ^ (hash >>> 13), prime3)
  return (hash ^ (hash >>> 16)) >>> 0
}

/** A batch in an LZ4 frame that declares 100 bytes, with a correct header checksum. */
const lyingLz4 = (): Uint8Array => {
  const batch = batchOf(40, 50 * MiB, "lz4")()
  const payload = batch.subarray(RecordBatch.batchOverhead)
  const said = (payload[4]! & 8) !== 0
  const descriptor = new Uint8Array(10)
  descriptor[0] = payload[4]! | 8
  descriptor[1] = payload[5]!
  descriptor[2] = 100
  const checksum = (xxh32(descriptor) >>> 8) & 0xff
  const frame = [payload.subarray(0, 4), descriptor, Uint8Array.of(checksum), payload.subarray(said ? 15 : 7)]
  const lying = new Uint8Array(Buffer.concat([batch.subarray(0, RecordBatch.batchOverhead), ...frame]))
  const view = new DataView(lying.buffer)
  view.setInt32(8, lying.length - 12)
  view.setUint32(17, crc32c(lying.subarray(21)))
  return lying
}

const cases = {
  recordsOf40MiBZstd: { bufferBytes: defaults, times: 100, records: 1, batch: batchOf(1, 40 * MiB, "zstd") },
  recordsOf1MBGzip: { bufferBytes: 16 * MiB, times: 1_200, records: 1, batch: batchOf(1, 1_000_000, "gzip") },
  smallRecords: { bufferBytes: defaults, times: 3, records: 2_000_000, batch: batchOf(2_000_000, 9, "zstd") },
  smallRecordsInOne: { bufferBytes: defaults, times: 1, records: 6_000_000, batch: batchOf(6_000_000, 9, "zstd") },
  smallRecordsInOneGzip: { bufferBytes: defaults, times: 1, records: 6_000_000, batch: batchOf(6_000_000, 9, "gzip") },
  smallRecordsPlain: { bufferBytes: defaults, times: 1, records: 5_000_000, batch: batchOf(5_000_000, 9, "none") },
  batchesOf60MiB: { bufferBytes: defaults, times: 100, records: 60, batch: batchOf(60, MiB, "zstd") },
  batchesOf60MiBGzip: { bufferBytes: 16 * MiB, times: 20, records: 60, batch: batchOf(60, MiB, "gzip") },
  batchOf4GBSnappy: { bufferBytes: 16 * MiB, times: 4, records: 1_000, batch: batchOf(1_000, 1_000_000, "snappy") },
  lyingLz4: { bufferBytes: defaults, times: 1, records: 40, batch: lyingLz4 },
  slowHandler: { bufferBytes: 16 * MiB, times: 100, records: 10, batch: batchOf(10, MiB, "zstd"), handlerMs: 10 }
} satisfies Record<string, Case>

const lies: Readonly<Record<string, Liar.Lie>> = {
  lyingApiVersions: "apiVersions",
  lyingMetadata: "metadata",
  lyingLargeMetadata: "largeMetadata"
}

/** Appends a batch `count` times to a partition that is created for it. */
const write = Effect.fnUntraced(function* (topic: string, bytes: Uint8Array, times: number) {
  yield* KafkaAdmin.once((admin) =>
    admin.createTopics([{ topic, configs: { "max.message.bytes": "100000000", "retention.ms": "-1" } }])
  )
  const { bootstrap, connect } = yield* Wire
  const connection = yield* connect(bootstrap[0]!, "data")
  for (let i = 0; i < times; i++) {
    const answer = yield* connection.request("Produce", {
      transactionalId: null,
      acks: -1,
      timeoutMs: 60_000,
      topics: [{ topic, partitions: [{ partition: 0, records: bytes }] }]
    })
    const { errorCode } = answer.topics[0]!.partitions[0]!
    if (errorCode === 3 || errorCode === 6) {
      yield* Effect.sleep("100 millis")
      i--
    } else if (errorCode !== 0) return yield* Effect.dieMessage(`Produce answered ${errorCode}`)
  }
})

const report = (name: string, bufferBytes: number, { peakBytes, startBytes, ...rest }: Unpacked) => {
  const aboveBytes = peakBytes - startBytes
  const bound = 2 * bufferBytes + allowance
  const result = { name, bufferBytes, startBytes, peakBytes, aboveBytes, bound, within: aboveBytes <= bound, ...rest }
  console.error(
    `${name}: ${Math.round(aboveBytes / 1e6)} MB above the start (${Math.round(bound / 1e6)} allowed), ` +
      `${rest.handled} handled in ${rest.seconds} s ${rest.error ?? ""}`
  )
  return result
}

export const unpack = Effect.scoped(
  Effect.gen(function* () {
    const chosen = choicesArgument("cases", [...Object.keys(cases), ...Object.keys(lies)])
    const results = []
    if (chosen.some((name) => name in cases)) {
      const { bootstrap } = yield* Broker.make({ "message.max.bytes": "100000000" }, { heap: "4g" })
      const brokers = [bootstrap]
      for (const name of chosen) {
        const found: Case | undefined = (cases as Record<string, Case>)[name]
        if (found === undefined) continue
        const { bufferBytes, handlerMs, times } = found
        const topic = `unpack-${name}`
        yield* Effect.scoped(write(topic, found.batch(), times)).pipe(Effect.provide(KafkaJsWire.layer({ brokers })))
        const records = times * found.records
        const task: UnpackTask = { brokers, topic, records, bufferBytes, handlerMs }
        results.push(report(name, bufferBytes, yield* Program.run<Unpacked>("contenders/unpacking", task)))
      }
    }
    for (const name of chosen) {
      const lie = lies[name]
      if (lie === undefined) continue
      const unpacked = yield* Effect.scoped(
        Effect.flatMap(Liar.make(lie), (address) => {
          const task: UnpackTask = { brokers: [address], bufferBytes: defaults }
          return Program.run<Unpacked>("contenders/unpacking", task)
        })
      )
      results.push(report(name, defaults, unpacked))
    }
    console.log(JSON.stringify({ benchmark: "unpack", cases: results }))
  })
)
