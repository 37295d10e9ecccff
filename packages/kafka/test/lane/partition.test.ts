import { assert, describe, it } from "@effect/vitest"
import * as Codec from "@spillway/transport/Codec"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import * as RetryPolicy from "@spillway/transport/RetryPolicy"
import type { ConsumerMetrics } from "@spillway/transport/runtime/Metrics"
import * as Processor from "@spillway/transport/runtime/Processor"
import { TransportMetrics } from "@spillway/transport/TransportMetrics"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import * as Signal from "../../src/internal/concurrency/signal.js"
import * as Gate from "../../src/internal/lane/gate.js"
import * as Partition from "../../src/internal/lane/partition.js"
import * as Queue from "../../src/internal/lane/queue.js"
import * as Turn from "../../src/internal/lane/turn.js"
import * as RecordBatch from "../../src/RecordBatch.js"

const batch = (baseOffset: number, values: ReadonlyArray<string>, compression?: RecordBatch.Compression) =>
  RecordBatch.encode(
    values.map((value) => ({ key: null, value: new TextEncoder().encode(value), headers: [], timestamp: 0 })),
    { baseOffset, compression }
  )

const fetched = (...batches: ReadonlyArray<Uint8Array>) => ({
  records: new Uint8Array(Buffer.concat(batches)),
  abortedTransactions: [],
  highWatermark: -1
})

const batches = (baseOffset: number, ...values: ReadonlyArray<string>) => fetched(batch(baseOffset, values))

const owned = { topic: "t", partition: 0, position: 0, leaderEpoch: -1, committed: -1 }

const make = Effect.fnUntraced(function* <E>(
  handle: (value: string) => Effect.Effect<unknown, E>,
  maxBufferedBytes = 1_000_000,
  retry: RetryPolicy.RetryPolicy = RetryPolicy.none
) {
  const outcomes: Array<Processor.Outcome> = []
  const metered: Array<readonly [name: string, value: unknown]> = []
  const retries = { count: 0 }
  const context: Partition.PartitionContext<never> = {
    processor: yield* Processor.make({
      groupId: "g",
      topics: ["t"],
      value: Codec.text,
      handler: ({ value }) => handle(value),
      deadLetter: DeadLetter.none("skip"),
      retry,
      handlerTimeout: Duration.seconds(1)
    }),
    handlerTimeout: Duration.seconds(1),
    maxRecords: 10,
    gate: Gate.make(() => false),
    buffer: Queue.makeBuffer(maxBufferedBytes),
    maxRecordBytes: 64 * 1024 * 1024,
    turn: Turn.of(yield* Effect.clock),
    attemptBegun: Signal.make(),
    isPaused: () => false,
    onOutcome: (outcome) => {
      outcomes.push(outcome)
    },
    onRetry: () => {
      retries.count++
    },
    onFailure: (error) => Effect.die(error)
  }
  const metrics: ConsumerMetrics = {
    ...(yield* TransportMetrics).consumer({ topic: "t", groupId: "g" }),
    processed: (status) => metered.push(["processed", status]),
    processingDuration: (seconds) => metered.push(["duration", seconds]),
    retried: (attempts) => metered.push(["retried", attempts])
  }
  const open = (partition: number) =>
    Effect.acquireRelease(Partition.make(context, metrics, true, { ...owned, partition }), (opened) => opened.abort)
  return { context, partition: yield* open(0), open, outcomes, metered, retries }
})

