import { assert, describe, it } from "@effect/vitest"
import { Kafka, CloudEvent as Reference } from "cloudevents"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { expectTypeOf } from "vitest"
import type { ConsumedRecord, Envelope } from "../src/Envelope.js"
import * as Event from "../src/Event.js"
import * as EventPublisher from "../src/EventPublisher.js"
import * as EventRouter from "../src/EventRouter.js"
import type { Handler } from "../src/Handler.js"
import { NonRetryableError } from "../src/HandlerError.js"
import * as Headers from "../src/Headers.js"
import * as RecordEnvelope from "../src/internal/envelope.js"
import { carriedBy } from "../src/runtime/CarriedIssues.js"
import * as DeadLetters from "../src/runtime/DeadLetter.js"
import * as Environment from "../src/runtime/Environment.js"
import { consumed, logLayer, type Order, OrderPlaced, OrderPlacedV2, utf8 } from "./support/events.js"

const envelope = (record: ConsumedRecord, attempt = 1): Envelope<Uint8Array | null> =>
  RecordEnvelope.make(record, record.value, attempt)

/** A router that records its handlers' arguments. */
const makeRouter = (unknown: "ignore" | "deadLetter" = "deadLetter") => {
  const orders: Array<EventRouter.EventEnvelope<Order>> = []
  const cents: Array<number> = []
  const router = EventRouter.make({
    routes: [
      EventRouter.on(OrderPlaced, (event) => Effect.sync(() => orders.push(event))),
      EventRouter.on(OrderPlacedV2, ({ value }) => Effect.sync(() => cents.push(value.cents)))
    ],
    unknown
  })
  return { handle: (record: ConsumedRecord) => router.handler(envelope(record)), orders, cents }
}

/** The records that the publisher makes of events. */
const published = (events: ReadonlyArray<Event.Occurrence>) =>
  Effect.suspend(() => {
    const log: Array<ConsumedRecord> = []
    return Effect.flatMap(EventPublisher.EventPublisher, (publisher) => publisher.publishAll(events)).pipe(
      Effect.provide(EventPublisher.layer({ source: "/shop", topic: "orders" }).pipe(Layer.provide(logLayer(log)))),
      Effect.as(log)
    )
  })

const binary = (headers: { readonly [name: string]: string }, value: string | null): ConsumedRecord =>
  consumed({
    topic: "orders",
    value,
    headers: { ce_specversion: "1.0", ce_id: "e-1", ce_type: "order.placed.v1", ce_source: "/shop", ...headers }
  })

const order = '{"id":"o-1","total":"30"}'

const deadLettered = (record: ConsumedRecord, unknown?: "ignore" | "deadLetter") =>
  Effect.map(Effect.flip(makeRouter(unknown).handle(record)), (error) => {
    assert.instanceOf(error, NonRetryableError)
    return error.message
  })

