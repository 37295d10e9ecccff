import { assert, describe, it } from "@effect/vitest"
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import { Wire } from "@spillway/kafka/Wire"
import { MemoryBroker, layer as memory } from "@spillway/memory/MemoryBroker"
import * as RetryPolicy from "@spillway/transport/RetryPolicy"
import type { Metrics } from "@spillway/transport/runtime/Metrics"
import * as MetricsRegistry from "@spillway/transport/runtime/MetricsRegistry"
import * as TransportMetrics from "@spillway/transport/TransportMetrics"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import type * as Scope from "effect/Scope"
import { committed, delayed, group, options, topic } from "../support/consumerTesting.js"
import * as EventLoop from "../support/eventLoop.js"

/** A turn of the lanes, plus a timer's own lateness. */
const turnMs = 25 + 1

/** Runs a test on a broker with `partitions` partitions of `topic`, and the given number of records in each. */
const onEventLoop = (
  { partitions, records }: { readonly partitions: number; readonly records: number },
  test: (loop: EventLoop.EventLoop) => Effect.Effect<void, unknown, MemoryBroker | Wire | Scope.Scope>
) =>
  Effect.suspend(() => {
    const loop = EventLoop.make()
    return Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const values = Array.from({ length: partitions * records }, (_, i) => ({
        value: `${Math.floor(i / partitions)}`,
        partition: i % partitions
      }))
      yield* broker.produce(topic, values)
      yield* test(loop)
    }).pipe(
      Effect.scoped,
      Effect.provide([memory({ topics: { [topic]: partitions } }), Logger.remove(Logger.defaultLogger)]),
      Effect.withClock(loop.clock)
    )
  })

const until = (holds: () => boolean) =>
  Effect.repeat(Effect.sleep("10 millis"), { until: holds, times: 100_000 }).pipe(
    Effect.tap(() => assert.isTrue(holds(), "the condition holds"))
  )

/** The sum of the group's committed offsets. */
const settled = Effect.map(committed, (offsets) => Object.values(offsets).reduce((sum, offset) => sum + offset, 0))

describe("handlers that compute", () => {
  it.live("delay timers by at most one handler and one turn, for any number of partitions", () =>
    onEventLoop({ partitions: 12, records: 8 }, (loop) =>
      Effect.gen(function* () {
        let calls = 0
        const consumer = yield* KafkaConsumer.make({
          ...options,
          sessionTimeout: "10 seconds",
          handler: () =>
            Effect.sync(() => {
              calls++
              loop.compute(300)
            })
        })
        yield* until(() => calls >= 60)
        assert.isAbove(yield* settled, 40)
        yield* until(() => calls >= 96)
        const broker = yield* MemoryBroker
        assert.strictEqual((yield* broker.group(group)).generation, 1)
        yield* consumer.close
        assert.isAtMost(loop.late(), 300 + turnMs)
        assert.strictEqual(calls, 96)
      })
    )
  )

  it.live("don't delay timers longer after fast handlers", () =>
    onEventLoop({ partitions: 10, records: 200 }, (loop) =>
      Effect.gen(function* () {
        let calls = 0
        yield* KafkaConsumer.make({
          ...options,
          handler: ({ value }) =>
            Effect.sync(() => {
              calls++
              if (Number(value) >= 100 && Number(value) % 10 === 3) loop.compute(50)
            })
        })
        yield* until(() => calls === 2_000)
        assert.isAtMost(loop.late(), 50 + turnMs)
      })
    )
  )

  it.live("don't delay timers longer with many consumers in a process", () =>
    onEventLoop({ partitions: 10, records: 20 }, (loop) =>
      Effect.gen(function* () {
        let calls = 0
        const start = (groupId: string) =>
          KafkaConsumer.make({
            ...options,
            groupId,
            handler: () =>
              Effect.sync(() => {
                calls++
                loop.compute(2)
              })
          })
        yield* Effect.forEach(["a", "b", "c", "d", "e"], start)
        yield* until(() => calls === 1_000)
        assert.isAtMost(loop.late(), 2 + turnMs)
      })
    )
  )

  it.live("don't delay timers longer in retries", () =>
    onEventLoop({ partitions: 12, records: 3 }, (loop) =>
      Effect.gen(function* () {
        let calls = 0
        yield* KafkaConsumer.make({
          ...options,
          retry: RetryPolicy.fixed({ retries: 3, delay: "10 millis" }),
          handler: () =>
            Effect.suspend(() => {
              calls++
              loop.compute(100)
              return Effect.fail("again")
            })
        })
        yield* until(() => calls === 144)
        assert.isAtMost(loop.late(), 100 + turnMs)
      })
    )
  )

  it.live("don't delay timers longer while a large response of many partitions is unpacked", () =>
    onEventLoop({ partitions: 40, records: 1 }, (loop) =>
      Effect.gen(function* () {
        const consumer = MetricsRegistry.off.consumer({ topic, groupId: group })
        const metrics: Metrics = {
          ...MetricsRegistry.off,
          consumer: () => ({ ...consumer, received: () => loop.compute(20) })
        }
        let calls = 0
        yield* KafkaConsumer.make({ ...options, handler: () => Effect.sync(() => calls++) }).pipe(
          Effect.provideService(TransportMetrics.TransportMetrics, metrics)
        )
        yield* until(() => calls === 40)
        assert.isAtMost(loop.late(), 20 + turnMs)
      })
    )
  )

  it.live("run one partition after the other", () =>
    onEventLoop({ partitions: 10, records: 50 }, (loop) =>
      Effect.gen(function* () {
        const calls = new Map<number, number>()
        let total = 0
        yield* KafkaConsumer.make({
          ...options,
          handler: ({ partition }) =>
            Effect.sync(() => {
              calls.set(partition, (calls.get(partition) ?? 0) + 1)
              total++
              loop.compute(20)
            })
        })
        const counts = () => Array.from({ length: 10 }, (_, partition) => calls.get(partition) ?? 0)
        // Not all partitions begin at once.
        yield* until(() => Math.min(...counts()) >= 5)
        const before = counts()
        yield* until(() => total >= 300)
        const since = counts().map((count, partition) => count - before[partition]!)
        // A turn has room for two of them.
        assert.isAbove(Math.min(...since), 10)
        assert.isAtMost(Math.max(...since) - Math.min(...since), 4)
      })
    )
  )

  it.live("start no record after one that outlasted the session, until a heartbeat is answered", () =>
    onEventLoop({ partitions: 4, records: 3 }, (loop) =>
      Effect.gen(function* () {
        const broker = yield* MemoryBroker
        const started: Array<number> = []
        yield* KafkaConsumer.make({
          ...options,
          sessionTimeout: "10 seconds",
          handler: () =>
            Effect.sync(() => {
              started.push(loop.now())
              loop.compute(started.length === 1 ? 12_000 : 10)
            })
        }).pipe(
          Effect.provideService(
            Wire,
            delayed(broker.wire, "Heartbeat", () => "2 seconds")
          )
        )
        yield* until(() => started.length === 12)
        const [first, ...others] = started
        assert.isBelow(first!, 1_000)
        assert.isAtLeast(Math.min(...others), first! + 12_000 + 2_000)
        yield* Effect.sleep("10 seconds")
        assert.strictEqual(yield* settled, 12)
      })
    )
  )
})
