import { assert, describe, it } from "@effect/vitest"
import type { MetadataResponse } from "@spillway/kafka/Protocol"
import { Wire } from "@spillway/kafka/Wire"
import { MemoryBroker } from "@spillway/memory/MemoryBroker"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import * as KafkaConsumer from "../../src/KafkaConsumer.js"
import { committed, makeCalls, onBroker, options, quiet, topic } from "../support/consumerTesting.js"

const values = (prefix: string, count: number) => Array.from({ length: count }, (_, i) => ({ value: `${prefix}${i}` }))

const recreate = (partitions = 1) =>
  Effect.flatMap(MemoryBroker, (broker) =>
    Effect.zipRight(broker.deleteTopic(topic), broker.createTopic(topic, partitions))
  )

describe("a topic that is deleted and created again", () => {
  for (const initialOffset of ["earliest", "latest"] as const) {
    for (const count of [2, 5]) {
      it.effect(`is read from its start, each record once (${initialOffset}, ${count} records after 3)`, () =>
        Effect.gen(function* () {
          const broker = yield* MemoryBroker
          const calls = makeCalls()
          const consumer = yield* KafkaConsumer.make({
            ...options,
            initialOffset,
            handler: calls.handler(() => Effect.void)
          })
          yield* broker.produce(topic, values("old", 3))
          yield* TestClock.adjust("2 seconds")
          assert.deepStrictEqual(yield* committed, { 0: 3 })
          yield* recreate()
          yield* broker.produce(topic, values("new", count))
          yield* TestClock.adjust("5 seconds")
          assert.strictEqual(yield* consumer.status, "Running")
          assert.deepStrictEqual(
            calls.values(),
            [...values("old", 3), ...values("new", count)].map(({ value }) => value)
          )
          assert.deepStrictEqual(yield* committed, { 0: count })
        }).pipe(onBroker({ topics: { [topic]: 1 } }))
      )
    }
  }

  it.effect("gets no commit for records in flight from the old one", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const release = yield* Effect.makeLatch(false)
      yield* KafkaConsumer.make({
        ...options,
        handler: calls.handler(({ value }) => (value === "old1" ? release.await : Effect.void))
      })
      yield* broker.produce(topic, values("old", 4))
      yield* TestClock.adjust("2 seconds")
      yield* recreate()
      yield* TestClock.adjust("2 seconds")
      yield* release.open
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* committed, { 0: 0 })
      yield* broker.produce(topic, values("new", 2))
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(calls.values(), ["old0", "old1", "new0", "new1"])
      assert.deepStrictEqual(yield* committed, { 0: 2 })
    }).pipe(onBroker({ topics: { [topic]: 1 } }))
  )

  it.effect("is detected by every member, with all its partitions", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const member = Effect.gen(function* () {
        const { wire } = yield* broker.client()
        return yield* Effect.fork(
          KafkaConsumer.make({
            ...options,
            metadataMaxAge: "5 seconds",
            handler: calls.handler(() => Effect.void)
          }).pipe(Effect.provideService(Wire, wire))
        )
      })
      yield* member
      yield* member
      yield* TestClock.adjust("10 seconds")
      for (const partition of [0, 1]) {
        yield* broker.produce(
          topic,
          values(`old${partition}/`, 3).map((one) => ({ ...one, partition }))
        )
      }
      yield* TestClock.adjust("2 seconds")
      yield* recreate(3)
      for (const partition of [0, 1, 2]) {
        yield* broker.produce(
          topic,
          values(`new${partition}/`, 4).map((one) => ({ ...one, partition }))
        )
      }
      yield* TestClock.adjust("30 seconds")
      const fresh = calls.values().filter((value) => value.startsWith("new"))
      assert.strictEqual(fresh.length, 12)
      assert.strictEqual(new Set(fresh).size, 12)
      assert.deepStrictEqual(yield* committed, { 0: 4, 1: 4, 2: 4 })
    }).pipe(onBroker({ topics: { [topic]: 2 } }))
  )

  it.effect("is detected by metadata alone if nothing is fetched", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const consumer = yield* KafkaConsumer.make({
        ...options,
        metadataMaxAge: "5 seconds",
        handler: calls.handler(() => Effect.void)
      })
      yield* broker.produce(topic, values("old", 3))
      yield* TestClock.adjust("2 seconds")
      yield* consumer.pause()
      yield* recreate()
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* committed, { 0: 0 })
      yield* broker.produce(topic, values("new", 4))
      yield* consumer.resume()
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(calls.values().slice(3), ["new0", "new1", "new2", "new3"])
    }).pipe(onBroker({ topics: { [topic]: 1 } }))
  )

  it.effect("stays the new one when a broker's metadata lags behind", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      /** The metadata responses; while `lags` is set, the broker answers with the oldest one. */
      const answers: Array<unknown> = []
      let lags = false
      const wire: Wire["Type"] = {
        bootstrap: broker.wire.bootstrap,
        connect: (endpoint, role) =>
          Effect.map(broker.wire.connect(endpoint, role), (connection) => ({
            ...connection,
            request: (api, request) => {
              const answer = connection.request(api, request)
              if (api !== "Metadata") return answer
              return Effect.map(answer, (response) => {
                if ((response as MetadataResponse).topics.length === 0) return response
                answers.push(response)
                return (lags ? answers[0] : response) as typeof response
              })
            }
          }))
      }
      yield* KafkaConsumer.make({
        ...options,
        metadataMaxAge: "5 seconds",
        handler: calls.handler(() => Effect.void)
      }).pipe(Effect.provideService(Wire, wire))
      yield* broker.produce(topic, values("old", 3))
      yield* TestClock.adjust("2 seconds")
      yield* recreate()
      yield* broker.produce(topic, values("new", 4))
      yield* TestClock.adjust("2 seconds")
      lags = true
      yield* TestClock.adjust("20 seconds")
      yield* broker.produce(topic, values("newer", 1))
      yield* quiet
      assert.deepStrictEqual(calls.values().slice(3), ["new0", "new1", "new2", "new3", "newer0"])
      assert.deepStrictEqual(yield* committed, { 0: 4 })
    }).pipe(onBroker({ topics: { [topic]: 1 } }))
  )
})
