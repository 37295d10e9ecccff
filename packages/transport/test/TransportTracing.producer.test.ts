import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Tracer from "effect/Tracer"
import * as Headers from "../src/Headers.js"
import type { Producer, ProducerRecord } from "../src/Producer.js"
import { ProducerError } from "../src/Producer.js"
import * as TransportTracing from "../src/TransportTracing.js"
import * as Recorder from "./support/tracer.js"

const traceId = "0af7651916cd43dd8448eb211c80319c"
const remote = Tracer.externalSpan({ traceId, spanId: "b7ad6b7169203331" })
const unsampled = Tracer.externalSpan({ traceId, spanId: "b7ad6b7169203331", sampled: false })

/** A producer that keeps its records, and fails or hangs for certain topics. */
const inner = (sent: Array<ProducerRecord>): Producer["Type"] => {
  const send = (record: ProducerRecord) =>
    Effect.suspend(() => {
      sent.push(record)
      if (record.topic === "hangs") return Effect.never
      return record.topic === "fails"
        ? new ProducerError({ reason: "RecordTooLarge", topic: record.topic, description: "big" })
        : Effect.succeed({ topic: record.topic, partition: 3, offset: 41 + sent.length, timestamp: 0 })
    })
  return {
    send,
    sendAll: (records) => Effect.forEach(records, send),
    sendAllEither: (records) => Effect.forEach(records, (record) => Effect.either(send(record))),
    partitions: () => Effect.succeed(4)
  }
}

const setup = (options?: TransportTracing.TransportTracingOptions) => {
  const sent: Array<ProducerRecord> = []
  const recorder = Recorder.make()
  const producer = Effect.runSync(TransportTracing.make(options)).producer(inner(sent))
  return { sent, recorder, producer }
}

const headersOf = ({ headers }: ProducerRecord) => Object.fromEntries(Headers.toText(Headers.fromInput(headers)))

