import { setImmediate } from "node:timers/promises"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { assert, describe, it } from "@effect/vitest"
import { KafkaErrorCode } from "@spillway/kafka/KafkaErrorCode"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import * as RecordBatch from "@spillway/kafka/RecordBatch"
import { Wire } from "@spillway/kafka/Wire"
import * as MemoryBroker from "@spillway/memory/MemoryBroker"
import * as Headers from "@spillway/transport/Headers"
import { Producer, type ProducerError, type ProducerRecord, sink, stream } from "@spillway/transport/Producer"
import * as MetricsRegistry from "@spillway/transport/runtime/MetricsRegistry"
import * as TransportMetrics from "@spillway/transport/TransportMetrics"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as MetricState from "effect/MetricState"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as TestContext from "effect/TestContext"
import * as FastCheck from "fast-check"
import { type Decide, intercept, partitionsOf, refusing } from "../support/producerFaults.js"

/** An object that can't be looked into. */
const unreadable = (target: object): object => {
  const { proxy, revoke } = Proxy.revocable(target, {})
  revoke()
  return proxy
}

const text = (bytes: Uint8Array | null): string | null => (bytes === null ? null : new TextDecoder().decode(bytes))

interface Setup extends KafkaProducer.KafkaProducerOptions {
  readonly topics?: MemoryBroker.MemoryBrokerOptions["topics"]
  readonly decide?: Decide
}

/** A producer on a memory broker, and the Produce requests that it sends. */
const setup = ({ decide = (request, forward) => forward(request), topics = { orders: 3 }, ...options }: Setup = {}) =>
  Effect.gen(function* () {
    // In its own scope, so the broker outlives the producer.
    const broker = yield* MemoryBroker.make({ topics }).pipe(
      Scope.extend(yield* Scope.fork(yield* Effect.scope, ExecutionStrategy.sequential))
    )
    const requests: Array<ReadonlyArray<string>> = []
    const wire = intercept(broker.wire, (request, forward) => {
      requests.push(partitionsOf(request))
      return decide(request, forward)
    })
    const scope = yield* Scope.fork(yield* Effect.scope, ExecutionStrategy.sequential)
    const producer = yield* KafkaProducer.make(options).pipe(Effect.provideService(Wire, wire), Scope.extend(scope))
    const values = (topic: string, partition: number) =>
      Effect.map(broker.records(topic), (records) =>
        records.filter((record) => record.partition === partition).map((record) => text(record.value))
      )
    return { broker, producer, requests, values, close: Scope.close(scope, Exit.void) }
  })

/** Holds every request until it is released, and signals its arrival. */
const holding = () => {
  const arrived = Deferred.unsafeMake<void>(FiberId.none)
  const released = Deferred.unsafeMake<void>(FiberId.none)
  const decide: Decide = (request, forward) =>
    Deferred.succeed(arrived, undefined).pipe(
      Effect.zipRight(Deferred.await(released)),
      Effect.zipRight(Effect.suspend(() => forward(request)))
    )
  return { decide, arrived: Deferred.await(arrived), release: Deferred.succeed(released, undefined) }
}

/** The target of a WeakRef made or read in a turn of the event loop is kept until its end. */
const collectGarbage = async (): Promise<void> => {
  setFlagsFromString("--expose-gc")
  await setImmediate()
  runInNewContext("gc")()
}

const to = (partition: number, value: string, topic = "orders"): ProducerRecord => ({ topic, partition, value })

