import { assert, describe, it } from "@effect/vitest"
import type { MetadataResponse, OffsetCommitRequest } from "@spillway/kafka/Protocol"
import { type Role, Wire } from "@spillway/kafka/Wire"
import * as MemoryBroker from "@spillway/memory/MemoryBroker"
import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import * as Logger from "effect/Logger"
import * as TestClock from "effect/TestClock"
import * as KafkaConsumer from "../../src/KafkaConsumer.js"
import { group, makeCalls, observed, options, topic } from "../support/consumerTesting.js"
import * as Switchable from "../support/switchable.js"

type Broker = MemoryBroker.MemoryBroker["Type"]

const values = (prefix: string, count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => ({ value: `${prefix}${from + i}` }))

const committed = (broker: Broker) =>
  Effect.map(broker.committed(group), (all) => all.find((one) => one.topic === topic && one.partition === 0)?.offset)

const clusters = Effect.all([
  MemoryBroker.make({ topics: { [topic]: 1 }, clusterId: "first" }),
  MemoryBroker.make({ topics: { [topic]: 1 }, clusterId: "second" })
])

/** Brokers that don't report their cluster's id. */
const nameless = (wire: Wire["Type"]): Wire["Type"] => ({
  ...wire,
  connect: (endpoint, role) =>
    Effect.map(wire.connect(endpoint, role), (connection) => ({
      ...connection,
      request: (api, request) => {
        const answer = connection.request(api, request)
        if (api !== "Metadata") return answer
        return Effect.map(answer, (response) => {
          const anonymous: MetadataResponse = { ...(response as MetadataResponse), clusterId: null }
          return anonymous as typeof response
        })
      }
    }))
})

const start = (wire: Wire["Type"], initialOffset: "earliest" | "latest" = "earliest") =>
  Effect.gen(function* () {
    const calls = makeCalls()
    const consumer = yield* KafkaConsumer.make({
      ...options,
      initialOffset,
      handler: calls.handler(() => Effect.void)
    }).pipe(Effect.provideService(Wire, wire))
    return { calls, consumer }
  })

