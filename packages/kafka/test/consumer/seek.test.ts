import { assert, describe, it } from "@effect/vitest"
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import type { OffsetCommitRequest } from "@spillway/kafka/Protocol"
import { Wire } from "@spillway/kafka/Wire"
import { MemoryBroker } from "@spillway/memory/MemoryBroker"
import type { Consumer } from "@spillway/transport/Consumer"
import * as Position from "@spillway/transport/Position"
import * as RetryPolicy from "@spillway/transport/RetryPolicy"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as TestContext from "effect/TestContext"
import * as FastCheck from "fast-check"
import { committed, group, makeCalls, observed, onBroker, options, quiet, topic } from "../support/consumerTesting.js"

const one = { topics: { [topic]: 1 } }
const two = { topics: { [topic]: 2 } }
const partition = (partition: number) => ({ topic, partition })

const numbered = (count: number, partition = 0) =>
  Array.from({ length: count }, (_, i) => ({ value: `${i}`, partition }))

describe("seek", () => {
  it.effect("goes back, and commits backwards", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const consumer = yield* KafkaConsumer.make({ ...options, handler: calls.handler(() => Effect.void) })
      yield* broker.produce(topic, numbered(4))
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* committed, { 0: 4 })
      yield* consumer.pause()
      yield* consumer.seek(Position.offset(1))
      assert.deepStrictEqual(yield* committed, { 0: 1 })
      yield* consumer.resume()
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(calls.values(), ["0", "1", "2", "3", "1", "2", "3"])
      assert.deepStrictEqual((yield* consumer.close).committed, [{ ...partition(0), offset: 4 }])
    }).pipe(onBroker(one))
  )

  it.effect("finds the beginning, the end and timestamps, in the given partitions or in all", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      yield* broker.produce(
        topic,
        [0, 1].flatMap((partition) =>
          Array.from({ length: 5 }, (_, i) => ({ value: `${i}`, partition, timestamp: i * 1_000 }))
        )
      )
      yield* broker.truncateBefore(topic, 1, 2)
      const consumer = yield* KafkaConsumer.make({ ...options, handler: () => Effect.void })
      yield* TestClock.adjust("2 seconds")
      yield* consumer.pause()
      const sought = (position: Position.Position, partitions?: ReadonlyArray<{ topic: string; partition: number }>) =>
        Effect.zipRight(consumer.seek(position, partitions), committed)
      assert.deepStrictEqual(yield* sought(Position.beginning), { 0: 0, 1: 2 })
      assert.deepStrictEqual(yield* sought(Position.end, [partition(1)]), { 0: 0, 1: 5 })
      assert.deepStrictEqual(yield* sought(Position.timestamp(new Date(2_500))), { 0: 3, 1: 3 })
      assert.deepStrictEqual(yield* sought(Position.timestamp(0)), { 0: 0, 1: 2 })
      assert.deepStrictEqual(yield* sought(Position.timestamp(4_001), [partition(0)]), { 0: 5, 1: 2 })
      assert.deepStrictEqual(yield* sought(Position.offset(4), [partition(0), partition(1)]), { 0: 4, 1: 4 })
    }).pipe(onBroker(two))
  )

  it.effect("waits for the running handler, drops queued records, and ends when its commit is acknowledged", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const consumer = yield* KafkaConsumer.make({
        ...options,
        commitInterval: "1 minute",
        handler: calls.handler(() => Effect.sleep("5 seconds"))
      })
      yield* broker.produce(topic, numbered(10))
      yield* TestClock.adjust("7 seconds")
      const seeking = yield* Effect.fork(consumer.seek(Position.offset(8)))
      yield* TestClock.adjust("2999 millis")
      assert.isNull(seeking.unsafePoll())
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(seeking)
      assert.deepStrictEqual(yield* committed, { 0: 8 })
      yield* TestClock.adjust("20 seconds")
      assert.deepStrictEqual(calls.values(), ["0", "1", "8", "9"])
      assert.strictEqual((yield* consumer.close).handled, 4)
    }).pipe(onBroker(one))
  )

  it.effect("ends a retry wait at once, without an outcome for its record", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const consumer = yield* KafkaConsumer.make({
        ...options,
        retry: RetryPolicy.fixed({ retries: 3, delay: "1 minute" }),
        handler: calls.handler(({ value }) => (value === "0" ? Effect.fail("never") : Effect.void))
      })
      yield* broker.produce(topic, numbered(3))
      yield* quiet
      yield* consumer.seek(Position.offset(2))
      yield* TestClock.adjust("2 minutes")
      // The parked poll for the old position ends first.
      assert.deepStrictEqual(calls.attempts(), [
        ["0", 1, 0],
        ["2", 1, 500]
      ])
      const { deadLettered, discarded, handled } = yield* consumer.report
      assert.deepStrictEqual({ deadLettered, discarded, handled }, { deadLettered: 0, discarded: 0, handled: 1 })
    }).pipe(onBroker(one))
  )

  it.effect("changes nothing if it is interrupted while it waits; a retry that it cut short starts again", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const consumer = yield* KafkaConsumer.make({
        ...options,
        retry: RetryPolicy.fixed({ retries: 3, delay: "1 minute" }),
        handler: calls.handler(({ attempt, partition }) =>
          partition === 1
            ? Effect.sleep("20 seconds")
            : attempt === 1 && calls.all.length < 3
              ? Effect.fail("no")
              : Effect.void
        )
      })
      yield* broker.produce(topic, [...numbered(2, 0), ...numbered(1, 1)])
      yield* quiet
      const seeking = yield* Effect.fork(consumer.seek(Position.end))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(calls.all.length, 2)
      yield* Fiber.interrupt(seeking)
      yield* TestClock.adjust("30 seconds")
      assert.deepStrictEqual(
        calls.all.filter(({ partition }) => partition === 0).map(({ attempt, value }) => [value, attempt]),
        [
          ["0", 1],
          ["0", 1],
          ["1", 1]
        ]
      )
      assert.deepStrictEqual(yield* committed, { 0: 2, 1: 1 })
    }).pipe(onBroker(two))
  )

  it.effect("in a handler doesn't wait for the handler itself, and ignores the outcome of its record", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const self = yield* Deferred.make<Consumer>()
      const consumer: Consumer = yield* KafkaConsumer.make({
        ...options,
        handler: calls.handler(({ value }) =>
          value === "1" && calls.all.length < 3
            ? Effect.flatMap(Deferred.await(self), (consumer) => consumer.seek(Position.beginning))
            : Effect.void
        )
      })
      yield* Deferred.succeed(self, consumer)
      yield* broker.produce(topic, numbered(3))
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(calls.values(), ["0", "1", "0", "1", "2"])
      assert.deepStrictEqual(yield* committed, { 0: 3 })
    }).pipe(onBroker(one))
  )

  it.effect("in a handler that then fails discards the record", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const self = yield* Deferred.make<Consumer>()
      const consumer: Consumer = yield* KafkaConsumer.make({
        ...options,
        handler: calls.handler(({ value }) =>
          value === "0"
            ? Effect.flatMap(Deferred.await(self), (consumer) =>
                Effect.zipRight(consumer.seek(Position.offset(2)), Effect.fail("no"))
              )
            : Effect.void
        )
      })
      yield* Deferred.succeed(self, consumer)
      yield* broker.produce(topic, numbered(4))
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(calls.values(), ["0", "2", "3"])
      assert.deepStrictEqual(yield* committed, { 0: 4 })
    }).pipe(onBroker(one))
  )

  it.effect("fails with the invalid position, and changes nothing", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      yield* broker.produce(topic, [...numbered(5, 0), ...numbered(3, 1)])
      yield* broker.truncateBefore(topic, 1, 1)
      const consumer = yield* KafkaConsumer.make({ ...options, handler: calls.handler(() => Effect.void) })
      yield* TestClock.adjust("2 seconds")
      const refused = (...args: Parameters<Consumer["seek"]>) =>
        Effect.map(Effect.flip(consumer.seek(...args)), ({ field, reason, value }) => [reason, field, value])
      for (const offset of [-1, 0.5, Number.NaN]) {
        assert.deepStrictEqual(yield* refused(Position.offset(offset)), ["InvalidArgument", "position.offset", offset])
      }
      assert.deepStrictEqual(yield* refused(Position.timestamp(new Date("not a date"))), [
        ...["InvalidArgument", "position.timestamp", Number.NaN]
      ])
      assert.deepStrictEqual(yield* refused(Position.beginning, [partition(0), partition(2)]), [
        ...["NotAssigned", "partitions[1]", partition(2)]
      ])
      // Within one partition's log, outside the other's.
      assert.deepStrictEqual(yield* refused(Position.offset(4)), ["OffsetOutOfRange", "position.offset", 4])
      const error = yield* Effect.flip(consumer.seek(Position.offset(0), [partition(1)]))
      assert.strictEqual(
        error.message,
        "OffsetOutOfRange: group billing: position.offset 0: the log of orders-1 starts at 1 and ends at 3"
      )
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(calls.all.length, 7)
      assert.deepStrictEqual(yield* committed, { 0: 5, 1: 3 })
      yield* consumer.close
      assert.strictEqual((yield* Effect.flip(consumer.seek(Position.beginning))).reason, "NotRunning")
    }).pipe(onBroker(two))
  )
})

