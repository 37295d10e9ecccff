import { assert, it } from "@effect/vitest"
import * as Producer from "@spillway/transport/Producer"
import * as Effect from "effect/Effect"
import kafkajs from "kafkajs"
import { describeOwnKafka, makeCluster, uniqueName } from "../../../../scripts/kafka/testing.js"
import * as Fixture from "../support/fixture.js"

const partitions = 3
const count = 100

const values = (from: number): ReadonlyArray<string> => Array.from({ length: count }, (_, i) => String(from + i))

/** The values of a topic, sorted as numbers. */
const valuesOf = (topic: string) =>
  Effect.map(Fixture.readTopic(topic), (records) =>
    records.map(({ value }) => Buffer.from(value!).toString()).sort((a, b) => Number(a) - Number(b))
  )

describeOwnKafka("Records without a key, while a partition changes its leader", () => {
  it.scopedLive(
    "are silently lost by kafkajs, and neither lost nor duplicated by Spillway",
    () =>
      Effect.gen(function* () {
        const brokers = yield* makeCluster(3)
        const addresses = brokers.map(({ bootstrap }) => bootstrap)
        const kafka = new kafkajs.Kafka({ brokers: addresses, logLevel: kafkajs.logLevel.NOTHING })
        const admin = kafka.admin()
        yield* Effect.acquireRelease(
          Effect.promise(() => admin.connect()),
          () => Effect.promise(() => admin.disconnect())
        )

        /** A topic whose partitions are led by one broker each. */
        const create = Effect.gen(function* () {
          const topic = uniqueName("leaders")
          const replicaAssignment = Array.from({ length: partitions }, (_, partition) => ({
            partition,
            replicas: [partition + 1]
          }))
          yield* Effect.promise(() => admin.createTopics({ topics: [{ topic, replicaAssignment }] }))
          return topic
        })

        const leaderOf = (topic: string) =>
          Effect.promise(async () => {
            const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
            return topics[0]!.partitions.find(({ partitionId }) => partitionId === 0)!.leader
          })

        /** The first partition goes to the second broker: the first now answers NOT_LEADER_OR_FOLLOWER for it. */
        const move = (topic: string) =>
          Effect.zipRight(
            Effect.promise(() =>
              admin.alterPartitionReassignments({
                topics: [{ topic, partitionAssignment: [{ partition: 0, replicas: [2] }] }]
              })
            ),
            Effect.repeat(leaderOf(topic), { until: (leader) => leader === 2 })
          )

        const byKafkaJs = Effect.gen(function* () {
          const topic = yield* create
          const producer = kafka.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner })
          const send = (values: ReadonlyArray<string>) =>
            Effect.promise(() => producer.send({ topic, messages: values.map((value) => ({ value })) }))
          yield* Effect.acquireRelease(
            Effect.promise(() => producer.connect()),
            () => Effect.promise(() => producer.disconnect())
          )
          yield* send(values(0))
          yield* move(topic)
          yield* send(values(count))
          return yield* valuesOf(topic)
        })

        const bySpillway = Effect.gen(function* () {
          const topic = yield* create
          const { sendAll } = yield* Producer.Producer
          const send = (values: ReadonlyArray<string>) => sendAll(values.map((value) => ({ topic, value })))
          yield* send(values(0))
          yield* move(topic)
          const sent = yield* send(values(count))
          assert.isAbove(new Set(sent.map(({ partition }) => partition)).size, 1)
          return yield* valuesOf(topic)
        })

        const all = [...values(0), ...values(count)]
        const [theirs, ours] = yield* Effect.all([byKafkaJs, bySpillway]).pipe(
          Effect.provide(Fixture.layer(addresses.join(), { maxBatchRecords: 10 }))
        )
        const lost = all.length - new Set(theirs).size
        console.info(`kafkajs lost ${lost} of ${all.length}`)
        assert.isAbove(lost, 0)
        assert.deepStrictEqual(ours, all)
      }),
    120_000
  )
})
