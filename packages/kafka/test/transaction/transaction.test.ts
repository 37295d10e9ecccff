import { assert, describe, it } from "@effect/vitest"
import { KafkaErrorCode } from "@spillway/kafka/KafkaErrorCode"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import type { Api } from "@spillway/kafka/Protocol"
import type { GroupMember, TransactionalProducer } from "@spillway/kafka/Transaction"
import { Wire } from "@spillway/kafka/Wire"
import * as Faults from "@spillway/memory/Faults"
import * as MemoryBroker from "@spillway/memory/MemoryBroker"
import { Producer } from "@spillway/transport/Producer"
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"

type Broker = MemoryBroker.MemoryBroker["Type"]

const topics = { orders: 2, payments: 1 }

const to = (topic: string, value: string, partition = 0) => ({ topic, partition, value })

const text = (bytes: Uint8Array | null): string => new TextDecoder().decode(bytes ?? undefined)

const valuesOf = (broker: Broker, topic: string) =>
  Effect.map(broker.records(topic), (records) => records.map(({ value }) => text(value)))

const make = (
  broker: Broker,
  options: Partial<KafkaProducer.TransactionalProducerOptions> = {},
  wire: Context.Tag.Service<Wire> = broker.wire
) =>
  Effect.provideService(KafkaProducer.makeTransactional({ transactionalId: "tx", linger: 0, ...options }), Wire, wire)

const outsider: GroupMember = { groupId: "group", generationId: -1, memberId: "", groupInstanceId: null }

const one = (producer: TransactionalProducer["Type"], value: string) =>
  producer.transaction((transaction) => transaction.send(to("orders", value)))

const refused = <E>(send: Effect.Effect<unknown, E>): Effect.Effect<E> =>
  Effect.catchAll(Effect.flip(send), () => Effect.dieMessage("it was sent"))

/** Lets virtual time pass until the fiber is done. */
const passing = <A, E>(fiber: Fiber.RuntimeFiber<A, E>): Effect.Effect<Exit.Exit<A, E>> =>
  Effect.gen(function* () {
    while ((yield* Fiber.poll(fiber))._tag === "None") yield* TestClock.adjust("200 millis")
    return yield* Fiber.await(fiber)
  })

const inTime = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.flatMap(Effect.fork(effect), (fiber) => Effect.flatten(passing(fiber)))

