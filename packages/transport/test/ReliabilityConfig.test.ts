import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import type { Destination } from "../src/DeadLetter.js"
import * as ScheduleCursor from "../src/internal/scheduleCursor.js"
import type { Producer } from "../src/Producer.js"
import * as ReliabilityConfig from "../src/ReliabilityConfig.js"
import { carriedBy } from "../src/runtime/CarriedIssues.js"
import * as Environment from "../src/runtime/Environment.js"
import { failureOf } from "../src/runtime/Failure.js"
import { problemsOf, read, type Variables } from "./support/environment.js"
import { makeWorld, producerLayer } from "./support/processor.js"

const failure = failureOf(Cause.fail("failed"), 1)

const decided = ({ deadLetter, metrics, retry }: ReliabilityConfig.Reliability<Producer>) =>
  Effect.gen(function* () {
    const delays: Array<number> = []
    let step = yield* ScheduleCursor.make(retry).next(failure)
    while (Option.isSome(step)) {
      delays.push(Duration.toMillis(step.value.delay))
      step = yield* step.value.cursor.next(failure)
    }
    const destination: Destination = yield* deadLetter.destination
    return { delays, destination, metrics }
  }).pipe(Effect.withRandom(Random.fixed([0])), Effect.provide(producerLayer(makeWorld())))

const variables = {
  RELIABILITY_RETRY_COUNT: "2",
  RELIABILITY_RETRY_BACKOFF: "10 millis",
  RELIABILITY_RETRY_BACKOFF_MULTIPLIER: "3.5",
  RELIABILITY_MAX_RETRY_BACKOFF: "20 millis",
  RELIABILITY_DLQ_TOPIC: "dead",
  RELIABILITY_DLQ_HEADERS: "spring",
  RELIABILITY_DLQ_RETRY_HEADER: "retries",
  RELIABILITY_DLQ_ERROR_HEADER: "error",
  RELIABILITY_DLQ_TIMESTAMP_HEADER: "failed",
  RELIABILITY_DLQ_TOO_LARGE: "stop",
  RELIABILITY_ENABLE_METRICS: "false"
}

