import { assert, describe, it } from "@effect/vitest"
import { KafkaErrorCode } from "@spillway/kafka/KafkaErrorCode"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import { Wire } from "@spillway/kafka/Wire"
import * as Faults from "@spillway/memory/Faults"
import * as MemoryBroker from "@spillway/memory/MemoryBroker"
import type { Producer, ProducerRecord } from "@spillway/transport/Producer"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"

type Send = Context.Tag.Service<Producer>["sendAllEither"]

const text = (bytes: Uint8Array | null): string => new TextDecoder().decode(bytes ?? undefined)

const to = (value: string): ProducerRecord => ({ topic: "orders", partition: 0, value })

const valuesOf = (broker: MemoryBroker.MemoryBroker["Type"]) =>
  Effect.map(broker.records("orders"), (records) => records.map(({ value }) => text(value).slice(0, 2)))

/** Answers to requests sent from `at` milliseconds on, the next `times` of them. */
const answer = (code: number, when: "instead" | "after", at: number, times = 1): Faults.FaultRule => ({
  fault: { _tag: "Answer", code, when },
  apis: ["Produce"],
  from: at,
  times
})

/** Every request takes 5 milliseconds, so requests sent within that time are in flight together. */
const brokerWith = Effect.fnUntraced(function* (...rules: ReadonlyArray<Faults.FaultRule>) {
  const broker = yield* MemoryBroker.make({ topics: [{ name: "orders", maxMessageBytes: 600 }] })
  const delay: Faults.FaultRule = { fault: { _tag: "Delay", min: 5, max: 5 }, apis: ["Produce"] }
  const wire = yield* Faults.wrap(broker.wire, { seed: 1, rules: [delay, ...rules] })
  return { broker, wire }
})

/** Sends the calls one millisecond after the other from 20 milliseconds on; results by call, `"ok"` or the reason. */
const sendFrom20 = Effect.fnUntraced(function* (send: Send, calls: ReadonlyArray<ReadonlyArray<ProducerRecord>>) {
  const first = yield* Effect.fork(send([to("a")]))
  yield* TestClock.adjust("20 millis")
  yield* Fiber.join(first)
  const sent = yield* Effect.fork(
    Effect.forEach(calls, (records, i) => Effect.zipRight(Effect.sleep(i), send(records)), { concurrency: "unbounded" })
  )
  yield* TestClock.adjust("10 millis")
  yield* TestClock.adjust("10 seconds")
  return (yield* Fiber.join(sent)).map((results) =>
    results.map(Either.match({ onLeft: ({ reason }) => reason as string, onRight: () => "ok" }))
  )
})

const large = (value: string): ProducerRecord => to(value.padEnd(400, "x"))

const tooLargeAlone = to("c0".padEnd(1_000, "x"))

/** Faults of the batch behind one that is written and answered with a retriable error, and its records' outcome. */
const refusals: Readonly<
  Record<
    string,
    {
      readonly records: ReadonlyArray<ProducerRecord>
      readonly rules?: ReadonlyArray<Faults.FaultRule>
      readonly results: ReadonlyArray<string>
    }
  >
> = {
  "too large, and split": { records: [large("c0"), large("c1"), large("c2")], results: ["ok", "ok", "ok"] },
  "too large, and a record alone": { records: [tooLargeAlone], results: ["RecordTooLarge"] },
  "too large for one of its records": {
    records: [to("c0"), to("c1".padEnd(1_000, "x")), to("c2")],
    results: ["ok", "RecordTooLarge", "ok"]
  },
  "an invalid record": {
    records: [to("c0")],
    rules: [answer(KafkaErrorCode.INVALID_RECORD, "instead", 21)],
    results: ["InvalidRecord"]
  },
  "invalid, and split": {
    records: [to("c0"), to("c1")],
    rules: [answer(KafkaErrorCode.INVALID_RECORD, "instead", 21)],
    results: ["ok", "ok"]
  },
  "refused for good": {
    records: [to("c0")],
    rules: [answer(KafkaErrorCode.TOPIC_AUTHORIZATION_FAILED, "instead", 21)],
    results: ["Authorization"]
  }
}

describe("a batch that is written and answered with a retriable error", () => {
  const uncertain = answer(KafkaErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND, "after", 20)

  for (const [name, { records, results, rules = [] }] of Object.entries(refusals)) {
    it.scoped(`is written once if the next batch is ${name}`, () =>
      Effect.gen(function* () {
        const { broker, wire } = yield* brokerWith(uncertain, ...rules)
        const { sendAllEither } = yield* Effect.provideService(KafkaProducer.make({ linger: 0 }), Wire, wire)
        const became = yield* sendFrom20(sendAllEither, [[to("b")], records, [to("d")], [to("e")]])
        assert.deepStrictEqual(became, [["ok"], results, ["ok"], ["ok"]])
        const written = records.flatMap(({ value }, i) => (results[i] === "ok" ? (value as string).slice(0, 2) : []))
        assert.deepStrictEqual(yield* valuesOf(broker), ["a", "b", ...written, "d", "e"])
      })
    )
  }
})

