import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import * as Codec from "../src/Codec.js"
import * as DeadLetter from "../src/DeadLetter.js"
import type { ConsumedRecord } from "../src/Envelope.js"
import * as HandlerError from "../src/HandlerError.js"
import * as Headers from "../src/Headers.js"
import { Producer } from "../src/Producer.js"
import * as RetryPolicy from "../src/RetryPolicy.js"
import * as Processor from "../src/runtime/Processor.js"
import * as TransportTracing from "../src/TransportTracing.js"
import {
  Declined,
  inTime,
  makeProcessor,
  makeWorld,
  process,
  producerLayer,
  sleepThrough,
  source,
  type TextHandler,
  times,
  utf8,
  worldLayer
} from "./support/processor.js"
import * as Recorder from "./support/tracer.js"

const traceId = "0af7651916cd43dd8448eb211c80319c"
const sender = "b7ad6b7169203331"

const sentIn = (flags: "00" | "01" | undefined, record: Partial<ConsumedRecord> = {}): ConsumedRecord => ({
  ...source,
  headers: Headers.fromRecord({
    a: "1",
    ...(flags === undefined ? {} : { traceparent: `00-${traceId}-${sender}-${flags}`, tracestate: "vendor=x" })
  }),
  ...record
})

interface Options extends TransportTracing.TransportTracingOptions {
  readonly samples?: () => boolean
  /** Default: the recorder. */
  readonly tracer?: Layer.Layer<never> | undefined
}

/** Processes records one after the other, as a lane does; a traced producer sends the dead letters. */
const run = (records: ReadonlyArray<ConsumedRecord>, handler: TextHandler, options: Options = {}) =>
  Effect.gen(function* () {
    const { samples, tracer, ...tracing } = options
    const recorder = Recorder.make(samples)
    const world = makeWorld()
    const plain = producerLayer(world)
    const traced = Layer.effect(
      Producer,
      Effect.zipWith(Producer, TransportTracing.make(tracing), (producer, made) => made.producer(producer))
    ).pipe(Layer.provide(plain))
    yield* makeProcessor(world, handler, { retry: RetryPolicy.exponential({ retries: 2, jitter: false }) }).pipe(
      Effect.flatMap((processor) => inTime(Effect.forEach(records, (record) => process(processor, record)))),
      Effect.provide([worldLayer(world), traced, TransportTracing.layer(tracing), tracer ?? recorder.layer])
    )
    return { recorder, world }
  })

const headersOf = (headers: Headers.HeadersInput | undefined) =>
  Object.fromEntries(Headers.toText(Headers.fromInput(headers)))

