import { assert, describe, it } from "@effect/vitest"
import * as KafkaAdmin from "@spillway/kafka/KafkaAdmin"
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import { Wire } from "@spillway/kafka/Wire"
import * as MemoryBroker from "@spillway/memory/MemoryBroker"
import * as Codec from "@spillway/transport/Codec"
import type { ConsumerReport } from "@spillway/transport/Consumer"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import type { Handler } from "@spillway/transport/Handler"
import type * as HandlerError from "@spillway/transport/HandlerError"
import { Producer } from "@spillway/transport/Producer"
import * as RetryPolicy from "@spillway/transport/RetryPolicy"
import * as Clock from "effect/Clock"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Queue from "effect/Queue"
import * as TestClock from "effect/TestClock"
import * as administration from "../src/administration.js"
import { BankUnavailable, Billing, CardDeclined, type ChargeError, Order, RateLimited } from "../src/Billing.js"
import * as configuration from "../src/configuration.js"
import * as connecting from "../src/connecting.js"
import * as control from "../src/control.js"
import * as deadLetters from "../src/deadLetters.js"
import * as events from "../src/events.js"
import * as handlers from "../src/handlers.js"
import { place } from "../src/publishing.js"
import * as reading from "../src/reading.js"
import * as retries from "../src/retries.js"
import * as simulation from "../src/simulation.js"

const Cluster = Layer.provideMerge(
  KafkaProducer.layer(),
  MemoryBroker.layer({ topics: { orders: 1, "orders-dlq": 1 } })
).pipe(Layer.provideMerge(Logger.remove(Logger.defaultLogger)))

const order: Order = { id: "a", amount: 10 }

/** A bank that answers with each of the errors in turn and then charges, and the times of its calls in seconds. */
const makeBank = (...errors: ReadonlyArray<ChargeError>) => {
  const asked: Array<number> = []
  const layer = Layer.succeed(Billing, {
    charge: () =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        const error = errors[asked.length]
        asked.push(now / 1000)
        return error === undefined ? Effect.void : Effect.fail(error)
      })
  })
  return { asked, layer }
}

/** The outcome of one order within two minutes. */
const consume = <E, R>(options: {
  readonly handler: Handler<Order, E, R>
  readonly retry?: RetryPolicy.RetryPolicy
  readonly classify?: HandlerError.Classify
}): Effect.Effect<ConsumerReport, unknown, R> =>
  Effect.gen(function* () {
    const consumer = yield* KafkaConsumer.make({
      groupId: "billing",
      topics: ["orders"],
      value: Codec.json(Order),
      deadLetter: DeadLetter.topic("orders-dlq"),
      ...options
    })
    yield* place(order)
    yield* TestClock.adjust("2 minutes")
    return yield* consumer.close
  }).pipe(Effect.scoped, Effect.provide(Cluster))

const done = { handled: 0, retried: 0, deadLettered: 0, discarded: 0 }

describe("the guide: reading", () => {
  it.effect("counts the records of the last hour", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.MemoryBroker
      const now = Date.now()
      yield* broker.produce("orders", [
        { value: "old", timestamp: now - 2 * 60 * 60 * 1000 },
        { value: "new", timestamp: now - 60_000 },
        { value: "newer", timestamp: now }
      ])
      assert.strictEqual(yield* reading.count, 2)
    }).pipe(Effect.provide(Cluster))
  )
})

describe("the guide: administration", () => {
  it.effect("creates topics at the start, finds those without a leader, and deletes them", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.MemoryBroker
      yield* Layer.build(administration.Topics)
      yield* broker.moveLeader("payments", 11, -1)
      assert.deepStrictEqual(
        (yield* administration.leaderless).map(({ topic }) => topic),
        ["payments"]
      )
      yield* administration.clean(["payments", "payments-dlq"])
      yield* administration.clean(["payments"])
      assert.strictEqual((yield* Effect.flip(administration.clean([""]))).reason, "InvalidArgument")
    }).pipe(Effect.scoped, Effect.provide(KafkaAdmin.layer()), Effect.provide(MemoryBroker.layer()))
  )
})

