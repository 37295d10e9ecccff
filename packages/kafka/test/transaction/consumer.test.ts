import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { assert, describe, it } from "@effect/vitest"
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import { KafkaErrorCode } from "@spillway/kafka/KafkaErrorCode"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import type { Api, OffsetFetchRequest } from "@spillway/kafka/Protocol"
import { Wire, WireError } from "@spillway/kafka/Wire"
import * as Faults from "@spillway/memory/Faults"
import { MemoryBroker } from "@spillway/memory/MemoryBroker"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import type { Envelope } from "@spillway/transport/Envelope"
import * as HandlerError from "@spillway/transport/HandlerError"
import type { ProducerRecord } from "@spillway/transport/Producer"
import * as RetryPolicy from "@spillway/transport/RetryPolicy"
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import { committed, group, observed, onBroker, options, topic } from "../support/consumerTesting.js"

/** Collects garbage. */
const collectGarbage = Effect.async<void>((resume) => {
  setImmediate(() => {
    setFlagsFromString("--expose-gc")
    runInNewContext("gc")()
    resume(Effect.void)
  })
})

const topics = { [topic]: 2, results: 2, "orders-dlq": 2 }

const result = ({ partition, value }: Envelope<string>): ReadonlyArray<ProducerRecord> => [
  { topic: "results", partition, value: `${value}!` }
]

const text = (bytes: Uint8Array | null): string => new TextDecoder().decode(bytes ?? undefined)

const valuesOf = (name: string) =>
  Effect.flatMap(MemoryBroker, (broker) =>
    Effect.map(broker.records(name), (records) => records.map(({ value }) => text(value)).sort())
  )

const produce = (values: ReadonlyArray<string>, partitions = 2) =>
  Effect.flatMap(MemoryBroker, (broker) =>
    broker.produce(
      topic,
      values.map((value, i) => ({ value, partition: i % partitions }))
    )
  )

const numbered = (count: number, from = 0) => Array.from({ length: count }, (_, i) => `${i + from}`)

type Options<E, R> = Partial<KafkaConsumer.TransactionalConsumerOptions<string, E, R, never>>

const make = <E = never, R = never>(
  overrides: Options<E, R> = {},
  wire?: Context.Tag.Service<Wire>
): Effect.Effect<Effect.Effect.Success<ReturnType<typeof started>>, unknown, R | Wire | Scope.Scope> =>
  wire === undefined ? started(overrides) : Effect.provideService(started(overrides), Wire, wire)

const started = <E, R>(overrides: Options<E, R>) =>
  KafkaConsumer.makeTransactional({
    ...options,
    transactionalId: "billing-1",
    retry: RetryPolicy.fixed({ retries: 2, delay: "1 second" }),
    deadLetter: DeadLetter.topic() as DeadLetter.DeadLetterPolicy<never>,
    handler: (envelope: Envelope<string>): Effect.Effect<ReadonlyArray<ProducerRecord>, E, R> =>
      Effect.succeed(result(envelope)),
    ...overrides
  })

/** Advances the clock until the condition holds. */
const until = <E, R>(holds: Effect.Effect<boolean, E, R>) =>
  Effect.zipRight(TestClock.adjust("200 millis"), holds).pipe(
    Effect.repeat({ until: (holds) => holds, times: 2_000 }),
    Effect.filterOrDieMessage((holds) => holds, "the condition never held")
  )

const passing = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(effect)
    yield* until(Effect.map(Fiber.poll(fiber), (exit) => exit._tag === "Some"))
    return yield* Fiber.join(fiber)
  })

const written = (count: number, name = "results") => until(Effect.map(valuesOf(name), ({ length }) => length >= count))

