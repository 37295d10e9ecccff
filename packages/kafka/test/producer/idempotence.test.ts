import { assert, describe, it } from "@effect/vitest"
import { KafkaErrorCode } from "@spillway/kafka/KafkaErrorCode"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import * as RecordBatch from "@spillway/kafka/RecordBatch"
import { type Connection, Wire, WireError } from "@spillway/kafka/Wire"
import * as MemoryBroker from "@spillway/memory/MemoryBroker"
import type { ProducerRecord } from "@spillway/transport/Producer"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { type Decide, intercept, refusing } from "../support/producerFaults.js"

const text = (bytes: Uint8Array | null): string => new TextDecoder().decode(bytes ?? undefined)

const partitions = 2

const to = (partition: number, value: string): ProducerRecord => ({ topic: "orders", partition, value })

const headersOf = (request: Parameters<Decide>[0]): ReadonlyArray<RecordBatch.BatchHeader> =>
  request.topics.flatMap(({ partitions }) =>
    partitions.map(({ records }) => RecordBatch.validate(records) as RecordBatch.BatchHeader)
  )

const failed = (reason: "Disconnected" | "Timeout") =>
  Effect.fail(new WireError({ reason, endpoint: "memory:9092", api: "Produce", description: "a fault of the test" }))

/** Faults of one request. */
const faults: Readonly<Record<string, (broker: MemoryBroker.MemoryBroker["Type"]) => Decide>> = {
  "a lost request": () => () => failed("Disconnected"),
  "a lost response": () => (request, forward) => Effect.zipRight(forward(request), failed("Disconnected")),
  "a timeout before it is processed": () => () => Effect.zipRight(Effect.sleep(50), failed("Timeout")),
  "a timeout, carried out late": () => (request, forward) =>
    Effect.zipRight(Effect.forkDaemon(Effect.delay(forward(request), 400)), failed("Timeout")),
  "no leader": () => refusing(() => KafkaErrorCode.NOT_LEADER_OR_FOLLOWER),
  "a leader that was replaced after it wrote": () => (request, forward) =>
    Effect.zipRight(forward(request), refusing(() => KafkaErrorCode.NOT_LEADER_OR_FOLLOWER)(request, forward)),
  "too few replicas, after the write": () => (request, forward) =>
    Effect.zipRight(
      forward(request),
      refusing(() => KafkaErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND)(request, forward)
    ),
  "replicas that take too long": () => (request, forward) =>
    Effect.zipRight(forward(request), refusing(() => KafkaErrorCode.REQUEST_TIMED_OUT)(request, forward)),
  "a producer id that the broker forgot": () => refusing(() => KafkaErrorCode.UNKNOWN_PRODUCER_ID),
  "a batch out of order": () => refusing(() => KafkaErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER),
  "a corrupt batch": () => refusing(() => KafkaErrorCode.CORRUPT_MESSAGE),
  "a broker that restarts": (broker) => () =>
    broker.stop.pipe(
      Effect.zipRight(Effect.forkDaemon(Effect.delay(broker.start, 300))),
      Effect.zipRight(failed("Disconnected"))
    )
}

/** Answers are delayed, so several requests are in flight; one request, by its number, meets a fault. */
const withFault = (fault: Decide, at: number): { readonly decide: Decide; readonly met: () => boolean } => {
  let requests = 0
  return {
    decide: (request, forward) =>
      requests++ === at ? fault(request, forward) : Effect.zipLeft(forward(request), Effect.sleep(10)),
    met: () => requests > at
  }
}

const calls = Array.from({ length: 12 }, (_, i) =>
  Array.from({ length: 1 + (i % 3) }, (_, j) => to((i + j) % partitions, `${i}.${j}`))
)

