import { assert, it } from "@effect/vitest"
import * as Codec from "@spillway/transport/Codec"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import * as RetryPolicy from "@spillway/transport/RetryPolicy"
import * as TransportMetrics from "@spillway/transport/TransportMetrics"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import { describeKafka, uniqueName } from "../../../../scripts/kafka/testing.js"
import * as KafkaAdmin from "../../src/KafkaAdmin.js"
import * as KafkaConsumer from "../../src/KafkaConsumer.js"
import * as Fixture from "../support/fixture.js"
import { metricValue } from "../support/metricValues.js"

/** Ends when the series have these values; gauges follow a second behind. */
const become = (expected: Readonly<Record<string, number>>, read: (name: string) => number | undefined) =>
  Effect.try(() => {
    const found = Object.fromEntries(Object.keys(expected).map((name) => [name, read(name)]))
    assert.deepStrictEqual(found, expected)
  }).pipe(
    Effect.retry(Schedule.spaced("50 millis").pipe(Schedule.upTo("10 seconds"))),
    Effect.mapError(({ error }) => error as Error)
  )

describeKafka("The metrics of a consumer", (brokers) => {
  it.scopedLive("show its lag and buffer, and follow partitions to another member", () =>
    Fixture.run(brokers, () =>
      Effect.gen(function* () {
        const service = "kafka_lag"
        const groupId = uniqueName("group")
        const topic = yield* Fixture.createTopic(2)
        yield* Fixture.produce(topic, 2, 2_000)
        const latch = yield* Effect.makeLatch(false)
        const member = (name: string) =>
          KafkaConsumer.make({
            groupId,
            topics: [topic],
            value: Codec.text,
            handler: ({ offset }) => (offset < 300 ? Effect.void : latch.await),
            deadLetter: DeadLetter.none("stop"),
            commitInterval: "200 millis",
            heartbeatInterval: "200 millis",
            revokeTimeout: "500 millis",
            drainTimeout: "500 millis"
          }).pipe(Effect.provide(TransportMetrics.layer({ service: name })))
        const of = (service: string) => (name: string) => {
          const [metric, partition] = name.split("/")
          const labels = partition === undefined ? { topic } : { topic, partition }
          return metricValue(`${service}_${metric}`, { ...labels, group: groupId })
        }
        yield* member(service)
        yield* become(
          {
            "consumer_lag_records/0": 700,
            "consumer_lag_records/1": 700,
            in_flight_records: 2,
            buffered_records: 1_398,
            assigned_partitions: 2
          },
          of(service)
        )
        const commits = metricValue(`${service}_commits_total`, { group: groupId, status: "success" })
        assert.isAtLeast(commits!, 2)
        assert.strictEqual(metricValue(`${service}_commit_duration_seconds`, { group: groupId }), commits)
        assert.strictEqual(metricValue(`${service}_commits_total`, { group: groupId, status: "error" }), 0)
        assert.strictEqual(metricValue(`${service}_rebalances_total`, { group: groupId }), 1)

        const second = yield* Scope.make()
        yield* Scope.extend(member("kafka_lag_second"), second)
        yield* become({ assigned_partitions: 1, in_flight_records: 1 }, of(service))
        yield* become({ assigned_partitions: 1, in_flight_records: 1 }, of("kafka_lag_second"))
        assert.isAtLeast(metricValue(`${service}_rebalances_total`, { group: groupId })!, 2)
        const lags = (service: string) => [0, 1].map((partition) => of(service)(`consumer_lag_records/${partition}`))
        assert.sameMembers(lags(service), [700, 0])
        assert.sameMembers(lags("kafka_lag_second"), [700, undefined])

        yield* latch.open
        yield* become({ buffered_records: 0, in_flight_records: 0 }, of(service))
        yield* become({ "consumer_lag_records/0": 0, "consumer_lag_records/1": 0 }, of(service))
        yield* Scope.close(second, Exit.void)
        yield* become({ assigned_partitions: 2 }, of(service))
        yield* become({ assigned_partitions: 0 }, of("kafka_lag_second"))
      })
    )
  )

  it.scopedLive("count failures by class, and dead letters that the broker refuses", () =>
    Fixture.run(brokers, () =>
      Effect.gen(function* () {
        const service = "kafka_failures"
        const groupId = uniqueName("group")
        const topic = yield* Fixture.createTopic(1)
        // A compacted topic takes no record without a key.
        const dead = uniqueName("dead")
        yield* KafkaAdmin.once((admin) =>
          admin.createTopics([{ topic: dead, partitions: 1, configs: { "cleanup.policy": "compact" } }])
        )
        yield* KafkaConsumer.make({
          groupId,
          topics: [topic],
          value: Codec.text,
          handler: () => Effect.fail(new RangeError("declined")),
          retry: RetryPolicy.fixed({ retries: 1, delay: "10 millis" }),
          deadLetter: DeadLetter.topic(dead),
          drainTimeout: "1 second"
        }).pipe(Effect.provide(TransportMetrics.layer({ service })))
        yield* Fixture.produce(topic, 1, 1)
        const of = (name: string) => metricValue(`${service}_${name}`, { topic, group: groupId })
        yield* Fixture.within("two failures")(
          Effect.repeat(Effect.sleep("50 millis"), { until: () => of("dlq_publish_failures_total")! >= 2 })
        )
        const failures = metricValue(`${service}_handler_failures_total`, {
          topic,
          group: groupId,
          error: "RangeError"
        })
        assert.strictEqual(failures, 2)
        assert.strictEqual(of("dlq_messages_total"), 0)
        yield* become({ in_flight_records: 1, retries_waiting: 0 }, of)
      })
    )
  )
})
