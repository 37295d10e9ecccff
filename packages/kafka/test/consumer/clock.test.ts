import { assert, describe, it } from "@effect/vitest"
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import { KafkaErrorCode } from "@spillway/kafka/KafkaErrorCode"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import { Wire } from "@spillway/kafka/Wire"
import { MemoryBroker } from "@spillway/memory/MemoryBroker"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import * as HandlerError from "@spillway/transport/HandlerError"
import * as Health from "@spillway/transport/Health"
import { Producer } from "@spillway/transport/Producer"
import * as RetryPolicy from "@spillway/transport/RetryPolicy"
import * as TransportMetrics from "@spillway/transport/TransportMetrics"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { unevenly } from "../../../transport/test/support/unevenClock.js"
import { committed, group, makeCalls, onBroker, options, quiet, topic } from "../support/consumerTesting.js"
import { metricValue } from "../support/metricValues.js"
import { intercept, refusing } from "../support/producerFaults.js"

const hour = 3_600_000

const numbered = (count: number) => Array.from({ length: count }, (_, i) => ({ value: `${i}` }))

const monotonic = Effect.clockWith((clock) => Effect.sync(() => Number(clock.unsafeCurrentTimeNanos()) / 1e6))

describe("a consumer whose timers fire early and whose wall clock steps", () => {
  it.effect("probes each time its circuit breaker's open duration has passed", () =>
    unevenly(() =>
      Effect.gen(function* () {
        const broker = yield* MemoryBroker
        const calls = makeCalls()
        const consumer = yield* KafkaConsumer.make({
          ...options,
          circuitBreaker: {
            window: { count: 1 },
            minimumThroughput: 1,
            openTime: "20 millis",
            maxOpenTime: "20 millis",
            factor: 1
          },
          handler: calls.handler(() => Effect.fail("down"))
        })
        yield* broker.produce(topic, [{ value: "a" }])
        yield* TestClock.adjust("1 second")
        assert.isAtLeast(calls.all.length, 45)
        assert.isAtMost(calls.all.length, 51)
        assert.strictEqual((yield* consumer.report).discarded, 0)
      })
    ).pipe(onBroker({ topics: { [topic]: 1 } }))
  )

  it.effect(
    "calls every handler again once their dependency is back, after a minute of open circuit breakers",
    () => {
      const groups = Array.from({ length: 5 }, (_, i) => `billing-${i}`)
      return unevenly((step) =>
        Effect.gen(function* () {
          const broker = yield* MemoryBroker
          let isDown = true
          const handled = new Set<string>()
          for (const groupId of groups) {
            yield* KafkaConsumer.make({
              ...options,
              groupId,
              circuitBreaker: { window: { count: 4 }, minimumThroughput: 4, openTime: "1 second" },
              handler: () => (isDown ? Effect.fail("down") : Effect.sync(() => handled.add(groupId)))
            })
          }
          yield* broker.produce(topic, numbered(20))
          yield* TestClock.adjust("20 seconds")
          step(-5)
          yield* TestClock.adjust("20 seconds")
          step(-hour)
          yield* TestClock.adjust("20 seconds")
          isDown = false
          yield* TestClock.adjust("31 seconds")
          assert.deepStrictEqual([...handled].sort(), groups)
        })
      ).pipe(onBroker({ topics: { [topic]: 1 } }))
    },
    // Five consumers probe for a simulated minute.
    120_000
  )

  it.effect("retries after the delays of its policy", () =>
    unevenly((step) =>
      Effect.gen(function* () {
        const broker = yield* MemoryBroker
        const at: Array<number> = []
        yield* KafkaConsumer.make({
          ...options,
          retry: RetryPolicy.fixed({ retries: 3, delay: "1 second" }),
          handler: () =>
            Effect.zipRight(
              Effect.map(monotonic, (now) => at.push(now)),
              Effect.fail("down")
            )
        })
        const first = yield* monotonic
        yield* broker.produce(topic, [{ value: "a" }])
        for (const millis of [-hour, 2 * hour, -hour]) {
          yield* TestClock.adjust("500 millis")
          step(millis)
          yield* TestClock.adjust("500 millis")
        }
        const late = at.map((time, index) => Math.ceil(first + index * 1_000 - time))
        for (const millis of late) assert.include([0, 1, 2, 3], millis)
        assert.strictEqual(at.length, 4)
      })
    ).pipe(onBroker({ topics: { [topic]: 1 } }))
  )

  it.effect("interrupts a handler that hangs", () =>
    unevenly((step) =>
      Effect.gen(function* () {
        const broker = yield* MemoryBroker
        const calls = makeCalls()
        yield* KafkaConsumer.make({
          ...options,
          handlerTimeout: "10 seconds",
          retry: RetryPolicy.fixed({ retries: 2, delay: "1 second" }),
          handler: calls.handler(({ attempt }) => (attempt <= 2 ? Effect.never : Effect.void))
        })
        yield* broker.produce(topic, [{ value: "a" }])
        yield* TestClock.adjust("2 seconds")
        step(-hour)
        yield* TestClock.adjust("7 seconds")
        assert.strictEqual(calls.all.length, 1)
        yield* TestClock.adjust("5 seconds")
        step(2 * hour)
        assert.strictEqual(calls.all.length, 2)
        yield* TestClock.adjust("20 seconds")
        assert.deepStrictEqual(
          calls.all.map(({ attempt }) => attempt),
          [1, 2, 3]
        )
        assert.deepStrictEqual(yield* committed, { 0: 1 })
      })
    ).pipe(onBroker({ topics: { [topic]: 1 } }))
  )

  it.effect("keeps its membership by its heartbeats, and commits at its interval", () =>
    unevenly((step) =>
      Effect.gen(function* () {
        const broker = yield* MemoryBroker
        const calls = makeCalls()
        yield* KafkaConsumer.make({
          ...options,
          sessionTimeout: "10 seconds",
          commitInterval: "1 second",
          handler: calls.handler(() => Effect.void)
        })
        for (const [index, millis] of [hour, -2 * hour, -5, hour].entries()) {
          yield* broker.produce(topic, [{ value: "a" }])
          yield* TestClock.adjust("1 second")
          assert.deepStrictEqual(yield* committed, { 0: index + 1 })
          step(millis)
          yield* TestClock.adjust("1 minute")
        }
        assert.strictEqual((yield* broker.group(group)).generation, 1)
      })
    ).pipe(onBroker({ topics: { [topic]: 1 } }))
  )

  it.effect("starts nothing new once its session may have expired, and rejoins", () =>
    unevenly((step) =>
      Effect.gen(function* () {
        const broker = yield* MemoryBroker
        const client = yield* broker.client("a")
        const calls = makeCalls()
        yield* KafkaConsumer.make({
          ...options,
          sessionTimeout: "10 seconds",
          handler: calls.handler(() => Effect.sleep("1 second"))
        }).pipe(Effect.provideService(Wire, client.wire))
        yield* broker.produce(topic, numbered(60))
        yield* TestClock.adjust("4500 millis")
        yield* client.cut
        step(-hour)
        yield* TestClock.adjust("10 seconds")
        const before = calls.all.length
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual(calls.all.length, before)
        yield* client.restore
        yield* TestClock.adjust("90 seconds")
        assert.deepStrictEqual(yield* committed, { 0: 60 })
        yield* quiet
      })
    ).pipe(onBroker({ topics: { [topic]: 1 } }))
  )

  it.effect("sees topics that match its pattern within its metadata interval", () =>
    unevenly((step) =>
      Effect.gen(function* () {
        const broker = yield* MemoryBroker
        const calls = makeCalls()
        yield* KafkaConsumer.make({
          ...options,
          topics: /^orders/,
          metadataMaxAge: "10 seconds",
          handler: calls.handler(() => Effect.void)
        })
        for (const [index, millis] of [-hour, 2 * hour].entries()) {
          const name = `orders-${index}`
          step(millis)
          yield* broker.createTopic(name, 1)
          yield* broker.produce(name, [{ value: name }])
          yield* TestClock.adjust("20 seconds")
          assert.include(calls.values(), name)
        }
      })
    ).pipe(onBroker({ topics: { [topic]: 1 } }))
  )

  it.effect("shows the age of its oldest record", () =>
    unevenly((step) =>
      Effect.gen(function* () {
        const service = "consumer_clock"
        const broker = yield* MemoryBroker
        yield* KafkaConsumer.make({ ...options, handler: () => Effect.sleep("25 seconds") }).pipe(
          Effect.provide(TransportMetrics.layer({ service }))
        )
        yield* broker.produce(topic, [{ value: "a" }])
        const age = () => metricValue(`${service}_oldest_unsettled_age_seconds`, { topic, partition: "0", group })!
        for (const [index, millis] of [hour, -2 * hour].entries()) {
          yield* TestClock.adjust("5 seconds")
          step(millis)
          yield* TestClock.adjust("5 seconds")
          assert.approximately(age(), (index + 1) * 10, 1.5)
        }
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual(age(), 0)
      })
    ).pipe(onBroker({ topics: { [topic]: 1 } }))
  )

  it.effect("reports in its health how long a dead letter has been held up", () =>
    unevenly((step) =>
      Effect.gen(function* () {
        const broker = yield* MemoryBroker
        const health = yield* Health.make()
        let isRefusing = true
        const producer = yield* KafkaProducer.make({ deliveryTimeout: "2 seconds" }).pipe(
          Effect.provideService(
            Wire,
            intercept(
              broker.wire,
              refusing(() => (isRefusing ? KafkaErrorCode.NOT_ENOUGH_REPLICAS : undefined))
            )
          )
        )
        yield* KafkaConsumer.make({
          ...options,
          deadLetter: DeadLetter.topic("dlq"),
          handler: () => HandlerError.nonRetryable("no")
        }).pipe(Effect.provideService(Producer, producer), Effect.provideService(Health.Health, health))
        yield* broker.produce(topic, [{ value: "a" }])
        const seconds = Effect.map(health.report, ({ components }) => {
          const { details, state } = components[`consumer ${group}`]!.checks["deadLetters"]!
          assert.strictEqual(state, "blocked")
          const [record] = details!["records"] as ReadonlyArray<{ readonly seconds: number }>
          return record!.seconds
        })
        yield* TestClock.adjust("5 seconds")
        step(hour)
        yield* TestClock.adjust("5 seconds")
        assert.approximately(yield* seconds, 8, 1)
        step(-2 * hour)
        yield* TestClock.adjust("5 seconds")
        assert.approximately(yield* seconds, 13, 1)
        // A drain would wait for a publication in flight, and the clock stands still by then.
        isRefusing = false
        yield* TestClock.adjust("1 minute")
      })
    ).pipe(onBroker({ topics: { [topic]: 1, dlq: 1 } }))
  )

  it.effect("reports a stalled handler in its health, and none before it stalls", () =>
    unevenly((step) =>
      Effect.gen(function* () {
        const broker = yield* MemoryBroker
        const health = yield* Health.make({ stalledAfter: "30 seconds" })
        const consumer = yield* KafkaConsumer.make({
          ...options,
          drainTimeout: "1 second",
          handler: () => Effect.never
        }).pipe(Effect.provideService(Health.Health, health))
        yield* broker.produce(topic, [{ value: "a" }])
        const state = Effect.map(
          health.report,
          ({ components }) => components[`consumer ${group}`]!.checks["progress"]!.state
        )
        for (const millis of [hour, -2 * hour]) {
          yield* TestClock.adjust("7 seconds")
          step(millis)
          yield* TestClock.adjust("7 seconds")
          assert.strictEqual(yield* state, "working")
        }
        yield* TestClock.adjust("6 seconds")
        assert.strictEqual(yield* state, "stalled")
        const closed = yield* Effect.fork(consumer.close)
        yield* TestClock.adjust("2 seconds")
        yield* Fiber.join(closed)
      })
    ).pipe(onBroker({ topics: { [topic]: 1 } }))
  )
})