describe("batches that may be written", () => {
  const uncertain = (at: number, times: number) =>
    answer(KafkaErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND, "after", at, times)

  const make = (wire: Context.Tag.Service<Wire>, idempotent = true) =>
    Effect.provideService(KafkaProducer.make({ linger: 0, idempotent }), Wire, wire)

  it.scoped("are written once if two later ones are refused", () =>
    Effect.gen(function* () {
      const { broker, wire } = yield* brokerWith(uncertain(20, 1))
      const { sendAllEither } = yield* make(wire)
      const became = yield* sendFrom20(sendAllEither, [
        [to("b")],
        [tooLargeAlone],
        [large("d0"), large("d1")],
        [to("e")]
      ])
      assert.deepStrictEqual(became, [["ok"], ["RecordTooLarge"], ["ok", "ok"], ["ok"]])
      assert.deepStrictEqual(yield* valuesOf(broker), ["a", "b", "d0", "d1", "e"])
    })
  )

  it.scoped("count as acknowledged with a later batch, once the broker has forgotten them", () =>
    Effect.gen(function* () {
      const { broker, wire } = yield* brokerWith(
        uncertain(20, 1),
        answer(KafkaErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, "instead", 24)
      )
      const { sendAllEither } = yield* make(wire)
      assert.deepStrictEqual(yield* sendFrom20(sendAllEither, [[to("b")], [to("c")]]), [["ok"], ["ok"]])
      assert.deepStrictEqual(yield* valuesOf(broker), ["a", "b", "c"])
    })
  )

  it.scoped("are written once if the producer is fenced after them", () =>
    Effect.gen(function* () {
      const { broker, wire } = yield* brokerWith(
        uncertain(20, 1),
        answer(KafkaErrorCode.INVALID_PRODUCER_EPOCH, "instead", 21)
      )
      const { sendAllEither } = yield* make(wire)
      const became = yield* sendFrom20(sendAllEither, [[to("b")], [to("c")], [to("d")]])
      assert.deepStrictEqual(became, [["ok"], ["Fenced"], ["ok"]])
      assert.deepStrictEqual(yield* valuesOf(broker), ["a", "b", "d"])
    })
  )

  const refusedLater = (idempotent: boolean) =>
    Effect.gen(function* () {
      const { broker, wire } = yield* brokerWith(
        uncertain(20, 1),
        answer(KafkaErrorCode.TOPIC_AUTHORIZATION_FAILED, "instead", 21)
      )
      const producer = yield* make(wire, idempotent)
      yield* Effect.fork(producer.send(to("a")))
      yield* TestClock.adjust("20 millis")
      const sent = yield* Effect.fork(Effect.flip(producer.send(to("b"))))
      yield* TestClock.adjust("10 seconds")
      const error = yield* Fiber.join(sent)
      assert.strictEqual(error.reason, "Authorization")
      assert.include(error.description, "an earlier attempt may have written it")
      assert.deepStrictEqual(yield* valuesOf(broker), ["a", "b"])
    })

  it.scoped("fail as possibly written when they are refused later", () => refusedLater(true))

  it.scoped("fail as possibly written when they are refused later, without idempotence", () => refusedLater(false))

  const transactional = (wire: Context.Tag.Service<Wire>) =>
    Effect.provideService(KafkaProducer.makeTransactional({ transactionalId: "tx", linger: 0 }), Wire, wire)

  it.scoped("are committed once if the next batch is split", () =>
    Effect.gen(function* () {
      const { broker, wire } = yield* brokerWith(uncertain(20, 1))
      const { transaction } = yield* transactional(wire)
      const became = yield* transaction(({ sendAllEither }) =>
        sendFrom20(sendAllEither, [[to("b")], [large("c0"), large("c1")], [to("d")]])
      )
      assert.deepStrictEqual(became, [["ok"], ["ok", "ok"], ["ok"]])
      assert.deepStrictEqual(yield* valuesOf(broker), ["a", "b", "c0", "c1", "d"])
    })
  )

  it.scoped("are aborted if the next batch is refused", () =>
    Effect.gen(function* () {
      const { broker, wire } = yield* brokerWith(uncertain(20, 1))
      const { transaction } = yield* transactional(wire)
      const failed = yield* Effect.flip(
        transaction(({ sendAllEither }) => sendFrom20(sendAllEither, [[to("b")], [tooLargeAlone], [to("d")]]))
      )
      assert.include(failed.message, "MESSAGE_TOO_LARGE")
      const next = yield* Effect.fork(transaction(({ send }) => send(to("e"))))
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(next)
      assert.deepStrictEqual(yield* valuesOf(broker), ["e"])
    })
  )
})