describe("ReliabilityConfig.options", () => {
  it.effect("has the documented defaults", () =>
    Effect.gen(function* () {
      const { delays, destination, metrics } = yield* decided(ReliabilityConfig.options())
      assert.deepStrictEqual(delays, [1_000, 2_000, 4_000])
      assert.isTrue(metrics)
      assert(destination._tag === "Topic")
      assert.strictEqual(destination.topicOf("orders"), "orders-dlq")
      assert.strictEqual(destination.tooLarge, "block")
      const capped = yield* decided(ReliabilityConfig.options({ retryCount: 6 }))
      assert.deepStrictEqual(capped.delays.slice(-2), [16_000, 30_000])
    })
  )

  it.effect("accepts every field, also from the environment", () =>
    Effect.gen(function* () {
      const given: ReliabilityConfig.ReliabilityConfig = {
        retryCount: 2,
        retryBackoff: Duration.millis(10),
        retryBackoffMultiplier: 3.5,
        maxRetryBackoff: Duration.millis(20),
        dlqTopic: "dead",
        dlqHeaders: "spring",
        dlqRetryHeader: "retries",
        dlqErrorHeader: "error",
        dlqTimestampHeader: "failed",
        dlqTooLarge: "stop",
        enableMetrics: false
      }
      assert.deepStrictEqual(yield* read(ReliabilityConfig.config(), variables), given)
      const { delays, destination, metrics } = yield* decided(ReliabilityConfig.options(given))
      assert.deepStrictEqual(delays, [10, 20])
      assert.isFalse(metrics)
      assert(destination._tag === "Topic")
      assert.strictEqual(destination.topicOf("orders"), "dead")
      assert.strictEqual(destination.tooLarge, "stop")
      assert.deepStrictEqual(destination.headers, {
        preset: "spring",
        retryCount: "retries",
        errorMessage: "error",
        failedTimestamp: "failed"
      })
    })
  )

  it.effect("without a dead letter queue stops, or skips if configured", () =>
    Effect.gen(function* () {
      const otherwise = (config: ReliabilityConfig.ReliabilityConfig) =>
        Effect.map(decided(ReliabilityConfig.options(config)), ({ destination }) => destination)
      assert.deepStrictEqual(yield* otherwise({ dlqEnabled: false }), { _tag: "None", otherwise: "stop" })
      const skip = yield* read(ReliabilityConfig.config(), {
        RELIABILITY_DLQ_ENABLED: "false",
        RELIABILITY_WITHOUT_DLQ: "skip"
      })
      assert.deepStrictEqual(yield* otherwise(skip), { _tag: "None", otherwise: "skip" })
    })
  )

  it("needs no producer without a dead letter queue", () => {
    const { deadLetter } = ReliabilityConfig.options({ dlqEnabled: false })
    const destination: Effect.Effect<Destination> = deadLetter.destination
    assert.strictEqual(Effect.runSync(destination)._tag, "None")
  })

  it("has no circuit breaker by default; accepts true or options", () => {
    const breaker = (circuitBreaker?: ReliabilityConfig.ReliabilityConfig["circuitBreaker"]) =>
      ReliabilityConfig.options({ circuitBreaker }).circuitBreaker
    assert.isUndefined(breaker())
    assert.isUndefined(breaker(false))
    assert.deepStrictEqual(breaker(true), {})
    assert.deepStrictEqual(breaker({ probes: 2 }), { probes: 2 })
  })

  it("carries every issue, by the options' own names", () => {
    const carried = (config: ReliabilityConfig.ReliabilityConfig) => {
      const { deadLetter, retry } = ReliabilityConfig.options(config)
      return [...carriedBy(retry), ...carriedBy(deadLetter)].map(Environment.describe)
    }
    const wrong = {
      retryCount: -1,
      retryBackoff: "-1 seconds",
      retryBackoffMultiplier: 0.5,
      maxRetryBackoff: Number.NaN,
      withoutDlq: "drop" as "skip",
      dlqTopic: "no topic",
      dlqHeaders: "kafkajs" as "spring",
      dlqTooLarge: "drop" as "stop"
    } as const
    assert.deepStrictEqual(carried(wrong), [
      "retryCount must be a whole number, at least 0, not -1",
      'retryBackoff must be a finite duration of zero or more, not "-1 seconds"',
      "retryBackoffMultiplier must be a number, at least 1, not 0.5",
      "maxRetryBackoff must be a finite duration of zero or more, not NaN",
      'withoutDlq must be one of stop, skip, not "drop"',
      'dlqTopic must be a legal topic name, not "no topic"',
      'dlqHeaders must be one of spillway, spring, connect, not "kafkajs"',
      'dlqTooLarge must be one of block, stop, not "drop"'
    ])
    assert.deepStrictEqual(carried({ dlqErrorHeader: "x-retry-count", dlqTimestampHeader: "" }), [
      'dlqErrorHeader must not be the header of retryCount, not "x-retry-count"',
      'dlqTimestampHeader must not be empty, not ""'
    ])
    assert.deepStrictEqual(carried({}), [])
  })
})

