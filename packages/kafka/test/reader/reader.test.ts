import { assert, describe, it } from "@effect/vitest"
import { KafkaErrorCode } from "@spillway/kafka/KafkaErrorCode"
import * as KafkaReader from "@spillway/kafka/KafkaReader"
import type { FetchResponse } from "@spillway/kafka/Protocol"
import { Wire } from "@spillway/kafka/Wire"
import * as Faults from "@spillway/memory/Faults"
import * as MemoryBroker from "@spillway/memory/MemoryBroker"
import * as Position from "@spillway/transport/Position"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"

const topic = "orders"

const onBroker = Effect.provide(MemoryBroker.layer({ nodes: 3, topics: { [topic]: 4 } }))

const produce = (count: number, value = "value") =>
  Effect.flatMap(MemoryBroker.MemoryBroker, (broker) =>
    broker.produce(
      topic,
      Array.from({ length: count }, (_, i) => ({ value, partition: i % 4 }))
    )
  )

const read = (options: Omit<KafkaReader.ReadOptions, "topic"> = {}) => KafkaReader.read({ topic, ...options })

/** Runs an effect while the clock moves. */
const inTime = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(effect)
    while (fiber.unsafePoll() === null) yield* TestClock.adjust("50 millis")
    return yield* Fiber.join(fiber)
  })

const places = (records: Iterable<{ readonly partition: number; readonly offset: number }>) =>
  Array.from(records, ({ offset, partition }) => `${partition}/${offset}`).sort()

const all = (perPartition: number) =>
  places(
    [0, 1, 2, 3].flatMap((partition) => Array.from({ length: perPartition }, (_, offset) => ({ partition, offset })))
  )