describe("EventRouter", () => {
  it.effect("routes events to the handlers of their type and version", () =>
    Effect.gen(function* () {
      const { cents, handle, orders } = makeRouter()
      const log = yield* published([
        Event.of(OrderPlacedV2, { id: "o-2", cents: 5 }),
        Event.of(OrderPlaced, { id: "o-1", total: 30 }, { id: "e-1", time: 1_000, extensions: { tenant: "a" } })
      ])
      yield* Effect.forEach(log, handle)
      assert.deepStrictEqual(cents, [5])
      assert.deepStrictEqual(orders, [
        {
          eventId: "e-1",
          value: { id: "o-1", total: 30 },
          attributes: {
            id: "e-1",
            type: "order.placed.v1",
            source: "/shop",
            time: 1_000,
            subject: "o-1",
            dataContentType: "application/json",
            dataSchema: undefined,
            extensions: { tenant: "a" }
          },
          key: utf8("o-1"),
          headers: log[1]!.headers,
          topic: "orders",
          partition: 0,
          offset: 1,
          timestamp: 0,
          attempt: 1
        }
      ])
    })
  )

  it.effect("reads events that the cloudevents package writes, in either mode", () =>
    Effect.gen(function* () {
      const { handle, orders } = makeRouter()
      const event = new Reference({
        id: "e-9",
        type: "order.placed.v1",
        source: "/shop",
        subject: "o-1",
        time: "2026-01-02T03:04:05.006Z",
        datacontenttype: "application/json",
        partitionkey: "o-1",
        data: { id: "o-1", total: "30" }
      })
      for (const { headers, key, value } of [Kafka.binary(event), Kafka.structured(event)]) {
        const text = typeof value === "string" ? value : JSON.stringify(value)
        yield* handle(
          consumed({
            topic: "orders",
            key: String(key),
            value: text,
            headers: Headers.make(
              Object.entries(headers).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]]))
            )
          })
        )
      }
      assert.deepStrictEqual(
        orders.map(({ attributes, eventId, value }) => [eventId, attributes.id, attributes.time, value]),
        Array(2).fill(["e-9", "e-9", Date.UTC(2026, 0, 2, 3, 4, 5, 6), { id: "o-1", total: 30 }])
      )
    })
  )

  it.effect("routes an event's dead letter with its original id, in either mode", () =>
    Effect.gen(function* () {
      const { handle, orders } = makeRouter()
      const structured = consumed({
        topic: "orders",
        headers: { "content-type": "application/cloudevents+json" },
        value: `{"specversion":"1.0","id":"e-2","type":"order.placed.v1","source":"/shop","data":${order}}`
      })
      for (const record of [binary({}, order), structured]) {
        const letter = DeadLetters.record(
          { record, error: "declined", attempts: 1, failedAt: 0, groupId: "billing" },
          { topic: "orders-dlq" }
        )
        yield* handle(consumed(letter))
      }
      assert.deepStrictEqual(
        orders.map(({ eventId }) => eventId),
        ["e-1", "e-2"]
      )
    })
  )

  it.effect("dead-letters at once records that are not events or have other data", () =>
    Effect.gen(function* () {
      assert.strictEqual(
        yield* deadLettered(consumed({ topic: "orders", value: order }), "ignore"),
        "NotCloudEvent: specversion is missing"
      )
      assert.strictEqual(
        yield* deadLettered(consumed({ topic: "orders", value: null }), "ignore"),
        "NotCloudEvent: specversion is missing"
      )
      assert.strictEqual(
        yield* deadLettered(binary({ ce_id: "" }, order), "ignore"),
        "InvalidAttribute: id: is missing"
      )
      assert.strictEqual(
        yield* deadLettered(binary({}, '{"id":"o-1"}')),
        'InvalidData: order.placed.v1: data: ["total"]: missing'
      )
      assert.strictEqual(yield* deadLettered(binary({}, "{")), "InvalidData: order.placed.v1: data: 1 bytes")
      assert.strictEqual(
        yield* deadLettered(binary({}, null)),
        "InvalidData: order.placed.v1: data: expected a value, got a tombstone"
      )
      assert.strictEqual(
        yield* deadLettered(binary({ "content-type": "text/plain" }, order)),
        "InvalidAttribute: order.placed.v1: datacontenttype: only JSON is supported"
      )
    })
  )

  it.effect("treats unknown types and versions as configured", () =>
    Effect.gen(function* () {
      const record = binary({ ce_type: "order.placed.v3" }, "not even JSON")
      assert.strictEqual(yield* deadLettered(record), "UnknownType: order.placed.v3: type: has no route")
      const { cents, handle, orders } = makeRouter("ignore")
      yield* handle(record)
      assert.deepStrictEqual([orders, cents], [[], []])
    })
  )

  it.effect("routes foreign types, and decodes data asynchronously", () =>
    Effect.gen(function* () {
      const Slow = Schema.transformOrFail(Schema.Number, Schema.Number, {
        strict: true,
        decode: (n) => (n < 0 ? Effect.die("negative") : Effect.as(Effect.yieldNow(), n + 1)),
        encode: (n) => Effect.succeed(n - 1)
      })
      const got: Array<number> = []
      const router = EventRouter.make({
        routes: [
          EventRouter.on(Event.make({ type: "com.example.counted", data: Slow }), ({ value }) =>
            Effect.sync(() => got.push(value))
          )
        ],
        unknown: "ignore"
      })
      const counted = (value: string) => envelope(binary({ ce_type: "com.example.counted" }, value))
      yield* router.handler(counted("1"))
      assert.deepStrictEqual(got, [2])
      const error = yield* Effect.flip(router.handler(counted('"1"')))
      assert.strictEqual(error.message, "InvalidData: com.example.counted: data: value: expected number")
    })
  )

  it("carries two routes for one type and version, and the issues of its events", () => {
    const route = EventRouter.on(OrderPlaced, () => Effect.void)
    const wrong = EventRouter.on(Event.make({ type: "a", version: 0, data: Schema.Unknown }), () => Effect.void)
    const router = EventRouter.make({ routes: [route, wrong, route], unknown: "drop" as "ignore" })
    assert.deepStrictEqual(carriedBy(router.value).map(Environment.describe), [
      "routes[1].version must be a whole number of at least 1, not 0",
      'routes[2] must be the only route of its type and version, not "order.placed.v1"',
      'unknown must be one of ignore, deadLetter, not "drop"'
    ])
    assert.deepStrictEqual(carriedBy(EventRouter.make({ routes: [route], unknown: "ignore" }).value), [])
    assert.strictEqual(carriedBy(EventRouter.make(undefined as never).value).length, 2)
  })

  it.effect("has the errors and requirements of its handlers", () =>
    Effect.gen(function* () {
      class CardDeclined extends Data.TaggedError("CardDeclined")<{ readonly order: string }> {}
      class Bank extends Context.Tag("Bank")<
        Bank,
        { readonly charge: (id: string) => Effect.Effect<void, CardDeclined> }
      >() {}
      class MailError extends Data.TaggedError("MailError") {}
      class Mail extends Context.Tag("Mail")<Mail, { readonly send: Effect.Effect<void, MailError> }>() {}
      const charge: Handler<Order, CardDeclined, Bank> = ({ value }) =>
        Effect.flatMap(Bank, (bank) => bank.charge(value.id))
      const router = EventRouter.make({
        routes: [
          EventRouter.on(OrderPlaced, charge),
          EventRouter.on(OrderPlacedV2, () => Effect.flatMap(Mail, ({ send }) => send))
        ],
        unknown: "deadLetter"
      })
      expectTypeOf(router).toEqualTypeOf<EventRouter.EventRouter<CardDeclined | MailError, Bank | Mail>>()
      const error = yield* Effect.flip(router.handler(envelope(binary({}, order)))).pipe(
        Effect.provideService(Bank, { charge: (id) => new CardDeclined({ order: id }) }),
        Effect.provideService(Mail, { send: new MailError() })
      )
      assert.deepStrictEqual(error, new CardDeclined({ order: "o-1" }))
    })
  )
})