describe("ReliabilityConfig.config", () => {
  it.effect("reports all invalid variables at once", () =>
    Effect.gen(function* () {
      const config = ReliabilityConfig.config({}, "ORDERS")
      const error = yield* Effect.flip(
        read(config, {
          ORDERS_RELIABILITY_RETRY_COUNT: "-1",
          ORDERS_RELIABILITY_RETRY_BACKOFF: "soon",
          ORDERS_RELIABILITY_RETRY_BACKOFF_MULTIPLIER: "twice",
          ORDERS_RELIABILITY_DLQ_ENABLED: "perhaps",
          ORDERS_RELIABILITY_DLQ_TOPIC: "no topic",
          ORDERS_RELIABILITY_DLQ_RETRY_HEADER: "x-error-message"
        })
      )
      assert.deepStrictEqual(problemsOf(error), [
        'ORDERS_RELIABILITY_RETRY_BACKOFF: retryBackoff must be a duration such as "30 seconds", not "soon"',
        'ORDERS_RELIABILITY_RETRY_BACKOFF_MULTIPLIER: retryBackoffMultiplier must be a number, not "twice"',
        'ORDERS_RELIABILITY_DLQ_ENABLED: dlqEnabled must be true or false, not "perhaps"',
        'ORDERS_RELIABILITY_RETRY_COUNT: retryCount must be a whole number, at least 0, not "-1"',
        'ORDERS_RELIABILITY_DLQ_TOPIC: dlqTopic must be a legal topic name, not "no topic"',
        'ORDERS_RELIABILITY_DLQ_RETRY_HEADER: dlqRetryHeader must not be the header of errorMessage, not "x-error-message"'
      ])
    })
  )

  it.effect("uses the program's values as defaults", () =>
    Effect.gen(function* () {
      const config = ReliabilityConfig.config({ retryCount: 5, dlqTopic: "dead" })
      assert.deepStrictEqual(yield* read(config, { RELIABILITY_RETRY_COUNT: "1" }), { retryCount: 1, dlqTopic: "dead" })
    })
  )

  it.effect("turns the circuit breaker on, with options, and off", () =>
    Effect.gen(function* () {
      const breaker = (variables: Variables, defaults?: ReliabilityConfig.ReliabilityConfig) =>
        Effect.map(
          read(ReliabilityConfig.config(defaults), variables),
          (config) => ReliabilityConfig.options(config).circuitBreaker
        )
      assert.isUndefined(yield* breaker({}))
      assert.deepStrictEqual(yield* breaker({ RELIABILITY_CIRCUIT_BREAKER: "true" }), {})
      const given = {
        RELIABILITY_CIRCUIT_BREAKER_WINDOW: "10 seconds",
        RELIABILITY_CIRCUIT_BREAKER_FAILURE_RATIO: "0.25",
        RELIABILITY_CIRCUIT_BREAKER_MINIMUM_THROUGHPUT: "4",
        RELIABILITY_CIRCUIT_BREAKER_OPEN_TIME: "1 second",
        RELIABILITY_CIRCUIT_BREAKER_FACTOR: "3",
        RELIABILITY_CIRCUIT_BREAKER_MAX_OPEN_TIME: "1 minute",
        RELIABILITY_CIRCUIT_BREAKER_PROBES: "2"
      }
      const expected = {
        window: { time: Duration.seconds(10) },
        failureRatio: 0.25,
        minimumThroughput: 4,
        openTime: Duration.seconds(1),
        factor: 3,
        maxOpenTime: Duration.minutes(1),
        probes: 2
      }
      assert.deepStrictEqual(yield* breaker(given), expected)
      assert.isUndefined(yield* breaker({ ...given, RELIABILITY_CIRCUIT_BREAKER: "false" }))
      const isFailure = () => true
      const own = { circuitBreaker: { isFailure, probes: 5 } }
      assert.deepStrictEqual(yield* breaker({}, own), own.circuitBreaker)
      assert.deepStrictEqual(yield* breaker({ RELIABILITY_CIRCUIT_BREAKER: "true" }, own), own.circuitBreaker)
      assert.deepStrictEqual(yield* breaker({ RELIABILITY_CIRCUIT_BREAKER_WINDOW: "50" }, own), {
        isFailure,
        probes: 5,
        window: { count: 50 }
      })
      assert.isUndefined(yield* breaker({ RELIABILITY_CIRCUIT_BREAKER: "false" }, own))
    })
  )

  it.effect("reports all invalid variables of the circuit breaker with the others", () =>
    Effect.gen(function* () {
      const wrong = {
        RELIABILITY_RETRY_COUNT: "-1",
        RELIABILITY_CIRCUIT_BREAKER: "maybe",
        RELIABILITY_CIRCUIT_BREAKER_WINDOW: "0",
        RELIABILITY_CIRCUIT_BREAKER_FAILURE_RATIO: "half",
        RELIABILITY_CIRCUIT_BREAKER_OPEN_TIME: "0 seconds",
        RELIABILITY_CIRCUIT_BREAKER_MINIMUM_THROUGHPUT: "0"
      }
      const rule = "must be a whole number from 1 to 1000000"
      assert.deepStrictEqual(problemsOf(yield* Effect.flip(read(ReliabilityConfig.config(), wrong))), [
        'RELIABILITY_CIRCUIT_BREAKER: circuitBreaker must be true or false, not "maybe"',
        'RELIABILITY_RETRY_COUNT: retryCount must be a whole number, at least 0, not "-1"',
        'RELIABILITY_CIRCUIT_BREAKER_FAILURE_RATIO: failureRatio must be a number, not "half"',
        `RELIABILITY_CIRCUIT_BREAKER_WINDOW: window ${rule}, not "0"`,
        `RELIABILITY_CIRCUIT_BREAKER_MINIMUM_THROUGHPUT: minimumThroughput ${rule}, not "0"`,
        'RELIABILITY_CIRCUIT_BREAKER_OPEN_TIME: openTime must be a duration of at least 1 ms and below 25 days, not "0 seconds"'
      ])
      const soon = { RELIABILITY_CIRCUIT_BREAKER_WINDOW: "soon" }
      assert.include(
        problemsOf(yield* Effect.flip(read(ReliabilityConfig.config(), soon)))[0],
        'window must be a number of calls or a duration such as "30 seconds", not "soon"'
      )
    })
  )
})