describe("tracing of a producer", () => {
  it.effect("is off by default", () =>
    Effect.gen(function* () {
      const tracing = yield* TransportTracing.TransportTracing
      const sent: Array<ProducerRecord> = []
      const producer = inner(sent)
      assert.isFalse(tracing.enabled)
      assert.strictEqual(tracing.producer(producer), producer)
    })
  )

  it.effect("makes a span for each send, inside the current one; the record carries its context", () => {
    const { producer, recorder, sent } = setup({ clientId: "billing-1" })
    return Effect.gen(function* () {
      const record = { topic: "orders", key: "secret", value: "v", headers: { a: "1" } }
      yield* Effect.withParentSpan(producer.send(record), remote)
      const span = recorder.first()
      assert.strictEqual(span.name, "send orders")
      assert.strictEqual(span.kind, "producer")
      assert.strictEqual(Recorder.parentOf(span), remote.spanId)
      assert.deepStrictEqual(Object.fromEntries(span.attributes), {
        "messaging.system.name": "kafka",
        "messaging.system": "kafka",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.destination.name": "orders",
        "messaging.client.id": "billing-1",
        "messaging.destination.partition.id": "3",
        "messaging.kafka.offset": 42
      })
      assert.isTrue(Exit.isSuccess(span.ending!.exit))
      assert.deepStrictEqual(headersOf(sent[0]!), { a: "1", traceparent: `00-${traceId}-${span.spanId}-01` })
      assert.deepStrictEqual(record.headers, { a: "1" })
    }).pipe(Effect.provide(recorder.layer))
  })

  it.effect("replaces an existing context of a record", () => {
    const { producer, recorder, sent } = setup()
    return Effect.gen(function* () {
      const traceparent = `00-${traceId}-b7ad6b7169203331-01`
      yield* producer.send({ topic: "orders", value: "v", headers: { traceparent, tracestate: "a=1", b: "2" } })
      const span = recorder.first()
      assert.isUndefined(Recorder.parentOf(span))
      assert.deepStrictEqual(headersOf(sent[0]!), { b: "2", traceparent: `00-${span.traceId}-${span.spanId}-01` })
    }).pipe(Effect.provide(recorder.layer))
  })

  it.effect("records keys only if configured and only if they are text; tombstones always", () => {
    const { producer, recorder } = setup({ recordKeys: true })
    return Effect.gen(function* () {
      yield* producer.send({ topic: "orders", key: "k", value: null })
      yield* producer.send({ topic: "orders", key: new TextEncoder().encode("ключ"), value: "v" })
      yield* producer.send({ topic: "orders", key: new Uint8Array([0xff]), value: "v" })
      assert.deepStrictEqual(
        recorder.spans.map(({ attributes }) => [
          attributes.get("messaging.kafka.message.key"),
          attributes.get("messaging.kafka.message.tombstone")
        ]),
        [
          ["k", true],
          ["ключ", undefined],
          [undefined, undefined]
        ]
      )
    }).pipe(Effect.provide(recorder.layer))
  })

  it.effect("makes one span for all records of a sendAll, with the topic if there is only one", () => {
    const { producer, recorder, sent } = setup()
    return Effect.gen(function* () {
      yield* producer.sendAll([])
      yield* producer.sendAll([
        { topic: "orders", value: "1" },
        { topic: "orders", value: "2" }
      ])
      yield* producer.sendAll([
        { topic: "orders", value: "3" },
        { topic: "parcels", value: "4" }
      ])
      assert.deepStrictEqual(
        recorder.spans.map(({ attributes, name }) => [
          name,
          attributes.get("messaging.destination.name"),
          attributes.get("messaging.batch.message_count")
        ]),
        [
          ["send orders", "orders", 2],
          ["send", undefined, 2]
        ]
      )
      const [first, second] = recorder.spans.map(({ spanId }) => spanId)
      assert.deepStrictEqual(
        sent.map((record) => headersOf(record)["traceparent"]?.split("-")[2]),
        [first, first, second, second]
      )
    }).pipe(Effect.provide(recorder.layer))
  })

  it.effect("ends the span of a failed or interrupted send as an error with a type", () => {
    const { producer, recorder } = setup()
    return Effect.gen(function* () {
      yield* Effect.exit(producer.send({ topic: "fails", value: "v" }))
      const fiber = yield* Effect.fork(producer.send({ topic: "hangs", value: "v" }))
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(
        recorder.spans.map(({ attributes, ending }) => [attributes.get("error.type"), ending?.exit._tag]),
        [
          ["RecordTooLarge", "Failure"],
          ["InterruptedException", "Failure"]
        ]
      )
    }).pipe(Effect.provide(recorder.layer))
  })

  it.effect("makes no span in an unsampled context, and passes it on", () => {
    const { producer, recorder, sent } = setup()
    return Effect.gen(function* () {
      yield* Effect.withParentSpan(producer.send({ topic: "orders", value: "v" }), unsampled)
      assert.deepStrictEqual(recorder.spans, [])
      assert.deepStrictEqual(headersOf(sent[0]!), { traceparent: `00-${traceId}-${unsampled.spanId}-00` })
    }).pipe(Effect.provide(recorder.layer))
  })

  it.effect("passes on the tracer's decision not to sample a new trace", () => {
    const { producer, sent } = setup()
    const recorder = Recorder.make(() => false)
    return Effect.gen(function* () {
      yield* producer.send({ topic: "orders", value: "v" })
      const span = recorder.first()
      assert.deepStrictEqual(headersOf(sent[0]!), { traceparent: `00-${span.traceId}-${span.spanId}-00` })
      assert.strictEqual(span.attributes.size, 0)
    }).pipe(Effect.provide(recorder.layer))
  })

  it.effect("writes no header without a tracer, or with a disabled one", () => {
    const { producer, recorder, sent } = setup()
    return Effect.gen(function* () {
      const record = { topic: "orders", value: "v", headers: { a: "1" } }
      yield* Effect.withSpan(producer.send(record), "app")
      yield* producer.send(record).pipe(Effect.withTracerEnabled(false), Effect.provide(recorder.layer))
      assert.deepStrictEqual(sent.map(headersOf), [{ a: "1" }, { a: "1" }])
      assert.deepStrictEqual(recorder.spans, [])
    })
  })

  it.effect("leaves invalid records to the producer to reject", () => {
    const { producer, recorder, sent } = setup()
    return Effect.gen(function* () {
      const headers = [[7, "x"]] as unknown as Headers.Headers
      yield* producer.send({ topic: "orders", value: "v", headers })
      assert.strictEqual(sent[0]!.headers, headers)
    }).pipe(Effect.provide(recorder.layer))
  })
})