describe("Transaction", () => {
  it.scoped("commits its records and offsets when its effect succeeds, all at once", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.make({ topics })
      const producer = yield* make(broker)
      const landed = yield* producer.transaction((transaction) =>
        Effect.gen(function* () {
          const first = yield* transaction.send(to("orders", "a"))
          yield* transaction.sendAll([to("orders", "b", 1), to("payments", "c")])
          yield* transaction.sendOffsets([{ topic: "payments", partition: 0, offset: 7 }], outsider)
          assert.deepStrictEqual(yield* valuesOf(broker, "orders"), [])
          assert.deepStrictEqual(yield* broker.committed("group"), [])
          return first
        })
      )
      assert.deepStrictEqual([landed.partition, landed.offset], [0, 0])
      assert.deepStrictEqual(yield* valuesOf(broker, "orders"), ["a", "b"])
      assert.deepStrictEqual(yield* valuesOf(broker, "payments"), ["c"])
      assert.deepStrictEqual(yield* broker.committed("group"), [{ topic: "payments", partition: 0, offset: 7 }])
    })
  )

  it.scoped("fails if the coordinator has forgotten its producer id, even if its records' errors are caught", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.make({ topics })
      const wire = yield* Faults.wrap(broker.wire, {
        seed: 1,
        rules: [
          {
            fault: { _tag: "Answer", code: KafkaErrorCode.INVALID_PRODUCER_ID_MAPPING, when: "instead" },
            apis: ["AddPartitionsToTxn"],
            times: 1
          }
        ]
      })
      const producer = yield* make(broker, {}, wire)
      const error = yield* inTime(
        Effect.flip(producer.transaction((transaction) => Effect.ignore(transaction.send(to("orders", "a")))))
      )
      assert.strictEqual(error.reason, "Aborted")
      yield* inTime(one(producer, "b"))
      assert.deepStrictEqual(yield* valuesOf(broker, "orders"), ["b"])
    })
  )

  it.scoped("discards its records and offsets when its effect fails, and the next one starts cleanly", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.make({ topics })
      const producer = yield* make(broker)
      for (let i = 0; i < 3; i++) {
        const failed = yield* Effect.flip(
          producer.transaction((transaction) =>
            transaction
              .sendAll([to("orders", "lost"), to("orders", "lost", 1)])
              .pipe(
                Effect.zipRight(transaction.sendOffsets([{ topic: "payments", partition: 0, offset: 7 }], outsider)),
                Effect.zipRight(Effect.fail("no"))
              )
          )
        )
        assert.strictEqual(failed, "no")
        yield* one(producer, `kept ${i}`)
      }
      assert.deepStrictEqual(yield* valuesOf(broker, "orders"), ["kept 0", "kept 1", "kept 2"])
      assert.deepStrictEqual(yield* broker.committed("group"), [])
    })
  )

  it.scoped("is aborted by an interruption, which waits for the abort only", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.make({ topics })
      const producer = yield* make(broker)
      const sent = yield* Deferred.make<void>()
      const running = yield* Effect.fork(
        producer.transaction((transaction) =>
          transaction
            .send(to("orders", "lost"))
            .pipe(Effect.zipRight(Deferred.succeed(sent, undefined)), Effect.zipRight(Effect.never))
        )
      )
      yield* Deferred.await(sent)
      yield* Fiber.interrupt(running)
      yield* one(producer, "kept")
      assert.deepStrictEqual(yield* valuesOf(broker, "orders"), ["kept"])
    })
  )

  it.scoped("lasts as long as its scope", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.make({ topics })
      const producer = yield* make(broker)
      const inScope = (value: string, exit: Exit.Exit<unknown, unknown>) =>
        Effect.gen(function* () {
          const scope = yield* Scope.make()
          const transaction = yield* Scope.extend(producer.begin, scope)
          yield* transaction.send(to("orders", value))
          yield* Scope.close(scope, exit)
          const late = yield* Effect.flip(transaction.send(to("orders", "late")))
          assert.deepStrictEqual([late.reason, late.topic], ["Aborted", "orders"])
        })
      yield* inScope("kept", Exit.void)
      yield* inScope("lost", Exit.fail("no"))
      yield* inScope("kept too", Exit.void)
      assert.deepStrictEqual(yield* valuesOf(broker, "orders"), ["kept", "kept too"])
    })
  )

  it.scoped("waits for the previous one to end", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.make({ topics })
      const producer = yield* make(broker)
      yield* Effect.forEach(
        ["a", "b", "c"],
        (value) =>
          producer.transaction((transaction) =>
            Effect.zipRight(transaction.send(to("orders", value)), transaction.send(to("orders", value)))
          ),
        { concurrency: "unbounded", discard: true }
      )
      assert.deepStrictEqual(yield* valuesOf(broker, "orders"), ["a", "a", "b", "b", "c", "c"])
    })
  )

  it.scoped("continues after an empty one that failed", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.make({ topics })
      const producer = yield* make(broker)
      for (const value of ["a", "b", "c"]) {
        yield* one(producer, value)
        yield* Effect.flip(
          producer.transaction((transaction) => transaction.sendAll([to("orders", "x"), to("orders", "", 9)]))
        )
      }
      assert.deepStrictEqual(yield* valuesOf(broker, "orders"), ["a", "b", "c"])
    })
  )

  it.scoped("includes records of a program that only uses a Producer", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.make({ topics })
      const producer = yield* make(broker)
      const program = Effect.flatMap(Producer, ({ sendAll }) => sendAll([to("orders", "a"), to("payments", "b")]))
      yield* producer.transaction((transaction) => Effect.provideService(program, Producer, transaction))
      assert.deepStrictEqual(yield* valuesOf(broker, "payments"), ["b"])
    })
  )

  it.scoped("commits the records of an interrupted fiber, and lingering ones", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.make({ topics })
      const producer = yield* make(broker, { linger: "1 hour" })
      yield* producer.transaction((transaction) =>
        Effect.asVoid(Effect.forkDaemon(transaction.send(to("orders", "lingers")))).pipe(
          Effect.zipRight(Effect.yieldNow())
        )
      )
      assert.deepStrictEqual(yield* valuesOf(broker, "orders"), ["lingers"])
    })
  )

  it.scoped("sends no request if it is empty", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.make({ topics })
      const asked: Array<Api> = []
      const producer = yield* make(broker, {}, recording(broker.wire, asked))
      yield* producer.transaction(() => Effect.void)
      yield* Effect.ignore(producer.transaction(() => Effect.fail("no")))
      // A new connection first asks for its cluster's id.
      assert.deepStrictEqual(asked, ["Metadata", "FindCoordinator", "InitProducerId"])
    })
  )

  it.scoped("adds all partitions of a turn in one request, each once", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.make({ topics })
      const asked: Array<Api> = []
      const producer = yield* make(broker, {}, recording(broker.wire, asked))
      yield* producer.transaction((transaction) =>
        Effect.forEach([0, 1], () =>
          transaction.sendAll([to("orders", "a"), to("orders", "b", 1), to("payments", "c")])
        )
      )
      assert.strictEqual(asked.filter((api) => api === "AddPartitionsToTxn").length, 1)
    })
  )

  it.scoped("must abort if a record isn't acknowledged, even if its error is caught", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.make({ topics: [{ name: "orders" }, { name: "small", maxMessageBytes: 500 }] })
      const producer = yield* make(broker)
      const failed = yield* Effect.flip(
        producer.transaction((transaction) =>
          Effect.gen(function* () {
            yield* transaction.send(to("orders", "lost"))
            const tooLarge = yield* refused(transaction.send(to("small", "x".repeat(1_000))))
            assert.strictEqual(tooLarge.reason, "RecordTooLarge")
            assert.strictEqual((yield* refused(transaction.send(to("orders", "late")))).reason, "Aborted")
          })
        )
      )
      assert.strictEqual(failed.reason, "Aborted")
      assert.include(failed.message, "MESSAGE_TOO_LARGE")
      yield* one(producer, "kept")
      assert.deepStrictEqual(yield* valuesOf(broker, "orders"), ["kept"])
    })
  )

  it.scoped("continues without a record that was rejected before it was sent", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.make({ topics })
      const producer = yield* make(broker, { maxBatchBytes: 1_024 })
      yield* inTime(
        producer.transaction((transaction) =>
          Effect.gen(function* () {
            const reasons = yield* Effect.forEach(
              [to("orders", "x".repeat(2_000)), to("orders", "", 9), to("nowhere", "")],
              (record) => Effect.map(Effect.flip(transaction.send(record)), ({ reason }) => reason)
            )
            assert.deepStrictEqual(reasons, ["RecordTooLarge", "InvalidRecord", "UnknownTopic"])
            yield* transaction.send(to("orders", "kept"))
          })
        )
      )
      assert.deepStrictEqual(yield* valuesOf(broker, "orders"), ["kept"])
    })
  )

  it.scoped("splits batches that are too large for their topic, in order", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.make({ topics: [{ name: "orders", maxMessageBytes: 400 }] })
      const producer = yield* make(broker)
      const values = Array.from({ length: 50 }, (_, i) => `${i}`.padStart(40, "."))
      yield* inTime(
        producer.transaction((transaction) =>
          Effect.zipRight(
            transaction.send(to("orders", "first")),
            transaction.sendAll(values.map((value) => to("orders", value)))
          )
        )
      )
      assert.deepStrictEqual(yield* valuesOf(broker, "orders"), ["first", ...values])
    })
  )

  it.scoped("is Fenced when another producer has taken over its id, and every later one too", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.make({ topics })
      const zombie = yield* make(broker)
      yield* one(zombie, "before")
      const failed = yield* Effect.flip(
        inTime(
          zombie.transaction((transaction) =>
            Effect.gen(function* () {
              yield* transaction.send(to("orders", "zombie"))
              yield* one(yield* make(broker), "successor")
              assert.strictEqual((yield* refused(transaction.send(to("orders", "late")))).reason, "Fenced")
            })
          )
        )
      )
      assert(failed._tag === "TransactionError")
      assert.strictEqual(failed.reason, "Fenced")
      assert.strictEqual((yield* Effect.flip(one(zombie, "never"))).reason, "Fenced")
      assert.deepStrictEqual(yield* valuesOf(broker, "orders"), ["before", "successor"])
    })
  )

  it.scoped("has TimedOut when the coordinator aborted it, and the next one succeeds", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.make({ topics })
      const producer = yield* make(broker, { transactionTimeout: "1 second" })
      const slow = (until: "send" | "commit") =>
        Effect.flip(
          producer.transaction((transaction) =>
            Effect.gen(function* () {
              yield* transaction.send(to("orders", "slow"))
              yield* TestClock.adjust("2 seconds")
              if (until === "send") yield* transaction.send(to("orders", "late"))
            })
          )
        )
      assert.strictEqual((yield* slow("commit")).reason, "TimedOut")
      yield* one(producer, "a")
      assert.strictEqual((yield* slow("send"))._tag, "ProducerError")
      yield* one(producer, "b")
      assert.deepStrictEqual(yield* valuesOf(broker, "orders"), ["a", "b"])
    })
  )

  it.scoped("starts over when the coordinator has forgotten its producer", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.make({ topics })
      const fault = { _tag: "Answer", when: "instead", code: KafkaErrorCode.INVALID_PRODUCER_ID_MAPPING } as const
      for (const api of ["AddPartitionsToTxn", "EndTxn"] as const) {
        const wire = yield* Faults.wrap(broker.wire, { seed: 1, rules: [{ fault, apis: [api], times: 1 }] })
        const producer = yield* make(broker, { transactionalId: api }, wire)
        const failed = yield* inTime(refused(one(producer, "lost")))
        assert.strictEqual(failed.reason, "Aborted")
        yield* inTime(one(producer, api))
      }
      assert.deepStrictEqual(yield* valuesOf(broker, "orders"), ["AddPartitionsToTxn", "EndTxn"])
    })
  )

  it.scoped("commits no offsets of a member that has left", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.make({ topics })
      const producer = yield* make(broker)
      const failed = yield* Effect.flip(
        producer.transaction((transaction) =>
          Effect.zipRight(
            transaction.send(to("orders", "lost")),
            transaction.sendOffsets([{ topic: "payments", partition: 0, offset: 7 }], {
              ...outsider,
              generationId: 3,
              memberId: "gone"
            })
          )
        )
      )
      assert.deepStrictEqual([failed._tag, failed.reason], ["TransactionError", "NotMember"])
      assert.deepStrictEqual(yield* valuesOf(broker, "orders"), [])
    })
  )

  it.scoped("waits while the previous one's end is written", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.make({ topics, transactionCompletionDelay: "300 millis" })
      const producer = yield* make(broker)
      yield* inTime(one(producer, "a"))
      yield* Effect.exit(
        inTime(producer.transaction((tx) => Effect.zipRight(tx.send(to("orders", "x")), Effect.fail(0))))
      )
      yield* inTime(one(producer, "b"))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* valuesOf(broker, "orders"), ["a", "b"])
    })
  )

  it.scoped("requires an id and a timeout that the broker allows, and its scope dies if it can't commit", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.make({ topics })
      const unnamed = yield* Effect.flip(make(broker, { transactionalId: " ", transactionTimeout: 0 }))
      assert.strictEqual(
        unnamed.message,
        'KafkaProducer: transactionalId must not be empty, not " "; transactionTimeout must be a duration of at least 1 ms and below 25 days, not 0'
      )
      const long = yield* Effect.flip(make(broker, { transactionTimeout: "1 day" }))
      assert(long._tag === "TransactionError")
      assert.strictEqual(long.reason, "Refused")
      const producer = yield* make(broker, { transactionTimeout: "1 second" })
      const exit = yield* Effect.exit(
        Effect.scoped(
          Effect.flatMap(producer.begin, (transaction) =>
            Effect.zipRight(transaction.send(to("orders", "slow")), TestClock.adjust("2 seconds"))
          )
        )
      )
      assert.isTrue(Exit.isFailure(exit) && Cause.isDie(exit.cause))
    })
  )

  describe("keeps its guarantees for any fault of one request:", () => {
    const apis: ReadonlyArray<Api> = [
      "InitProducerId",
      "AddPartitionsToTxn",
      "Produce",
      "AddOffsetsToTxn",
      "TxnOffsetCommit",
      "EndTxn",
      "FindCoordinator"
    ]
    const faults: Readonly<Record<string, Faults.Fault>> = {
      "a lost request": { _tag: "LoseRequest" },
      "a lost response": { _tag: "LoseResponse" },
      "a cut before": { _tag: "Disconnect", when: "before" },
      "a cut after": { _tag: "Disconnect", when: "after" },
      "a coordinator that loads": {
        _tag: "Answer",
        when: "instead",
        code: KafkaErrorCode.COORDINATOR_LOAD_IN_PROGRESS
      },
      "a coordinator that has moved": { _tag: "Answer", when: "instead", code: KafkaErrorCode.NOT_COORDINATOR }
    }
    const rounds = 3
    for (const [name, fault] of Object.entries(faults)) {
      it.scoped(name, () =>
        Effect.forEach(
          apis,
          (api) =>
            Effect.gen(function* () {
              if (api === "Produce" && fault._tag === "Answer") return
              const broker = yield* MemoryBroker.make({ topics })
              const times = api === "FindCoordinator" || api === "InitProducerId" ? 1 : 2
              let met = 0
              const wire = yield* Faults.wrap(broker.wire, {
                seed: 1,
                requestTimeout: "1 second",
                rules: [{ fault, apis: [api], times }],
                onFault: () => met++
              })
              const producer = yield* inTime(make(broker, {}, wire))
              for (let i = 0; i < rounds; i++) {
                const offset = { topic: "payments", partition: 0, offset: i + 1 }
                yield* inTime(
                  producer.transaction((transaction) =>
                    Effect.zipRight(
                      transaction.sendAll([to("orders", `${i}`), to("orders", `${i}`, 1)]),
                      transaction.sendOffsets([offset], outsider)
                    )
                  )
                )
                yield* Effect.exit(
                  inTime(
                    producer.transaction((transaction) =>
                      Effect.zipRight(transaction.send(to("orders", "lost")), Effect.fail("no"))
                    )
                  )
                )
              }
              yield* TestClock.adjust("2 minutes")
              const numbers = Array.from({ length: rounds }, (_, i) => `${i}`)
              assert.deepStrictEqual(yield* valuesOf(broker, "orders"), [...numbers, ...numbers], api)
              assert.deepStrictEqual(yield* broker.committed("group"), [
                { topic: "payments", partition: 0, offset: rounds }
              ])
              assert.strictEqual(met, times, api)
            }),
          { discard: true }
        )
      )
    }
  })
})

const recording = (wire: Context.Tag.Service<Wire>, asked: Array<Api>): Context.Tag.Service<Wire> =>
  Wire.of({
    bootstrap: wire.bootstrap,
    connect: (endpoint, role) =>
      Effect.map(wire.connect(endpoint, role), (connection) => ({
        closed: connection.closed,
        request: (api, request) => {
          asked.push(api)
          return connection.request(api, request)
        }
      }))
  })
