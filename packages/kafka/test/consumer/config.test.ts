import { assert, describe, it } from "@effect/vitest"
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import { MemoryBroker } from "@spillway/memory/MemoryBroker"
import * as Codec from "@spillway/transport/Codec"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import * as HandlerError from "@spillway/transport/HandlerError"
import * as MetricsRegistry from "@spillway/transport/runtime/MetricsRegistry"
import * as TransportMetrics from "@spillway/transport/TransportMetrics"
import type { ConfigError } from "effect/ConfigError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import { problemsOf, read, type Variables, withVariables } from "../../../transport/test/support/environment.js"
import { makeCalls, onBroker, options, topic } from "../support/consumerTesting.js"

const code = { value: Codec.text, handler: () => Effect.void }

const topics = { [topic]: 1, dead: 1, [`${topic}-dlq`]: 1 }

describe("KafkaConsumer.config", () => {
  it.effect("merges options from variables with the program's own", () =>
    Effect.gen(function* () {
      const variables = {
        KAFKA_CONSUMER_TOPICS: "orders, payments",
        KAFKA_CONSUMER_SESSION_TIMEOUT: "10 seconds",
        KAFKA_CONSUMER_MAX_LANE_RECORDS: "7",
        KAFKA_CONSUMER_INITIAL_OFFSET: "latest"
      }
      assert.deepStrictEqual(yield* read(KafkaConsumer.config({ groupId: "billing", maxLaneRecords: 5 }), variables), {
        groupId: "billing",
        topics: ["orders", "payments"],
        sessionTimeout: Duration.seconds(10),
        maxLaneRecords: 7,
        initialOffset: "latest"
      })
    })
  )

  it.effect("reads a topic pattern between slashes", () =>
    Effect.gen(function* () {
      const config = KafkaConsumer.config({ groupId: "billing" })
      const { topics } = yield* read(config, { KAFKA_CONSUMER_TOPICS: "/^orders\\.(eu|us)$/i" })
      assert.deepStrictEqual(topics, /^orders\.(eu|us)$/i)
      const error = yield* Effect.flip(read(config, { KAFKA_CONSUMER_TOPICS: "/(/" }))
      assert.include(String(error), 'topics must be topics or a regular expression, not "/(/"')
    })
  )
})

describe("KafkaConsumer.layerConfig", () => {
  it.effect("handles, retries and dead-letters as the environment configures", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      yield* KafkaConsumer.layerConfig({
        ...code,
        groupId: "unless it is set",
        reliability: { retryCount: 9, dlqTopic: "dead" },
        handler: calls.handler(() => Effect.fail("never"))
      }).pipe(
        Layer.provide(KafkaProducer.layer()),
        Layer.build,
        withVariables({
          KAFKA_CONSUMER_GROUP_ID: "billing",
          KAFKA_CONSUMER_TOPICS: topic,
          RELIABILITY_RETRY_COUNT: "1",
          RELIABILITY_DLQ_HEADERS: "spring"
        })
      )
      yield* broker.produce(topic, [{ value: "a" }])
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(calls.all.length, 2)
      const [letter] = yield* broker.records("dead")
      const metadata = Option.getOrThrow(
        DeadLetter.metadata({ topic: "dead", partition: 0, offset: 0, headers: letter!.headers })
      )
      assert.deepInclude(metadata, { groupId: "billing", topic, partition: 0, offset: 0, retryCount: 1 })
      assert.include(
        letter!.headers.map(([name]) => name),
        "kafka_dlt-original-topic"
      )
    }).pipe(onBroker({ topics }))
  )

  const refused = (variables: Variables) =>
    Effect.gen(function* () {
      const error = yield* KafkaConsumer.layerConfig(code, "ORDERS").pipe(
        Layer.provide(KafkaProducer.layer()),
        Layer.build,
        withVariables(variables),
        Effect.flip
      )
      return problemsOf(error as ConfigError)
    })

  it.effect("reports every invalid variable in one error, with option and value", () =>
    Effect.gen(function* () {
      const wrong = {
        ORDERS_KAFKA_CONSUMER_GROUP_ID: " ",
        ORDERS_KAFKA_CONSUMER_TOPICS: "orders,no topic,..",
        ORDERS_KAFKA_CONSUMER_INITIAL_OFFSET: "newest",
        ORDERS_KAFKA_CONSUMER_OFFSET_OUT_OF_RANGE: "ignore",
        ORDERS_KAFKA_CONSUMER_SESSION_TIMEOUT: "2 seconds",
        ORDERS_KAFKA_CONSUMER_HEARTBEAT_INTERVAL: "3 seconds",
        ORDERS_KAFKA_CONSUMER_REVOKE_TIMEOUT: "2 hours",
        ORDERS_KAFKA_CONSUMER_COMMIT_INTERVAL: "0 seconds",
        ORDERS_KAFKA_CONSUMER_DRAIN_TIMEOUT: "30",
        ORDERS_KAFKA_CONSUMER_MAX_LANE_RECORDS: "0",
        ORDERS_KAFKA_CONSUMER_FETCH_MAX_BYTES: "10MB",
        ORDERS_RELIABILITY_RETRY_COUNT: "-1",
        ORDERS_RELIABILITY_RETRY_BACKOFF: "soon"
      }
      const variable = (name: string) => `ORDERS_KAFKA_CONSUMER_${name}`
      assert.deepStrictEqual(yield* refused(wrong), [
        `${variable("INITIAL_OFFSET")}: initialOffset must be one of earliest, latest, not "newest"`,
        `${variable("OFFSET_OUT_OF_RANGE")}: offsetOutOfRange must be one of fail, earliest, latest, not "ignore"`,
        `${variable("DRAIN_TIMEOUT")}: drainTimeout must be a duration such as "30 seconds", not "30"`,
        `${variable("FETCH_MAX_BYTES")}: fetchMaxBytes must be a number, not "10MB"`,
        `${variable("GROUP_ID")}: groupId must not be empty, but isn't set`,
        `${variable("TOPICS")}: topics[1] must be a legal topic name, not "no topic"`,
        `${variable("TOPICS")}: topics[2] must be a legal topic name, not ".."`,
        `${variable("COMMIT_INTERVAL")}: commitInterval must be a duration above zero and below 25 days, not "0 seconds"`,
        `${variable("MAX_LANE_RECORDS")}: maxLaneRecords must be a whole number from 1 to 2147483647, not "0"`,
        `${variable("HEARTBEAT_INTERVAL")}: heartbeatInterval must be below sessionTimeout (2000 ms), not "3 seconds"`,
        `${variable("REVOKE_TIMEOUT")}: revokeTimeout must be below rebalanceTimeout (60000 ms), not "2 hours"`,
        'ORDERS_RELIABILITY_RETRY_BACKOFF: retryBackoff must be a duration such as "30 seconds", not "soon"',
        'ORDERS_RELIABILITY_RETRY_COUNT: retryCount must be a whole number, at least 0, not "-1"'
      ])
    }).pipe(onBroker({ topics }))
  )

  it.effect("requires a group and a topic", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* refused({}), [
        "ORDERS_KAFKA_CONSUMER_GROUP_ID: groupId must not be empty, but isn't set",
        "ORDERS_KAFKA_CONSUMER_TOPICS: topics must name at least one topic, but isn't set"
      ])
    }).pipe(onBroker({ topics }))
  )
})

