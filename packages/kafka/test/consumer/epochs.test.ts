import { assert, describe, it } from "@effect/vitest"
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import type { MetadataResponse, OffsetCommitRequest } from "@spillway/kafka/Protocol"
import { type Connection, Wire } from "@spillway/kafka/Wire"
import { MemoryBroker } from "@spillway/memory/MemoryBroker"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import { committed, makeCalls, observed, onBroker, options, topic } from "../support/consumerTesting.js"

const onTwoNodes = onBroker({ nodes: 2, topics: { [topic]: 1 } })

const produce = (...values: ReadonlyArray<string>) =>
  Effect.flatMap(MemoryBroker, (broker) =>
    broker.produce(
      topic,
      values.map((value) => ({ value }))
    )
  )

/** A new leader, whose log may end before the read position. */
const newLeader = (truncateTo?: number) =>
  Effect.flatMap(MemoryBroker, (broker) =>
    Effect.flatMap(broker.leader(topic, 0), (leader) => broker.moveLeader(topic, 0, 3 - leader, { truncateTo }))
  )

const consuming = Effect.fnUntraced(function* (
  offsetOutOfRange: "fail" | "earliest" | "latest",
  see: (api: string, request: unknown) => void = () => {}
) {
  const broker = yield* MemoryBroker
  const calls = makeCalls()
  const consumer = yield* KafkaConsumer.make({
    ...options,
    offsetOutOfRange,
    handler: calls.handler(() => Effect.void)
  }).pipe(
    Effect.provideService(
      Wire,
      observed(broker.wire, (api, request) => Effect.sync(() => see(api, request)))
    )
  )
  yield* TestClock.adjust("3 seconds")
  return { calls, consumer }
})

describe("a new leader", () => {
  it.effect("is asked whether its log contains the read records before fetching continues", () =>
    Effect.gen(function* () {
      const validations: Array<unknown> = []
      yield* produce("a", "b")
      const { calls, consumer } = yield* consuming("fail", (api, request) => {
        if (api === "OffsetForLeaderEpoch") validations.push(request)
      })
      yield* newLeader()
      yield* produce("c")
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(yield* consumer.status, "Running")
      assert.deepStrictEqual(calls.values(), ["a", "b", "c"])
      assert.deepStrictEqual(yield* committed, { 0: 3 })
      assert.deepStrictEqual(validations, [
        { topics: [{ topic, partitions: [{ partition: 0, currentLeaderEpoch: 1, leaderEpoch: 0 }] }] }
      ])
    }).pipe(onTwoNodes)
  )

  it.effect("that lost read records fails the consumer with an error that names the offset", () =>
    Effect.gen(function* () {
      yield* produce("a", "b", "c", "d", "e")
      const { calls, consumer } = yield* consuming("fail")
      yield* newLeader(3)
      // More records than were lost: by its offset alone the position would be valid.
      yield* produce("f", "g", "h")
      yield* TestClock.adjust("3 seconds")
      const error = yield* Effect.flip(consumer.wait)
      assert.strictEqual(error.reason, "LogTruncated")
      assert.include(error.message, `${topic}-0 at offset 5`)
      assert.include(error.message, "leader epoch 0")
      assert.include(error.message, "ended at 3")
      assert.deepStrictEqual(calls.values(), ["a", "b", "c", "d", "e"])
      assert.deepStrictEqual(yield* committed, { 0: 5 })
    }).pipe(onTwoNodes)
  )

  it.effect("that lost read records is read from where its log diverges, and commits go back to there", () =>
    Effect.gen(function* () {
      yield* produce("a", "b", "c", "d", "e")
      const { calls } = yield* consuming("latest")
      assert.deepStrictEqual(yield* committed, { 0: 5 })
      yield* newLeader(3)
      yield* produce("f")
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(calls.values(), ["a", "b", "c", "d", "e", "f"])
      assert.deepStrictEqual(yield* committed, { 0: 4 })
      yield* produce("g", "h")
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(calls.values().slice(6), ["g", "h"])
      assert.deepStrictEqual(yield* committed, { 0: 6 })
    }).pipe(onTwoNodes)
  )

  it.effect("elected while the group was away is detected by the committed epoch", () =>
    Effect.gen(function* () {
      const epochs: Array<number | undefined> = []
      yield* newLeader()
      yield* produce("a", "b", "c", "d", "e")
      const first = yield* consuming("fail", (api, request) => {
        if (api !== "OffsetCommit") return
        const { topics } = request as OffsetCommitRequest
        for (const { partitions } of topics) epochs.push(...partitions.map(({ leaderEpoch }) => leaderEpoch))
      })
      yield* first.consumer.close
      assert.strictEqual(epochs.at(-1), 1)
      yield* newLeader(3)
      yield* produce("f", "g", "h")
      const second = yield* consuming("fail")
      const error = yield* Effect.flip(second.consumer.wait)
      assert.strictEqual(error.reason, "LogTruncated")
      assert.deepStrictEqual(second.calls.values(), [])
    }).pipe(onTwoNodes)
  )

  it.effect("with a lower epoch is ignored, even if all other metadata names it", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      yield* newLeader()
      yield* produce("a", "b", "c", "d", "e")
      const first = yield* consuming("fail")
      yield* first.consumer.close
      const asked: Array<string> = []
      const answered = yield* Deferred.make<void>()
      let isStale = true
      const wire: Wire["Type"] = {
        bootstrap: broker.wire.bootstrap,
        connect: (endpoint, role) =>
          Effect.map(
            broker.wire.connect(endpoint, role),
            (connection): Connection => ({
              closed: connection.closed,
              request: (api, request) => {
                asked.push(api)
                const answer = connection.request(api, request)
                if (api !== "Metadata") return answer
                return Effect.map(answer, (response) => {
                  if (!isStale) return response
                  Deferred.unsafeDone(answered, Effect.void)
                  const metadata = response as MetadataResponse
                  const stale: MetadataResponse = {
                    ...metadata,
                    topics: metadata.topics.map((one) => ({
                      ...one,
                      partitions: one.partitions.map((partition) => ({ ...partition, leader: 1, leaderEpoch: 0 }))
                    }))
                  }
                  return stale as typeof response
                })
              }
            })
          )
      }
      const calls = makeCalls()
      const consumer = yield* KafkaConsumer.make({ ...options, handler: calls.handler(() => Effect.void) }).pipe(
        Effect.provideService(Wire, wire)
      )
      yield* Deferred.await(answered)
      yield* TestClock.adjust("20 seconds")
      assert.notInclude(asked, "Fetch")
      assert.notInclude(asked, "OffsetForLeaderEpoch")
      isStale = false
      yield* produce("f")
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(yield* consumer.status, "Running")
      assert.deepStrictEqual(calls.values(), ["f"])
    }).pipe(onTwoNodes)
  )
})

describe("offsetOutOfRange", () => {
  it.effect("also resets the committed offset, so no record is skipped once the log has grown again", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      yield* produce("a", "b", "c", "d", "e")
      const { calls } = yield* consuming("earliest")
      assert.deepStrictEqual(yield* committed, { 0: 5 })
      // Created again under the same name: shorter, and in the same leader epoch.
      yield* broker.deleteTopic(topic)
      yield* broker.createTopic(topic, 1)
      yield* produce("f", "g")
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(calls.values().slice(5), ["f", "g"])
      assert.deepStrictEqual(yield* committed, { 0: 2 })
    }).pipe(onBroker({ topics: { [topic]: 1 } }))
  )
})