describe("KafkaReader", () => {
  it.effect("reads every record once when connections break, answers are errors and leaders move", () =>
    Effect.gen(function* () {
      for (let i = 0; i < 20; i++) yield* produce(8)
      const broker = yield* MemoryBroker.MemoryBroker
      const wire = yield* Faults.wrap(broker.wire, {
        seed: 3,
        rules: [
          { fault: { _tag: "Disconnect", when: "after" }, apis: ["Fetch"], probability: 0.2 },
          {
            fault: { _tag: "Answer", code: KafkaErrorCode.NOT_LEADER_OR_FOLLOWER, when: "instead" },
            apis: ["Fetch", "ListOffsets"],
            probability: 0.3
          }
        ]
      })
      let moves = 0
      const records = yield* inTime(
        read({ fetchMaxPartitionBytes: 200 }).pipe(
          Stream.tap(() => (moves++ % 20 === 10 ? broker.moveLeader(topic, moves % 4, 1 + (moves % 3)) : Effect.void)),
          Stream.runCollect,
          Effect.provideService(Wire, wire)
        )
      )
      assert.deepStrictEqual(places(records), all(40))
    }).pipe(onBroker)
  )

  it.effect("fetches ahead no more than the buffer holds", () =>
    Effect.gen(function* () {
      for (let i = 0; i < 40; i++) yield* produce(4, "x".repeat(10_000))
      let fetched = 0
      const broker = yield* MemoryBroker.MemoryBroker
      const wire = {
        ...broker.wire,
        connect: ((endpoint, role) =>
          Effect.map(broker.wire.connect(endpoint, role), (connection) => ({
            ...connection,
            request: (api, request, limitMs) =>
              Effect.tap(connection.request(api, request, limitMs), (response) =>
                Effect.sync(() => {
                  const fetchedTopics = api === "Fetch" ? (response as FetchResponse).topics : []
                  for (const { partitions } of fetchedTopics) {
                    for (const { records } of partitions) fetched += records.byteLength
                  }
                })
              )
          }))) as typeof broker.wire.connect
      }
      const first = yield* inTime(
        read({ maxBufferedBytes: 1, fetchMaxBytes: 12_000, fetchMaxPartitionBytes: 12_000 }).pipe(
          Stream.mapEffect((record) => Effect.as(TestClock.sleep("1 second"), record)),
          Stream.take(2),
          Stream.runCollect,
          Effect.provideService(Wire, wire)
        )
      )
      assert.strictEqual(first.length, 2)
      // Each of three brokers has answered once or twice, with a batch of about 10 kB.
      assert.isAtMost(fetched, 3 * 3 * 10_200)
    }).pipe(onBroker)
  )

  it.effect("fails when the topic is deleted, or created again, while it is read", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.MemoryBroker
      yield* produce(4)
      const reading = (options: Omit<KafkaReader.ReadOptions, "topic">) =>
        Effect.fork(Effect.flip(Stream.runDrain(read({ to: "forever", ...options }))))
      const deleted = yield* reading({ unknownTopicTimeout: "1 second" })
      yield* TestClock.adjust("2 seconds")
      yield* broker.deleteTopic(topic)
      yield* TestClock.adjust("5 seconds")
      assert.include(String(yield* Fiber.join(deleted)), "UnknownTopic: orders")
      yield* broker.createTopic(topic, { partitions: 4 })
      const recreated = yield* reading({ unknownTopicTimeout: "1 minute" })
      yield* TestClock.adjust("2 seconds")
      yield* broker.deleteTopic(topic)
      yield* broker.createTopic(topic, { partitions: 4 })
      yield* TestClock.adjust("5 seconds")
      assert.include(String(yield* Fiber.join(recreated)), "created again")
    }).pipe(onBroker)
  )

  it.effect("fails at an offset that retention deletes, after the records before it", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.MemoryBroker
      yield* produce(400)
      const wire = broker.wire
      const found: Array<number> = []
      const error = yield* inTime(
        read({ partitions: [0], fetchMaxPartitionBytes: 100, maxBufferedBytes: 1 }).pipe(
          Stream.runForEachChunk((chunk) =>
            Effect.zipRight(
              Effect.sync(() => found.push(...Chunk.map(chunk, ({ offset }) => offset))),
              broker.truncateBefore(topic, 0, 90)
            )
          ),
          Effect.flip,
          Effect.provideService(Wire, wire)
        )
      )
      if (error._tag !== "KafkaReaderError") return assert.fail(error.message)
      assert.strictEqual(error.reason, "OffsetOutOfRange")
      assert.strictEqual(error.offset, found.length)
      assert.include(error.message, "the log starts at 90")
      assert.deepStrictEqual(
        found,
        Array.from(found, (_, i) => i)
      )
    }).pipe(onBroker)
  )

  it.effect("starts at the beginning although retention deletes it meanwhile", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.MemoryBroker
      yield* produce(400)
      let truncated = false
      const wire = {
        ...broker.wire,
        connect: ((endpoint, role) =>
          Effect.map(broker.wire.connect(endpoint, role), (connection) => ({
            ...connection,
            request: (api, request, limitMs) =>
              Effect.zipRight(
                api === "Fetch" && !truncated
                  ? Effect.suspend(() => {
                      truncated = true
                      return Effect.orDie(broker.truncateBefore(topic, 0, 95))
                    })
                  : Effect.void,
                connection.request(api, request, limitMs)
              )
          }))) as typeof broker.wire.connect
      }
      const records = yield* inTime(
        read({ partitions: [0] }).pipe(Stream.runCollect, Effect.provideService(Wire, wire))
      )
      assert.deepStrictEqual(
        Chunk.toReadonlyArray(records).map(({ offset }) => offset),
        [95, 96, 97, 98, 99]
      )
      assert.deepStrictEqual(Position.beginning, { _tag: "Beginning" })
    }).pipe(onBroker)
  )

  it.effect("fails for credentials that are refused, and closes its connections with the stream", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.MemoryBroker
      yield* produce(4)
      const wire = yield* Faults.wrap(broker.wire, {
        seed: 1,
        rules: [
          {
            fault: { _tag: "Answer", code: KafkaErrorCode.TOPIC_AUTHORIZATION_FAILED, when: "instead" },
            apis: ["Fetch"]
          }
        ]
      })
      const error = yield* inTime(read().pipe(Stream.runDrain, Effect.flip, Effect.provideService(Wire, wire)))
      assert.include(error.message, "Authorization: orders-")
      assert.strictEqual((yield* inTime(Stream.runCollect(Stream.take(read({ to: "forever" }), 3)))).length, 3)
    }).pipe(onBroker)
  )
})