describe("partition", () => {
  it.scoped("interrupts the attempt whose time is over even as it succeeds, and not the next one", () =>
    Effect.gen(function* () {
      const started = yield* Deferred.make<void>()
      const first = yield* Deferred.make<void>()
      const startedSecond = yield* Deferred.make<void>()
      const second = yield* Deferred.make<void>()
      const { partition, outcomes } = yield* make((value) =>
        value === "first"
          ? Effect.zipRight(Deferred.succeed(started, undefined), Deferred.await(first))
          : Effect.zipRight(Deferred.succeed(startedSecond, undefined), Deferred.await(second))
      )
      partition.receive(batches(0, "first", "second"))
      yield* Deferred.await(started)
      partition.watch(0)
      yield* Deferred.succeed(first, undefined)
      partition.watch(10_000)
      yield* Deferred.await(startedSecond)
      yield* Effect.repeatN(Effect.yieldNow(), 10)
      yield* Deferred.succeed(second, undefined)
      partition.close()
      yield* partition.ended
      assert.strictEqual(partition.settledTo(), 2)
      assert.deepStrictEqual(outcomes, ["discarded", "handled"])
    })
  )

  it.scoped("recovers once from an attempt that fails just as its time is over", () =>
    Effect.gen(function* () {
      const started = yield* Deferred.make<void>()
      const first = yield* Deferred.make<void, string>()
      const { metered, outcomes, partition } = yield* make(
        () => Effect.zipRight(Deferred.succeed(started, undefined), Deferred.await(first)),
        1_000_000,
        RetryPolicy.fixed({ retries: 1, delay: "1 second" })
      )
      partition.receive(batches(0, "a"))
      yield* Deferred.await(started)
      partition.watch(0)
      yield* Deferred.fail(first, "down")
      partition.watch(10_000)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(outcomes, ["discarded"])
      assert.deepStrictEqual(
        metered.map(([name]) => name),
        ["duration", "retried", "duration"]
      )
      // Two attempts, a wait and the end.
      assert.strictEqual(partition.snapshot().steps, 4)
    })
  )

  it.scoped("counts and times the first attempt and the retries alike, and the outcome once", () =>
    Effect.gen(function* () {
      let attempts = 0
      const slowThenQuick = Effect.suspend(() => {
        attempts++
        const fails = attempts < 3 ? Effect.fail("down") : Effect.void
        return Effect.delay(fails, `${attempts} seconds`)
      })
      const { metered, outcomes, partition, retries } = yield* make(
        () => slowThenQuick,
        1_000_000,
        RetryPolicy.fixed({ retries: 2, delay: "10 seconds" })
      )
      partition.receive(batches(0, "a"))
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(metered, [
        ["duration", 1],
        ["retried", 1],
        ["duration", 2],
        ["retried", 1],
        ["duration", 3],
        ["processed", "success"]
      ])
      assert.strictEqual(retries.count, 2)
      assert.deepStrictEqual(outcomes, ["handled"])
      // Three attempts and two waits.
      assert.strictEqual(partition.snapshot().steps, 5)
    })
  )

  it.scoped("times each retry on its own, and interrupts it once it has run for the timeout", () =>
    Effect.gen(function* () {
      let attempts = 0
      const { partition, outcomes } = yield* make(
        () => Effect.suspend(() => (++attempts === 1 ? Effect.fail("down") : Effect.never)),
        1_000_000,
        RetryPolicy.fixed({ retries: 2, delay: 0 })
      )
      partition.receive(batches(0, "a"))
      yield* TestClock.adjust(0)
      assert.strictEqual(attempts, 2)
      const snapshot = partition.snapshot()
      assert.deepStrictEqual([snapshot.activity, partition.isHandling()], ["handling", true])
      for (const [now, begun] of [
        [0, 2],
        [999, 2],
        [1_000, 3],
        [1_999, 3],
        [2_998, 3]
      ] as const) {
        partition.watch(now)
        yield* TestClock.adjust(0)
        assert.strictEqual(attempts, begun, `at ${now}`)
      }
      assert.deepStrictEqual(outcomes, [])
      partition.watch(2_999)
      yield* TestClock.adjust(0)
      assert.strictEqual(attempts, 3)
      assert.deepStrictEqual(outcomes, ["discarded"])
    })
  )

  it.scoped("never confuses records of a truncated log with later ones at the same offsets", () =>
    Effect.gen(function* () {
      const gates = new Map<string, Deferred.Deferred<void>>()
      for (const value of ["a", "b", "c", "d", "e"]) gates.set(value, yield* Deferred.make<void>())
      const { partition } = yield* make((value) => Deferred.await(gates.get(value)!))
      partition.receive(batches(0, "a", "b"))
      yield* Effect.yieldNow()
      partition.resumeAt(0, -1)
      assert.strictEqual(partition.settledTo(), 0)
      partition.receive(batches(0, "c", "d", "e"))
      for (const value of ["a", "b"]) yield* Deferred.succeed(gates.get(value)!, undefined)
      yield* Effect.yieldNow()
      assert.strictEqual(partition.settledTo(), 0)
      yield* Deferred.succeed(gates.get("c")!, undefined)
      yield* Effect.yieldNow()
      assert.strictEqual(partition.settledTo(), 1)
      for (const value of ["d", "e"]) yield* Deferred.succeed(gates.get(value)!, undefined)
      yield* Effect.yieldNow()
      assert.strictEqual(partition.settledTo(), 3)
    })
  )

  it.scoped("counts bytes and room of waiting records only", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const { context, partition } = yield* make(() => Deferred.await(gate))
      const twelve = batches(0, ..."abcdefghijkl")
      partition.receive(twelve)
      assert.isFalse(partition.hasRoom())
      const held = twelve.records.length - RecordBatch.batchOverhead + 12 * 128
      assert.strictEqual(context.buffer.bytes, held)
      partition.receive(twelve)
      assert.strictEqual(context.buffer.bytes, held)
      assert.strictEqual(partition.position, 12)
      partition.close()
      assert.strictEqual(context.buffer.bytes, 0)
      partition.receive(batches(12, "m"))
      assert.strictEqual(context.buffer.bytes, 0)
      yield* Deferred.succeed(gate, undefined)
      yield* partition.ended
      assert.isAtMost(partition.settledTo(), 1)
    })
  )

  it.scoped("closes the gate itself when the session may have expired, and reports it to the heartbeat", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const { context, partition } = yield* make((value) => Effect.sync(() => seen.push(value)))
      assert.isFalse(Gate.setSession(context.gate, 10_000, 0))
      yield* TestClock.adjust("10 seconds")
      partition.receive(batches(0, "a"))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(seen, [])
      assert.isTrue(Gate.setSession(context.gate, 20_000, 11_000))
      partition.wake()
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(seen, ["a"])
    })
  )

  it.scoped("starts nothing while the gate is closed, and continues when it opens", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const { context, partition } = yield* make((value) => Effect.sync(() => seen.push(value)))
      Gate.setSession(context.gate, 1, 1)
      partition.receive(batches(0, "a"))
      yield* Effect.yieldNow()
      assert.deepStrictEqual(seen, [])
      Gate.setSession(context.gate, Infinity, 1)
      partition.wake()
      yield* Effect.yieldNow()
      assert.deepStrictEqual(seen, ["a"])
      assert.strictEqual(partition.settledTo(), 1)
    })
  )

  const settled = (partition: Partition.Partition, offset: number) =>
    Effect.gen(function* () {
      while (partition.settledTo() < offset) yield* Effect.yieldNow()
    })

  // Unpacking needs more than the whole smaller buffer, and mustn't wait for itself.
  for (const maxBufferedBytes of [1_000_000, 100]) {
    it.scoped(`unpacks its compressed batches a slice at a time in a buffer of ${maxBufferedBytes} bytes`, () =>
      Effect.gen(function* () {
        const values = Array.from({ length: 30_000 }, (_, i) => String(i))
        const seen: Array<string> = []
        let most = 0
        let hadRoom = false
        const { context, partition } = yield* make(
          (value) =>
            Effect.sync(() => {
              seen.push(value)
              most = Math.max(most, context.buffer.unpacked)
              if (partition.isUnpacking() && partition.hasRoom()) hadRoom = true
            }),
          maxBufferedBytes
        )
        const parts = [values.slice(0, 10_000), values.slice(10_000)]
        partition.receive(fetched(batch(0, parts[0]!, "gzip"), batch(10_000, parts[1]!, "zstd")))
        assert.strictEqual(partition.position, 0)
        yield* settled(partition, 30_000)
        assert.deepStrictEqual(seen, values)
        assert.strictEqual(partition.position, 30_000)
        yield* Effect.yieldNow()
        assert.isTrue(partition.hasRoom())
        assert.strictEqual(context.buffer.bytes, 0)
        // A slice, and the unpacked bytes behind it. All records at once would take at least 30,000 times 128.
        assert.isBelow(most, 3_000_000)
        assert.isFalse(hadRoom)
      })
    )
  }

  it.scoped("waits for another partition's records to free room to unpack, and drops its records when it ends", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const seen: Array<string> = []
      const { context, partition, open } = yield* make(
        (value) =>
          Effect.zipRight(
            Effect.sync(() => seen.push(value)),
            value === "a" ? Deferred.await(gate) : Effect.void
          ),
        100
      )
      const other = yield* open(1)
      const third = yield* open(2)
      partition.receive(fetched(batch(0, ["a"], "gzip")))
      yield* Effect.repeatN(Effect.yieldNow(), 5)
      for (const waiting of [other, third]) waiting.receive(fetched(batch(0, ["b", "c"], "gzip")))
      yield* Effect.repeatN(Effect.yieldNow(), 5)
      assert.deepStrictEqual(seen, ["a"])
      assert.strictEqual(other.position, 0)
      third.close()
      yield* Deferred.succeed(gate, undefined)
      yield* settled(other, 2)
      yield* Effect.repeatN(Effect.yieldNow(), 5)
      assert.deepStrictEqual(seen, ["a", "b", "c"])
      assert.deepInclude(context.buffer, { bytes: 0, unpacked: 0, queued: 0 })
    })
  )

  it.scoped("reports a corrupt batch and its offset once the good ones before it are done", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const { context, partition } = yield* make((value) => Effect.sync(() => seen.push(value)))
      const broken = batch(2, ["c"], "gzip")
      broken[30]! ^= 1
      const room = yield* Effect.fork(context.buffer.room.wait())
      partition.receive(fetched(batch(0, ["a", "b"], "gzip"), broken))
      yield* settled(partition, 2)
      yield* Effect.repeatN(Effect.yieldNow(), 5)
      assert.deepStrictEqual(seen, ["a", "b"])
      assert.isNotNull(room.unsafePoll())
      assert.isFalse(partition.hasRoom())
      assert.strictEqual(partition.position, 2)
      assert.strictEqual(partition.takeFailure()?.baseOffset, 2)
      assert.isUndefined(partition.takeFailure())
      assert.isTrue(partition.hasRoom())
    })
  )

  it.scoped("drops its compressed batches on a seek", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const { context, partition } = yield* make((value) => Effect.sync(() => seen.push(value)))
      for (const move of [() => partition.restartAt(7), () => partition.resumeAt(7, -1)]) {
        partition.setPaused(true)
        partition.receive(fetched(batch(partition.position, ["a"], "gzip")))
        assert.isTrue(partition.isUnpacking())
        move()
        partition.setPaused(false)
        assert.isFalse(partition.isUnpacking())
        assert.strictEqual(context.buffer.bytes, 0)
        yield* Effect.repeatN(Effect.yieldNow(), 5)
        assert.deepStrictEqual(seen, [])
      }
      partition.receive(fetched(batch(5, ["no", "no", "yes"], "gzip")))
      yield* settled(partition, 8)
      assert.deepStrictEqual(seen, ["yes"])
    })
  )
})