describe("KafkaProducer, idempotent", () => {
  describe("writes every record once and in order, for any request that meets", () => {
    for (const [name, fault] of Object.entries(faults)) {
      it.scoped(name, () =>
        Effect.forEach(
          [0, 1, 2, 3, 5, 8],
          (at) =>
            Effect.gen(function* () {
              const broker = yield* MemoryBroker.make({ topics: { orders: partitions } })
              const { decide, met } = withFault(fault(broker), at)
              const producer = yield* KafkaProducer.make({ linger: 0 }).pipe(
                Effect.provideService(Wire, intercept(broker.wire, decide))
              )
              const sent = yield* Effect.fork(
                Effect.forEach(calls, (records, i) => Effect.zipRight(Effect.sleep(i * 3), producer.sendAll(records)), {
                  concurrency: "unbounded"
                })
              )
              yield* TestClock.adjust("40 millis")
              yield* TestClock.adjust("5 seconds")
              const landed = (yield* Fiber.join(sent)).flat()
              assert.isTrue(met(), `request ${at}`)
              const log = yield* broker.records("orders")
              for (let partition = 0; partition < partitions; partition++) {
                const expected = calls.flat().flatMap((record) => (record.partition === partition ? record.value : []))
                assert.deepStrictEqual(
                  log.flatMap((record) => (record.partition === partition ? text(record.value) : [])),
                  expected as ReadonlyArray<string>,
                  `request ${at}`
                )
              }
              calls.flat().forEach(({ partition, value }, i) => {
                const found = log.find((record) => record.partition === partition && text(record.value) === value)
                assert.strictEqual(found?.offset, landed[i]!.offset)
              })
            }).pipe(Effect.scoped),
          { discard: true }
        )
      )
    }
  })

  it.scoped("has up to five batches of a partition in flight, numbered in their order", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.make({ topics: { orders: 1 } })
      const headers: Array<RecordBatch.BatchHeader> = []
      let inFlight = 0
      let most = 0
      const producer = yield* KafkaProducer.make({ linger: 0 }).pipe(
        Effect.provideService(
          Wire,
          intercept(broker.wire, (request, forward) => {
            headers.push(...headersOf(request))
            most = Math.max(most, ++inFlight)
            return Effect.zipLeft(
              forward(request),
              Effect.map(Effect.sleep("1 second"), () => inFlight--)
            )
          })
        )
      )
      const sent: Array<Fiber.RuntimeFiber<unknown, unknown>> = []
      for (let i = 0; i < 10; i++) {
        sent.push(yield* Effect.fork(producer.sendAll([to(0, `${i}`), to(0, `${i}'`)])))
        yield* TestClock.adjust(i === 0 ? "1 second" : "1 millis")
      }
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.joinAll(sent)
      assert.strictEqual(most, 5)
      let next = 0
      for (const { baseSequence, producerEpoch, producerId, recordCount } of headers) {
        assert.deepStrictEqual([producerId, producerEpoch, baseSequence], [headers[0]!.producerId, 0, next])
        next += recordCount
      }
      assert.isTrue(headers[0]!.producerId >= 0n)
    })
  )

  it.scoped("starts a new epoch, which fences late copies, after the broker has lost its producer state", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.make({ topics: { orders: 1 } })
      const headers: Array<RecordBatch.BatchHeader> = []
      const producer = yield* KafkaProducer.make().pipe(
        Effect.provideService(
          Wire,
          intercept(broker.wire, (request, forward) => {
            headers.push(...headersOf(request))
            return headers.length === 2
              ? refusing(() => KafkaErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER)(request, forward)
              : forward(request)
          })
        )
      )
      yield* producer.send(to(0, "a"))
      const second = yield* Effect.fork(producer.send(to(0, "b")))
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(second)
      yield* producer.send(to(0, "c"))
      assert.deepStrictEqual(
        headers.map(({ baseSequence, producerEpoch }) => [producerEpoch, baseSequence]),
        [
          [0, 0],
          [0, 1],
          [1, 0],
          [1, 1]
        ]
      )
    })
  )

  it.scoped("writes nothing twice if a new leader remembers only the last batch", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.make({ topics: { orders: partitions } })
      /** The sequence of the broker's last batch. */
      let last = -1
      let inFlight = 0
      let areAnswersLost = false
      const decide: Decide = (request, forward) =>
        Effect.suspend(() => {
          const [header] = headersOf(request)
          const { baseSequence } = header!
          if (areAnswersLost && inFlight < 3) {
            inFlight++
            last = baseSequence
            return Effect.zipRight(forward(request), Effect.zipRight(Effect.sleep(10), failed("Disconnected")))
          }
          const isForgotten = header!.producerEpoch === 0 && baseSequence < last
          return isForgotten
            ? refusing(() => KafkaErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER)(request, forward)
            : forward(request)
        })
      const { send } = yield* KafkaProducer.make({ linger: 0 }).pipe(
        Effect.provideService(Wire, intercept(broker.wire, decide))
      )
      yield* send(to(0, "first"))
      areAnswersLost = true
      const values = ["a", "b", "c"]
      const sent = yield* Effect.fork(
        Effect.forEach(values, (value, i) => Effect.zipRight(Effect.sleep(i), send(to(0, value))), {
          concurrency: "unbounded"
        })
      )
      yield* TestClock.adjust("30 seconds")
      yield* send(to(0, "last"))
      assert.strictEqual(inFlight, 3)
      const log = yield* broker.records("orders")
      assert.deepStrictEqual(
        log.map(({ value }) => text(value)),
        ["first", ...values, "last"]
      )
      // The broker no longer knows the offsets of the others.
      const landed = yield* Fiber.join(sent)
      assert.deepStrictEqual(
        landed.map(({ offset }) => offset),
        [-1, -1, 3]
      )
    })
  )

  it.scoped("gets another producer id when it is fenced, and reports the refused record", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.make({ topics: { orders: 1 } })
      const ids: Array<bigint> = []
      const producer = yield* KafkaProducer.make().pipe(
        Effect.provideService(
          Wire,
          intercept(broker.wire, (request, forward) => {
            ids.push(...headersOf(request).map(({ producerId }) => producerId))
            return ids.length === 2
              ? refusing(() => KafkaErrorCode.INVALID_PRODUCER_EPOCH)(request, forward)
              : forward(request)
          })
        )
      )
      yield* producer.send(to(0, "a"))
      const error = yield* Effect.flip(producer.send(to(0, "b")))
      assert.strictEqual(error.reason, "Fenced")
      assert.strictEqual((yield* producer.send(to(0, "c"))).offset, 1)
      assert.strictEqual(ids[0], ids[1])
      assert.notStrictEqual(ids[1], ids[2])
    })
  )

  /** A wire whose broker answers InitProducerId with an error code. */
  const unidentified = (wire: Context.Tag.Service<Wire>, codeOf: () => number): Context.Tag.Service<Wire> =>
    Wire.of({
      bootstrap: wire.bootstrap,
      connect: (endpoint, role) =>
        Effect.map(
          wire.connect(endpoint, role),
          (connection): Connection => ({
            closed: connection.closed,
            request: (api, request) =>
              api === "InitProducerId" && codeOf() !== 0
                ? (Effect.succeed({ errorCode: codeOf(), producerId: -1n, producerEpoch: -1 }) as never)
                : connection.request(api, request)
          })
        )
    })

  it.scoped("fails without authorization, and names the option that avoids it", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.make({ topics: { orders: 1 } })
      const wire = unidentified(broker.wire, () => KafkaErrorCode.CLUSTER_AUTHORIZATION_FAILED)
      const producer = yield* KafkaProducer.make().pipe(Effect.provideService(Wire, wire))
      const error = yield* Effect.flip(producer.send(to(0, "a")))
      assert.strictEqual(error.reason, "Authorization")
      assert.include(error.description, "idempotent: false")
      const plain = yield* KafkaProducer.make({ idempotent: false }).pipe(Effect.provideService(Wire, wire))
      yield* plain.send(to(0, "a"))
    })
  )

  it.scoped("waits until the broker can assign a producer id", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker.make({ topics: { orders: 1 } })
      let code: number = KafkaErrorCode.COORDINATOR_LOAD_IN_PROGRESS
      const producer = yield* KafkaProducer.make().pipe(
        Effect.provideService(
          Wire,
          unidentified(broker.wire, () => code)
        )
      )
      const sent = yield* Effect.fork(producer.send(to(0, "a")))
      yield* TestClock.adjust("3 seconds")
      assert.isNull(sent.unsafePoll())
      code = 0
      yield* TestClock.adjust("3 seconds")
      yield* Fiber.join(sent)
    })
  )
})
