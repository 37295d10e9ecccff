import { assert, describe, it } from "@effect/vitest"
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import { KafkaErrorCode } from "@spillway/kafka/KafkaErrorCode"
import type { FetchRequest, FetchResponse, MetadataResponse } from "@spillway/kafka/Protocol"
import { type Connection, Wire } from "@spillway/kafka/Wire"
import { MemoryBroker } from "@spillway/memory/MemoryBroker"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import { committed, makeCalls, onBroker, options, quiet, topic } from "../support/consumerTesting.js"

const values = (partition: number, ...all: ReadonlyArray<string>) => all.map((value) => ({ value, partition }))

/** Two nodes in front of the memory broker. `leaderOf` assigns each partition's leader. */
const twoNodes = (wire: Wire["Type"], leaderOf: (partition: number) => number): Wire["Type"] => {
  const [broker] = wire.bootstrap
  const ports = [broker!.port, broker!.port + 1]
  const describe = (metadata: MetadataResponse): MetadataResponse => ({
    ...metadata,
    brokers: ports.map((port, index) => ({ nodeId: index + 1, host: broker!.host, port })),
    topics: metadata.topics.map((one) => ({
      ...one,
      partitions: one.partitions.map((partition) => ({ ...partition, leader: leaderOf(partition.partition) }))
    }))
  })
  const refuse = (response: FetchResponse, nodeId: number): FetchResponse => ({
    ...response,
    topics: response.topics.map((one) => ({
      ...one,
      partitions: one.partitions.map((partition) =>
        leaderOf(partition.partition) === nodeId
          ? partition
          : { ...partition, errorCode: KafkaErrorCode.NOT_LEADER_OR_FOLLOWER, records: new Uint8Array(0) }
      )
    }))
  })
  return {
    bootstrap: wire.bootstrap,
    connect: ({ port }, role) =>
      Effect.map(wire.connect(broker!, role), (connection): Connection => {
        const nodeId = ports.indexOf(port) + 1
        const request: Connection["request"] = (api, body) => {
          const answer = connection.request(api, body)
          if (api === "Metadata")
            return Effect.map(answer, (response) => describe(response as MetadataResponse) as typeof response)
          if (api !== "Fetch") return answer
          const { topics } = body as FetchRequest
          const isMine = topics.every((one) => one.partitions.every(({ partition }) => leaderOf(partition) === nodeId))
          // A node that doesn't lead answers at once.
          const answered = isMine ? answer : connection.request(api, { ...body, maxWaitMs: 0 })
          return Effect.map(answered, (response) => refuse(response as FetchResponse, nodeId) as typeof response)
        }
        return { closed: connection.closed, request }
      })
  }
}

describe("fetching", () => {
  it.effect("follows a partition to its new leader", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      let leader = 1
      const wire = twoNodes(broker.wire, (partition) => (partition === 0 ? 1 : leader))
      yield* KafkaConsumer.make({ ...options, handler: calls.handler(() => Effect.void) }).pipe(
        Effect.provideService(Wire, wire)
      )
      yield* broker.produce(topic, values(1, "a"))
      yield* TestClock.adjust("1 second")
      leader = 2
      yield* broker.produce(topic, values(1, "b"))
      yield* TestClock.adjust("2 seconds")
      leader = 1
      yield* broker.produce(topic, values(1, "c"))
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(calls.values(), ["a", "b", "c"])
      assert.deepStrictEqual(yield* committed, { 0: 0, 1: 3 })
    }).pipe(onBroker({ topics: { [topic]: 2 } }))
  )

  it.effect("follows a partition whose leader changed while it wasn't fetched", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const gate = yield* Deferred.make<void>()
      let leader = 1
      const wire = twoNodes(broker.wire, (partition) => (partition === 0 ? 1 : leader))
      yield* KafkaConsumer.make({
        ...options,
        maxLaneRecords: 1,
        metadataMaxAge: "5 seconds",
        handler: calls.handler(({ value }) => (value === "a" ? Deferred.await(gate) : Effect.void))
      }).pipe(Effect.provideService(Wire, wire))
      yield* broker.produce(topic, values(1, "a", "b"))
      yield* TestClock.adjust("1 second")
      leader = 2
      // The group's leader refreshes the metadata meanwhile.
      yield* TestClock.adjust("6 seconds")
      yield* Deferred.succeed(gate, undefined)
      yield* TestClock.adjust("3 seconds")
      yield* broker.produce(topic, [...values(0, "e"), ...values(1, "f")])
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* committed, { 0: 1, 1: 3 })
    }).pipe(onBroker({ topics: { [topic]: 2 } }))
  )

  it.effect("keeps the buffer within its limit, and a blocked partition doesn't use all of it", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const gate = yield* Deferred.make<void>()
      yield* KafkaConsumer.make({
        ...options,
        maxBufferedBytes: 10_000,
        fetchMaxPartitionBytes: 1_000,
        handler: calls.handler(({ partition }) => (partition === 0 ? Deferred.await(gate) : Effect.void))
      })
      const large = (partition: number) => values(partition, ...Array.from({ length: 50 }, () => "x".repeat(500)))
      yield* broker.produce(topic, large(0))
      yield* quiet
      yield* broker.produce(topic, large(1))
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* committed, { 0: 0, 1: 50 })
      yield* Deferred.succeed(gate, undefined)
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* committed, { 0: 50, 1: 50 })
    }).pipe(onBroker({ topics: { [topic]: 2 } }))
  )

  it.effect("reads a batch larger than the partition's fetch limit", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      yield* KafkaConsumer.make({
        ...options,
        fetchMaxPartitionBytes: 100,
        fetchMaxBytes: 100,
        handler: calls.handler(() => Effect.void)
      })
      yield* broker.produce(topic, values(0, "x".repeat(5_000), "y"))
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* committed, { 0: 2 })
    }).pipe(onBroker({ topics: { [topic]: 1 } }))
  )
})
