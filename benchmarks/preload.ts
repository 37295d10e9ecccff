/**
 * A topic full of numbered records for a benchmark, written by kafkajs.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import kafkajs from "kafkajs"

const partitions = 6
const recordBytes = 100
/** A thousand a partition, which are a batch of the log. */
const recordsAtOnce = 6_000

/** The first four bytes are the record's number. */
const valueOf = (number: number): Buffer => {
  const value = Buffer.alloc(recordBytes, "x")
  value.writeUInt32BE(number)
  return value
}

const fill = async (kafka: kafkajs.Kafka, topic: string, records: number): Promise<void> => {
  const producer = kafka.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner })
  await producer.connect()
  for (let sent = 0; sent < records; sent += recordsAtOnce) {
    const messages = Array.from({ length: Math.min(recordsAtOnce, records - sent) }, (_, i) => ({
      value: valueOf(sent + i),
      partition: i % partitions
    }))
    await producer.sendBatch({ topicMessages: [{ topic, messages }] })
  }
  await producer.disconnect()
}

/** The name of a new topic; it and its empty `-dlq` are deleted when the scope closes. */
export const topic = Effect.fnUntraced(function* (
  brokers: ReadonlyArray<string>,
  records: number
): Effect.fn.Return<string, never, Scope.Scope> {
  const kafka = new kafkajs.Kafka({ brokers: [...brokers], logLevel: kafkajs.logLevel.NOTHING })
  const name = `consume-${crypto.randomUUID()}`
  const topics = [name, `${name}-dlq`]
  const admin = (use: (admin: kafkajs.Admin) => Promise<unknown>) =>
    Effect.promise(async () => {
      const admin = kafka.admin()
      await admin.connect()
      await use(admin)
      await admin.disconnect()
    })
  yield* Effect.acquireRelease(
    admin((to) => to.createTopics({ topics: topics.map((topic) => ({ topic, numPartitions: partitions })) })),
    () => admin((to) => to.deleteTopics({ topics }))
  )
  yield* Effect.promise(() => fill(kafka, name, records))
  return name
})
