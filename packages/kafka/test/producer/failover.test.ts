import { assert, describe, it } from "@effect/vitest"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import type { Api } from "@spillway/kafka/Protocol"
import { Wire } from "@spillway/kafka/Wire"
import * as MemoryBroker from "@spillway/memory/MemoryBroker"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as TestClock from "effect/TestClock"
import * as Switchable from "../support/switchable.js"

type Broker = MemoryBroker.MemoryBroker["Type"]

const topics = { orders: 1 }

const to = (value: string) => ({ topic: "orders", partition: 0, value })

const text = (bytes: Uint8Array | null): string => new TextDecoder().decode(bytes ?? undefined)

const valuesOf = (broker: Broker) =>
  Effect.map(broker.records("orders"), (records) => records.map(({ value }) => text(value)))

const clusters = Effect.all([MemoryBroker.make({ topics }), MemoryBroker.make({ topics })])

const passing = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(effect)
    while ((yield* Fiber.poll(fiber))._tag === "None") yield* TestClock.adjust("200 millis")
    return yield* Fiber.join(fiber)
  })

/** Never delivers the first answer to an API. */
const withoutAnswer = (wire: Wire["Type"], silent: Api) =>
  Effect.map(Deferred.make<void>(), (asked) => {
    let times = 0
    const changed: Wire["Type"] = {
      ...wire,
      connect: (endpoint, role) =>
        Effect.map(wire.connect(endpoint, role), (connection) => ({
          ...connection,
          request: (api, request) => {
            if (api !== silent || times++ > 0) return connection.request(api, request)
            return Effect.zipRight(connection.request(api, request), Deferred.succeed(asked, undefined)).pipe(
              Effect.zipRight(Effect.flatMap(connection.closed, Effect.fail))
            )
          }
        }))
    }
    return { asked: Deferred.await(asked), wire: changed }
  })

describe("a producer whose address leads to another cluster", () => {
  const silent = Effect.provide(Logger.remove(Logger.defaultLogger))

  it.scoped("writes there, even if another producer has its id and sequences", () =>
    Effect.gen(function* () {
      const [a, b] = yield* clusters
      const other = yield* Effect.provideService(KafkaProducer.make({ linger: 0 }), Wire, b.wire)
      for (const value of ["b0", "b1", "b2"]) yield* other.send(to(value))
      const { leadTo, wire } = Switchable.make(a.wire)
      const producer = yield* Effect.provideService(KafkaProducer.make({ linger: 0 }), Wire, wire)
      for (const value of ["a0", "a1"]) yield* producer.send(to(value))
      yield* leadTo(b.wire)
      const landed = yield* passing(producer.send(to("c")))
      assert.strictEqual(landed.offset, 3)
      assert.deepStrictEqual(yield* valuesOf(b), ["b0", "b1", "b2", "c"])
      yield* leadTo(a.wire)
      const back = yield* passing(producer.sendAll([to("d"), to("e")]))
      assert.deepStrictEqual(
        back.map(({ offset }) => offset),
        [2, 3]
      )
      assert.deepStrictEqual(yield* valuesOf(a), ["a0", "a1", "d", "e"])
    }).pipe(silent)
  )

  it.scoped("writes in-flight records there in order, whether or not the first has written them", () =>
    Effect.gen(function* () {
      const [a, b] = yield* clusters
      const { leadTo, wire } = Switchable.make(a.wire)
      const held = yield* withoutAnswer(wire, "Produce")
      const producer = yield* Effect.provideService(KafkaProducer.make({ linger: 0 }), Wire, held.wire)
      const first = yield* Effect.fork(producer.send(to("a")))
      yield* held.asked
      const second = yield* Effect.fork(producer.send(to("b")))
      yield* TestClock.adjust(0)
      yield* leadTo(b.wire)
      yield* passing(Effect.all([Fiber.join(first), Fiber.join(second)]))
      assert.deepStrictEqual(yield* valuesOf(a), ["a"])
      assert.deepStrictEqual(yield* valuesOf(b), ["a", "b"])
    }).pipe(silent)
  )
})

describe("a transaction whose address leads to another cluster", () => {
  const silent = Effect.provide(Logger.remove(Logger.defaultLogger))

  const make = (wire: Wire["Type"]) =>
    Effect.provideService(KafkaProducer.makeTransactional({ transactionalId: "tx", linger: 0 }), Wire, wire)

  it.scoped("is aborted, even if its records' errors are caught; the next one is written there", () =>
    Effect.gen(function* () {
      const [a, b] = yield* clusters
      const { leadTo, wire } = Switchable.make(a.wire)
      const producer = yield* make(wire)
      const error = yield* passing(
        Effect.flip(
          producer.transaction((transaction) =>
            transaction
              .send(to("a"))
              .pipe(
                Effect.zipRight(leadTo(b.wire)),
                Effect.zipRight(Effect.ignore(transaction.send(to("b")))),
                Effect.zipRight(Effect.ignore(transaction.send(to("c"))))
              )
          )
        )
      )
      assert.strictEqual(error.reason, "Aborted")
      assert.include(error.message, "another cluster")
      yield* passing(producer.transaction((transaction) => transaction.send(to("d"))))
      assert.deepStrictEqual(yield* valuesOf(a), [])
      assert.deepStrictEqual(yield* valuesOf(b), ["d"])
      yield* leadTo(a.wire)
      // With no open transaction, the next one detects the change of cluster.
      yield* Effect.ignore(passing(producer.transaction((transaction) => transaction.send(to("e")))))
      yield* passing(producer.transaction((transaction) => transaction.send(to("f"))))
      assert.include(yield* valuesOf(a), "f")
    }).pipe(silent)
  )

  it.scoped("has an unknown outcome if EndTxn was not answered", () =>
    Effect.gen(function* () {
      const [a, b] = yield* clusters
      const { leadTo, wire } = Switchable.make(a.wire)
      const held = yield* withoutAnswer(wire, "EndTxn")
      const producer = yield* make(held.wire)
      const ending = yield* Effect.fork(Effect.flip(producer.transaction((transaction) => transaction.send(to("a")))))
      yield* held.asked
      yield* leadTo(b.wire)
      const error = yield* passing(Fiber.join(ending))
      assert.strictEqual(error.reason, "Unknown")
      assert.deepStrictEqual(yield* valuesOf(a), ["a"])
      yield* passing(producer.transaction((transaction) => transaction.send(to("b"))))
      assert.deepStrictEqual(yield* valuesOf(b), ["b"])
    }).pipe(silent)
  )
})
