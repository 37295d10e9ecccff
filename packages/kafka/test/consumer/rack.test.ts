import { assert, describe, it } from "@effect/vitest"
import type { Api } from "@spillway/kafka/Protocol"
import { Wire } from "@spillway/kafka/Wire"
import * as Faults from "@spillway/memory/Faults"
import { MemoryBroker } from "@spillway/memory/MemoryBroker"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import * as KafkaConsumer from "../../src/KafkaConsumer.js"
import { KafkaErrorCode } from "../../src/KafkaErrorCode.js"
import { committed, makeCalls, onBroker, options, topic } from "../support/consumerTesting.js"

const values = (...all: ReadonlyArray<string>) => all.map((value) => ({ value }))

/** Node 1 leads the partition; it is in rack a, node 2 in rack b. */
const cluster = { nodes: 2, racks: ["a", "b"], topics: { [topic]: 1 } }

/** The brokers that a wire's requests of one kind go to, by node id. */
const watched = (wire: Wire["Type"], watched: Api) => {
  const nodes: Array<number> = []
  const watching: Wire["Type"] = {
    bootstrap: wire.bootstrap,
    connect: (endpoint, role) =>
      Effect.map(wire.connect(endpoint, role), (connection) => ({
        ...connection,
        request: (api, request) => {
          if (api === watched) nodes.push(endpoint.port - 9091)
          return connection.request(api, request)
        }
      }))
  }
  return { nodes, wire: watching }
}

const consume = (rackId: string | undefined, faults: ReadonlyArray<Faults.FaultRule> = []) =>
  Effect.gen(function* () {
    const broker = yield* MemoryBroker
    const calls = makeCalls()
    const { nodes, wire } = watched(yield* Faults.wrap(broker.wire, { seed: 1, rules: faults }), "Fetch")
    const consumer = yield* KafkaConsumer.make({
      ...options,
      rackId,
      metadataMaxAge: "10 seconds",
      handler: calls.handler(() => Effect.void)
    }).pipe(Effect.provideService(Wire, wire))
    return { broker, calls, consumer, nodes }
  })

describe("rackId", () => {
  it.effect("reads from the replica of its rack, and asks the leader again after metadataMaxAge", () =>
    Effect.gen(function* () {
      const { broker, calls, nodes } = yield* consume("b")
      yield* broker.produce(topic, values("a"))
      yield* TestClock.adjust("9 seconds")
      yield* broker.produce(topic, values("b"))
      yield* TestClock.adjust("500 millis")
      assert.deepStrictEqual(calls.values(), ["a", "b"])
      assert.strictEqual(nodes.filter((node) => node === 1).length, 1)
      assert.isAbove(nodes.filter((node) => node === 2).length, 10)
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(nodes.filter((node) => node === 1).length, 2)
      assert.deepStrictEqual(yield* committed, { 0: 2 })
    }).pipe(onBroker(cluster))
  )

  for (const [rackId, what] of [
    ["a", "the leader's"],
    ["c", "one that no broker is in"],
    [undefined, "none"]
  ] as const) {
    it.effect(`reads from the leader where it is ${what}`, () =>
      Effect.gen(function* () {
        const { broker, calls, nodes } = yield* consume(rackId)
        yield* broker.produce(topic, values("a"))
        yield* TestClock.adjust("12 seconds")
        assert.deepStrictEqual(calls.values(), ["a"])
        assert.deepStrictEqual([...new Set(nodes)], [1])
      }).pipe(onBroker(cluster))
    )
  }

  it.effect("returns to the leader when the replica's broker is gone", () =>
    Effect.gen(function* () {
      const { broker, calls } = yield* consume("b")
      yield* broker.produce(topic, values("a"))
      yield* TestClock.adjust("1 second")
      yield* broker.stopNode(2, { electAfter: "1 minute" })
      yield* broker.produce(topic, values("b"))
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(calls.values(), ["a", "b"])
      yield* broker.startNode(2)
      yield* TestClock.adjust("20 seconds")
      yield* broker.produce(topic, values("c"))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(calls.values(), ["a", "b", "c"])
    }).pipe(onBroker(cluster))
  )

  for (const code of ["OFFSET_OUT_OF_RANGE", "NOT_LEADER_OR_FOLLOWER", "UNKNOWN_LEADER_EPOCH"] as const) {
    it.effect(`attributes ${code} to the follower, and asks the leader`, () =>
      Effect.gen(function* () {
        const { broker, calls, consumer, nodes } = yield* consume("b", [
          {
            fault: { _tag: "Answer", code: KafkaErrorCode[code], when: "instead" },
            apis: ["Fetch"],
            ports: [9093],
            from: "2 seconds",
            times: 1
          }
        ])
        yield* TestClock.adjust("4 seconds")
        yield* broker.produce(topic, values("a"))
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* consumer.status, "Running")
        assert.deepStrictEqual(calls.values(), ["a"])
        assert.isAtLeast(nodes.filter((node) => node === 1).length, 2)
      }).pipe(onBroker(cluster))
    )
  }

  it.effect("follows a leader that moves to another broker", () =>
    Effect.gen(function* () {
      const { broker, calls } = yield* consume("b")
      yield* broker.produce(topic, values("a"))
      yield* TestClock.adjust("1 second")
      yield* broker.moveLeader(topic, 0, 2)
      yield* broker.produce(topic, values("b"))
      yield* TestClock.adjust("1 second")
      yield* broker.moveLeader(topic, 0, 1)
      yield* broker.produce(topic, values("c"))
      yield* TestClock.adjust("12 seconds")
      assert.deepStrictEqual(calls.values(), ["a", "b", "c"])
    }).pipe(onBroker(cluster))
  )
})