describe("KafkaProducer", () => {
  it.scoped("publishes a record and returns its partition and offset", () =>
    Effect.gen(function* () {
      const { broker, producer } = yield* setup()
      yield* TestClock.setTime(1_700_000_000_000)
      const headers = Headers.make([
        ["a", "1"],
        ["b", null],
        ["a", Uint8Array.of(0xff)]
      ])
      const landed = yield* producer.send({
        topic: "orders",
        key: "key",
        value: Uint8Array.of(1, 2),
        headers,
        partition: 1
      })
      assert.deepStrictEqual(landed, { topic: "orders", partition: 1, offset: 0, timestamp: 1_700_000_000_000 })
      const tombstone = yield* producer.send({ topic: "orders", key: "", value: null, partition: 1, timestamp: 5 })
      assert.deepStrictEqual(tombstone, { topic: "orders", partition: 1, offset: 1, timestamp: 5 })
      const [first, second] = yield* broker.records("orders")
      assert.strictEqual(text(first!.key), "key")
      assert.deepStrictEqual(first!.value, Uint8Array.of(1, 2))
      assert.deepStrictEqual(first!.headers, headers)
      assert.deepStrictEqual(second!.key, new Uint8Array(0))
      assert.isNull(second!.value)
      assert.strictEqual(second!.timestamp, 5)
    })
  )

  it.scoped("compresses, and accepts headers as an object", () =>
    Effect.gen(function* () {
      const sizes: Array<number> = []
      const { broker, producer } = yield* setup({
        compression: "gzip",
        decide: (request, forward) => {
          sizes.push(request.topics[0]!.partitions[0]!.records.length)
          return forward(request)
        }
      })
      yield* producer.send({ topic: "orders", value: "x".repeat(10_000), headers: { a: "1" } })
      const [record] = yield* broker.records("orders")
      assert.strictEqual(record!.value!.length, 10_000)
      assert.deepStrictEqual(Headers.toText(record!.headers), [["a", "1"]])
      assert.isBelow(sizes[0]!, 1_000)
    })
  )

  it.scoped("sends all in one request, in order within each partition, with Java's partitions for keys", () =>
    Effect.gen(function* () {
      const { producer, requests, values } = yield* setup({ topics: { orders: 6, others: 1 } })
      // By Java's producer: 21 and foobar to partition 0 of 6, a to 4, 日本 to 3.
      const keys = ["21", "a", "foobar", "日本"]
      const records = Array.from({ length: 40 }, (_, i): ProducerRecord => {
        return { topic: "orders", key: keys[i % 4]!, value: `${i}` }
      })
      const landed = yield* producer.sendAll([...records, to(0, "other", "others")])
      assert.deepStrictEqual(
        landed.slice(0, 4).map((metadata) => metadata.partition),
        [0, 4, 0, 3]
      )
      assert.deepStrictEqual(
        landed.map((metadata) => metadata.topic),
        [...Array(40).fill("orders"), "others"]
      )
      const ofPartition = (...modulos: ReadonlyArray<number>) =>
        records.flatMap((record, i) => (modulos.includes(i % 4) ? [record.value] : []))
      assert.deepStrictEqual(yield* values("orders", 0), ofPartition(0, 2))
      assert.deepStrictEqual(yield* values("orders", 4), ofPartition(1))
      assert.deepStrictEqual(
        landed.filter(({ partition }) => partition === 4).map(({ offset }) => offset),
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
      )
      assert.strictEqual(requests.length, 1)
      assert.sameMembers([...requests[0]!], ["orders-0", "orders-3", "orders-4", "others-0"])
      assert.deepStrictEqual(yield* producer.sendAll([]), [])
    })
  )

  it.scoped("keeps keyless records of a batch together and moves on with the next", () =>
    Effect.gen(function* () {
      const { producer } = yield* setup()
      const batch = Array.from({ length: 10 }, (): ProducerRecord => ({ topic: "orders", value: "a" }))
      const first = new Set((yield* producer.sendAll(batch)).map((metadata) => metadata.partition))
      const second = new Set((yield* producer.sendAll(batch)).map((metadata) => metadata.partition))
      assert.strictEqual(first.size, 1)
      assert.strictEqual(second.size, 1)
      assert.notDeepEqual(first, second)
    })
  )

  it.scoped("collects records sent while a request is in flight into the next", () =>
    Effect.gen(function* () {
      const { arrived, decide, release } = holding()
      const { producer, requests, values } = yield* setup({ decide })
      yield* producer.partitions("orders")
      const first = yield* Effect.fork(producer.send(to(0, "first")))
      yield* arrived
      const rest = Array.from({ length: 50 }, (_, i) => `${i}`)
      const others = yield* Effect.fork(
        Effect.forEach(rest, (value, i) => producer.send(to(i % 2, value)), { concurrency: "unbounded" })
      )
      yield* Effect.yieldNow()
      yield* release
      yield* Fiber.join(first)
      yield* Fiber.join(others)
      assert.deepStrictEqual(requests[0], ["orders-0"])
      assert.strictEqual(requests.length, 2)
      assert.deepStrictEqual(yield* values("orders", 0), ["first", ...rest.filter((_, i) => i % 2 === 0)])
      assert.deepStrictEqual(
        yield* values("orders", 1),
        rest.filter((_, i) => i % 2 === 1)
      )
    })
  )

  it.scoped("splits records over several batches, in order", () =>
    Effect.gen(function* () {
      const sizes: Array<number> = []
      const { producer, values } = yield* setup({
        maxBatchBytes: 1_024,
        decide: (request, forward) => {
          sizes.push(request.topics[0]!.partitions[0]!.records.length)
          return forward(request)
        }
      })
      const records = Array.from({ length: 30 }, (_, i) => to(0, `${i}`.padStart(100, "0")))
      yield* producer.sendAll(records)
      assert.deepStrictEqual(
        yield* values("orders", 0),
        records.map((record) => record.value as string)
      )
      assert.isAbove(sizes.length, 3)
      for (const size of sizes) assert.isAtMost(size, 1_024)
    })
  )

  describe("refuses before anything is sent", () => {
    it.scoped("what isn't an array of records", () =>
      Effect.gen(function* () {
        const { producer } = yield* setup()
        for (const wrong of [Promise.resolve([]), "records", null, undefined, to(0, "a")]) {
          const records = wrong as unknown as ReadonlyArray<ProducerRecord>
          const error = yield* Effect.flip(producer.sendAll(records))
          assert.strictEqual(error.reason, "InvalidRecord")
          assert.match(error.description, /^records must be an array, not /)
          assert.isTrue(Exit.isFailure(yield* Effect.exit(producer.sendAllEither(records))))
        }
      })
    )

    it.scoped("records that are too large, invalid, or name a missing partition", () =>
      Effect.gen(function* () {
        const { producer, requests } = yield* setup({ maxBatchBytes: 1_024 })
        const good = to(0, "good")
        const cases: ReadonlyArray<readonly [ProducerRecord, string]> = [
          [to(0, "x".repeat(1_000)), "RecordTooLarge"],
          [to(3, "a"), "InvalidRecord"],
          [to(-1, "a"), "InvalidRecord"],
          [{ ...good, timestamp: 0.5 }, "InvalidRecord"],
          [{ ...good, timestamp: -1 }, "InvalidRecord"],
          [{ ...good, value: undefined as unknown as null }, "InvalidRecord"],
          [{ ...good, key: 1 as unknown as string }, "InvalidRecord"],
          [{ ...good, headers: [["a", 1 as unknown as null]] }, "InvalidRecord"],
          [{ ...good, topic: unreadable({}) as unknown as string }, "InvalidRecord"],
          [{ ...good, value: unreadable(new Uint8Array(1)) as unknown as Uint8Array }, "InvalidRecord"],
          [unreadable(good) as unknown as ProducerRecord, "InvalidRecord"],
          [{ ...good, topic: "" }, "InvalidRecord"]
        ]
        for (const [record, reason] of cases) {
          const one = yield* Effect.flip(producer.send(record))
          assert.strictEqual(one.reason, reason)
          const all = yield* Effect.flip(producer.sendAll([good, record, good]))
          assert.strictEqual(all.reason, reason)
          assert.include(all.description, "record 1 of 3")
        }
        assert.deepStrictEqual(requests, [])
      })
    )

    it.scoped("a topic that stays unknown, after a while", () =>
      Effect.gen(function* () {
        const { producer, requests } = yield* setup()
        const failed = yield* Effect.fork(Effect.flip(producer.sendAll([to(0, "a"), to(0, "b", "missing")])))
        yield* TestClock.adjust("4 seconds")
        assert.isNull(failed.unsafePoll())
        yield* TestClock.adjust("3 seconds")
        const error = yield* Fiber.join(failed)
        assert.strictEqual(error.reason, "UnknownTopic")
        assert.strictEqual(error.topic, "missing")
        assert.include(error.description, "record 1 of 2")
        assert.deepStrictEqual(requests, [])
      })
    )
  })

  it.scoped("waits for a topic that is being created", () =>
    Effect.gen(function* () {
      const { broker, producer } = yield* setup()
      const sent = yield* Effect.fork(producer.send(to(0, "a", "new")))
      yield* TestClock.adjust("1 second")
      yield* broker.createTopic("new")
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* Fiber.join(sent)).offset, 0)
    })
  )

  it.scoped("fails with UnknownTopic when the topic is deleted meanwhile", () =>
    Effect.gen(function* () {
      const { broker, producer } = yield* setup()
      yield* producer.send(to(0, "a"))
      yield* broker.deleteTopic("orders")
      const failed = yield* Effect.fork(Effect.flip(producer.sendAll([to(0, "b"), to(1, "c")])))
      yield* TestClock.adjust("8 seconds")
      const error = yield* Fiber.join(failed)
      assert.strictEqual(error.reason, "UnknownTopic")
      assert.strictEqual(error.partition, 0)
    })
  )

  it.scoped("returns a topic's partitions, and fails at once for an unknown topic", () =>
    Effect.gen(function* () {
      const { producer } = yield* setup()
      assert.strictEqual(yield* producer.partitions("orders"), 3)
      assert.strictEqual((yield* Effect.flip(producer.partitions("missing"))).reason, "UnknownTopic")
    })
  )

  describe("retries", () => {
    it.scoped("only the partitions that failed, in order, to the partition chosen first", () =>
      Effect.gen(function* () {
        let refusals = 2
        const { producer, requests, values } = yield* setup({
          decide: (request, forward) =>
            refusing((_, partition) =>
              partition === 1 && refusals > 0 ? KafkaErrorCode.NOT_LEADER_OR_FOLLOWER : undefined
            )(request, forward).pipe(
              Effect.tap(() =>
                Effect.sync(() => {
                  refusals--
                })
              )
            )
        })
        const all = yield* Effect.fork(producer.sendAll([to(0, "a"), to(1, "b"), to(2, "c"), to(1, "d")]))
        yield* TestClock.adjust("50 millis")
        const later = yield* Effect.fork(producer.send(to(1, "e")))
        yield* TestClock.adjust("2 seconds")
        assert.deepStrictEqual(
          (yield* Fiber.join(all)).map((metadata) => [metadata.partition, metadata.offset]),
          [
            [0, 0],
            [1, 0],
            [2, 0],
            [1, 1]
          ]
        )
        assert.strictEqual((yield* Fiber.join(later)).offset, 2)
        assert.deepStrictEqual(yield* values("orders", 1), ["b", "d", "e"])
        assert.sameMembers([...requests[0]!], ["orders-0", "orders-1", "orders-2"])
        // The failed batch is sent again unchanged; later records follow.
        assert.deepStrictEqual(requests.slice(1), [["orders-1"], ["orders-1"], ["orders-1"]])
      })
    )

    it.scoped("through an outage of the broker", () =>
      Effect.gen(function* () {
        const { broker, producer, values } = yield* setup()
        yield* producer.send(to(0, "before"))
        yield* broker.stop
        const during = yield* Effect.fork(producer.send(to(0, "during")))
        yield* TestClock.adjust("20 seconds")
        assert.isNull(during.unsafePoll())
        yield* broker.start
        yield* TestClock.adjust("2 seconds")
        yield* Fiber.join(during)
        assert.deepStrictEqual(yield* values("orders", 0), ["before", "during"])
      })
    )

    it.scoped("until the delivery timeout, and names the last error", () =>
      Effect.gen(function* () {
        const { producer } = yield* setup({
          deliveryTimeout: "10 seconds",
          decide: refusing((_, partition) => (partition === 1 ? KafkaErrorCode.NOT_ENOUGH_REPLICAS : undefined))
        })
        const failed = yield* Effect.fork(Effect.flip(producer.sendAll([to(0, "a"), to(1, "b")])))
        yield* TestClock.adjust("9900 millis")
        assert.isNull(failed.unsafePoll())
        yield* TestClock.adjust("100 millis")
        const error = yield* Fiber.join(failed)
        assert.strictEqual(error.reason, "DeliveryTimeout")
        assert.strictEqual(error.partition, 1)
        assert.include(error.description, "record 1 of 2")
        assert.include(error.description, "NOT_ENOUGH_REPLICAS")
      })
    )

    it.scoped("while the broker doesn't answer at all, until the delivery timeout", () =>
      Effect.gen(function* () {
        const { broker, producer } = yield* setup({ decide: () => Effect.never, deliveryTimeout: "10 seconds" })
        const hanging = yield* Effect.fork(Effect.flip(producer.send(to(0, "a"))))
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual((yield* Fiber.join(hanging)).reason, "DeliveryTimeout")
        yield* broker.stop
        const unknown = yield* Effect.fork(Effect.flip(producer.send(to(0, "a", "never-seen"))))
        const asked = yield* Effect.fork(Effect.flip(producer.partitions("never-seen")))
        yield* TestClock.adjust("10 seconds")
        const both: ReadonlyArray<Fiber.Fiber<ProducerError, unknown>> = [unknown, asked]
        for (const fiber of both) {
          assert.strictEqual((yield* Fiber.join(fiber)).reason, "DeliveryTimeout")
        }
      })
    )
  })

  describe("fails records that the broker refuses permanently", () => {
    it.scoped("with a reason, once every record has its result", () =>
      Effect.gen(function* () {
        const { producer, values } = yield* setup({
          decide: refusing((_, partition) => (partition === 0 ? undefined : KafkaErrorCode.TOPIC_AUTHORIZATION_FAILED))
        })
        const error = yield* Effect.flip(producer.sendAll([to(0, "a"), to(2, "b"), to(1, "c"), to(0, "d")]))
        assert.strictEqual(error.reason, "Authorization")
        assert.strictEqual(error.partition, 2)
        assert.include(error.description, "record 1 of 4")
        assert.deepStrictEqual(yield* values("orders", 0), ["a", "d"])
      })
    )

    it.scoped("splitting batches that are too large for the topic, and failing only the oversized record", () =>
      Effect.gen(function* () {
        const { producer, values } = yield* setup({ topics: [{ name: "orders", maxMessageBytes: 600 }] })
        const sizes = [100, 200, 300, 1_000, 100, 400, 10]
        const results = yield* Effect.forEach(
          sizes,
          (size, i) => Effect.either(producer.send(to(0, `${i}`.padEnd(size, "x")))),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(
          results.map((result) => (result._tag === "Left" ? result.left.reason : "ok")),
          ["ok", "ok", "ok", "RecordTooLarge", "ok", "ok", "ok"]
        )
        assert.deepStrictEqual(
          (yield* values("orders", 0)).map((value) => value!.charAt(0)),
          ["0", "1", "2", "4", "5", "6"]
        )
      })
    )

    it.scoped("only the invalid record, not others in its batch", () =>
      Effect.gen(function* () {
        const isBad = (bytes: Uint8Array) =>
          RecordBatch.decode(bytes).batches.some((batch) =>
            batch.records.some((record) => text(record.value) === "bad")
          )
        const { producer, values } = yield* setup({
          decide: (request, forward) =>
            refusing(() =>
              isBad(request.topics[0]!.partitions[0]!.records) ? KafkaErrorCode.INVALID_RECORD : undefined
            )(request, forward)
        })
        const given = ["a", "b", "bad", "c", "bad", "d", "e"]
        const results = yield* Effect.forEach(given, (value) => Effect.either(producer.send(to(0, value))), {
          concurrency: "unbounded"
        })
        assert.deepStrictEqual(
          results.map((result) => (result._tag === "Left" ? result.left.reason : "ok")),
          ["ok", "ok", "InvalidRecord", "ok", "InvalidRecord", "ok", "ok"]
        )
        assert.deepStrictEqual(yield* values("orders", 0), ["a", "b", "c", "d", "e"])
      })
    )
  })

  it("loses, duplicates and reorders nothing while brokers refuse at random", () =>
    FastCheck.assert(
      FastCheck.asyncProperty(
        FastCheck.array(
          FastCheck.constantFrom(
            undefined,
            KafkaErrorCode.NOT_LEADER_OR_FOLLOWER,
            KafkaErrorCode.REQUEST_TIMED_OUT,
            KafkaErrorCode.MESSAGE_TOO_LARGE,
            KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION
          ),
          { maxLength: 20 }
        ),
        FastCheck.array(FastCheck.array(FastCheck.nat({ max: 2 }), { minLength: 1, maxLength: 5 }), {
          minLength: 1,
          maxLength: 10
        }),
        (codes, calls) =>
          Effect.gen(function* () {
            let next = 0
            const isAlone = (bytes: Uint8Array) =>
              (RecordBatch.validate(bytes) as RecordBatch.BatchHeader).recordCount === 1
            const { producer, values } = yield* setup({
              decide: (request, forward) => {
                const chosen = new Map(
                  request.topics[0]!.partitions.map(({ partition, records }) => {
                    const code = codes[next++]
                    // A single oversized record would rightly be refused.
                    return [partition, code === KafkaErrorCode.MESSAGE_TOO_LARGE && isAlone(records) ? undefined : code]
                  })
                )
                return refusing((_, partition) => chosen.get(partition))(request, forward)
              }
            })
            const records = calls.map((partitions, call) =>
              partitions.map((partition, i) => to(partition, `${call}.${i}`))
            )
            const sent = yield* Effect.fork(
              Effect.forEach(records, (batch) => producer.sendAll(batch), { concurrency: "unbounded" })
            )
            yield* TestClock.adjust("60 seconds")
            const landed = (yield* Fiber.join(sent)).flat()
            const flat = records.flat()
            for (const partition of [0, 1, 2]) {
              const expected = flat.filter((record) => record.partition === partition).map((record) => record.value)
              const log = yield* values("orders", partition)
              assert.sameMembers(log, expected)
              flat.forEach((record, i) => {
                if (record.partition === partition) assert.strictEqual(log[landed[i]!.offset], record.value)
              })
              records.forEach((batch) => {
                const own = batch.filter((record) => record.partition === partition).map((record) => record.value)
                assert.deepStrictEqual(
                  log.filter((value) => own.includes(value)),
                  own
                )
              })
            }
          }).pipe(Effect.scoped, Effect.provide(TestContext.TestContext), Effect.runPromise)
      ),
      { numRuns: 40 }
    ))

  describe("interrupting a send", () => {
    it.scoped("ends it at once, and doesn't send records that were not in flight", () =>
      Effect.gen(function* () {
        const { arrived, decide, release } = holding()
        const { producer, values } = yield* setup({ decide })
        const first = yield* Effect.fork(producer.send(to(0, "in flight")))
        yield* arrived
        const queued = yield* Effect.fork(producer.send(to(0, "queued")))
        const kept = yield* Effect.fork(producer.send(to(0, "kept")))
        yield* Effect.yieldNow()
        assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(first)))
        assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(queued)))
        yield* release
        yield* Fiber.join(kept)
        assert.deepStrictEqual(yield* values("orders", 0), ["in flight", "kept"])
      })
    )
  })

  describe("closing", () => {
    it.scoped("waits for accepted records, and accepts no more", () =>
      Effect.gen(function* () {
        const { arrived, decide, release } = holding()
        const { close, producer, values } = yield* setup({ decide })
        const first = yield* Effect.fork(producer.send(to(0, "first")))
        yield* arrived
        const second = yield* Effect.fork(producer.send(to(0, "second")))
        yield* Effect.yieldNow()
        const closing = yield* Effect.fork(close)
        yield* Effect.yieldNow()
        assert.strictEqual((yield* Effect.flip(producer.send(to(0, "late")))).reason, "Closed")
        assert.strictEqual((yield* Effect.flip(producer.partitions("orders"))).reason, "Closed")
        assert.isNull(closing.unsafePoll())
        yield* release
        yield* Fiber.join(closing)
        yield* Fiber.join(first)
        yield* Fiber.join(second)
        assert.deepStrictEqual(yield* values("orders", 0), ["first", "second"])
      })
    )

    it.scoped("fails records that aren't acknowledged by the deadline, in any state", () =>
      Effect.gen(function* () {
        const { close, producer, broker } = yield* setup({ decide: () => Effect.never, drainTimeout: "5 seconds" })
        yield* producer.partitions("orders")
        const inFlight = yield* Effect.fork(Effect.flip(producer.sendAll([to(0, "a"), to(1, "b")])))
        yield* TestClock.adjust("1 millis")
        yield* broker.stop
        const retried = yield* Effect.fork(Effect.flip(producer.send(to(2, "c"))))
        const lookingUp = yield* Effect.fork(Effect.flip(producer.send(to(0, "d", "missing"))))
        const asking = yield* Effect.fork(Effect.flip(producer.partitions("missing")))
        yield* TestClock.adjust("1 second")
        const closing = yield* Effect.fork(close)
        yield* TestClock.adjust("4900 millis")
        assert.isNull(closing.unsafePoll())
        yield* TestClock.adjust("100 millis")
        yield* Fiber.join(closing)
        const all: ReadonlyArray<Fiber.Fiber<ProducerError, unknown>> = [inFlight, retried, lookingUp, asking]
        for (const fiber of all) {
          assert.strictEqual((yield* Fiber.join(fiber)).reason, "Closed")
        }
      })
    )

    it.scoped("isn't held up by a send whose caller can't be interrupted", () =>
      Effect.gen(function* () {
        const { close, producer } = yield* setup({ decide: () => Effect.never, drainTimeout: 0 })
        const sent = yield* Effect.fork(Effect.uninterruptible(Effect.flip(producer.send(to(0, "a")))))
        yield* TestClock.adjust("1 millis")
        yield* close
        assert.strictEqual((yield* Fiber.join(sent)).reason, "Closed")
      })
    )
  })

  describe("lingers", () => {
    it.scoped("for the configured time, from each batch's first record", () =>
      Effect.gen(function* () {
        const { producer, requests, values } = yield* setup({ linger: "20 millis" })
        yield* producer.partitions("orders")
        const sent: Array<Fiber.RuntimeFiber<unknown, ProducerError>> = []
        for (const [partition, value] of [
          [0, "a"],
          [0, "b"],
          [1, "c"]
        ] as const) {
          sent.push(yield* Effect.fork(producer.send(to(partition, value))))
          yield* TestClock.adjust("6 millis")
        }
        assert.deepStrictEqual(requests, [])
        yield* TestClock.adjust("2 millis")
        assert.deepStrictEqual(requests, [["orders-0"]])
        assert.deepStrictEqual(yield* values("orders", 0), ["a", "b"])
        yield* TestClock.adjust("12 millis")
        assert.deepStrictEqual(requests, [["orders-0"], ["orders-1"]])
        yield* Fiber.joinAll(sent)
      })
    )

    it.scoped("until its batch is full, by bytes or by records", () =>
      Effect.gen(function* () {
        const { close, producer, values } = yield* setup({ linger: "1 hour", maxBatchBytes: 1_024, maxBatchRecords: 3 })
        yield* producer.partitions("orders")
        const large = "x".repeat(600)
        yield* Effect.fork(
          producer.sendAll([to(0, "a"), to(0, "b"), to(0, "c"), to(0, "d"), to(1, large), to(1, large)])
        )
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(yield* values("orders", 0), ["a", "b", "c"])
        assert.deepStrictEqual(yield* values("orders", 1), [large])
        yield* close
      })
    )

    it.scoped("only while the broker is busy, by default", () =>
      Effect.gen(function* () {
        const { arrived, decide, release } = holding()
        const { close, producer, requests } = yield* setup({ decide })
        yield* producer.partitions("orders")
        yield* Effect.fork(producer.send(to(0, "at once")))
        yield* arrived
        yield* Effect.fork(producer.send(to(1, "a")))
        yield* Effect.fork(producer.send(to(2, "b")))
        yield* TestClock.adjust("4 millis")
        assert.deepStrictEqual(requests, [["orders-0"]])
        yield* TestClock.adjust("2 millis")
        assert.deepStrictEqual(requests, [["orders-0"], ["orders-1", "orders-2"]])
        yield* release
        yield* close
      })
    )

    it.scoped("not when the producer closes", () =>
      Effect.gen(function* () {
        const { close, producer, values } = yield* setup({ linger: "1 hour" })
        const sent = yield* Effect.fork(producer.send(to(0, "a")))
        yield* TestClock.adjust("1 minute")
        yield* close
        yield* Fiber.join(sent)
        assert.deepStrictEqual(yield* values("orders", 0), ["a"])
      })
    )
  })

  describe("when its buffer is full", () => {
    const small = { bufferMemory: 2_560, maxBatchBytes: 1_024, maxBlock: "10 seconds", linger: 0 } as const
    const filling = "x".repeat(700)

    it.scoped("suspends further sends, and continues in order as room is freed", () =>
      Effect.gen(function* () {
        const { arrived, decide, release } = holding()
        const { producer, values } = yield* setup({ ...small, decide })
        const texts = Array.from({ length: 12 }, (_, i) => `${i}${filling}`)
        const sent = yield* Effect.fork(
          Effect.forEach(texts, (text) => producer.send(to(0, text)), { concurrency: "unbounded" })
        )
        yield* arrived
        yield* TestClock.adjust("5 seconds")
        assert.isNull(sent.unsafePoll())
        yield* release
        yield* Fiber.join(sent)
        assert.deepStrictEqual(yield* values("orders", 0), texts)
      })
    )

    it.scoped("sends all records of a call that is larger than the buffer", () =>
      Effect.gen(function* () {
        const { producer, values } = yield* setup(small)
        const records = Array.from({ length: 12 }, (_, i) => to(0, `${i}${filling}`))
        yield* producer.sendAll(records)
        assert.deepStrictEqual(
          yield* values("orders", 0),
          records.map(({ value }) => value as string)
        )
      })
    )

    it.scoped("fails only the records that found no room in time", () =>
      Effect.gen(function* () {
        const { arrived, decide, release } = holding()
        const { producer, values } = yield* setup({ ...small, decide })
        const sent = yield* Effect.fork(
          producer.sendAllEither([to(0, `a${filling}`), to(1, `b${filling}`), to(0, `c${filling}`)])
        )
        yield* arrived
        const late = yield* Effect.fork(Effect.flip(producer.send(to(2, "late"))))
        yield* TestClock.adjust("10 seconds")
        const error = yield* Fiber.join(late)
        assert.strictEqual(error.reason, "BufferFull")
        assert.strictEqual(error.topic, "orders")
        yield* release
        const results = yield* Fiber.join(sent)
        assert.deepStrictEqual(
          results.map((result) => (result._tag === "Left" ? result.left.reason : result.right.offset)),
          [0, 0, "BufferFull"]
        )
        // The buffer has room again.
        yield* producer.send(to(2, "on"))
        assert.deepStrictEqual(yield* values("orders", 2), ["on"])
      })
    )

    it.live("retains nothing of ended calls, even if it was full for long", () =>
      Effect.gen(function* () {
        const decide: Decide = (request, forward) => Effect.delay(forward(request), 5)
        // Calls share batches and batches share calls, so one retained object could keep all of them alive.
        const { producer } = yield* setup({ bufferMemory: 64 * 1024, maxBatchBytes: 64 * 1024, decide })
        const calls: Array<WeakRef<ReadonlyArray<ProducerRecord>>> = []
        const next = Effect.suspend(() => {
          const records = Array.from({ length: 50 }, (_, i) => to(i % 3, "x"))
          calls.push(new WeakRef(records))
          return producer.sendAll(records)
        })
        yield* Effect.replicateEffect(Effect.repeatN(next, 9), 40, { concurrency: "unbounded", discard: true })
        yield* Effect.promise(collectGarbage)
        const held = calls.filter((call) => call.deref() !== undefined).length
        assert.isBelow(held, 20, `of ${calls.length}`)
      }).pipe(Effect.scoped)
    )

    it.scoped("frees the room of interrupted and overdue sends", () =>
      Effect.gen(function* () {
        const { broker, producer, values } = yield* setup({ ...small, deliveryTimeout: "5 seconds" })
        yield* producer.partitions("orders")
        yield* broker.stop
        for (let round = 0; round < 10; round++) {
          const interrupted = yield* Effect.fork(producer.send(to(0, filling)))
          const overdue = yield* Effect.fork(Effect.flip(producer.send(to(1, filling))))
          yield* TestClock.adjust("1 second")
          yield* Fiber.interrupt(interrupted)
          yield* TestClock.adjust("9 seconds")
          assert.strictEqual((yield* Fiber.join(overdue)).reason, "DeliveryTimeout")
        }
        yield* broker.start
        const sent = yield* Effect.fork(producer.sendAll([to(0, "a"), to(1, "b")]))
        yield* TestClock.adjust("3 seconds")
        yield* Fiber.join(sent)
        assert.deepStrictEqual(yield* values("orders", 0), ["a"])
        assert.deepStrictEqual(yield* values("orders", 1), ["b"])
      })
    )
  })

  it.scoped("returns one result per record of sendAllEither, and sends the valid ones", () =>
    Effect.gen(function* () {
      const { producer, requests, values } = yield* setup({
        decide: refusing((_, partition) => (partition === 2 ? KafkaErrorCode.TOPIC_AUTHORIZATION_FAILED : undefined))
      })
      const records = [
        to(0, "a"),
        to(7, "b"),
        to(2, "c"),
        to(0, "d", "missing"),
        { ...to(0, "e"), timestamp: -1 },
        to(0, "f")
      ]
      const sent = yield* Effect.fork(producer.sendAllEither(records))
      yield* TestClock.adjust("7 seconds")
      const results = yield* Fiber.join(sent)
      assert.deepStrictEqual(
        results.map((result) => (result._tag === "Left" ? result.left.reason : result.right.offset)),
        [0, "InvalidRecord", "Authorization", "UnknownTopic", "InvalidRecord", 1]
      )
      results.forEach((result, i) => {
        if (result._tag === "Right") return
        assert.strictEqual(result.left.record, records[i])
        assert.strictEqual(result.left.topic, records[i]!.topic)
        assert.strictEqual(result.left.partition, records[i]!.partition)
        assert.notInclude(Object.keys(result.left), "record")
      })
      assert.strictEqual(requests.length, 1)
      assert.deepStrictEqual(yield* values("orders", 0), ["a", "f"])
      assert.deepStrictEqual(yield* producer.sendAllEither([]), [])
    })
  )

  it.scoped("calls a custom partitioner for every record without a partition", () =>
    Effect.gen(function* () {
      const { producer } = yield* setup({
        partitioner: ({ key, partitions, topic, value }) => {
          assert.deepStrictEqual([topic, partitions], ["orders", 3])
          if (text(value) === "throw") throw new Error("no idea")
          return text(value) === "beyond" ? 3 : text(key) === "last" ? 2 : undefined
        }
      })
      const send = (key: string | null, value: string, partition?: number) =>
        producer.send({ topic: "orders", key, value, partition })
      assert.strictEqual((yield* send("last", "a")).partition, 2)
      assert.strictEqual((yield* send("last", "a", 1)).partition, 1)
      // By Java's producer, of 3 partitions: (-973932308 & 0x7fffffff) % 3.
      assert.strictEqual((yield* send("21", "a")).partition, 0)
      for (const value of ["beyond", "throw"]) {
        assert.strictEqual((yield* Effect.flip(send(null, value))).reason, "InvalidRecord")
      }
    })
  )

  it.scoped("rejects a value that isn't a partition of the topic at once, and names it", () =>
    Effect.gen(function* () {
      const unhandled: Array<unknown> = []
      const onUnhandled = (reason: unknown) => void unhandled.push(reason)
      process.on("unhandledRejection", onUnhandled)
      yield* Effect.addFinalizer(() => Effect.sync(() => process.off("unhandledRejection", onUnhandled)))
      const unprintable = {
        toString: () => {
          throw new Error("no text")
        }
      }
      const cases: ReadonlyArray<readonly [answer: unknown, shown: string]> = [
        [null, "not null"],
        [Number.NaN, "not NaN"],
        [1.5, "not 1.5"],
        [-1, "not -1"],
        [3, "not 3"],
        [Number.POSITIVE_INFINITY, "not Infinity"],
        ["1", 'not "1"'],
        [1n, "not 1n"],
        [true, "not true"],
        [Symbol("odd"), "not Symbol(odd)"],
        [{}, "not an object"],
        [unprintable, "not an object"],
        [unreadable({}), "not an unreadable object"],
        [Promise.resolve(1), "not a Promise"],
        [Promise.reject(new Error("late")), "not a Promise"]
      ]
      let answer: unknown
      const { producer, requests } = yield* setup({ partitioner: () => answer as number })
      // Its topic is unknown at the first send, and known at the others.
      for (const [given, shown] of cases) {
        answer = given
        const error = yield* Effect.flip(producer.send({ topic: "orders", value: "a" }))
        assert.strictEqual(error.reason, "InvalidRecord")
        assert.include(error.description, `the partitioner must answer`)
        assert.include(error.description, shown)
        const [left] = yield* producer.sendAllEither([{ topic: "orders", value: "a" }, to(1, "b")])
        assert.strictEqual(left?._tag, "Left")
      }
      const named = cases.filter(([given]) => given !== null)
      for (const [partition, shown] of named) {
        const error = yield* Effect.flip(producer.send({ topic: "orders", value: "a", partition: partition as number }))
        assert.strictEqual(error.reason, "InvalidRecord")
        assert.include(error.description, "its partition must be")
        assert.include(error.description, shown)
      }
      assert.strictEqual(requests.length, cases.length)
      yield* Effect.promise(() => setImmediate())
      assert.deepStrictEqual(unhandled, [])
    })
  )

  it.scoped("writes the values of the moment the effect ran, even if its caller changes them afterwards", () =>
    Effect.gen(function* () {
      let isRefusing = true
      const { broker, producer } = yield* setup({
        topics: { orders: 3, payments: 3 },
        linger: "1 second",
        decide: refusing(() => (isRefusing ? KafkaErrorCode.NOT_ENOUGH_REPLICAS : undefined))
      })
      const given = () => {
        const key = Uint8Array.of(1)
        const value = Buffer.from("value")
        const header = Uint8Array.of(2)
        const headers: Array<[string, Uint8Array]> = [["a", header]]
        const record = { topic: "orders", key, value, headers, partition: 0, timestamp: 7 }
        const change = () => {
          for (const bytes of [key, value, header]) bytes.fill(0xff)
          headers[0]![0] = "changed"
          headers.push(["more", Uint8Array.of(3)])
          Object.assign(record, { topic: "payments", partition: 2, timestamp: 8, value: "other", headers: {} })
        }
        return { record, change }
      }
      const all = [given(), given()]
      const records = all.map(({ record }) => record)
      const [first, second] = [given(), given()]
      const sends: ReadonlyArray<Effect.Effect<unknown, ProducerError>> = [
        producer.send(first.record),
        producer.sendAll(records),
        // Its topic is unknown when it runs.
        producer.send(Object.assign(second.record, { topic: "payments" }))
      ]
      const fibers = yield* Effect.forEach(sends, (send) => Effect.fork(send))
      yield* Effect.yieldNow()
      for (const { change } of [...all, first, second]) change()
      records.length = 0
      yield* TestClock.adjust("2 seconds")
      isRefusing = false
      yield* TestClock.adjust("5 seconds")
      yield* Effect.forEach(fibers, (fiber) => Fiber.join(fiber))
      for (const [topic, count] of [
        ["orders", 3],
        ["payments", 1]
      ] as const) {
        const written = yield* broker.records(topic)
        assert.strictEqual(written.length, count)
        for (const { headers, key, partition, timestamp, value } of written) {
          assert.deepStrictEqual([partition, timestamp, text(value)], [0, 7, "value"])
          assert.deepStrictEqual(Array.from(key!), [1])
          assert.deepStrictEqual(headers, [["a", Uint8Array.of(2)]])
        }
      }
    })
  )

  it.scoped("writes headers in every shape, and rejects other values", () =>
    Effect.gen(function* () {
      const { broker, producer } = yield* setup()
      const pairs = [
        ["a", "1"],
        ["b", null]
      ] as const
      for (const headers of [new Map(pairs), new Set(pairs), pairs, { a: "1", b: null }]) {
        yield* producer.send({ topic: "orders", value: "a", partition: 0, headers })
      }
      for (const { headers } of yield* broker.records("orders")) assert.deepStrictEqual(Headers.toText(headers), pairs)
      for (const headers of ["a=1", 1, new Date(0), Promise.resolve({}), new Map(pairs).entries(), [1], { a: 1 }]) {
        const error = yield* Effect.flip(producer.send({ topic: "orders", value: "a", headers: headers as never }))
        assert.strictEqual(error.reason, "InvalidRecord")
        assert.include(error.description, "header")
      }
      for (const record of [null, undefined, "orders"]) {
        const [result] = yield* producer.sendAllEither([record as never])
        assert.strictEqual(result?._tag === "Left" ? result.left.reason : undefined, "InvalidRecord")
      }
      const landed = yield* producer.sendAll(new Set([to(0, "a"), to(0, "b")]) as never)
      assert.strictEqual(landed.length, 2)
    })
  )

  it.scoped("spreads keyless records of one call batch by batch", () =>
    Effect.gen(function* () {
      const { producer } = yield* setup({ maxBatchRecords: 10 })
      const landed = yield* producer.sendAll(Array.from({ length: 60 }, () => ({ topic: "orders", value: "a" })))
      const runs = landed.filter(({ partition }, i) => partition !== landed[i - 1]?.partition)
      assert.strictEqual(runs.length, 6)
    })
  )

  it.scoped("publishes streams, in order, several chunks at a time", () =>
    Effect.gen(function* () {
      const { arrived, decide, release } = holding()
      const { producer, values } = yield* setup({ decide })
      const texts = Array.from({ length: 50 }, (_, i) => `${i}`)
      const source = Stream.fromIterable(texts.map((value) => to(0, value))).pipe(Stream.rechunk(7))
      const provided = Effect.provideService(Producer, producer)
      const landed = yield* Effect.fork(source.pipe(stream(), Stream.runCollect, provided))
      yield* arrived
      yield* release
      assert.deepStrictEqual(
        Array.from(yield* Fiber.join(landed), ({ offset }) => offset),
        texts.map((_, i) => i)
      )
      assert.strictEqual(yield* provided(Stream.run(source, sink)), 50)
      assert.deepStrictEqual(yield* values("orders", 0), [...texts, ...texts])
      const error = yield* Effect.flip(provided(Stream.run(Stream.make(to(0, "a"), to(9, "b")), sink)))
      assert.strictEqual(error.reason, "InvalidRecord")
    })
  )

  it.scoped("uses added partitions, by number at once and for keys in time", () =>
    Effect.gen(function* () {
      const { broker, producer, requests } = yield* setup({ topics: { orders: 1 }, metadataMaxAge: "1 minute" })
      yield* producer.send(to(0, "a"))
      yield* broker.deleteTopic("orders")
      yield* broker.createTopic("orders", 2)
      assert.strictEqual((yield* producer.send(to(1, "b"))).partition, 1)
      assert.strictEqual(yield* producer.partitions("orders"), 2)
      yield* broker.deleteTopic("orders")
      yield* broker.createTopic("orders", 5)
      yield* TestClock.adjust("61 seconds")
      assert.strictEqual(yield* producer.partitions("orders"), 2)
      yield* Effect.yieldNow().pipe(
        Effect.repeat({ until: () => Effect.map(producer.partitions("orders"), (n) => n === 5) })
      )
      assert.strictEqual(requests.length, 2)
    })
  )

  it.scoped("counts acknowledged records and open producers", () =>
    Effect.gen(function* () {
      const service = "kafka_producer_test"
      const metrics = yield* MetricsRegistry.make(service)
      const value = (name: string): number => {
        const found = Metric.unsafeSnapshot().find(({ metricKey }) => metricKey.name === `${service}_${name}`)
        const state = found?.metricState
        if (MetricState.isCounterState(state)) return Number(state.count)
        if (MetricState.isGaugeState(state)) return Number(state.value)
        return MetricState.isHistogramState(state) ? state.count : Number.NaN
      }
      const { arrived, decide: hold } = holding()
      let answered = 0
      const refuse = refusing((_, partition) =>
        partition === 2 ? KafkaErrorCode.TOPIC_AUTHORIZATION_FAILED : undefined
      )
      const { close, producer } = yield* setup({
        drainTimeout: 0,
        decide: (request, forward) => (answered++ < 2 ? refuse : hold)(request, forward)
      }).pipe(Effect.provideService(TransportMetrics.TransportMetrics, metrics))
      assert.strictEqual(value("active_producers"), 1)
      yield* producer.sendAll([to(0, "a"), to(1, "b"), to(0, "c")])
      yield* Effect.flip(producer.sendAll([to(0, "d"), to(2, "e")]))
      const abandoned = yield* Effect.fork(producer.sendAll([to(0, "held"), to(1, "held")]))
      yield* arrived
      yield* Fiber.interrupt(abandoned)
      assert.strictEqual(value("messages_abandoned_total"), 2)
      assert.strictEqual(value("messages_sent_total"), 4)
      assert.strictEqual(value("message_publish_duration_seconds"), 4)
      yield* close
      assert.strictEqual(value("active_producers"), 0)
    })
  )

  it.effect("names every invalid option", () =>
    Effect.gen(function* () {
      const options = {
        maxBatchBytes: 0,
        deliveryTimeout: "0 seconds",
        drainTimeout: Number.POSITIVE_INFINITY
      } as const
      const error = yield* KafkaProducer.layer(options).pipe(
        Layer.provide(MemoryBroker.layer()),
        Layer.build,
        Effect.scoped,
        Effect.flip
      )
      assert(error._tag === "InvalidOptions")
      assert.strictEqual(error.module, "KafkaProducer")
      for (const field of Object.keys(options)) assert.include(error.message, field)
    })
  )

  it.effect("reads its options from the configuration", () =>
    Effect.gen(function* () {
      const producer = yield* Producer
      assert.strictEqual((yield* Effect.flip(producer.send(to(0, "x".repeat(2_000))))).reason, "RecordTooLarge")
    }).pipe(
      Effect.provide(KafkaProducer.layerConfig({ maxBatchBytes: 2_048 }, "ORDERS")),
      Effect.provide(MemoryBroker.layer({ topics: { orders: 1 } })),
      Effect.withConfigProvider(ConfigProvider.fromMap(new Map([["ORDERS_KAFKA_PRODUCER_MAX_BATCH_BYTES", "1024"]])))
    )
  )
})