describe("seek and a rebalance", () => {
  const slow = (calls: ReturnType<typeof makeCalls>) => ({
    ...options,
    // Its only partition is revoked in the rebalance.
    assignors: ["range"] as const,
    handler: calls.handler(() => Effect.sleep("10 seconds"))
  })

  it.effect("that starts while it waits: fails, and the old position is committed", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const consumer = yield* KafkaConsumer.make(slow(calls))
      yield* broker.produce(topic, numbered(2))
      yield* TestClock.adjust("1 second")
      const seeking = yield* Effect.fork(Effect.flip(consumer.seek(Position.end)))
      const joining = yield* Effect.fork(KafkaConsumer.make(slow(calls)))
      yield* TestClock.adjust("9 seconds")
      const error = yield* Fiber.join(seeking)
      assert.strictEqual(error.reason, "Rebalancing")
      assert.deepStrictEqual(yield* committed, { 0: 1 })
      yield* TestClock.adjust("15 seconds")
      yield* Fiber.join(joining)
      assert.deepStrictEqual(calls.values(), ["0", "1"])
    }).pipe(onBroker(one))
  )

  it.effect("in progress: fails, for all partitions and for one", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const consumer = yield* KafkaConsumer.make(slow(calls))
      yield* broker.produce(topic, numbered(2))
      yield* TestClock.adjust("1 second")
      yield* Effect.fork(KafkaConsumer.make(slow(calls)))
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual((yield* broker.group(group)).state, "PreparingRebalance")
      assert.strictEqual((yield* Effect.flip(consumer.seek(Position.end))).reason, "Rebalancing")
      assert.strictEqual((yield* Effect.flip(consumer.seek(Position.end, [partition(0)]))).reason, "Rebalancing")
      yield* TestClock.adjust("30 seconds")
      yield* consumer.seek(Position.end)
    }).pipe(onBroker(one))
  )

  it.effect("that starts before its commit is acknowledged: completes when the revocation commits it", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const client = yield* broker.client()
      let refusing = false
      const wire = observed(client.wire, (api) =>
        refusing && api === "OffsetCommit" ? Effect.zipRight(client.cut, client.restore) : Effect.void
      )
      const consumer = yield* KafkaConsumer.make({ ...options, handler: () => Effect.void }).pipe(
        Effect.provideService(Wire, wire)
      )
      yield* broker.produce(topic, numbered(5))
      yield* TestClock.adjust("2 seconds")
      yield* consumer.pause()
      refusing = true
      const seeking = yield* Effect.fork(consumer.seek(Position.offset(2)))
      yield* TestClock.adjust("1 second")
      assert.isNull(seeking.unsafePoll())
      assert.deepStrictEqual(yield* committed, { 0: 5 })
      const joining = yield* Effect.fork(KafkaConsumer.make({ ...options, handler: () => Effect.never }))
      refusing = false
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(seeking)
      yield* Fiber.join(joining)
      assert.deepStrictEqual(yield* committed, { 0: 2 })
    }).pipe(onBroker(one))
  )

  it.effect("after a lost session: fails if its commit is impossible", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const client = yield* broker.client()
      let cutting = false
      const wire = observed(client.wire, (api) => (cutting && api === "OffsetCommit" ? client.cut : Effect.void))
      const consumer = yield* KafkaConsumer.make({ ...options, handler: () => Effect.void }).pipe(
        Effect.provideService(Wire, wire)
      )
      yield* broker.produce(topic, numbered(5))
      yield* TestClock.adjust("2 seconds")
      yield* consumer.pause()
      cutting = true
      const seeking = yield* Effect.fork(Effect.flip(consumer.seek(Position.beginning)))
      yield* TestClock.adjust("1 minute")
      cutting = false
      yield* client.restore
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* Fiber.join(seeking)).reason, "Rebalancing")
      assert.deepStrictEqual(yield* committed, { 0: 5 })
    }).pipe(onBroker(one))
  )
})

