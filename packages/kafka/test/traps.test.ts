/**
 * The problems that users of Kafka on Node report most. Each trap that can arise in this design has a test named after
 * it, here or in the file listed in `docs/traps.md`.
 */
import { existsSync, readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Wire } from "@spillway/kafka/Wire"
import * as Faults from "@spillway/memory/Faults"
import { MemoryBroker } from "@spillway/memory/MemoryBroker"
import type { Consumer } from "@spillway/transport/Consumer"
import { Producer } from "@spillway/transport/Producer"
import * as RetryPolicy from "@spillway/transport/RetryPolicy"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as KafkaConsumer from "../src/KafkaConsumer.js"
import { KafkaErrorCode } from "../src/KafkaErrorCode.js"
import * as KafkaProducer from "../src/KafkaProducer.js"
import { committed, group, makeCalls, onBroker, options, quiet, topic } from "./support/consumerTesting.js"

const numbered = (count: number, partition = 0) =>
  Array.from({ length: count }, (_, i) => ({ value: `${partition}/${i}`, partition }))

const done = () => Effect.void

const one = { topics: { [topic]: 1 } }
const two = { topics: { [topic]: 2 } }

describe("traps", () => {
  it.effect("trap 5 (#683): a slow partition doesn't hold up the others", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      yield* KafkaConsumer.make({
        ...options,
        handler: calls.handler(({ partition }) => (partition === 0 ? Effect.sleep("10 seconds") : Effect.void))
      })
      yield* broker.produce(topic, [...numbered(2, 0), ...numbered(50, 1)])
      yield* TestClock.adjust("100 millis")
      assert.strictEqual(calls.all.filter(({ partition }) => partition === 1).length, 50)
      yield* TestClock.adjust("20 seconds")
    }).pipe(onBroker(two))
  )

  it.effect("trap 6 (#1732): a returning broker is fetched from within a second", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      yield* KafkaConsumer.make({ ...options, handler: calls.handler(done) })
      yield* TestClock.adjust("1 second")
      yield* broker.stopNode(2, { electAfter: "1 hour" })
      yield* TestClock.adjust("1 minute")
      yield* broker.startNode(2)
      yield* broker.produce(topic, [...numbered(1, 0), ...numbered(1, 1)])
      yield* TestClock.adjust("1500 millis")
      assert.sameMembers([...calls.values()], ["0/0", "1/0"])
    }).pipe(onBroker({ ...two, nodes: 2 }))
  )

  it.effect("trap 7 (#1415): failures spread over time don't add up", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      let count = 0
      const wire = yield* Faults.wrap(broker.wire, {
        seed: 1,
        rules: [{ fault: { _tag: "Disconnect", when: "before" }, apis: ["Fetch", "OffsetCommit"], probability: 0.3 }]
      })
      const consumer = yield* KafkaConsumer.make({
        ...options,
        handler: calls.handler(() => Effect.suspend(() => (++count % 10 === 0 ? Effect.fail("at times") : Effect.void)))
      }).pipe(Effect.provideService(Wire, wire))
      for (let i = 0; i < 20; i++) {
        yield* broker.produce(topic, [{ value: String(i) }])
        yield* TestClock.adjust("1 second")
      }
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(yield* consumer.status, "Running")
      assert.strictEqual(new Set(calls.values()).size, 20)
      assert.deepStrictEqual(yield* committed, { 0: 20 })
    }).pipe(onBroker(one))
  )

  it.effect("trap 8 (#1630): a consumer waits for its group's coordinator indefinitely", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const wire = yield* Faults.wrap(broker.wire, {
        seed: 1,
        rules: [
          {
            fault: { _tag: "Answer", code: KafkaErrorCode.COORDINATOR_NOT_AVAILABLE, when: "instead" },
            apis: ["FindCoordinator"],
            until: "2 minutes"
          }
        ]
      })
      const starting = yield* Effect.fork(
        Effect.provideService(KafkaConsumer.make({ ...options, handler: calls.handler(done) }), Wire, wire)
      )
      yield* broker.produce(topic, numbered(1))
      yield* TestClock.adjust("2 minutes")
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* (yield* starting).status, "Running")
      assert.deepStrictEqual(calls.values(), ["0/0"])
    }).pipe(onBroker(one))
  )

  it.effect("trap 9 (#1513): a handler that throws ends no consumer", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const consumer = yield* KafkaConsumer.make({
        ...options,
        retry: RetryPolicy.none,
        handler: ({ value }) => {
          if (value === "0/0") throw new TypeError("undefined is not a function")
          return Effect.void
        }
      })
      yield* broker.produce(topic, numbered(3))
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* consumer.status, "Running")
      assert.deepStrictEqual(yield* committed, { 0: 3 })
    }).pipe(onBroker(one))
  )

  it.effect("trap 10 (#1721): a record that always fails doesn't make a member rejoin", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      yield* KafkaConsumer.make({ ...options, handler: () => Effect.fail("always") })
      yield* broker.produce(topic, numbered(3))
      yield* TestClock.adjust("2 minutes")
      assert.strictEqual((yield* broker.group(group)).generation, 1)
      assert.deepStrictEqual(yield* committed, { 0: 3 })
    }).pipe(onBroker(one))
  )

  it.effect("trap 11 (#1593): nothing is handled once a consumer has stopped", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const consumer = yield* KafkaConsumer.make({
        ...options,
        handler: calls.handler(() => Effect.sleep("100 millis"))
      })
      yield* broker.produce(topic, numbered(50))
      yield* TestClock.adjust("1 second")
      const closing = yield* Effect.fork(consumer.close)
      yield* TestClock.adjust("1 second")
      const { handled } = yield* closing
      yield* broker.produce(topic, numbered(5))
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(calls.all.length, handled)
      assert.isBelow(handled, 50)
    }).pipe(onBroker(one))
  )

  it.effect("trap 12 (#1639): a consumer that is interrupted while it starts doesn't consume", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      yield* broker.stop
      const starting = yield* Effect.fork(
        Effect.scoped(KafkaConsumer.make({ ...options, handler: calls.handler(done) }))
      )
      yield* TestClock.adjust("10 seconds")
      const giving = yield* Effect.fork(Fiber.interrupt(starting))
      yield* TestClock.adjust("1 minute")
      assert.isTrue(Exit.isInterrupted(yield* Fiber.join(giving)))
      yield* broker.start
      yield* broker.produce(topic, numbered(1))
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(calls.values(), [])
      assert.strictEqual((yield* broker.group(group)).members.length, 0)
    }).pipe(onBroker(one))
  )

  it.effect("trap 13 (#967): closing right after the start ends at once", () =>
    Effect.gen(function* () {
      const consumer = yield* KafkaConsumer.make({ ...options, handler: done })
      yield* consumer.close
      assert.strictEqual(yield* consumer.status, "Stopped")
    }).pipe(onBroker(one))
  )

  it.effect("trap 14 (#1168): a handler may stop its consumer", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const own = yield* Deferred.make<Consumer>()
      const consumer = yield* KafkaConsumer.make({
        ...options,
        handler: () => Effect.flatMap(Deferred.await(own), ({ stop }) => stop)
      })
      yield* Deferred.succeed(own, consumer)
      yield* broker.produce(topic, numbered(3))
      yield* quiet
      const { committed, handled } = yield* consumer.wait
      assert.deepStrictEqual(committed, [{ topic, partition: 0, offset: handled }])
      assert.isAbove(handled, 0)
    }).pipe(onBroker(one))
  )

  it.effect("trap 15 (#1596): closing doesn't wait for a long poll", () =>
    Effect.gen(function* () {
      const consumer = yield* KafkaConsumer.make({ ...options, fetchMaxWait: "1 hour", handler: done })
      yield* TestClock.adjust("10 seconds")
      // It needs no time on the test clock, or it would not end here.
      yield* consumer.close
    }).pipe(onBroker(one))
  )

  it.effect("trap 25 (#1622): a deleted topic fails only its own records", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const { sendAll, send } = yield* Producer
      yield* sendAll([
        { topic, value: "a" },
        { topic: "payments", value: "a" }
      ])
      yield* broker.deleteTopic(topic)
      const failing = yield* Effect.fork(Effect.flip(send({ topic, value: "b" })))
      const sending = yield* Effect.fork(send({ topic: "payments", value: "b" }))
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* sending).offset, 1)
      yield* TestClock.adjust("5 minutes")
      assert.strictEqual((yield* failing).reason, "UnknownTopic")
    }).pipe(Effect.provide(KafkaProducer.layer()), onBroker({ topics: { [topic]: 1, payments: 1 } }))
  )
})

describe("docs/traps.md", () => {
  it("names an existing test for each trap, or the reason that it can't arise", () => {
    const root = new URL("../../../", import.meta.url)
    const rows = Array.from(
      readFileSync(new URL("docs/traps.md", root), "utf8").matchAll(/^\| (\d+) \|(.*)\|(.*)\|$/gm),
      ([, number, , shown]) => ({ number: Number(number), shown: shown!.trim() })
    )
    assert.deepStrictEqual(
      rows.map(({ number }) => number),
      Array.from({ length: 26 }, (_, i) => i + 1)
    )
    for (const { number, shown } of rows) {
      const named = /^`([^`]+)`: (.+)$/.exec(shown)
      if (named === null) {
        assert.match(shown, /^can't arise: /, String(number))
        continue
      }
      const [, file, title] = named
      assert.isTrue(existsSync(new URL(file!, root)), file)
      assert.include(readFileSync(new URL(file!, root), "utf8"), title!, String(number))
    }
  })
})
