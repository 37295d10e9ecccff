import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Metric from "effect/Metric"
import type { MetricState } from "effect/MetricState"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import type { ConsumerSnapshot, PartitionSnapshot } from "../../src/runtime/ConsumerSnapshot.js"
import * as MetricsRegistry from "../../src/runtime/MetricsRegistry.js"
import { unevenly } from "../support/unevenClock.js"

const idle: PartitionSnapshot = {
  topic: "orders",
  partition: 0,
  activity: "idle",
  paused: false,
  settledTo: 0,
  highWatermark: -1,
  inFlight: 0,
  bufferedRecords: 0,
  bufferedBytes: 0,
  oldestFetchedAt: undefined,
  steps: 0
}

const running = (...partitions: ReadonlyArray<Partial<PartitionSnapshot>>): ConsumerSnapshot => ({
  status: "Running",
  circuitBreaker: undefined,
  partitions: partitions.map((one) => ({ ...idle, ...one }))
})

/** The non-zero gauges of a service. */
const shown = (service: string): Record<string, number> =>
  Object.fromEntries(
    Metric.unsafeSnapshot()
      .filter(({ metricKey }) => metricKey.name.startsWith(`${service}_`) && !metricKey.name.endsWith("uptime_seconds"))
      .map(({ metricKey, metricState }): [string, number] => [
        `${metricKey.name.slice(service.length + 1)}{${metricKey.tags.map(({ key, value }) => `${key}=${value}`).join(",")}}`,
        Number((metricState as MetricState.Gauge<number>).value)
      ])
      .filter(([, value]) => value !== 0)
  )

/** A consumer of the group `billing` whose snapshot is `sample`. */
const observe = Effect.fnUntraced(function* (service: string, ...first: ReadonlyArray<ConsumerSnapshot>) {
  const metrics = yield* MetricsRegistry.make(service)
  return yield* Effect.forEach(first, (snapshot) =>
    Effect.gen(function* () {
      const consumer = { snapshot, scope: yield* Scope.make() }
      const observed = metrics.observeConsumer({ groupId: "billing", topics: ["orders"] }, () => consumer.snapshot)
      yield* Scope.extend(observed, consumer.scope)
      return consumer
    })
  )
})

