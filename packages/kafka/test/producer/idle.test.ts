import { setImmediate } from "node:timers/promises"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { assert, describe, it } from "@effect/vitest"
import { KafkaErrorCode } from "@spillway/kafka/KafkaErrorCode"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import type { Request, Response } from "@spillway/kafka/Protocol"
import * as RecordBatch from "@spillway/kafka/RecordBatch"
import { Wire } from "@spillway/kafka/Wire"
import * as MemoryBroker from "@spillway/memory/MemoryBroker"
import type { ProducerRecord } from "@spillway/transport/Producer"
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { type Decide, intercept, refusing } from "../support/producerFaults.js"

const partitions = 12

const to = (topic: string, value: string, partition = 0): ProducerRecord => ({ topic, partition, value })

const all = (topic: string): ReadonlyArray<ProducerRecord> =>
  Array.from({ length: partitions }, (_, partition) => to(topic, "a", partition))

/** A wire that records, and may change, the answers to Metadata and InitProducerId. */
const answered = (
  wire: Context.Tag.Service<Wire>,
  see: { readonly metadata?: (answer: Response<"Metadata">) => void; readonly firstEpoch?: number }
): Context.Tag.Service<Wire> =>
  Wire.of({
    bootstrap: wire.bootstrap,
    connect: (endpoint, role) =>
      Effect.map(wire.connect(endpoint, role), (connection) => ({
        closed: connection.closed,
        request: (api, request, limitMs) =>
          Effect.map(connection.request(api, request, limitMs), (answer) => {
            if (api === "Metadata") see.metadata?.(answer as Response<"Metadata">)
            if (api !== "InitProducerId" || see.firstEpoch === undefined) return answer
            return { ...answer, producerEpoch: see.firstEpoch }
          })
      }))
  })

const setup = (
  options: KafkaProducer.KafkaProducerOptions & {
    readonly decide?: Decide
    readonly firstEpoch?: number
    readonly metadata?: (answer: Response<"Metadata">) => void
  } = {}
) =>
  Effect.gen(function* () {
    const { decide = (request, forward) => forward(request), firstEpoch, metadata, ...rest } = options
    const broker = yield* MemoryBroker.make({ topics: { orders: 1, other: 1 } })
    const batches: Array<RecordBatch.BatchHeader> = []
    const note = (request: Request<"Produce">) => {
      for (const { partitions } of request.topics)
        for (const { records } of partitions) batches.push(RecordBatch.readHeader(records) as RecordBatch.BatchHeader)
    }
    const wire = intercept(
      answered(broker.wire, { ...(metadata && { metadata }), ...(firstEpoch !== undefined && { firstEpoch }) }),
      (request, forward) => {
        note(request)
        return decide(request, forward)
      }
    )
    const producer = yield* KafkaProducer.make({ linger: 0, metadataMaxAge: "1 minute", ...rest }).pipe(
      Effect.provideService(Wire, wire)
    )
    const values = (topic: string) =>
      Effect.map(broker.records(topic), (records) => records.map(({ value }) => new TextDecoder().decode(value!)))
    /** Waits until unused topics are forgotten, which happens when a topic is used. */
    const forgetting = Effect.repeatN(
      Effect.zipRight(TestClock.adjust("61 seconds"), producer.send(to("other", "tick"))),
      2
    )
    return { broker, producer, batches, values, forgetting }
  })

const collectGarbage = Effect.promise(async () => {
  setFlagsFromString("--expose-gc")
  await setImmediate()
  runInNewContext("gc")()
})

