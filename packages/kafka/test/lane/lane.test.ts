import { assert, describe, it } from "@effect/vitest"
import * as Codec from "@spillway/transport/Codec"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import * as Processor from "@spillway/transport/Processor"
import * as RetryPolicy from "@spillway/transport/RetryPolicy"
import { TransportMetrics } from "@spillway/transport/TransportMetrics"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Signal from "../../src/internal/concurrency/signal.js"
import * as Gate from "../../src/internal/lane/gate.js"
import * as Lane from "../../src/internal/lane/lane.js"
import * as Turn from "../../src/internal/lane/turn.js"
import * as RecordBatch from "../../src/RecordBatch.js"

const batches = (baseOffset: number, ...values: ReadonlyArray<string>) =>
  RecordBatch.decode(
    RecordBatch.encode(
      values.map((value) => ({ key: null, value: new TextEncoder().encode(value), headers: [], timestamp: 0 })),
      { baseOffset }
    )
  ).batches

const owned = { topic: "t", partition: 0, position: 0, leaderEpoch: -1, committed: -1 }

const make = Effect.fnUntraced(function* <E>(handle: (value: string) => Effect.Effect<unknown, E>) {
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
    buffer: { bytes: 0, room: Signal.make() },
    turn: Turn.of(yield* Effect.clock),
    handling: Signal.make(),
    isPaused: () => false,
    onOutcome: (outcome) => {
      outcomes.push(outcome)
    },
    onFailure: (error) => Effect.die(error)
  }
  const metrics = (yield* TransportMetrics).consumer({ topic: "t", groupId: "g" })
  const lane = yield* Effect.acquireRelease(Lane.make(context, metrics, false, owned), (lane) => lane.end)
  return { context, lane, outcomes }
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
      assert.isFalse(lane.hasRoom(Number.POSITIVE_INFINITY))
      assert.strictEqual(context.buffer.bytes, twelve[0]!.sizeInBytes)
      lane.offer(twelve)
      assert.strictEqual(context.buffer.bytes, twelve[0]!.sizeInBytes)
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
})
