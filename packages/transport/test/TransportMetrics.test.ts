import { assert, describe, it } from "@effect/vitest"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import type * as MetricPair from "effect/MetricPair"
import * as MetricState from "effect/MetricState"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import * as HandlerError from "../src/HandlerError.js"
import type { ConsumerSnapshot } from "../src/runtime/ConsumerSnapshot.js"
import * as MetricsRegistry from "../src/runtime/MetricsRegistry.js"
import * as TransportMetrics from "../src/TransportMetrics.js"

interface Series {
  readonly name: string
  readonly labels: string
  readonly state: MetricState.MetricState.Untyped
}

const series = (service: string): ReadonlyArray<Series> =>
  Metric.unsafeSnapshot()
    .filter(({ metricKey }) => metricKey.name.startsWith(`${service}_`))
    .map(({ metricKey, metricState }: MetricPair.MetricPair.Untyped) => ({
      name: metricKey.name.slice(service.length + 1),
      labels: metricKey.tags.map(({ key, value }) => `${key}=${value}`).join(","),
      state: metricState
    }))

/** The values of a service's series; a histogram's value is its count. */
const values = (service: string): Record<string, number> =>
  Object.fromEntries(
    series(service).map(({ labels, name, state }) => [
      `${name}{${labels}}`,
      MetricState.isCounterState(state)
        ? Number(state.count)
        : MetricState.isGaugeState(state)
          ? Number(state.value)
          : MetricState.isHistogramState(state)
            ? state.count
            : Number.NaN
    ])
  )

const starting: ConsumerSnapshot = { status: "Starting", circuitBreaker: undefined, partitions: [] }

