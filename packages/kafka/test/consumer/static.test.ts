import { assert, describe, it } from "@effect/vitest"
import { type Connection, Wire } from "@spillway/kafka/Wire"
import { MemoryBroker } from "@spillway/memory/MemoryBroker"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import * as KafkaConsumer from "../../src/KafkaConsumer.js"
import { committed, group, makeCalls, onBroker, options, quiet, topic } from "../support/consumerTesting.js"

/** A wire whose first OffsetCommit of an offset above 0 waits for the gate. */
const holding = (wire: Wire["Type"], gate: Deferred.Deferred<void>): Wire["Type"] => {
  let isHeld = false
  return {
    bootstrap: wire.bootstrap,
    connect: (endpoint, role) =>
      Effect.map(
        wire.connect(endpoint, role),
        (connection): Connection => ({
          closed: connection.closed,
          request: (api, request) => {
            const offsets = "topics" in request && api === "OffsetCommit" ? JSON.stringify(request.topics) : ""
            if (isHeld || !/"offset":[1-9]/.test(offsets)) return connection.request(api, request)
            isHeld = true
            return Effect.zipRight(Deferred.await(gate), connection.request(api, request))
          }
        })
      )
  }
}

describe("KafkaConsumer: static members", () => {
  it.effect("finds added partitions after the leader has restarted under its instance id", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const start = KafkaConsumer.make({
        ...options,
        groupInstanceId: "one",
        metadataMaxAge: "5 seconds",
        handler: calls.handler(() => Effect.void)
      })
      yield* Effect.scoped(start)
      yield* start
      const { generation } = yield* broker.group(group)
      yield* broker.addPartitions(topic, 2)
      yield* broker.produce(topic, [{ value: "a", partition: 1 }])
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(calls.values(), ["a"])
      assert.strictEqual((yield* broker.group(group)).generation, generation + 1)
    }).pipe(onBroker({ topics: { [topic]: 1 } }))
  )

  for (const assignor of ["cooperative-sticky", "range"] as const) {
    it.effect(`finds partitions that were added while its leader was away, by ${assignor}`, () =>
      Effect.gen(function* () {
        const broker = yield* MemoryBroker
        const calls = makeCalls()
        const start = (groupInstanceId: string) =>
          KafkaConsumer.make({
            ...options,
            groupInstanceId,
            assignors: [assignor],
            initialOffset: "earliest",
            metadataMaxAge: "5 seconds",
            handler: calls.handler(() => Effect.void)
          })
        const scope = yield* Scope.make()
        yield* Scope.extend(start("one"), scope)
        const other = yield* Effect.fork(start("two"))
        yield* TestClock.adjust("10 seconds")
        yield* Fiber.join(other)
        yield* Effect.zipRight(Effect.fork(Scope.close(scope, Exit.void)), TestClock.adjust("1 second"))
        yield* broker.addPartitions(topic, 3)
        yield* broker.produce(topic, [{ value: "a", partition: 2 }])
        const again = yield* Effect.fork(start("one"))
        yield* TestClock.adjust("20 seconds")
        yield* Fiber.join(again)
        assert.deepStrictEqual(calls.values(), ["a"])
        const { generation } = yield* broker.group(group)
        yield* TestClock.adjust("30 seconds")
        assert.strictEqual((yield* broker.group(group)).generation, generation, "one rebalance is enough")
      }).pipe(onBroker({ topics: { [topic]: 2 } }))
    )
  }

  it.effect("a leader that restarts starts no rebalance when nothing was added", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const start = KafkaConsumer.make({
        ...options,
        groupInstanceId: "one",
        metadataMaxAge: "5 seconds",
        handler: () => Effect.void
      })
      const scope = yield* Scope.make()
      yield* Scope.extend(start, scope)
      yield* TestClock.adjust("6 seconds")
      const { generation } = yield* broker.group(group)
      yield* Effect.zipRight(Effect.fork(Scope.close(scope, Exit.void)), TestClock.adjust("1 second"))
      yield* start
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* broker.group(group)).generation, generation)
    }).pipe(onBroker({ topics: { [topic]: 3 } }))
  )

  it.effect("is not fenced by its own late commit after it has rejoined under another member id", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const gate = yield* Deferred.make<void>()
      const calls = makeCalls()
      const consumer = yield* Effect.provideService(
        KafkaConsumer.make({
          ...options,
          groupInstanceId: "one",
          heartbeatInterval: "1 second",
          handler: calls.handler(() => Effect.void)
        }),
        Wire,
        holding(broker.wire, gate)
      )
      yield* broker.produce(topic, [{ value: "a" }])
      yield* quiet
      yield* TestClock.adjust("1 second")
      const [{ memberId } = { memberId: "" }] = (yield* broker.group(group)).members
      const connection = yield* broker.wire.connect(broker.wire.bootstrap[0]!, "group")
      yield* connection.request("LeaveGroup", { groupId: group, members: [{ memberId: "", groupInstanceId: "one" }] })
      yield* TestClock.adjust("2 seconds")
      const [rejoined] = (yield* broker.group(group)).members
      assert.notStrictEqual(rejoined?.memberId, memberId)
      yield* Deferred.succeed(gate, undefined)
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* consumer.status, "Running")
      assert.deepStrictEqual(calls.values(), ["a", "a"])
      assert.deepStrictEqual(yield* committed, { 0: 1 })
    }).pipe(onBroker({ topics: { [topic]: 1 } }))
  )
})
