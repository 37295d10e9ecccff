/**
 * Fills a topic with numbered records for a benchmark, written by kafkajs, or compressed by Spillway.
 */
import { KafkaJsWire, KafkaProducer } from "@spillway/kafka"
import type { Compression } from "@spillway/kafka/RecordBatch"
import { Producer } from "@spillway/transport/Producer"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import kafkajs from "kafkajs"
import * as Inspect from "../scripts/kafka/inspect.js"

const partitions = 6
const recordBytes = 100
/** A thousand records per partition, which form one batch of the log. */
const recordsAtOnce = 6_000

/** The first four bytes are the record's number. */
const valueOf = (number: number): Buffer => {
  const value = Buffer.alloc(recordBytes, "x")
  value.writeUInt32BE(number)
  return value
}

/** The headers of a record by its number. */
export type HeadersOf = (number: number) => kafkajs.IHeaders

const fill = async (
  brokers: ReadonlyArray<string>,
  topic: string,
  records: number,
  headersOf?: HeadersOf
): Promise<void> => {
  const kafka = new kafkajs.Kafka({ brokers: [...brokers], logLevel: kafkajs.logLevel.NOTHING })
  const producer = kafka.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner })
  await producer.connect()
  for (let sent = 0; sent < records; sent += recordsAtOnce) {
    const messages = Array.from({ length: Math.min(recordsAtOnce, records - sent) }, (_, i) => ({
      value: valueOf(sent + i),
      partition: i % partitions,
      ...(headersOf === undefined ? {} : { headers: headersOf(sent + i) })
    }))
    await producer.sendBatch({ topicMessages: [{ topic, messages }] })
  }
  await producer.disconnect()
}

/** Records like those of real services: a number, then JSON. */
export const textOf = (number: number): Buffer => {
  const order = {
    orderId: `order-${(number * 7_919) % 100_003}`,
    customer: {
      id: (number * 31) % 977,
      name: `Customer ${number % 89}`,
      segment: ["new", "regular", "gold"][number % 3]
    },
    total: Math.round(Math.abs(Math.sin(number)) * 1e6) / 100,
    placedAt: new Date(1_700_000_000_000 + number * 1_237).toISOString()
  }
  const value = Buffer.from(`    ${JSON.stringify(order)}`)
  value.writeUInt32BE(number)
  return value
}

const fillCompressed = (brokers: ReadonlyArray<string>, topic: string, records: number, compression: Compression) =>
  Effect.gen(function* () {
    const { sendAll } = yield* Producer
    for (let sent = 0; sent < records; sent += recordsAtOnce) {
      const numbers = Array.from({ length: Math.min(recordsAtOnce, records - sent) }, (_, i) => sent + i)
      yield* sendAll(numbers.map((number) => ({ topic, value: textOf(number), partition: number % partitions })))
    }
  }).pipe(
    Effect.provide(KafkaProducer.layer({ compression })),
    Effect.provide(KafkaJsWire.layer({ brokers })),
    Effect.orDie
  )

const administer = <A>(brokers: ReadonlyArray<string>, use: (admin: kafkajs.Admin) => Promise<A>): Effect.Effect<A> =>
  Effect.promise(async () => {
    const admin = new kafkajs.Kafka({ brokers: [...brokers], logLevel: kafkajs.logLevel.NOTHING }).admin()
    await admin.connect()
    const used = await use(admin)
    await admin.disconnect()
    return used
  })

/** The name of a new, empty topic; it and its `-dlq` are deleted when the scope closes. */
export const emptyTopic = Effect.fnUntraced(function* (
  brokers: ReadonlyArray<string>,
  prefix: string,
  numPartitions = partitions
): Effect.fn.Return<string, never, Scope.Scope> {
  const name = `${prefix}-${crypto.randomUUID()}`
  const topics = [name, `${name}-dlq`]
  yield* Effect.acquireRelease(
    administer(brokers, (admin) =>
      admin.createTopics({ waitForLeaders: false, topics: topics.map((topic) => ({ topic, numPartitions })) })
    ),
    () => administer(brokers, (admin) => admin.deleteTopics({ topics }))
  )
  return name
})

/** The number of records that were written to a topic. */
export const recordsIn = (brokers: ReadonlyArray<string>, topic: string): Effect.Effect<number> =>
  Effect.map(
    administer(brokers, (admin) => admin.fetchTopicOffsets(topic)),
    (offsets) => offsets.reduce((sum, { high }) => sum + Number(high), 0)
  )

/** The number of records that a read-committed consumer finds in a topic. */
export const committedIn = (brokers: ReadonlyArray<string>, topic: string): Effect.Effect<number> =>
  Effect.suspend(() => {
    let records = 0
    return Inspect.forEachRecord(topic, () => void records++, "read_committed").pipe(
      Effect.map(() => records),
      Effect.provide(KafkaJsWire.layer({ brokers })),
      Effect.orDie
    )
  })

/** The name of a new topic with `count` records, deleted when the scope closes. */
export const topic = Effect.fnUntraced(function* (
  brokers: ReadonlyArray<string>,
  records: number,
  { compression, headersOf }: { readonly compression?: Compression; readonly headersOf?: HeadersOf } = {}
): Effect.fn.Return<string, never, Scope.Scope> {
  const name = yield* emptyTopic(brokers, "consume")
  yield* compression === undefined
    ? Effect.promise(() => fill(brokers, name, records, headersOf))
    : fillCompressed(brokers, name, records, compression)
  return name
})