describe("KafkaConsumer, transactional", () => {
  it.effect("dead-letters a record whose handler returns no array, and says what it must return", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      yield* make({ handler: () => Effect.succeed("a bill" as unknown as ReadonlyArray<ProducerRecord>) })
      yield* produce(["a"])
      yield* until(Effect.map(broker.records(`${topic}-dlq`), ({ length }) => length === 1))
      const [letter] = yield* broker.records(`${topic}-dlq`)
      console.log(
        letter!.headers.map(
          ([n, v]) =>
            n +
            "=" +
            Buffer.from(v ?? [])
              .toString()
              .slice(0, 100)
        )
      )
      const texts = letter!.headers.map(([, value]) => Buffer.from(value ?? []).toString())
      assert.include(texts, 'a transactional handler must return an array of records to write, not "a bill"')
    }).pipe(onBroker({ topics }))
  )

  it.effect("writes its handler's results with the offsets, in few transactions", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      yield* produce(numbered(200))
      const asked: Array<Api> = []
      yield* make(
        {},
        observed(broker.wire, (api) => Effect.sync(() => asked.push(api)))
      )
      yield* written(200)
      assert.deepStrictEqual(
        yield* valuesOf("results"),
        numbered(200)
          .map((value) => `${value}!`)
          .sort()
      )
      assert.deepStrictEqual(yield* committed, { 0: 100, 1: 100 })
      assert.isBelow(asked.filter((api) => api === "EndTxn").length, 6)
      assert.notInclude(asked, "OffsetCommit")
    }).pipe(onBroker({ topics }))
  )

  it.effect("writes a dead letter in the transaction of its offset, after the record's own retries", () =>
    Effect.gen(function* () {
      yield* produce(["good", "bad", "poison", "flaky"], 1)
      const attempts: Array<string> = []
      const consumer = yield* make({
        handler: (envelope) =>
          Effect.suspend((): Effect.Effect<ReadonlyArray<ProducerRecord>, unknown> => {
            attempts.push(envelope.value)
            if (envelope.value === "bad") return HandlerError.nonRetryable("bad")
            if (envelope.value === "poison") return Effect.fail("poison")
            return envelope.value === "flaky" && envelope.attempt < 2
              ? Effect.fail("flaky")
              : Effect.succeed(result(envelope))
          })
      })
      yield* written(2)
      assert.deepStrictEqual(yield* valuesOf("results"), ["flaky!", "good!"])
      assert.deepStrictEqual(yield* valuesOf("orders-dlq"), ["bad", "poison"])
      assert.deepStrictEqual(attempts, ["good", "bad", "poison", "poison", "poison", "flaky", "flaky"])
      const letters = yield* Effect.flatMap(MemoryBroker, (broker) => broker.records("orders-dlq"))
      assert.deepStrictEqual(
        letters.map((letter) => DeadLetter.metadata(letter)._tag),
        ["Some", "Some"]
      )
      const report = yield* passing(consumer.close)
      assert.deepStrictEqual([report.handled, report.deadLettered, report.retried], [2, 2, 3])
      assert.deepStrictEqual(yield* committed, { 0: 4, 1: 0 })
    }).pipe(onBroker({ topics }))
  )

  it.effect("commits when it drains, and the next owner handles the rest once", () =>
    Effect.gen(function* () {
      yield* produce(numbered(20))
      const consumer = yield* make({ commitInterval: "1 hour" })
      yield* until(Effect.map(consumer.report, ({ handled }) => handled === 20))
      assert.deepStrictEqual(yield* valuesOf("results"), [])
      yield* passing(consumer.close)
      assert.lengthOf(yield* valuesOf("results"), 20)
      const next = yield* make()
      yield* produce(numbered(4, 20))
      yield* written(24)
      assert.strictEqual((yield* next.report).handled, 4)
    }).pipe(onBroker({ topics }))
  )

  it.effect("repeats an aborted transaction with the same records, without handling them again", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      yield* produce(numbered(10))
      let refusals = 3
      const wire = observed(broker.wire, (api) =>
        Effect.suspend(() =>
          api === "Produce" && refusals-- > 0
            ? Effect.fail(new WireError({ reason: "UnsupportedVersion", endpoint: "memory", description: "a fault" }))
            : Effect.void
        )
      )
      let calls = 0
      yield* make(
        {
          handler: (envelope) =>
            Effect.as(
              Effect.sync(() => calls++),
              result(envelope)
            )
        },
        wire
      )
      yield* written(10)
      assert.strictEqual(calls, 10)
      assert.lengthOf(yield* broker.uncommittedRecords("results"), 10)
    }).pipe(onBroker({ topics }))
  )

  it.effect("treats a result that can't be written as a failure of its handler", () =>
    Effect.gen(function* () {
      yield* produce(["fine", "large", "refused", "nowhere", "invalid"], 1)
      const records: Readonly<Record<string, ProducerRecord>> = {
        large: { topic: "results", value: "x".repeat(5_000) },
        refused: { topic: "small", value: "x".repeat(1_000) },
        nowhere: { topic: "nowhere", value: "" },
        invalid: { topic: "results", partition: 99, value: "" }
      }
      const consumer = yield* make({
        producer: { maxBatchBytes: 4_096 },
        handler: (envelope) => {
          const record = records[envelope.value]
          return Effect.succeed(record === undefined ? result(envelope) : [record, ...result(envelope)])
        }
      })
      yield* written(4, "orders-dlq")
      assert.deepStrictEqual(yield* valuesOf("results"), ["fine!"])
      const letters = yield* Effect.flatMap(MemoryBroker, (broker) => broker.records("orders-dlq"))
      const why = letters.map((letter) => {
        const metadata = DeadLetter.metadata(letter)
        return metadata._tag === "Some" ? metadata.value.errorMessage?.split(":")[0] : undefined
      })
      assert.deepStrictEqual(why, ["RecordTooLarge", "RecordTooLarge", "UnknownTopic", "InvalidRecord"])
      yield* passing(consumer.close)
      assert.deepStrictEqual(yield* committed, { 0: 5, 1: 0 })
    }).pipe(
      onBroker({
        topics: [
          ...Object.entries(topics).map(([name, partitions]) => ({ name, partitions })),
          { name: "small", maxMessageBytes: 500 }
        ]
      })
    )
  )

  describe("when a broker refuses the results of some records", () => {
    const topicsWithSmall = [
      ...Object.entries(topics).map(([name, partitions]) => ({ name, partitions })),
      { name: "small", maxMessageBytes: 500 }
    ]

    const refusedOf = (count: number, of: number) =>
      Effect.gen(function* () {
        yield* produce(numbered(of), 1)
        const isRefused = (value: string) => Number(value) % (of / count) === 7
        const calls = new Map<string, number>()
        const consumer = yield* make({
          handler: (envelope) =>
            Effect.sync(() => {
              calls.set(envelope.value, (calls.get(envelope.value) ?? 0) + 1)
              return isRefused(envelope.value)
                ? [{ topic: "small", value: "x".repeat(1_000) }, ...result(envelope)]
                : result(envelope)
            })
        })
        yield* written(of - count)
        yield* written(count, "orders-dlq")
        yield* passing(consumer.close)
        const all = numbered(of)
        assert.deepStrictEqual(
          yield* valuesOf("results"),
          all.flatMap((value) => (isRefused(value) ? [] : [`${value}!`])).sort()
        )
        assert.deepStrictEqual(yield* valuesOf("orders-dlq"), all.filter(isRefused).sort())
        assert.deepStrictEqual(
          all.map((value) => calls.get(value)),
          all.map((value) => (isRefused(value) ? 2 : 1))
        )
        assert.deepStrictEqual(yield* committed, { 0: of, 1: 0 })
      })

    for (const count of [1, 5]) {
      it.effect(`handles only those records again: ${count} of 100`, () =>
        refusedOf(count, 100).pipe(onBroker({ topics: topicsWithSmall }))
      )
    }

    it.effect("handles those records again even if the outbox is full of later results", () =>
      Effect.gen(function* () {
        yield* produce(["refused", ...numbered(30)], 1)
        let calls = 0
        const consumer = yield* make({
          maxTransactionBytes: 5_000,
          retry: RetryPolicy.fixed({ retries: 1, delay: "5 seconds" }),
          handler: ({ attempt, value }) =>
            Effect.suspend((): Effect.Effect<ReadonlyArray<ProducerRecord>, unknown> => {
              calls++
              if (value !== "refused") return Effect.succeed([{ topic: "results", value: "x".repeat(2_000) }])
              if (calls > 1 && attempt === 1) return Effect.fail("not now")
              return Effect.succeed([{ topic: "small", value: "x".repeat(600) }])
            })
        })
        yield* written(30)
        yield* passing(consumer.close)
        assert.lengthOf(yield* valuesOf("orders-dlq"), 1)
        assert.strictEqual(calls, 33)
      }).pipe(onBroker({ topics: topicsWithSmall }))
    )

    it.effect("continues the other partitions while one of those records waits for its retry", () =>
      Effect.gen(function* () {
        const broker = yield* MemoryBroker
        yield* produce(["refused", ...numbered(20)], 1)
        let isFirst = true
        yield* make({
          maxTransactionBytes: 5_000,
          retry: RetryPolicy.fixed({ retries: 1, delay: "1 hour" }),
          handler: ({ partition, value }) =>
            Effect.suspend((): Effect.Effect<ReadonlyArray<ProducerRecord>, unknown> => {
              if (value !== "refused")
                return Effect.succeed([{ topic: "results", partition, value: "x".repeat(2_000) }])
              if (!isFirst) return Effect.fail("not now")
              isFirst = false
              return Effect.succeed([{ topic: "small", value: "x".repeat(600) }])
            })
        })
        yield* until(Effect.sync(() => !isFirst))
        yield* TestClock.adjust("5 seconds")
        const others = numbered(50).map((value) => ({ value, partition: 1 }))
        yield* broker.produce(topic, others)
        yield* written(50)
        assert.deepStrictEqual(yield* committed, { 0: 0, 1: 50 })
      }).pipe(onBroker({ topics: topicsWithSmall }))
    )

    it.effect("keeps no results in memory once the dead letters are committed", () =>
      Effect.gen(function* () {
        const size = 500_000
        const count = 40
        const held = Effect.map(collectGarbage, () => process.memoryUsage().arrayBuffers)
        const before = yield* held
        yield* produce(numbered(count), 1)
        yield* make({ handler: () => Effect.sync(() => [{ topic: "small", value: new Uint8Array(size) }]) })
        yield* written(count, "orders-dlq")
        yield* until(Effect.map(committed, ({ 0: offset }) => offset === count))
        // Freed bytes are released some time after the collection that finds them.
        yield* until(Effect.map(held, (bytes) => bytes - before < 10 * size))
      }).pipe(onBroker({ topics: topicsWithSmall }))
    )
  })

  it.effect("starts no record while the outbox is full, and commits it at once", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      yield* produce(numbered(40), 1)
      const held = yield* Deferred.make<void>()
      const wire = observed(broker.wire, (api) => (api === "EndTxn" ? Deferred.await(held) : Effect.void))
      let calls = 0
      const starting = yield* Effect.fork(
        make(
          {
            commitInterval: "1 hour",
            maxTransactionBytes: 5_000,
            handler: ({ value }) =>
              Effect.sync(() => {
                calls++
                return [{ topic: "results", value: `${value}${"x".repeat(1_000)}` }]
              })
          },
          wire
        )
      )
      yield* TestClock.adjust("1 second")
      assert.isBelow(calls, 7)
      yield* Deferred.succeed(held, undefined)
      const running = yield* Fiber.join(starting)
      yield* written(40)
      assert.strictEqual((yield* running.report).handled, 40)
    }).pipe(onBroker({ topics }))
  )

  it.effect("follows a rebalance while the transaction of its start offsets can't end", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const wire = yield* Faults.wrap(broker.wire, {
        seed: 1,
        rules: [
          {
            fault: { _tag: "Answer", code: KafkaErrorCode.COORDINATOR_LOAD_IN_PROGRESS, when: "instead" },
            apis: ["TxnOffsetCommit", "EndTxn"],
            until: "10 seconds"
          }
        ]
      })
      const timing = {
        assignors: ["range"],
        heartbeatInterval: "500 millis",
        rebalanceTimeout: "6 seconds",
        revokeTimeout: "5 seconds",
        drainTimeout: "1 second"
      } as const
      yield* Effect.fork(make(timing, wire))
      yield* TestClock.adjust("2 seconds")
      yield* Effect.fork(make({ ...timing, transactionalId: "billing-2" }))
      yield* TestClock.adjust("2 seconds")
      const { members, state } = yield* broker.group(group)
      assert.deepStrictEqual({ members: members.length, state }, { members: 2, state: "Stable" })
      yield* TestClock.adjust("20 seconds")
    }).pipe(onBroker({ topics }))
  )

  it.effect("fails at its first commit after another consumer has taken over its transactional id", () =>
    Effect.gen(function* () {
      const consumer = yield* make({ commitInterval: "1 minute" })
      yield* KafkaProducer.makeTransactional({ transactionalId: "billing-1" })
      yield* produce(numbered(2))
      const failed = yield* Effect.fork(Effect.flip(consumer.wait))
      // The following drain doesn't repeat a permanently refused commit.
      yield* TestClock.adjust("61 seconds")
      assert(Option.isSome(yield* Fiber.poll(failed)))
      assert.strictEqual((yield* Fiber.join(failed)).reason, "FencedProducer")
    }).pipe(onBroker({ topics }))
  )

  it.effect("waits for offsets that an open transaction may still commit, with either isolation level", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const asked: Array<unknown> = []
      const wire = observed(broker.wire, (api, request) =>
        Effect.sync(() => {
          if (api === "OffsetFetch") asked.push((request as OffsetFetchRequest).requireStable)
        })
      )
      yield* make({ isolationLevel: "read_uncommitted" }, wire)
      assert.deepStrictEqual(asked, [true])
    }).pipe(onBroker({ topics }))
  )

  it.effect("fails when another consumer takes over its transactional id", () =>
    Effect.gen(function* () {
      const consumer = yield* make()
      yield* KafkaProducer.makeTransactional({ transactionalId: "billing-1" })
      yield* produce(numbered(2))
      const error = yield* passing(Effect.flip(consumer.wait))
      assert.strictEqual(error.reason, "FencedProducer")
      assert.deepStrictEqual(yield* valuesOf("results"), [])
    }).pipe(onBroker({ topics }))
  )

  it.effect("requires a transactional id, and a bound on its results", () =>
    Effect.gen(function* () {
      const unnamed = yield* Effect.flip(make({ transactionalId: "" }))
      assert.include(String(unnamed), "transactionalId must not be empty")
      assert.include(String(yield* Effect.flip(make({ maxTransactionBytes: 0 }))), "maxTransactionBytes")
    }).pipe(onBroker({ topics }))
  )

  describe("is exactly once when", () => {
    const count = 60
    const assertExact = Effect.gen(function* () {
      assert.deepStrictEqual(
        yield* valuesOf("results"),
        numbered(count)
          .filter((value) => !value.endsWith("7"))
          .map((value) => `${value}!`)
          .sort()
      )
      assert.deepStrictEqual(
        yield* valuesOf("orders-dlq"),
        numbered(count)
          .filter((value) => value.endsWith("7"))
          .sort()
      )
    })
    const handler = (envelope: Envelope<string>) =>
      envelope.value.endsWith("7")
        ? HandlerError.nonRetryable("seven")
        : Effect.delay(Effect.succeed(result(envelope)), "20 millis")
    const exact = Effect.all([valuesOf("results"), valuesOf("orders-dlq")]).pipe(
      Effect.map(([results, letters]) => results.length + letters.length >= count)
    )

    for (const assignor of ["range", "cooperative-sticky"] as const) {
      it.effect(`members join, leave and crash: ${assignor}`, () =>
        Effect.gen(function* () {
          const broker = yield* MemoryBroker
          yield* produce(numbered(count))
          const member = (id: number) =>
            Effect.gen(function* () {
              const client = yield* broker.client()
              const scope = yield* Scope.make()
              const overrides = {
                transactionalId: `billing-${id}`,
                assignors: [assignor],
                sessionTimeout: "6 seconds",
                heartbeatInterval: "1 second",
                handler
              } as const
              const starting = yield* Effect.fork(Scope.extend(make(overrides, client.wire), scope))
              return { client, close: Effect.zipRight(Fiber.interrupt(starting), Scope.close(scope, Exit.void)) }
            })
          const one = yield* member(1)
          yield* TestClock.adjust("300 millis")
          const two = yield* member(2)
          yield* TestClock.adjust("2 seconds")
          // A crash: the broker receives nothing more from it.
          yield* one.client.cut
          yield* TestClock.adjust("500 millis")
          const three = yield* member(3)
          yield* TestClock.adjust("8 seconds")
          yield* passing(two.close)
          yield* until(exact)
          yield* one.client.restore
          yield* TestClock.adjust("5 seconds")
          yield* assertExact
          yield* Effect.all([passing(one.close), passing(three.close)])
        }).pipe(onBroker({ topics }))
      )
    }

    const apis: ReadonlyArray<Api> = [
      "AddPartitionsToTxn",
      "Produce",
      "AddOffsetsToTxn",
      "TxnOffsetCommit",
      "EndTxn",
      "InitProducerId"
    ]
    const faults: Readonly<Record<string, Faults.Fault>> = {
      "requests get lost": { _tag: "LoseRequest" },
      "answers get lost": { _tag: "LoseResponse" },
      "connections end": { _tag: "Disconnect", when: "after" },
      "the coordinator is fenced": { _tag: "Answer", when: "instead", code: KafkaErrorCode.NOT_COORDINATOR }
    }
    for (const [name, fault] of Object.entries(faults)) {
      it.effect(name, () =>
        Effect.gen(function* () {
          const broker = yield* MemoryBroker
          yield* produce(numbered(count))
          let met = 0
          const wire = yield* Faults.wrap(broker.wire, {
            seed: 7,
            requestTimeout: "1 second",
            rules: [
              {
                fault,
                apis: fault._tag === "Answer" ? apis.filter((api) => api !== "Produce") : apis,
                probability: 0.2,
                times: 12
              }
            ],
            onFault: () => met++
          })
          const scope = yield* Scope.make()
          const starting = yield* Effect.fork(Scope.extend(make({ handler }, wire), scope))
          yield* until(exact)
          yield* TestClock.adjust("5 seconds")
          yield* assertExact
          assert.isAbove(met, 0)
          yield* passing(Effect.zipRight(Fiber.interrupt(starting), Scope.close(scope, Exit.void)))
          assert.deepStrictEqual(yield* committed, { 0: count / 2, 1: count / 2 })
        }).pipe(onBroker({ topics }))
      )
    }

    it.effect("no broker answers whether it was committed", () =>
      Effect.gen(function* () {
        const broker = yield* MemoryBroker
        yield* produce(numbered(count))
        let commits = 0
        const wire: Context.Tag.Service<Wire> = {
          bootstrap: broker.wire.bootstrap,
          connect: (endpoint, role) =>
            Effect.map(broker.wire.connect(endpoint, role), (connection) => ({
              closed: connection.closed,
              request: (api, request) =>
                // Every second commit is made, and never answered.
                api === "EndTxn" && "committed" in request && request.committed && commits++ % 2 === 1
                  ? Effect.zipRight(connection.request(api, request), Effect.never)
                  : connection.request(api, request)
            }))
        }
        yield* make({ handler, producer: { deliveryTimeout: "300 millis" } }, wire)
        yield* until(exact)
        yield* TestClock.adjust("5 seconds")
        assert.isAbove(commits, 3)
        yield* assertExact
      }).pipe(onBroker({ topics }))
    )
  })

  it.effect("commits no results from before a partition was lost, even if the partition is assigned again", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const { cut, restore, wire } = yield* broker.client()
      const member = { commitInterval: "1 hour", heartbeatInterval: "1 second", sessionTimeout: "6 seconds" } as const
      const one = yield* make({ ...member, transactionalId: "billing-1" }, wire)
      yield* produce(numbered(2), 1)
      yield* until(Effect.map(one.report, ({ handled }) => handled === 2))
      yield* cut
      yield* TestClock.adjust("7 seconds")
      const two = yield* make({ ...member, transactionalId: "billing-2" })
      yield* until(Effect.map(two.report, ({ handled }) => handled === 2))
      yield* passing(two.close)
      yield* restore
      yield* produce(numbered(1, 2), 1)
      yield* until(Effect.map(one.report, ({ handled }) => handled === 3))
      yield* passing(one.close)
      assert.deepStrictEqual(yield* valuesOf("results"), ["0!", "1!", "2!"])
      assert.deepStrictEqual(yield* committed, { 0: 3, 1: 0 })
    }).pipe(onBroker({ topics }))
  )

  it.effect("restarts at a seek's target, and replaces the earlier results from there on", () =>
    Effect.gen(function* () {
      yield* produce(numbered(6), 1)
      let round = 0
      const consumer = yield* make({
        commitInterval: "1 hour",
        handler: ({ value }) => Effect.succeed([{ topic: "results", partition: 0, value: `${value}/${round}` }])
      })
      yield* until(Effect.map(consumer.report, ({ handled }) => handled === 6))
      round = 1
      yield* passing(consumer.seek({ _tag: "Offset", offset: 3 }, [{ topic, partition: 0 }]))
      yield* until(Effect.map(consumer.report, ({ handled }) => handled === 9))
      yield* passing(consumer.close)
      assert.deepStrictEqual(yield* valuesOf("results"), ["0/0", "1/0", "2/0", "3/1", "4/1", "5/1"])
      assert.strictEqual(consumer.groupId, group)
    }).pipe(onBroker({ topics }))
  )
})
