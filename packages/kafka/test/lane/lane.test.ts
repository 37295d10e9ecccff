import { assert, describe, it } from "@effect/vitest"
import * as Codec from "@spillway/transport/Codec"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import * as Processor from "@spillway/transport/Processor"
import * as RetryPolicy from "@spillway/transport/RetryPolicy"
import { TransportMetrics } from "@spillway/transport/TransportMetrics"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import * as Signal from "../../src/internal/concurrency/signal.js"
import * as Gate from "../../src/internal/lane/gate.js"
import * as Lane from "../../src/internal/lane/lane.js"
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
  abortedTransactions: []
})

const batches = (baseOffset: number, ...values: ReadonlyArray<string>) => fetched(batch(baseOffset, values))

const owned = { topic: "t", partition: 0, position: 0, leaderEpoch: -1, committed: -1 }

const make = Effect.fnUntraced(function* <E>(
  handle: (value: string) => Effect.Effect<unknown, E>,
  maxBufferedBytes = 1_000_000
) {
  const outcomes: Array<Processor.Outcome> = []
  const context: Lane.LaneContext<never> = {
    processor: yield* Processor.make({
      groupId: "g",
      topics: ["t"],
      value: Codec.text,
      handler: ({ value }) => handle(value),
      deadLetter: DeadLetter.none("skip"),
      retry: RetryPolicy.none,
      handlerTimeout: Duration.seconds(1)
    }),
    handlerTimeout: Duration.seconds(1),
    maxRecords: 10,
    gate: Gate.make(() => false),
    buffer: Queue.makeBuffer(maxBufferedBytes),
    maxRecordBytes: 64 * 1024 * 1024,
    turn: Turn.of(yield* Effect.clock),
    handling: Signal.make(),
    isPaused: () => false,
    onOutcome: (outcome) => {
      outcomes.push(outcome)
    },
    onFailure: (error) => Effect.die(error)
  }
  const metrics = (yield* TransportMetrics).consumer({ topic: "t", groupId: "g" })
  const open = (partition: number) =>
    Effect.acquireRelease(Lane.make(context, metrics, false, { ...owned, partition }), (lane) => lane.end)
  return { context, lane: yield* open(0), open, outcomes }
})

