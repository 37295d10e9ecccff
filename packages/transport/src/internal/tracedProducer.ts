/**
 * A producer that adds the trace context of the sending span to its records.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import type * as Tracer from "effect/Tracer"
import { typeOf } from "../HandlerError.js"
import * as Headers from "../Headers.js"
import { type Producer, ProducerError, type ProducerRecord, type RecordMetadata } from "../Producer.js"
import { isInstance } from "./render.js"
import { Attribute, end, isTraced, keyText, type SpanSettings, start } from "./spans.js"
import * as TraceContext from "./traceContext.js"

/** Adds the context of a span, or of the nearest enclosing span that other services may continue. */
const injectionOf = (span: Tracer.AnySpan | undefined): ((record: ProducerRecord) => ProducerRecord) => {
  const context = TraceContext.nearest(span)
  if (context === undefined) return (record) => record
  return (record) =>
    Either.match(Headers.decodeUnknown(record.headers), {
      // The producer reports the problem with them.
      onLeft: () => record,
      onRight: (headers) => ({ ...record, headers: TraceContext.write(headers, context) })
    })
}

const errorType = (error: unknown): string => (isInstance(error, ProducerError) ? error.reason : typeOf(error))

export const make = (producer: Producer["Type"], settings: SpanSettings): Producer["Type"] => {
  /** Sends records with the context of a new span, otherwise with the current context, if there is one. */
  const within = <A, E>(
    topic: string | undefined,
    send: (inject: (record: ProducerRecord) => ProducerRecord) => Effect.Effect<A, E>,
    describe: (span: Tracer.Span) => void,
    acknowledged: (span: Tracer.Span, result: A) => void
  ): Effect.Effect<A, E> =>
    Effect.withFiberRuntime((fiber) => {
      if (!isTraced(fiber)) return send(injectionOf(TraceContext.remoteOf(fiber.currentSpan)))
      const parent = TraceContext.nearest(fiber.currentSpan)
      if (parent?.sampled === false) return send(injectionOf(parent))
      const span = start(fiber, topic === undefined ? "send" : `send ${topic}`, "producer", parent, [])
      if (span.sampled) {
        span.attribute(Attribute.operation, "send")
        span.attribute(Attribute.operationType, "send")
        if (topic !== undefined) span.attribute(Attribute.destination, topic)
        if (settings.clientId !== undefined) span.attribute(Attribute.client, settings.clientId)
        describe(span)
      }
      return Effect.onExit(send(injectionOf(span)), (exit) =>
        Effect.sync(() => {
          if (span.sampled && Exit.isSuccess(exit)) acknowledged(span, exit.value)
          end(fiber, span, exit, errorType)
        })
      )
    })

  const send = (record: ProducerRecord): Effect.Effect<RecordMetadata, ProducerError> =>
    within(
      record.topic,
      (inject) => producer.send(inject(record)),
      (span) => {
        const key = settings.recordKeys ? keyText(record.key) : undefined
        if (key !== undefined) span.attribute(Attribute.key, key)
        if (record.value === null) span.attribute(Attribute.tombstone, true)
      },
      (span, { offset, partition }) => {
        span.attribute(Attribute.partition, String(partition))
        span.attribute(Attribute.offset, offset)
      }
    )

  /** One span for all records. */
  const all =
    <A, E>(
      send: (records: ReadonlyArray<ProducerRecord>) => Effect.Effect<A, E>,
      acknowledged: (span: Tracer.Span, result: A) => void = () => {}
    ) =>
    (records: ReadonlyArray<ProducerRecord>): Effect.Effect<A, E> => {
      if (records.length === 0) return send(records)
      const topic = records.every((record) => record.topic === records[0]!.topic) ? records[0]!.topic : undefined
      return within(
        topic,
        (inject) => send(records.map(inject)),
        (span) => span.attribute(Attribute.batchCount, records.length),
        acknowledged
      )
    }

  return {
    send,
    sendAll: all(producer.sendAll),
    sendAllEither: all(producer.sendAllEither, (span, results) => {
      const failed = results.find(Either.isLeft)
      if (failed !== undefined) span.attribute(Attribute.errorType, failed.left.reason)
    }),
    partitions: producer.partitions
  }
}
