import { assert, describe, it } from "@effect/vitest"
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import { ClusterUnreachable, Wire, WireError } from "@spillway/kafka/Wire"
import { MemoryBroker } from "@spillway/memory/MemoryBroker"
import { ConsumerError } from "@spillway/transport/Consumer"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import { onBroker, options, topic } from "../support/consumerTesting.js"

const topics = { [topic]: 1 }
const startTimeout = "10 seconds" as const

interface Limit {
  readonly startTimeout?: typeof startTimeout
}

type Start = Effect.Effect<unknown, unknown, Wire | Scope.Scope>

const consumers = (limit: Limit): ReadonlyArray<Start> => [
  KafkaConsumer.make({ ...options, ...limit, handler: () => Effect.void }),
  KafkaConsumer.makeTransactional({
    ...options,
    ...limit,
    transactionalId: "billing-1",
    handler: () => Effect.succeed([])
  })
]

const producers = (limit: Limit): ReadonlyArray<Start> => [
  KafkaProducer.make(limit),
  KafkaProducer.makeTransactional({ ...limit, transactionalId: "billing-1" })
]

/** The unreachable cluster that a start fails with. */
const unreachable = (start: Start) =>
  Effect.gen(function* () {
    const starting = yield* Effect.fork(Effect.flip(Effect.scoped(start)))
    yield* TestClock.adjust("9 seconds")
    assert.isNull(starting.unsafePoll())
    yield* TestClock.adjust("1 second")
    const error = yield* Fiber.join(starting)
    if (!(error instanceof ConsumerError)) return error
    assert.strictEqual(error.reason, "Unreachable")
    return error.cause
  })

/** A cluster whose bootstrap server can be reached, and whose brokers advertise another address. */
const misadvertised = Effect.map(MemoryBroker, ({ wire }) =>
  Wire.of({
    bootstrap: [{ host: "bootstrap", port: 9092 }],
    connect: (endpoint, role) =>
      endpoint.host === "bootstrap"
        ? wire.connect(wire.bootstrap[0]!, role)
        : Effect.fail(
            new WireError({ reason: "ConnectFailed", endpoint: endpoint.host, description: "getaddrinfo ENOTFOUND" })
          )
  })
)

describe("startTimeout", () => {
  it.effect("fails consumers and producers that reach no broker, with its address and the last error", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const [{ host, port }] = broker.wire.bootstrap as [{ host: string; port: number }]
      yield* broker.stop
      for (const start of [...consumers({ startTimeout }), ...producers({ startTimeout })]) {
        const error = yield* unreachable(start)
        assert.instanceOf(error, ClusterUnreachable)
        assert.deepInclude(error, { reason: "StartTimeout", brokers: [`${host}:${port}`], timeoutMs: 10_000 })
        assert.include(error.message, `${host}:${port}`)
        assert.include(error.message, "the broker is stopped")
      }
    }).pipe(onBroker({ topics }))
  )

  it.effect("fails consumers and producers that reach only the bootstrap servers", () =>
    Effect.gen(function* () {
      const wire = yield* misadvertised
      for (const start of [...consumers({ startTimeout }), ...producers({ startTimeout })]) {
        const error = yield* unreachable(Effect.provideService(start, Wire, wire))
        assert.instanceOf(error, ClusterUnreachable)
        assert.include(error.brokers, "bootstrap:9092")
        assert.include(error.message, "getaddrinfo ENOTFOUND")
      }
    }).pipe(onBroker({ topics }))
  )

  it.effect("is off by default: a consumer starts when the broker does", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      for (const start of consumers({})) {
        yield* broker.stop
        const starting = yield* Effect.fork(Effect.scoped(start))
        yield* TestClock.adjust("1 hour")
        assert.isNull(starting.unsafePoll())
        yield* broker.start
        yield* TestClock.adjust("10 seconds")
        yield* Fiber.join(starting)
      }
    }).pipe(onBroker({ topics }))
  )

  it.effect("doesn't limit a start on a cluster that comes up in time", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      for (const start of [...consumers({ startTimeout }), ...producers({ startTimeout })]) {
        yield* broker.stop
        const starting = yield* Effect.fork(Effect.scoped(start))
        yield* TestClock.adjust("8 seconds")
        yield* broker.start
        yield* TestClock.adjust("10 seconds")
        yield* Fiber.join(starting)
      }
    }).pipe(onBroker({ topics }))
  )

  it.effect("doesn't limit the join of a group that rebalances", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const slow = { ...options, assignors: ["range"] as const, startTimeout }
      yield* KafkaConsumer.make({ ...slow, handler: () => Effect.sleep("25 seconds") })
      yield* broker.produce(topic, [{ value: "a" }])
      yield* TestClock.adjust("1 second")
      const joining = yield* Effect.fork(KafkaConsumer.make({ ...slow, handler: () => Effect.void }))
      yield* TestClock.adjust("15 seconds")
      assert.isNull(joining.unsafePoll())
      yield* TestClock.adjust("30 seconds")
      yield* Fiber.join(joining)
    }).pipe(onBroker({ topics }))
  )

  it.effect("leaves refused credentials to their own error", () =>
    Effect.gen(function* () {
      const wire = yield* Wire
      const refused = new WireError({ reason: "Authentication", endpoint: "a:1", description: "wrong password" })
      const refusing = Wire.of({ ...wire, connect: () => Effect.fail(refused) })
      const [start] = consumers({ startTimeout })
      const error = yield* Effect.flip(Effect.scoped(Effect.provideService(start!, Wire, refusing)))
      assert.instanceOf(error, ConsumerError)
      assert.strictEqual(error.reason, "Authorization")
    }).pipe(onBroker({ topics }))
  )
})
