import { assert, describe, it } from "@effect/vitest"
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import { Wire, WireError } from "@spillway/kafka/Wire"
import { MemoryBroker } from "@spillway/memory/MemoryBroker"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import * as HandlerError from "@spillway/transport/HandlerError"
import * as RetryPolicy from "@spillway/transport/RetryPolicy"
import * as TransportMetrics from "@spillway/transport/TransportMetrics"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import { group, observed, onBroker, options, quiet, topic } from "../support/consumerTesting.js"
import { metricValue } from "../support/metricValues.js"

const metered = (service: string) => ({
  on: Effect.provide(TransportMetrics.layer({ service })),
  ofTopic: (name: string) => metricValue(`${service}_${name}`, { topic, group }),
  ofPartition: (name: string, partition = 0) =>
    metricValue(`${service}_${name}`, { topic, partition: String(partition), group }),
  of: (name: string, labels: Readonly<Record<string, string>> = {}) =>
    metricValue(`${service}_${name}`, { group, ...labels })
})

describe("the metrics of a consumer", () => {
  it.effect("show its lag and buffer", () =>
    Effect.gen(function* () {
      const metrics = metered("consumer_lag")
      const broker = yield* MemoryBroker
      const gate = yield* Deferred.make<void>()
      yield* broker.produce(
        topic,
        Array.from({ length: 10 }, (_, i) => ({ value: String(i) }))
      )
      yield* KafkaConsumer.make({
        ...options,
        maxLaneRecords: 1,
        handler: ({ value }) => (value === "3" ? Deferred.await(gate) : Effect.void)
      }).pipe(metrics.on)
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(metrics.ofPartition("consumer_lag_records"), 7)
      assert.strictEqual(metrics.ofPartition("consumer_lag_records", 1), 0)
      assert.strictEqual(metrics.ofPartition("oldest_unsettled_age_seconds"), 5)
      assert.strictEqual(metrics.ofPartition("oldest_unsettled_age_seconds", 1), 0)
      assert.strictEqual(metrics.ofTopic("in_flight_records"), 1)
      assert.strictEqual(metrics.ofTopic("buffered_records"), 6)
      assert.isAbove(metrics.ofTopic("buffered_bytes")!, 0)
      assert.strictEqual(metrics.ofTopic("assigned_partitions"), 2)
      assert.strictEqual(metrics.of("consumer_status", { status: "Running" }), 1)
      yield* Deferred.succeed(gate, undefined)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(metrics.ofPartition("consumer_lag_records"), 0)
      assert.strictEqual(metrics.ofPartition("oldest_unsettled_age_seconds"), 0)
      assert.strictEqual(metrics.ofTopic("in_flight_records"), 0)
      assert.strictEqual(metrics.ofTopic("buffered_records"), 0)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(metrics.ofTopic("buffered_bytes"), 0)
    }).pipe(onBroker({ topics: { [topic]: 2 } }))
  )

  it.effect("count failed attempts and pending retries", () =>
    Effect.gen(function* () {
      const metrics = metered("consumer_failures")
      const broker = yield* MemoryBroker
      yield* KafkaConsumer.make({
        ...options,
        retry: RetryPolicy.fixed({ retries: 2, delay: "10 seconds" }),
        handler: ({ value }) => HandlerError.temporary(value === "bad" ? new RangeError(value) : new TypeError(value))
      }).pipe(metrics.on)
      yield* broker.produce(topic, [{ value: "bad" }, { value: "worse", partition: 1 }])
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(metrics.ofTopic("retries_waiting"), 2)
      assert.strictEqual(metrics.ofTopic("in_flight_records"), 2)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(metrics.ofTopic("retries_waiting"), 0)
      assert.strictEqual(metrics.of("handler_failures_total", { topic, error: "RangeError" }), 3)
      assert.strictEqual(metrics.of("handler_failures_total", { topic, error: "TypeError" }), 3)
    }).pipe(onBroker({ topics: { [topic]: 2 } }))
  )

  it.effect("count commits, timed when they are acknowledged, and each generation", () =>
    Effect.gen(function* () {
      const metrics = metered("consumer_commits")
      const broker = yield* MemoryBroker
      let refuse = false
      const wire = observed(broker.wire, (api) =>
        refuse && api === "OffsetCommit"
          ? Effect.fail(new WireError({ reason: "Timeout", endpoint: "memory:9092", description: "refused" }))
          : Effect.void
      )
      yield* KafkaConsumer.make({ ...options, handler: () => Effect.void }).pipe(
        Effect.provideService(Wire, wire),
        metrics.on
      )
      assert.strictEqual(metrics.of("rebalances_total"), 1)
      // The first commit contains the partitions' start offsets.
      assert.strictEqual(metrics.of("commits_total", { status: "success" }), 1)
      yield* broker.produce(topic, [{ value: "a" }])
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(metrics.of("commits_total", { status: "success" }), 2)
      assert.strictEqual(metrics.of("commit_duration_seconds"), 2)
      assert.strictEqual(metrics.of("commits_total", { status: "error" }), 0)
      refuse = true
      yield* broker.produce(topic, [{ value: "b" }])
      yield* TestClock.adjust("3 seconds")
      assert.isAtLeast(metrics.of("commits_total", { status: "error" })!, 2)
      assert.strictEqual(metrics.of("commit_duration_seconds"), 2)
      refuse = false
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(metrics.of("commits_total", { status: "success" }), 3)
      yield* KafkaConsumer.make({ ...options, handler: () => Effect.void }).pipe(Effect.fork)
      yield* TestClock.adjust("5 seconds")
      // A partition that moves is revoked in one generation and assigned in the next.
      assert.strictEqual(metrics.of("rebalances_total"), 3)
      assert.strictEqual(metrics.ofTopic("assigned_partitions"), 1)
    }).pipe(onBroker({ topics: { [topic]: 2 } }))
  )

  it.effect("count offsets that were out of range and reset by the policy", () =>
    Effect.gen(function* () {
      const metrics = metered("consumer_resets")
      const broker = yield* MemoryBroker
      yield* Effect.scoped(KafkaConsumer.make({ ...options, handler: () => Effect.void }))
      yield* broker.produce(topic, [{ value: "a" }, { value: "b" }, { value: "c" }])
      yield* broker.truncateBefore(topic, 0, 2)
      yield* KafkaConsumer.make({ ...options, offsetOutOfRange: "earliest", handler: () => Effect.void }).pipe(
        metrics.on
      )
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(metrics.ofTopic("offset_resets_total"), 1)
    }).pipe(onBroker({ topics: { [topic]: 1 } }))
  )

  it.effect("count each try to publish a dead letter that failed", () =>
    Effect.gen(function* () {
      const metrics = metered("consumer_dlq")
      const broker = yield* MemoryBroker
      yield* KafkaConsumer.make({
        ...options,
        retry: RetryPolicy.none,
        deadLetter: DeadLetter.topic("dead"),
        handler: () => Effect.fail("declined")
      }).pipe(Effect.provide(KafkaProducer.layer({ unknownTopicTimeout: 0 })), metrics.on)
      yield* broker.deleteTopic("dead")
      yield* broker.produce(topic, [{ value: "a" }])
      yield* TestClock.adjust("10 seconds")
      assert.isAtLeast(metrics.ofTopic("dlq_publish_failures_total")!, 2)
      assert.strictEqual(metrics.ofTopic("dlq_messages_total"), 0)
      assert.strictEqual(metrics.ofTopic("retries_waiting"), 0)
      assert.strictEqual(metrics.ofTopic("in_flight_records"), 1)
      yield* quiet
    }).pipe(onBroker({ topics: { [topic]: 1, dead: 1 } }))
  )

  it.effect("show the status to the end, and are zero once it has closed", () =>
    Effect.gen(function* () {
      const metrics = metered("consumer_closed")
      const broker = yield* MemoryBroker
      yield* broker.produce(topic, [{ value: "a" }])
      yield* Effect.scoped(
        Effect.gen(function* () {
          const consumer = yield* KafkaConsumer.make({ ...options, handler: () => Effect.never })
          yield* TestClock.adjust("2 seconds")
          assert.strictEqual(metrics.ofPartition("consumer_lag_records"), 1)
          yield* consumer.stop
          yield* TestClock.adjust("2 seconds")
          assert.strictEqual(metrics.of("consumer_status", { status: "Draining" }), 1)
          yield* TestClock.adjust("30 seconds")
          assert.strictEqual(metrics.of("consumer_status", { status: "Stopped" }), 1)
          assert.strictEqual(metrics.ofTopic("assigned_partitions"), 0)
        })
      ).pipe(metrics.on)
      for (const name of ["consumer_lag_records", "oldest_unsettled_age_seconds"]) {
        assert.strictEqual(metrics.ofPartition(name), 0, name)
      }
      assert.strictEqual(metrics.of("consumer_status", { status: "Stopped" }), 0)
    }).pipe(onBroker({ topics: { [topic]: 1 } }))
  )
})