describe("the guide: administration of groups", () => {
  it.effect("finds groups that are behind, and lets one handle records again", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.MemoryBroker
      yield* broker.createTopic("payments", 2)
      yield* broker.produce("payments", [
        { value: "old", timestamp: 1_000 },
        { value: "new", timestamp: 2_000 },
        { value: "newer", timestamp: 3_000 }
      ])
      assert.deepStrictEqual(
        (yield* administration.replay("billing", "payments", new Date(1_500))).map(({ offset }) => offset),
        [1, 0]
      )
      assert.deepStrictEqual(yield* administration.behind, [{ groupId: "billing", lag: 2 }])
    }).pipe(Effect.provide(KafkaAdmin.layer()), Effect.provide(MemoryBroker.layer()))
  )
})

describe("The guide", () => {
  it.effect("handles errors as documented", () =>
    Effect.gen(function* () {
      const limited = makeBank(new RateLimited({ retryAfter: "7 seconds" }))
      const first = yield* Effect.provide(consume(handlers.errors), limited.layer)
      assert.deepInclude(first, { ...done, handled: 1, retried: 1 })
      assert.strictEqual(limited.asked[1]! - limited.asked[0]!, 7)

      const declined = yield* Effect.provide(consume(handlers.errors), makeBank(new CardDeclined()).layer)
      assert.deepInclude(declined, { ...done, deadLettered: 1 })
    })
  )

  it.effect("classifies errors as documented", () =>
    Effect.gen(function* () {
      const malformed = yield* consume({
        handler: () => Effect.fail(new SyntaxError()),
        classify: handlers.classified.classify
      })
      assert.deepInclude(malformed, { ...done, deadLettered: 1 })
      const retried = yield* Effect.provide(consume(handlers.classified), makeBank(new BankUnavailable()).layer)
      assert.deepInclude(retried, { ...done, handled: 1, retried: 1 })
    })
  )

  it.effect("retries as documented", () =>
    Effect.gen(function* () {
      const handler = () => Effect.fail(new BankUnavailable())
      assert.deepInclude(yield* consume({ handler, ...retries.defaults }), { ...done, retried: 3, deadLettered: 1 })
      assert.deepInclude(yield* consume({ handler, ...retries.own }), { ...done, retried: 6, deadLettered: 1 })
    })
  )

  for (const [name, topic, layer, retried, deadLetters] of [
    ["Orders", "orders", configuration.Orders, 2, "orders-dlq"],
    ["Refunds", "refunds", configuration.Refunds, 5, "dead"],
    ["Payments", "payments", configuration.Payments, 3, undefined]
  ] as const) {
    it.scoped(`configures ${name} as documented`, () =>
      Effect.gen(function* () {
        const bank = makeBank(...Array.from({ length: 20 }, () => new BankUnavailable()))
        yield* Layer.build(Layer.provide(layer, bank.layer)).pipe(
          Effect.withConfigProvider(ConfigProvider.fromMap(new Map([["RELIABILITY_RETRY_COUNT", "2"]])))
        )
        const producer = yield* Producer
        yield* producer.send({ topic, value: JSON.stringify(order) })
        yield* TestClock.adjust("2 minutes")
        assert.strictEqual(bank.asked.length, retried + 1)
        const broker = yield* MemoryBroker.MemoryBroker
        if (deadLetters !== undefined) assert.strictEqual((yield* broker.records(deadLetters)).length, 1)
      }).pipe(
        Effect.provide(
          Layer.provideMerge(
            KafkaProducer.layer(),
            MemoryBroker.layer({ topics: { orders: 1, payments: 1, refunds: 1, "orders-dlq": 1, dead: 1 } })
          )
        ),
        Effect.provide(Logger.remove(Logger.defaultLogger))
      )
    )
  }

  it.scoped("logs dead letters as documented", () =>
    Effect.gen(function* () {
      const lines = yield* Queue.unbounded<string>()
      const logger = Logger.map(Logger.jsonLogger, (line) => {
        if (line.includes("needs attention")) Queue.unsafeOffer(lines, line)
      })
      yield* Layer.build(Layer.provide(deadLetters.Attention, Logger.add(logger)))
      const producer = yield* Producer
      yield* producer.send({ topic: "orders-dlq", value: null, headers: { "x-error-message": "declined" } })
      yield* TestClock.adjust("1 second")
      assert.include(yield* Queue.take(lines), "declined")
    }).pipe(Effect.provide(Cluster))
  )

  it.scoped("pauses, resumes and seeks as documented", () =>
    Effect.gen(function* () {
      const seen: Array<number> = []
      const consumer = yield* KafkaConsumer.make({
        groupId: "control",
        topics: ["orders"],
        value: Codec.text,
        handler: ({ offset }) => Effect.sync(() => seen.push(offset)),
        deadLetter: DeadLetter.none("stop")
      })
      const producer = yield* Producer
      const send = producer.sendAll(Array.from({ length: 50 }, () => ({ topic: "orders", partition: 3, value: "a" })))
      const quiet = TestClock.adjust("1 second")
      yield* send
      yield* quiet
      yield* control.pauses(consumer)
      const truncated: Array<number> = []
      const database = Effect.sync(() => truncated.push(seen.length))
      yield* Effect.provideService(control.replays(consumer), control.Database, { truncate: database })
      yield* quiet
      assert.deepStrictEqual(truncated, [50])
      assert.strictEqual(seen.length, 100)
      yield* control.seeks(consumer)
      yield* quiet
      assert.strictEqual(yield* consumer.status, "Running")
      assert.deepInclude((yield* consumer.close).committed, { topic: "orders", partition: 3, offset: 50 })
    }).pipe(
      Effect.provide(
        Layer.provideMerge(KafkaProducer.layer(), MemoryBroker.layer({ topics: { orders: 4 } })).pipe(
          Layer.provideMerge(Logger.remove(Logger.defaultLogger))
        )
      )
    )
  )

  it.scoped("has a circuit breaker as documented", () =>
    Effect.gen(function* () {
      const lines: Array<unknown> = []
      const logger = Logger.replace(
        Logger.defaultLogger,
        Logger.make(({ message }) => lines.push(message))
      )
      const counts: Array<number> = []
      const run = Effect.gen(function* () {
        const consumer = yield* control.guarded({
          groupId: "guarded",
          topics: ["orders"],
          value: Codec.text,
          handler: () =>
            Effect.zipRight(
              Effect.sync(() => counts.push(1)),
              Effect.fail(new BankUnavailable())
            ),
          deadLetter: DeadLetter.none("stop"),
          retry: RetryPolicy.fixed({ retries: 20 })
        })
        yield* Effect.fork(control.watches(consumer))
        const producer = yield* Producer
        yield* producer.send({ topic: "orders", value: "a" })
        yield* TestClock.adjust("16 seconds")
        yield* consumer.close
      })
      yield* Effect.provide(run, logger)
      assert.strictEqual(counts.length, 11)
      const states = lines.filter((line) => Array.isArray(line) && line[0] === "The bank's breaker")
      assert.deepStrictEqual(
        states.map((line) => (line as ReadonlyArray<unknown>)[1]),
        ["closed", "open", "halfOpen", "open"]
      )
    }).pipe(Effect.provide(Cluster))
  )

  it.scoped("publishes and routes events as documented", () =>
    Effect.gen(function* () {
      const bank = makeBank()
      yield* Layer.build(Layer.provide(events.Orders, bank.layer))
      yield* Effect.provide(events.publish(order, { id: "p", order: "a" }), events.Publisher)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(bank.asked.length, 2)
    }).pipe(Effect.provide(Cluster))
  )

  it.scoped("refuses an invalid key when it connects", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(Layer.build(connecting.secured("ca", "cert", "key")))
      assert.isTrue(Exit.isFailure(exit))
    })
  )

  it.effect("simulates a handler as documented, and breaks the wire", () =>
    Effect.gen(function* () {
      const reports = yield* Effect.provide(simulation.simulated, makeBank().layer)
      for (const { account } of reports) assert.strictEqual(account.handled, account.acknowledged - account.expired)
      const wire = yield* Effect.scoped(Layer.build(simulation.Cluster))
      assert.isAbove(Context.get(wire, Wire).bootstrap.length, 0)
    })
  )
})