describe("KafkaConsumer's metrics", () => {
  for (const metrics of [undefined, true, false]) {
    it.effect(`count unless turned off (${metrics})`, () =>
      Effect.gen(function* () {
        const broker = yield* MemoryBroker
        const counting = yield* MetricsRegistry.make(`metrics_${metrics}`)
        const asked: Array<string> = []
        const seen = {
          ...counting,
          consumer: (labels: { readonly topic: string; readonly groupId: string }) => {
            asked.push(labels.topic)
            return counting.consumer(labels)
          }
        }
        const consumer = yield* KafkaConsumer.make({
          ...options,
          metrics,
          handler: () => HandlerError.nonRetryable("bad")
        }).pipe(Effect.provideService(TransportMetrics.TransportMetrics, seen))
        yield* broker.produce(topic, [{ value: "a" }])
        yield* TestClock.adjust("1 second")
        assert.strictEqual((yield* consumer.report).discarded, 1)
        assert.strictEqual(asked.length > 0, metrics !== false)
      }).pipe(onBroker({ topics }))
    )
  }
})

describe("KafkaConsumer.layerConfigTransactional", () => {
  it.effect("writes results and dead letters as the environment configures", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      yield* KafkaConsumer.layerConfigTransactional(
        {
          value: Codec.text,
          groupId: "billing",
          reliability: { retryCount: 0 },
          handler: ({ value }) => (value === "b" ? Effect.fail("never") : Effect.succeed([{ topic: "results", value }]))
        },
        "ORDERS"
      ).pipe(
        Layer.build,
        withVariables({
          ORDERS_KAFKA_CONSUMER_TOPICS: topic,
          ORDERS_KAFKA_PRODUCER_TRANSACTIONAL_ID: "billing-1",
          ORDERS_KAFKA_PRODUCER_COMPRESSION: "gzip",
          ORDERS_RELIABILITY_DLQ_TOPIC: "dead"
        })
      )
      yield* broker.produce(topic, [{ value: "a" }, { value: "b" }])
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* broker.records("results")).length, 1)
      assert.strictEqual((yield* broker.records("dead")).length, 1)
    }).pipe(onBroker({ topics: { ...topics, results: 1 } }))
  )

  it.effect("reports every invalid variable in one error", () =>
    Effect.gen(function* () {
      const error = yield* KafkaConsumer.layerConfigTransactional({
        value: Codec.text,
        groupId: "billing",
        handler: () => Effect.succeed([])
      }).pipe(
        Layer.build,
        withVariables({
          KAFKA_CONSUMER_MAX_TRANSACTION_BYTES: "0",
          KAFKA_PRODUCER_TRANSACTION_TIMEOUT: "0 seconds",
          RELIABILITY_RETRY_COUNT: "-1"
        }),
        Effect.flip
      )
      assert.deepStrictEqual(
        problemsOf(error as ConfigError).map((text) => text.split(" ")[0]),
        [
          "KAFKA_CONSUMER_TOPICS:",
          "KAFKA_CONSUMER_MAX_TRANSACTION_BYTES:",
          "KAFKA_PRODUCER_TRANSACTIONAL_ID:",
          "KAFKA_PRODUCER_TRANSACTION_TIMEOUT:",
          "RELIABILITY_RETRY_COUNT:"
        ]
      )
    }).pipe(onBroker({ topics }))
  )
})