describe("seeks at random", () => {
  type Step =
    | { readonly _tag: "Produce"; readonly slow: ReadonlyArray<boolean> }
    | { readonly _tag: "Wait"; readonly millis: number }
    | { readonly _tag: "Seek"; readonly share: number }

  const step: FastCheck.Arbitrary<Step> = FastCheck.oneof(
    FastCheck.record({
      _tag: FastCheck.constant("Produce" as const),
      slow: FastCheck.array(FastCheck.boolean(), { minLength: 1, maxLength: 10 })
    }),
    FastCheck.record({ _tag: FastCheck.constant("Wait" as const), millis: FastCheck.nat(3_000) }),
    FastCheck.record({
      _tag: FastCheck.constant("Seek" as const),
      share: FastCheck.double({ min: 0, max: 1, noNaN: true })
    })
  )

  /** Handled offsets are consecutive from the last seek's target, and commits cover nothing else. */
  const play = Effect.fnUntraced(function* (steps: ReadonlyArray<Step>) {
    const broker = yield* MemoryBroker
    let next = 0
    let start = 0
    let produced = 0
    /** The target of a pending seek. */
    let sought: number | undefined
    const wrong: Array<string> = []
    const check = (offset: number) => {
      if (offset >= start && offset <= next) return
      if (offset === sought) {
        start = next = offset
        sought = undefined
      } else wrong.push(`committed ${offset}, not from ${start} to ${next}`)
    }
    const wire = observed((yield* broker.client()).wire, (api, request) =>
      Effect.sync(() => {
        if (api !== "OffsetCommit") return
        for (const { partitions } of (request as OffsetCommitRequest).topics) {
          for (const { offset } of partitions) check(offset)
        }
      })
    )
    const consumer = yield* KafkaConsumer.make({
      ...options,
      commitInterval: "300 millis",
      handler: ({ offset, value }) => {
        if (offset !== next && offset === sought) {
          start = next = offset
          sought = undefined
        }
        if (offset !== next) wrong.push(`handled ${offset}, not ${next}`)
        return Effect.map(value === "slow" ? Effect.sleep("700 millis") : Effect.void, () => {
          next = offset + 1
        })
      }
    }).pipe(Effect.provideService(Wire, wire))
    for (const step of steps) {
      if (step._tag === "Produce") {
        produced += step.slow.length
        yield* broker.produce(
          topic,
          step.slow.map((slow) => ({ value: slow ? "slow" : "fast" }))
        )
      } else if (step._tag === "Wait") yield* TestClock.adjust(step.millis)
      else {
        sought = Math.round(step.share * produced)
        const seeking = yield* Effect.fork(consumer.seek(Position.offset(sought)))
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(seeking)
        // The position is there, even if no record has been handled yet.
        if (sought !== undefined) start = next = sought
        sought = undefined
      }
    }
    yield* TestClock.adjust(1_000 + 700 * produced)
    assert.deepStrictEqual(wrong, [])
    assert.strictEqual(next, produced)
    assert.deepStrictEqual(yield* committed, { 0: produced })
    yield* consumer.close
  })

  it(
    "continue exactly at their targets, and no commit mixes the old and the new position",
    () =>
      FastCheck.assert(
        FastCheck.asyncProperty(FastCheck.array(step, { minLength: 1, maxLength: 12 }), (steps) =>
          play(steps).pipe(onBroker(one), Effect.provide(TestContext.TestContext), Effect.runPromise)
        ),
        { numRuns: 25, interruptAfterTimeLimit: 60_000 }
      ),
    120_000
  )
})
