/** Shared by the tests of events: two versions of one event, and a log that publishes to itself. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type { ConsumedRecord } from "../../src/Envelope.js"
import * as Event from "../../src/Event.js"
import * as Headers from "../../src/Headers.js"
import { Producer, type ProducerRecord } from "../../src/Producer.js"

export const Order = Schema.Struct({ id: Schema.String, total: Schema.NumberFromString })
export type Order = typeof Order.Type

export const OrderPlaced = Event.make({ type: "order.placed", version: 1, data: Order, subject: (order) => order.id })

export const OrderPlacedV2 = Event.make({
  type: "order.placed",
  version: 2,
  data: Schema.Struct({ id: Schema.String, cents: Schema.Int }),
  subject: (order) => order.id,
  dataSchema: "https://shop.example/order.placed.v2.json"
})

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)

const bytes = (value: string | Uint8Array | null | undefined): Uint8Array | null =>
  typeof value === "string" ? utf8(value) : (value ?? null)

/** A record as a consumer reads it. */
export const consumed = (record: ProducerRecord, offset = 0): ConsumedRecord => ({
  topic: record.topic,
  partition: record.partition ?? 0,
  offset,
  timestamp: record.timestamp ?? 0,
  key: bytes(record.key),
  value: bytes(record.value),
  headers: Headers.fromInput(record.headers)
})

/** A producer that puts its records into the log as a consumer reads them. */
export const logLayer = (log: Array<ConsumedRecord>): Layer.Layer<Producer> => {
  const send = (record: ProducerRecord) =>
    Effect.sync(() => {
      const offset = log.push(consumed(record, log.length)) - 1
      return { topic: record.topic, partition: 0, offset, timestamp: 0 }
    })
  return Layer.succeed(Producer, {
    send,
    sendAll: (records) => Effect.forEach(records, send),
    sendAllEither: (records) => Effect.forEach(records, (record) => Effect.either(send(record))),
    partitions: () => Effect.succeed(1)
  })
}