describe("a producer of changing topics", () => {
  it.scoped("forgets unused topics after a while", () =>
    Effect.gen(function* () {
      const known = new Map<string, WeakRef<object>>()
      const { broker, forgetting, producer } = yield* setup({
        metadata: ({ topics }) => {
          for (const { partitions, topic } of topics) if (partitions[0]) known.set(topic, new WeakRef(partitions[0]))
        }
      })
      for (let i = 0; i < 30; i++) {
        yield* broker.createTopic(`topic-${i}`, partitions)
        yield* producer.sendAll(all(`topic-${i}`))
        yield* broker.deleteTopic(`topic-${i}`)
      }
      yield* forgetting
      yield* collectGarbage
      const retained = Array.from(known).filter(([, ref]) => ref.deref() !== undefined)
      assert.deepStrictEqual(
        retained.map(([topic]) => topic),
        ["other"]
      )
    })
  )

  it.scoped("writes once and in order to a forgotten one, under an epoch that restarts the sequence", () =>
    Effect.gen(function* () {
      const lost = new Set([1, 3, 5])
      let requests = 0
      const { batches, forgetting, producer, values } = yield* setup({
        decide: (request, forward) =>
          request.topics[0]!.topic === "orders" && lost.has(++requests)
            ? Effect.zipRight(forward(request), refusing(() => KafkaErrorCode.REQUEST_TIMED_OUT)(request, forward))
            : forward(request)
      })
      const send = (value: string) =>
        Effect.flatMap(Effect.fork(producer.send(to("orders", value))), (sent) =>
          Effect.zipRight(TestClock.adjust("1 second"), Fiber.join(sent))
        )
      for (const round of [0, 1, 2]) {
        yield* send(`${round}a`)
        yield* send(`${round}b`)
        yield* forgetting
      }
      assert.deepStrictEqual(yield* values("orders"), ["0a", "0b", "1a", "1b", "2a", "2b"])
      const [first] = batches
      const own = batches.filter(({ producerId }) => producerId === first!.producerId)
      assert.strictEqual(own.length, batches.length)
      assert.deepStrictEqual([...new Set(batches.map(({ producerEpoch }) => producerEpoch))], [0, 1, 2])
    })
  )

  it.scoped("gets another producer id when its epochs are used up", () =>
    Effect.gen(function* () {
      const { batches, forgetting, producer, values } = yield* setup({ firstEpoch: 0x7ffe })
      for (const value of ["a", "b", "c"]) {
        yield* producer.send(to("orders", value))
        yield* forgetting
      }
      assert.deepStrictEqual(yield* values("orders"), ["a", "b", "c"])
      assert.isAtLeast(new Set(batches.map(({ producerId }) => producerId)).size, 2)
      for (const { producerEpoch } of batches) assert.isAtMost(producerEpoch, 0x7fff)
    })
  )

  it.scoped("keeps topics with pending records for any time", () =>
    Effect.gen(function* () {
      const released = yield* Deferred.make<void>()
      const { batches, forgetting, producer, values } = yield* setup({
        deliveryTimeout: "1 hour",
        decide: (request, forward) =>
          request.topics[0]!.topic === "orders"
            ? Effect.zipRight(Deferred.await(released), forward(request))
            : forward(request)
      })
      const first = yield* Effect.fork(producer.send(to("orders", "a")))
      yield* forgetting
      const second = yield* Effect.fork(producer.send(to("orders", "b")))
      yield* forgetting
      yield* Deferred.succeed(released, undefined)
      yield* Fiber.join(first)
      yield* Fiber.join(second)
      assert.deepStrictEqual(yield* values("orders"), ["a", "b"])
      assert.deepStrictEqual([...new Set(batches.map(({ producerEpoch }) => producerEpoch))], [0])
    })
  )

  it.scoped("sends a call whose topics were forgotten while it waited", () =>
    Effect.gen(function* () {
      const { broker, forgetting, producer, values } = yield* setup({
        unknownTopicTimeout: "1 hour",
        deliveryTimeout: "1 hour"
      })
      yield* producer.send(to("orders", "a"))
      const sent = yield* Effect.fork(producer.sendAll([to("orders", "b"), to("late", "c")]))
      yield* forgetting
      yield* broker.createTopic("late", 1)
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(sent)
      assert.deepStrictEqual(yield* values("orders"), ["a", "b"])
      assert.deepStrictEqual(yield* values("late"), ["c"])
    })
  )

  it.scoped("writes to one that was deleted and created again", () =>
    Effect.gen(function* () {
      const { broker, forgetting, producer, values } = yield* setup()
      for (const value of ["a", "b", "c"]) {
        yield* producer.send(to("orders", value))
        assert.deepStrictEqual(yield* values("orders"), [value])
        yield* broker.deleteTopic("orders")
        yield* forgetting
        yield* broker.createTopic("orders", 1)
      }
    })
  )
})

describe("a transactional producer of changing topics", () => {
  it.scoped("forgets unused topics after a while, and writes once to a forgotten one", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.make({ topics: { orders: 1, other: 1 } })
      const known = new Map<string, WeakRef<object>>()
      const wire = answered(broker.wire, {
        metadata: ({ topics }) => {
          for (const { partitions, topic } of topics) if (partitions[0]) known.set(topic, new WeakRef(partitions[0]))
        }
      })
      const producer = yield* KafkaProducer.makeTransactional({
        transactionalId: "tx",
        linger: 0,
        metadataMaxAge: "1 minute"
      }).pipe(Effect.provideService(Wire, wire))
      const send = (topic: string, value: string) =>
        producer.transaction((transaction) => transaction.send(to(topic, value)))
      for (const value of ["a", "b", "c"]) {
        yield* send("orders", value)
        yield* send("orders", value)
        for (let i = 0; i < 4; i++) {
          yield* TestClock.adjust("61 seconds")
          yield* send("other", "tick")
        }
        yield* collectGarbage
        assert.isUndefined(known.get("orders")!.deref())
      }
      const written = yield* broker.records("orders")
      assert.deepStrictEqual(
        written.map(({ value }) => new TextDecoder().decode(value!)),
        ["a", "a", "b", "b", "c", "c"]
      )
    })
  )
})