describe("lane", () => {
  it.scoped("gives a record back its attempt when the watchdog meant the one before", () =>
    Effect.gen(function* () {
      const started = yield* Deferred.make<void>()
      const first = yield* Deferred.make<void>()
      const startedSecond = yield* Deferred.make<void>()
      const second = yield* Deferred.make<void>()
      const seen: Array<string> = []
      const { lane, outcomes } = yield* make((value) => {
        seen.push(value)
        return value === "first"
          ? Effect.zipRight(Deferred.succeed(started, undefined), Deferred.await(first))
          : Effect.zipRight(Deferred.succeed(startedSecond, undefined), Deferred.await(second))
      })
      lane.offer(batches(0, "first", "second"))
      yield* Deferred.await(started)
      yield* lane.watch(0)
      // The first handler ends as the watchdog finds that its time is over.
      yield* Effect.zipRight(Deferred.succeed(first, undefined), lane.watch(10_000))
      yield* Deferred.await(startedSecond)
      yield* Effect.repeatN(Effect.yieldNow(), 10)
      yield* Deferred.succeed(second, undefined)
      lane.close()
      yield* lane.idle
      assert.deepStrictEqual(seen, ["first", "second", "second"])
      assert.strictEqual(lane.settledTo(), 2)
      assert.deepStrictEqual(outcomes, ["handled", "handled"])
    })
  )

  it.scoped("never takes a record of a log that was cut off for one of the log that followed", () =>
    Effect.gen(function* () {
      const gates = new Map<string, Deferred.Deferred<void>>()
      for (const value of ["a", "b", "c", "d", "e"]) gates.set(value, yield* Deferred.make<void>())
      const { lane } = yield* make((value) => Deferred.await(gates.get(value)!))
      lane.offer(batches(0, "a", "b"))
      yield* Effect.yieldNow()
      lane.resumeAt(0, -1)
      assert.strictEqual(lane.settledTo(), 0)
      lane.offer(batches(0, "c", "d", "e"))
      for (const value of ["a", "b"]) yield* Deferred.succeed(gates.get(value)!, undefined)
      yield* Effect.yieldNow()
      assert.strictEqual(lane.settledTo(), 0)
      yield* Deferred.succeed(gates.get("c")!, undefined)
      yield* Effect.yieldNow()
      assert.strictEqual(lane.settledTo(), 1)
      for (const value of ["d", "e"]) yield* Deferred.succeed(gates.get(value)!, undefined)
      yield* Effect.yieldNow()
      assert.strictEqual(lane.settledTo(), 3)
    })
  )

  it.scoped("has no room and holds no bytes beyond what is waiting", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const { context, lane } = yield* make(() => Deferred.await(gate))
      const twelve = batches(0, ..."abcdefghijkl")
      lane.offer(twelve)
      assert.isFalse(lane.hasRoom())
      const held = twelve.records.length - RecordBatch.batchOverhead + 12 * 128
      assert.strictEqual(context.buffer.bytes, held)
      lane.offer(twelve)
      assert.strictEqual(context.buffer.bytes, held)
      assert.strictEqual(lane.position, 12)
      lane.close()
      assert.strictEqual(context.buffer.bytes, 0)
      lane.offer(batches(12, "m"))
      assert.strictEqual(context.buffer.bytes, 0)
      yield* Deferred.succeed(gate, undefined)
      yield* lane.idle
      assert.isAtMost(lane.settledTo(), 1)
    })
  )

  it.scoped("closes the gate itself when the session may have expired, and says so to who renews it", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const { context, lane } = yield* make((value) => Effect.sync(() => seen.push(value)))
      assert.isFalse(Gate.setSession(context.gate, 10_000, 0))
      yield* TestClock.adjust("10 seconds")
      lane.offer(batches(0, "a"))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(seen, [])
      assert.isTrue(Gate.setSession(context.gate, 20_000, 11_000))
      lane.nudge()
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(seen, ["a"])
    })
  )

  it.scoped("starts nothing while the gate is closed, and goes on when it is opened", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const { context, lane } = yield* make((value) => Effect.sync(() => seen.push(value)))
      Gate.setSession(context.gate, 1, 1)
      lane.offer(batches(0, "a"))
      yield* Effect.yieldNow()
      assert.deepStrictEqual(seen, [])
      Gate.setSession(context.gate, Infinity, 1)
      lane.nudge()
      yield* Effect.yieldNow()
      assert.deepStrictEqual(seen, ["a"])
      assert.strictEqual(lane.settledTo(), 1)
    })
  )

  const settled = (lane: Lane.Lane, offset: number) =>
    Effect.gen(function* () {
      while (lane.settledTo() < offset) yield* Effect.yieldNow()
    })

  // Of the smaller buffer what unpacks takes more than all, and mustn't wait for itself.
  for (const maxBufferedBytes of [1_000_000, 100]) {
    it.scoped(`unpacks what it holds compressed a slice at a time in a buffer of ${maxBufferedBytes} bytes`, () =>
      Effect.gen(function* () {
        const values = Array.from({ length: 30_000 }, (_, i) => String(i))
        const seen: Array<string> = []
        let most = 0
        let hadRoom = false
        const { context, lane } = yield* make(
          (value) =>
            Effect.sync(() => {
              seen.push(value)
              most = Math.max(most, context.buffer.unpacked)
              if (lane.isUnpacking() && lane.hasRoom()) hadRoom = true
            }),
          maxBufferedBytes
        )
        const parts = [values.slice(0, 10_000), values.slice(10_000)]
        lane.offer(fetched(batch(0, parts[0]!, "gzip"), batch(10_000, parts[1]!, "zstd")))
        assert.strictEqual(lane.position, 0)
        yield* settled(lane, 30_000)
        assert.deepStrictEqual(seen, values)
        assert.strictEqual(lane.position, 30_000)
        yield* Effect.yieldNow()
        assert.isTrue(lane.hasRoom())
        assert.strictEqual(context.buffer.bytes, 0)
        // A slice and the unpacked bytes that it was cut from; all records at once would take 30,000 times 128 and more.
        assert.isBelow(most, 3_000_000)
        assert.isFalse(hadRoom)
      })
    )
  }

  it.scoped(
    "waits for room to unpack until another lane's records are done, and drops what it holds when it ends",
    () =>
      Effect.gen(function* () {
        const gate = yield* Deferred.make<void>()
        const seen: Array<string> = []
        const { context, lane, open } = yield* make(
          (value) =>
            Effect.zipRight(
              Effect.sync(() => seen.push(value)),
              value === "a" ? Deferred.await(gate) : Effect.void
            ),
          100
        )
        const other = yield* open(1)
        const third = yield* open(2)
        lane.offer(fetched(batch(0, ["a"], "gzip")))
        yield* Effect.repeatN(Effect.yieldNow(), 5)
        for (const waiting of [other, third]) waiting.offer(fetched(batch(0, ["b", "c"], "gzip")))
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

  it.scoped("tells of a broken batch behind good ones when it comes to it, and of its place", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const { context, lane } = yield* make((value) => Effect.sync(() => seen.push(value)))
      const broken = batch(2, ["c"], "gzip")
      broken[30]! ^= 1
      const room = yield* Effect.fork(context.buffer.room.wait())
      lane.offer(fetched(batch(0, ["a", "b"], "gzip"), broken))
      yield* settled(lane, 2)
      yield* Effect.repeatN(Effect.yieldNow(), 5)
      assert.deepStrictEqual(seen, ["a", "b"])
      assert.isNotNull(room.unsafePoll())
      assert.isFalse(lane.hasRoom())
      assert.strictEqual(lane.position, 2)
      assert.strictEqual(lane.takeFailure()?.baseOffset, 2)
      assert.isUndefined(lane.takeFailure())
      assert.isTrue(lane.hasRoom())
    })
  )

  it.scoped("drops what it holds compressed where it is taken elsewhere", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const { context, lane } = yield* make((value) => Effect.sync(() => seen.push(value)))
      for (const move of [() => lane.restartAt(7), () => lane.resumeAt(7, -1)]) {
        lane.setPaused(true)
        lane.offer(fetched(batch(lane.position, ["a"], "gzip")))
        assert.isTrue(lane.isUnpacking())
        move()
        lane.setPaused(false)
        assert.isFalse(lane.isUnpacking())
        assert.strictEqual(context.buffer.bytes, 0)
        yield* Effect.repeatN(Effect.yieldNow(), 5)
        assert.deepStrictEqual(seen, [])
      }
      lane.offer(fetched(batch(5, ["no", "no", "yes"], "gzip")))
      yield* settled(lane, 8)
      assert.deepStrictEqual(seen, ["yes"])
    })
  )
})