describe("a consumer whose address leads to another cluster", () => {
  it.scoped("continues from that cluster's commits, and from the first one's when it is back", () =>
    Effect.gen(function* () {
      const logged: Array<unknown> = []
      const logger = Logger.make<unknown, void>(({ annotations, message }) => {
        const { clusterId, clusterIdBefore } = Object.fromEntries(HashMap.toEntries(annotations))
        if (String(message).includes("another cluster")) logged.push([clusterIdBefore, clusterId])
      })
      const [a, b] = yield* clusters
      const { leadTo, wire } = Switchable.make(a.wire)
      yield* Effect.gen(function* () {
        const { calls, consumer } = yield* start(wire)
        yield* a.produce(topic, values("a", 3))
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual(yield* committed(a), 3)
        yield* b.produce(topic, values("b", 2))
        yield* leadTo(b.wire)
        yield* TestClock.adjust("10 seconds")
        assert.deepStrictEqual(calls.values(), ["a0", "a1", "a2", "b0", "b1"])
        assert.strictEqual(yield* committed(b), 2)
        yield* a.produce(topic, values("a", 2, 3))
        yield* leadTo(a.wire)
        // Its earlier membership there has to expire first.
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(calls.values().slice(5), ["a3", "a4"])
        assert.strictEqual(yield* committed(a), 5)
        assert.strictEqual(yield* committed(b), 2)
        assert.strictEqual(yield* consumer.status, "Running")
        assert.deepStrictEqual(logged, [
          ["first", "second"],
          ["second", "first"]
        ])
      }).pipe(Effect.scoped, Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
    })
  )

  it.scoped("starts there by initialOffset, regardless of its position in the first", () =>
    Effect.gen(function* () {
      const [a, b] = yield* clusters
      yield* b.produce(topic, values("old", 4))
      const { leadTo, wire } = Switchable.make(a.wire)
      const { calls } = yield* start(wire, "latest")
      yield* a.produce(topic, values("a", 2))
      yield* TestClock.adjust("2 seconds")
      yield* leadTo(b.wire)
      yield* TestClock.adjust("10 seconds")
      yield* b.produce(topic, values("b", 2))
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(calls.values(), ["a0", "a1", "b0", "b1"])
      assert.strictEqual(yield* committed(b), 6)
    }).pipe(Effect.scoped, Effect.provide(Logger.remove(Logger.defaultLogger)))
  )

  const mixtures: ReadonlyArray<ReadonlyArray<Role>> = [["group"], ["fetch"], ["data"], ["join", "group"]]
  for (const roles of mixtures) {
    it.scoped(`mixes no state of the two if only connections for ${roles.join(" and ")} were cut`, () =>
      Effect.gen(function* () {
        const [a, b] = yield* clusters
        const { leadTo, wire } = Switchable.make(a.wire)
        const { calls } = yield* start(wire)
        yield* a.produce(topic, values("a", 5))
        yield* TestClock.adjust("2 seconds")
        yield* b.produce(topic, values("b", 8))
        yield* leadTo(b.wire, roles)
        yield* TestClock.adjust("1 minute")
        yield* a.produce(topic, values("a", 1, 5))
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(
          calls.values(),
          [...values("a", 5), ...values("b", 8)].map(({ value }) => value)
        )
        assert.strictEqual(yield* committed(a), 5)
        assert.strictEqual(yield* committed(b), 8)
      }).pipe(Effect.scoped, Effect.provide(Logger.remove(Logger.defaultLogger)))
    )
  }

  it.scoped("interrupts records in flight, and doesn't commit them there", () =>
    Effect.gen(function* () {
      const [a, b] = yield* clusters
      const { leadTo, wire } = Switchable.make(a.wire)
      const calls = makeCalls()
      let interrupted = 0
      const offsets: Array<number> = []
      const seen = observed(wire, (api, request) =>
        Effect.sync(() => {
          if (api !== "OffsetCommit") return
          for (const { partitions } of (request as OffsetCommitRequest).topics) {
            offsets.push(...partitions.map(({ offset }) => offset))
          }
        })
      )
      yield* KafkaConsumer.make({
        ...options,
        handler: calls.handler(({ value }) =>
          value === "a1" ? Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted++)) : Effect.void
        )
      }).pipe(Effect.provideService(Wire, seen))
      yield* a.produce(topic, values("a", 4))
      yield* TestClock.adjust("2 seconds")
      offsets.length = 0
      yield* leadTo(b.wire)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(interrupted, 1)
      assert.deepStrictEqual(offsets, [0], "the position found on the second")
      yield* leadTo(a.wire)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(calls.values(), ["a0", "a1", "a1"])
      yield* leadTo(b.wire)
      yield* TestClock.adjust("1 minute")
    }).pipe(Effect.scoped, Effect.provide(Logger.remove(Logger.defaultLogger)))
  )

  it.scoped("returns to the first even if no broker reports its cluster's id", () =>
    Effect.gen(function* () {
      const [a, b] = yield* clusters
      const { leadTo, wire } = Switchable.make(nameless(a.wire))
      const { calls, consumer } = yield* start(wire)
      yield* a.produce(topic, values("a", 3))
      yield* TestClock.adjust("2 seconds")
      yield* b.produce(topic, values("b", 2))
      yield* leadTo(nameless(b.wire))
      yield* TestClock.adjust("1 minute")
      assert.includeMembers([...calls.values()], ["b0", "b1"])
      yield* a.produce(topic, values("a", 2, 3))
      yield* leadTo(nameless(a.wire))
      yield* TestClock.adjust("2 minutes")
      assert.includeMembers([...calls.values()], ["a3", "a4"])
      assert.strictEqual(yield* committed(a), 5)
      assert.strictEqual(yield* consumer.status, "Running")
    }).pipe(Effect.scoped, Effect.provide(Logger.remove(Logger.defaultLogger)))
  )
})