describe("tracing of a consumer", () => {
  it.effect("makes a span for an attempt, a child of the sender's span, around the handler", () =>
    Effect.gen(function* () {
      const { recorder } = yield* run([sentIn("01")], () => Effect.withSpan(Effect.void, "own"), { clientId: "c-1" })
      const span = recorder.first()
      const own = recorder.spans[1]
      assert.strictEqual(span.name, "process orders")
      assert.strictEqual(span.kind, "consumer")
      assert.deepStrictEqual([span.traceId, Recorder.parentOf(span)], [traceId, sender])
      assert.deepStrictEqual(Recorder.linksOf(span), [sender])
      assert.deepStrictEqual(Object.fromEntries(span.attributes), {
        "messaging.system.name": "kafka",
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "orders",
        "messaging.destination.partition.id": "3",
        "messaging.kafka.offset": 42,
        "messaging.consumer.group.name": "billing",
        "messaging.message.id": "orders-3-42",
        "messaging.client.id": "c-1",
        "spillway.attempt": 1
      })
      assert.isTrue(Exit.isSuccess(span.ending!.exit))
      assert.deepStrictEqual([own?.name, Recorder.parentOf(own!)], ["own", span.spanId])
    })
  )

  it.effect("starts a new trace linked to the sender's, if configured", () =>
    Effect.gen(function* () {
      const { recorder } = yield* run([sentIn("01")], () => Effect.void, { relation: "link" })
      const span = recorder.first()
      assert.notStrictEqual(span.traceId, traceId)
      assert.isUndefined(Recorder.parentOf(span))
      assert.deepStrictEqual(Recorder.linksOf(span), [sender])
    })
  )

  it.effect("starts a trace for a record without one, regardless of the span that the consumer started in", () =>
    Effect.gen(function* () {
      const { recorder } = yield* Effect.withSpan(
        run([sentIn(undefined)], () => Effect.void),
        "startup"
      )
      const span = recorder.first()
      assert.isUndefined(Recorder.parentOf(span))
      assert.deepStrictEqual(span.links, [])
    })
  )

  for (const relation of ["parent", "link"] as const) {
    it.effect(`keeps retries and the dead letter of a record in one trace (${relation})`, () =>
      Effect.gen(function* () {
        const failing = () => Effect.fail(new Declined({ card: 1 }))
        const { recorder, world } = yield* run([sentIn("01")], failing, { relation })
        const first = recorder.first()
        const [second, third, deadLetter] = recorder.spans.slice(1)
        assert.deepStrictEqual(
          recorder.spans.map(({ attributes, name }) => [
            name,
            attributes.get("spillway.attempt"),
            attributes.get("error.type")
          ]),
          [
            ["process orders", 1, "Declined"],
            ["process orders", 2, "Declined"],
            ["process orders", 3, "Declined"],
            ["send orders-dlq", undefined, undefined]
          ]
        )
        assert.deepStrictEqual(
          [second, third, deadLetter].map((span) => Recorder.parentOf(span!)),
          [...times(3, first.spanId)]
        )
        assert.deepStrictEqual(
          [second, third].map((span) => Recorder.linksOf(span!)),
          [...times(2, [sender])]
        )
        assert.strictEqual(new Set(recorder.spans.map((span) => span.traceId)).size, 1)
        assert.strictEqual(first.traceId === traceId, relation === "parent")
        const headers = headersOf(world.acknowledged[0]!.headers)
        assert.strictEqual(headers["traceparent"], `00-${first.traceId}-${deadLetter!.spanId}-01`)
        assert.strictEqual(headers["tracestate"], relation === "parent" ? "vendor=x" : undefined)
        assert.strictEqual(headers["a"], "1")
      })
    )
  }

  it.effect("records the type of an attempt's failure, and nothing of a value that didn't decode", () =>
    Effect.gen(function* () {
      const ends = [
        HandlerError.nonRetryable(new TypeError("no")),
        Effect.die(new RangeError("boom")),
        Effect.interrupt
      ] as ReadonlyArray<Effect.Effect<unknown, unknown>>
      let next = 0
      const undecodable = sentIn("01", { value: new Uint8Array([0xff]) })
      const { recorder } = yield* run([undecodable, sentIn("01"), sentIn("01")], () => ends[next++] ?? Effect.void)
      const types = recorder.named("process orders").map(({ attributes }) => attributes.get("error.type"))
      assert.deepStrictEqual(types, ["DecodeError", "TypeError", "RangeError", "InterruptedException", undefined])
      const first = recorder.first()
      assert.strictEqual(
        Exit.match(first.ending!.exit, { onSuccess: () => "", onFailure: (cause) => String(Cause.squash(cause)) }),
        "DecodeError: InvalidUtf8: 1 bytes"
      )
    })
  )

  it.effect("distinguishes a handler that timed out from other interruptions", () => {
    const recorder = Recorder.make()
    return Effect.gen(function* () {
      const processor = yield* Processor.make({
        groupId: "billing",
        topics: ["orders"],
        value: Codec.bytes,
        handler: () => Effect.never,
        deadLetter: DeadLetter.none("skip"),
        handlerTimeout: Duration.minutes(5),
        retry: RetryPolicy.exponential({ retries: 1, jitter: false })
      })
      const drained = yield* Effect.fork(processor.attempt(sentIn("01")))
      yield* TestClock.adjust("4 minutes")
      yield* Fiber.interrupt(drained)
      const record = sentIn("01")
      const watched = yield* Effect.fork(processor.attempt(record))
      yield* TestClock.adjust("5 minutes")
      yield* Fiber.interrupt(watched)
      const timeout = new HandlerError.HandlerTimeout({ timeout: Duration.minutes(5) })
      const retry = yield* inTime(
        processor.recover(record, { cause: Cause.fail(timeout), retry: undefined }, { wait: sleepThrough })
      )
      const retried = yield* Effect.fork(processor.attempt(record, retry._tag === "Retry" ? retry : undefined))
      yield* TestClock.adjust("5 minutes")
      yield* Fiber.interrupt(retried)
      assert.deepStrictEqual(
        recorder.spans.map(({ attributes }) => attributes.get("error.type")),
        ["InterruptedException", "HandlerTimeout", "HandlerTimeout"]
      )
    }).pipe(Effect.provide([recorder.layer, TransportTracing.layer()]))
  })

  it.effect("makes no span for an unsampled trace, around the handler either, and passes it on", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      const handler: TextHandler = ({ attempt }) =>
        Effect.gen(function* () {
          const span = yield* Effect.orDie(Effect.currentParentSpan)
          seen.push([attempt, span.traceId, span.spanId, span.sampled])
          yield* Effect.withSpan(Effect.void, "own")
          return yield* Effect.fail("no")
        })
      const { recorder, world } = yield* run([sentIn("00")], handler)
      assert.deepStrictEqual(recorder.named("process orders"), [])
      assert.deepStrictEqual(
        recorder.spans.map(({ name, sampled }) => [name, sampled]),
        times(3, ["own", false])
      )
      assert.deepStrictEqual(
        seen,
        [1, 2, 3].map((attempt) => [attempt, traceId, sender, false])
      )
      const headers = headersOf(world.acknowledged[0]!.headers)
      assert.strictEqual(headers["traceparent"], `00-${traceId}-${sender}-00`)
      assert.strictEqual(headers["tracestate"], "vendor=x")
    })
  )

  it.effect("gives each of many records its own context, sampled or not", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const handler: TextHandler = () =>
        Effect.map(Effect.option(Effect.currentParentSpan), (span) => {
          seen.push(Option.match(span, { onNone: () => "none", onSome: ({ traceId }) => traceId.slice(0, 1) }))
        })
      const of = (digit: string, flags: string) =>
        sentIn(undefined, {
          headers: Headers.fromRecord({ traceparent: `00-${digit.repeat(32)}-${sender}-${flags}` })
        })
      const records = [of("1", "00"), of("2", "01"), of("3", "00"), of("4", "00"), of("5", "01")]
      const { recorder } = yield* run(records, handler)
      assert.deepStrictEqual(seen, ["1", "2", "3", "4", "5"])
      assert.deepStrictEqual(
        recorder.spans.map(({ traceId }) => traceId.slice(0, 1)),
        ["2", "5"]
      )
    })
  )

  it.effect("follows the tracer's sampling of traces that begin here", () =>
    Effect.gen(function* () {
      const handler: TextHandler = () => Effect.zipRight(Effect.withSpan(Effect.void, "own"), Effect.fail("no"))
      const { recorder, world } = yield* run([sentIn(undefined)], handler, { samples: () => false })
      const root = recorder.first()
      assert.deepStrictEqual(
        recorder.spans.map(({ name, traceId }) => [name, traceId === root.traceId]),
        [["process orders", true], ...times(3, ["own", true] as const)]
      )
      assert.strictEqual(root.attributes.size, 0)
      const headers = headersOf(world.acknowledged[0]!.headers)
      assert.strictEqual(headers["traceparent"], `00-${root.traceId}-${root.spanId}-00`)
    })
  )

  it.effect("passes a context on without a tracer, and writes no context of its own", () =>
    Effect.gen(function* () {
      const { recorder, world } = yield* run(
        [sentIn("01"), sentIn(undefined)],
        () => Effect.withSpan(Effect.fail("no"), "own"),
        { tracer: Layer.empty }
      )
      assert.deepStrictEqual(recorder.spans, [])
      const [continued, fresh] = world.acknowledged.map(({ headers }) => headersOf(headers))
      assert.strictEqual(continued!["traceparent"], `00-${traceId}-${sender}-01`)
      assert.isUndefined(fresh!["traceparent"])
    })
  )

  it.effect("measures attempts by the clock, without the waits between them", () =>
    Effect.gen(function* () {
      const { recorder } = yield* run([sentIn("01")], ({ attempt }) =>
        Effect.zipRight(Effect.sleep("5 seconds"), attempt === 1 ? Effect.fail("no") : Effect.void)
      )
      assert.deepStrictEqual(
        recorder.spans.map(({ ending, status }) => [status.startTime, ending?.at]),
        [
          [0n, 5_000_000_000n],
          [6_000_000_000n, 11_000_000_000n]
        ]
      )
      assert.strictEqual(yield* Clock.currentTimeMillis, 3_600_000)
    })
  )

  it.effect("records a key only if configured, and tombstones always", () =>
    Effect.gen(function* () {
      const record = sentIn("01", { key: utf8("k"), value: null })
      const { recorder } = yield* run([record], () => Effect.void, { recordKeys: true })
      assert.strictEqual(recorder.first().attributes.get("messaging.kafka.message.key"), "k")
      assert.isTrue(recorder.first().attributes.get("messaging.kafka.message.tombstone"))
    })
  )
})