describe("TransportMetrics", () => {
  it.scoped("is off by default and registers nothing", () =>
    Effect.gen(function* () {
      const before = Metric.unsafeSnapshot().length
      const metrics = yield* TransportMetrics.TransportMetrics
      assert.isFalse(metrics.enabled)
      const consumer = metrics.consumer({ topic: "orders", groupId: "off" })
      consumer.received(1)
      consumer.processed("error", 1)
      consumer.failed(new Error("off"))
      metrics.group({ groupId: "off" }).committed(1)
      yield* metrics.observeConsumer({ groupId: "off", topics: ["orders"] }, () => assert.fail("sampled"))
      metrics.producer({ topic: "orders" }).sent(1)
      yield* Effect.scoped(Effect.zipRight(metrics.activeConsumer, metrics.activeProducer))
      assert.strictEqual(Metric.unsafeSnapshot().length, before)
    })
  )

  it.scoped("shows every series of a consumer and a producer at zero from the start", () =>
    Effect.gen(function* () {
      const metrics = yield* MetricsRegistry.make("zero")
      metrics.consumer({ topic: "orders", groupId: "billing" })
      metrics.group({ groupId: "billing" })
      metrics.producer({ topic: "orders" })
      yield* metrics.observeConsumer({ groupId: "billing", topics: ["orders"] }, () => starting)
      assert.deepStrictEqual(values("zero"), {
        "uptime_seconds{}": 0,
        "messages_received_total{topic=orders,group=billing}": 0,
        "messages_processed_total{topic=orders,group=billing,status=success}": 0,
        "messages_processed_total{topic=orders,group=billing,status=error}": 0,
        "message_processing_duration_seconds{topic=orders,group=billing}": 0,
        "retry_attempts_total{topic=orders,group=billing}": 0,
        "dlq_messages_total{topic=orders,group=billing}": 0,
        "dlq_publish_failures_total{topic=orders,group=billing}": 0,
        "offset_resets_total{topic=orders,group=billing}": 0,
        "rebalances_total{group=billing}": 0,
        "commits_total{group=billing,status=success}": 0,
        "commits_total{group=billing,status=error}": 0,
        "commit_duration_seconds{group=billing}": 0,
        "assigned_partitions{topic=orders,group=billing}": 0,
        "in_flight_records{topic=orders,group=billing}": 0,
        "buffered_records{topic=orders,group=billing}": 0,
        "buffered_bytes{topic=orders,group=billing}": 0,
        "paused_partitions{topic=orders,group=billing}": 0,
        "retries_waiting{topic=orders,group=billing}": 0,
        "consumer_status{group=billing,status=Starting}": 1,
        "consumer_status{group=billing,status=Running}": 0,
        "consumer_status{group=billing,status=Paused}": 0,
        "consumer_status{group=billing,status=Draining}": 0,
        "consumer_status{group=billing,status=Stopped}": 0,
        "consumer_status{group=billing,status=Failed}": 0,
        "circuit_breaker_state{group=billing}": 0,
        "skipped_batches_total{topic=orders,group=billing}": 0,
        "skipped_offsets_total{topic=orders,group=billing}": 0,
        "messages_sent_total{topic=orders}": 0,
        "message_publish_duration_seconds{topic=orders}": 0,
        "messages_abandoned_total{topic=orders}": 0,
        "active_consumers{}": 0,
        "active_producers{}": 0
      })
    })
  )

  it.scoped("counts by labels", () =>
    Effect.gen(function* () {
      const metrics = yield* MetricsRegistry.make("counts")
      const consumer = metrics.consumer({ topic: "orders", groupId: "billing" })
      const other = metrics.consumer({ topic: "orders", groupId: "audit" })
      consumer.received(5)
      consumer.processed("success", 2)
      consumer.processed("error", 1)
      consumer.processingDuration(0.02)
      consumer.retried(3)
      consumer.deadLettered(1)
      consumer.deadLetterFailed(2)
      consumer.offsetReset()
      const group = metrics.group({ groupId: "billing" })
      group.rebalanced()
      group.committed(0.05)
      group.commitFailed()
      consumer.skipped(30)
      consumer.skipped(12)
      other.received(7)
      const producer = metrics.producer({ topic: "orders-dlq" })
      producer.sent(4)
      producer.publishDuration(0.1)
      const found = values("counts")
      assert.strictEqual(found["messages_received_total{topic=orders,group=billing}"], 5)
      assert.strictEqual(found["messages_received_total{topic=orders,group=audit}"], 7)
      assert.strictEqual(found["messages_processed_total{topic=orders,group=billing,status=success}"], 2)
      assert.strictEqual(found["messages_processed_total{topic=orders,group=billing,status=error}"], 1)
      assert.strictEqual(found["message_processing_duration_seconds{topic=orders,group=billing}"], 1)
      assert.strictEqual(found["retry_attempts_total{topic=orders,group=billing}"], 3)
      assert.strictEqual(found["dlq_messages_total{topic=orders,group=billing}"], 1)
      assert.strictEqual(found["dlq_publish_failures_total{topic=orders,group=billing}"], 2)
      assert.strictEqual(found["offset_resets_total{topic=orders,group=billing}"], 1)
      assert.strictEqual(found["rebalances_total{group=billing}"], 1)
      assert.strictEqual(found["commits_total{group=billing,status=success}"], 1)
      assert.strictEqual(found["commits_total{group=billing,status=error}"], 1)
      assert.strictEqual(found["commit_duration_seconds{group=billing}"], 1)
      assert.strictEqual(found["skipped_batches_total{topic=orders,group=billing}"], 2)
      assert.strictEqual(found["skipped_offsets_total{topic=orders,group=billing}"], 42)
      assert.strictEqual(found["messages_sent_total{topic=orders-dlq}"], 4)
      assert.strictEqual(found["message_publish_duration_seconds{topic=orders-dlq}"], 1)
    })
  )

  it.scoped("counts failures by class, and those after the fiftieth class together", () =>
    Effect.gen(function* () {
      class Declined extends Data.TaggedError("Declined") {}
      const metrics = yield* MetricsRegistry.make("classes")
      const consumer = metrics.consumer({ topic: "orders", groupId: "billing" })
      const other = metrics.consumer({ topic: "refunds", groupId: "billing" })
      consumer.failed(new HandlerError.TemporaryError({ cause: new Declined() }))
      consumer.failed(new Declined())
      consumer.failed(new TypeError("x"))
      consumer.failed({ _tag: "" })
      consumer.failed({
        get _tag() {
          throw new Error("unreadable")
        }
      })
      for (let i = 0; i < 60; i++) other.failed({ _tag: `Class${i}` })
      consumer.failed(new Declined())
      consumer.failed(new RangeError("late"))
      const found = Object.entries(values("classes")).filter(([name]) => name.startsWith("handler_failures_total"))
      const of = (topic: string, error: string) =>
        found.find(([name]) => name === `handler_failures_total{topic=${topic},group=billing,error=${error}}`)?.[1]
      assert.strictEqual(of("orders", "Declined"), 3)
      assert.strictEqual(of("orders", "TypeError"), 1)
      assert.strictEqual(of("orders", "RangeError"), undefined)
      assert.strictEqual(of("orders", "object"), 1)
      assert.strictEqual(of("orders", "other"), 2)
      assert.strictEqual(of("refunds", "Class45"), 1)
      assert.strictEqual(of("refunds", "other"), 13)
    })
  )

  it.scoped("returns one instance per label set, and shares a series between two layers of a service", () =>
    Effect.gen(function* () {
      const first = yield* MetricsRegistry.make("same")
      const second = yield* MetricsRegistry.make("same")
      const labels = { topic: "orders", groupId: "billing" }
      assert.strictEqual(first.consumer(labels), first.consumer({ ...labels }))
      assert.notStrictEqual(first.consumer(labels), first.consumer({ topic: "orders", groupId: "audit" }))
      assert.strictEqual(first.producer({ topic: "orders" }), first.producer({ topic: "orders" }))
      for (const metrics of [first, second]) {
        metrics.consumer(labels).received(1)
        metrics.consumer(labels).processingDuration(1)
      }
      const keys = series("same").map(({ labels, name }) => `${name}{${labels}}`)
      assert.strictEqual(new Set(keys).size, keys.length)
      const found = values("same")
      assert.strictEqual(found["messages_received_total{topic=orders,group=billing}"], 2)
      assert.strictEqual(found["message_processing_duration_seconds{topic=orders,group=billing}"], 2)
    })
  )

  it.scoped("measures durations in seconds, in buckets from half a millisecond to ten seconds", () =>
    Effect.gen(function* () {
      const metrics = yield* MetricsRegistry.make("buckets")
      const { processingDuration } = metrics.consumer({ topic: "orders", groupId: "billing" })
      for (const seconds of [0.0004, 0.005, 0.006, 11]) processingDuration(seconds)
      const { state } = series("buckets").find(({ name }) => name === "message_processing_duration_seconds")!
      assert.isTrue(MetricState.isHistogramState(state))
      const { buckets, count, sum } = state as MetricState.MetricState.Histogram
      assert.deepStrictEqual(
        buckets.map(([bound]) => bound),
        [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, Infinity]
      )
      assert.strictEqual(new Map(buckets).get(0.0005), 1)
      assert.strictEqual(new Map(buckets).get(0.005), 2)
      assert.strictEqual(new Map(buckets).get(0.01), 3)
      assert.strictEqual(new Map(buckets).get(10), 3)
      assert.strictEqual(count, 4)
      assert.approximately(sum, 11.0114, 1e-9)
    })
  )

  it.scoped("counts open consumers and producers until their scopes close", () =>
    Effect.gen(function* () {
      const metrics = yield* MetricsRegistry.make("active")
      const first = yield* Scope.make()
      const second = yield* Scope.make()
      yield* Scope.extend(Effect.zipRight(metrics.activeConsumer, metrics.activeProducer), first)
      yield* Scope.extend(metrics.activeConsumer, second)
      assert.strictEqual(values("active")["active_consumers{}"], 2)
      assert.strictEqual(values("active")["active_producers{}"], 1)
      yield* Scope.close(first, Exit.void)
      assert.strictEqual(values("active")["active_consumers{}"], 1)
      assert.strictEqual(values("active")["active_producers{}"], 0)
      yield* Scope.close(second, Exit.void)
      assert.strictEqual(values("active")["active_consumers{}"], 0)
    })
  )

  it.effect("updates uptime every second until its scope closes", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      yield* TestClock.adjust("10 seconds")
      yield* Scope.extend(MetricsRegistry.make("uptime"), scope)
      assert.strictEqual(values("uptime")["uptime_seconds{}"], 0)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(values("uptime")["uptime_seconds{}"], 1)
      yield* TestClock.adjust("90 seconds")
      assert.strictEqual(values("uptime")["uptime_seconds{}"], 91)
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(values("uptime")["uptime_seconds{}"], 91)
    })
  )

  it.effect("is turned on by its layer", () =>
    Effect.gen(function* () {
      const metrics = yield* TransportMetrics.TransportMetrics
      assert.isTrue(metrics.enabled)
    }).pipe(Effect.provide(TransportMetrics.layer({ service: "layered" })))
  )

  for (const service of ["", "example-service", "1st", "a b", "сервис"]) {
    it.effect(`rejects the service ${JSON.stringify(service)}`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(Layer.launch(TransportMetrics.layer({ service })))
        assert.strictEqual(error.module, "TransportMetrics")
        assert.deepStrictEqual(
          error.issues.map(({ field, value }) => [field, value]),
          [["service", service]]
        )
        assert.include(error.message, JSON.stringify(service))
      })
    )
  }

  for (const service of ["example_service", "_", ":a", "A1"]) {
    it.scoped(`accepts the service ${service}`, () => Layer.build(TransportMetrics.layer({ service })))
  }
})