describe("consumerGauges", () => {
  it.scoped("show the totals of a topic's partitions", () =>
    Effect.gen(function* () {
      yield* observe(
        "gauges_topic",
        running(
          { partition: 0, activity: "waiting", inFlight: 1, bufferedRecords: 10, bufferedBytes: 1_000 },
          { partition: 1, activity: "handling", inFlight: 1, bufferedRecords: 5, bufferedBytes: 500 },
          { partition: 2, paused: true }
        )
      )
      assert.deepStrictEqual(shown("gauges_topic"), {
        "assigned_partitions{topic=orders,group=billing}": 3,
        "in_flight_records{topic=orders,group=billing}": 2,
        "buffered_records{topic=orders,group=billing}": 15,
        "buffered_bytes{topic=orders,group=billing}": 1_500,
        "paused_partitions{topic=orders,group=billing}": 1,
        "retries_waiting{topic=orders,group=billing}": 1,
        "consumer_status{group=billing,status=Running}": 1
      })
    })
  )

  it.scoped("show each partition's lag and the age of its oldest record, at most a second late", () =>
    Effect.gen(function* () {
      const [consumer] = yield* observe("gauges_partition", running({ partition: 3 }))
      const lag = "consumer_lag_records{topic=orders,partition=3,group=billing}"
      const age = "oldest_unsettled_age_seconds{topic=orders,partition=3,group=billing}"
      assert.strictEqual(shown("gauges_partition")[lag], undefined)
      yield* TestClock.adjust("300 millis")
      consumer!.snapshot = running({ partition: 3, settledTo: 90, highWatermark: 100, oldestFetchedAt: 300 })
      yield* TestClock.adjust("4700 millis")
      assert.strictEqual(shown("gauges_partition")[lag], 10)
      assert.strictEqual(shown("gauges_partition")[age], 4.7)
      // The end of a truncated log is behind the settled offset.
      consumer!.snapshot = running({ partition: 3, settledTo: 90, highWatermark: 80 })
      yield* TestClock.adjust("1 second")
      assert.strictEqual(shown("gauges_partition")[lag], undefined)
      assert.strictEqual(shown("gauges_partition")[age], undefined)
    })
  )

  it.scoped("show an age that steps of the wall clock don't change", () =>
    unevenly((step) =>
      Effect.gen(function* () {
        yield* observe("gauges_stepped", running({ oldestFetchedAt: 0 }))
        const age = () =>
          shown("gauges_stepped")["oldest_unsettled_age_seconds{topic=orders,partition=0,group=billing}"]
        for (const [index, millis] of [3_600_000, -7_200_000].entries()) {
          step(millis)
          yield* TestClock.adjust("10 seconds")
          assert.approximately(age()!, (index + 1) * 10, 1)
        }
      })
    )
  )

  it.scoped("of a revoked partition and of a closed consumer go to zero", () =>
    Effect.gen(function* () {
      const behind = { settledTo: 0, highWatermark: 7, oldestFetchedAt: -1_000 }
      const [consumer] = yield* observe("gauges_end", running({ ...behind, partition: 0 }, { ...behind, partition: 1 }))
      consumer!.snapshot = running({ ...behind, partition: 1 })
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(shown("gauges_end"), {
        "assigned_partitions{topic=orders,group=billing}": 1,
        "consumer_lag_records{topic=orders,partition=1,group=billing}": 7,
        "oldest_unsettled_age_seconds{topic=orders,partition=1,group=billing}": 2,
        "consumer_status{group=billing,status=Running}": 1
      })
      yield* Scope.close(consumer!.scope, Exit.void)
      assert.deepStrictEqual(shown("gauges_end"), {})
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(shown("gauges_end"), {})
    })
  )

  it.scoped("of consumers in one group add up, and a partition may move between them", () =>
    Effect.gen(function* () {
      const behind = { settledTo: 0, highWatermark: 7 }
      const [first, second] = yield* observe("gauges_shared", running(behind), running({ ...behind, partition: 1 }))
      const shared = {
        "assigned_partitions{topic=orders,group=billing}": 2,
        "consumer_lag_records{topic=orders,partition=0,group=billing}": 7,
        "consumer_lag_records{topic=orders,partition=1,group=billing}": 7,
        "consumer_status{group=billing,status=Running}": 2
      }
      assert.deepStrictEqual(shown("gauges_shared"), shared)
      first!.snapshot = running({ ...behind, partition: 1 })
      second!.snapshot = running(behind)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(shown("gauges_shared"), shared)
      yield* Scope.close(first!.scope, Exit.void)
      assert.deepStrictEqual(shown("gauges_shared"), {
        "assigned_partitions{topic=orders,group=billing}": 1,
        "consumer_lag_records{topic=orders,partition=0,group=billing}": 7,
        "consumer_status{group=billing,status=Running}": 1
      })
    })
  )

  it.scoped("show the state of the circuit breaker, the maximum of several", () =>
    Effect.gen(function* () {
      const breaker = "circuit_breaker_state{group=billing}"
      const [first, second] = yield* observe(
        "gauges_breaker",
        { ...running(), circuitBreaker: "halfOpen" },
        { ...running(), circuitBreaker: "open" }
      )
      assert.strictEqual(shown("gauges_breaker")[breaker], 2)
      second!.snapshot = { ...running(), circuitBreaker: "closed" }
      yield* TestClock.adjust("1 second")
      assert.strictEqual(shown("gauges_breaker")[breaker], 1)
      first!.snapshot = { ...running(), status: "Failed" }
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(shown("gauges_breaker"), {
        "consumer_status{group=billing,status=Running}": 1,
        "consumer_status{group=billing,status=Failed}": 1
      })
    })
  )
})
