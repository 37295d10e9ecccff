import { assert, describe, it } from "@effect/vitest"
import { Kafka } from "cloudevents"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { type ConsumedRecord, eventIdOf } from "../src/Envelope.js"
import * as Event from "../src/Event.js"
import * as EventPublisher from "../src/EventPublisher.js"
import * as Headers from "../src/Headers.js"
import { InvalidOptions } from "../src/InvalidOptions.js"
import { Producer, ProducerError } from "../src/Producer.js"
import { logLayer, OrderPlaced, OrderPlacedV2 } from "./support/events.js"

const text = (bytes: Uint8Array | null) => (bytes === null ? null : new TextDecoder().decode(bytes))

const now = Date.UTC(2026, 0, 2, 3, 4, 5, 6)

/** Publishes to a log from a seeded start. */
const publishing = <A, E>(
  use: (
    publisher: typeof EventPublisher.EventPublisher.Service,
    log: ReadonlyArray<ConsumedRecord>
  ) => Effect.Effect<A, E>,
  options: Partial<EventPublisher.EventPublisherOptions> = {}
) =>
  Effect.suspend(() => {
    const log: Array<ConsumedRecord> = []
    return TestClock.setTime(now).pipe(
      Effect.zipRight(Effect.flatMap(EventPublisher.EventPublisher, (publisher) => use(publisher, log))),
      Effect.provide(
        EventPublisher.layer({ source: "/shop", topic: "orders", ...options }).pipe(Layer.provide(logLayer(log)))
      ),
      Effect.withRandom(Random.make("events"))
    )
  })

const order = { id: "o-1", total: 30 }

describe("EventPublisher", () => {
  it.effect("publishes a CloudEvent with its subject as the key", () =>
    publishing((publisher, log) =>
      Effect.gen(function* () {
        const published = yield* publisher.publish(OrderPlaced, order, { id: "e-1" })
        assert.deepStrictEqual(published, { topic: "orders", partition: 0, offset: 0, timestamp: 0, eventId: "e-1" })
        const [record] = log
        assert.deepStrictEqual([text(record!.key), text(record!.value)], ["o-1", '{"id":"o-1","total":"30"}'])
        assert.deepStrictEqual(Headers.toText(record!.headers), [
          ["ce_specversion", "1.0"],
          ["ce_id", "e-1"],
          ["ce_type", "order.placed.v1"],
          ["ce_source", "/shop"],
          ["ce_time", "2026-01-02T03:04:05.006Z"],
          ["ce_subject", "o-1"],
          ["content-type", "application/json"]
        ])
        assert.strictEqual(eventIdOf(record!), "e-1")
      })
    )
  )

  it.effect("publishes events that the cloudevents package reads", () =>
    publishing((publisher, log) =>
      Effect.gen(function* () {
        const { eventId } = yield* publisher.publish(
          OrderPlacedV2,
          { id: "o-1", cents: 3000 },
          { time: now - 1, subject: "s-1", extensions: { tenant: "a" } }
        )
        const [{ headers, key, value }] = log as [ConsumedRecord]
        const event = Kafka.toEvent({
          headers: Object.fromEntries(Headers.toText(headers)) as { [name: string]: string },
          body: undefined,
          key: text(key),
          value: text(value)
        } as Parameters<typeof Kafka.toEvent>[0])
        assert.deepInclude(event, {
          id: eventId,
          type: "order.placed.v2",
          source: "/shop",
          specversion: "1.0",
          time: "2026-01-02T03:04:05.005Z",
          subject: "s-1",
          dataschema: "https://shop.example/order.placed.v2.json",
          datacontenttype: "application/json",
          tenant: "a",
          partitionkey: "s-1",
          data: { id: "o-1", cents: 3000 }
        })
      })
    )
  )

  it.effect("gives each event a UUID from Clock and Random", () =>
    Effect.gen(function* () {
      const ids = publishing((publisher) =>
        Effect.replicateEffect(publisher.publish(OrderPlaced, order), 100).pipe(
          Effect.map((all) => all.map(({ eventId }) => eventId))
        )
      )
      const first = yield* ids
      assert.deepStrictEqual(yield* ids, first)
      assert.strictEqual(new Set(first).size, 100)
      for (const id of first) assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
      assert.strictEqual(Number.parseInt(first[0]!.slice(0, 13).replace("-", ""), 16), now)
    })
  )

  it.effect("publishes events of several definitions in order, each to its topic", () =>
    publishing(
      (publisher, log) =>
        Effect.gen(function* () {
          const published = yield* publisher.publishAll([
            Event.of(OrderPlaced, order, { id: "e-1" }),
            Event.of(OrderPlacedV2, { id: "o-2", cents: 1 }, { id: "e-2" })
          ])
          assert.deepStrictEqual(
            published.map(({ eventId, offset, topic }) => [eventId, topic, offset]),
            [
              ["e-1", "order.placed-1", 0],
              ["e-2", "order.placed-2", 1]
            ]
          )
          assert.deepStrictEqual(
            log.map(({ key, topic, value }) => [topic, text(key), text(value)]),
            [
              ["order.placed-1", "o-1", '{"id":"o-1","total":"30"}'],
              ["order.placed-2", "o-2", '{"id":"o-2","cents":1}']
            ]
          )
        }),
      { topic: ({ type, version }) => `${type}-${version}` }
    )
  )

  it.effect("publishes an event without a subject without a key", () =>
    publishing((publisher, log) =>
      Effect.gen(function* () {
        yield* publisher.publish(Event.make({ type: "shop.opened", data: Schema.Struct({}) }), {})
        assert.isNull(log[0]!.key)
        assert.isFalse(Headers.has(log[0]!.headers, "ce_subject"))
      })
    )
  )

  it.effect("fails with the event's type and field, and publishes nothing", () =>
    publishing((publisher, log) =>
      Effect.gen(function* () {
        const failure = (effect: Effect.Effect<unknown, Event.EventError | ProducerError>) =>
          Effect.map(Effect.flip(effect), ({ message }) => message)
        const invalid = Event.of(OrderPlacedV2, { id: "o-2", cents: 1.5 })
        assert.strictEqual(
          yield* failure(publisher.publishAll([Event.of(OrderPlaced, order), invalid])),
          'InvalidData: order.placed.v2: data: ["cents"]: expected Int'
        )
        assert.strictEqual(
          yield* failure(publisher.publish(OrderPlaced, order, { id: "" })),
          "InvalidAttribute: order.placed.v1: id: is empty"
        )
        assert.strictEqual(
          yield* failure(publisher.publish(OrderPlaced, { ...order, id: "" })),
          "InvalidAttribute: order.placed.v1: subject: is empty"
        )
        assert.strictEqual(
          yield* failure(publisher.publish(OrderPlaced, order, { time: Number.NaN })),
          "InvalidAttribute: order.placed.v1: time: is outside the years 0 to 9999"
        )
        const wrong = Event.make({ type: "a", version: 0, data: Schema.Unknown })
        const error = yield* Effect.flip(publisher.publish(wrong, 1))
        assert(error._tag === "EventError")
        assert.deepInclude(error, { reason: "InvalidDefinition", eventType: "a.v0", field: "version" })
        assert.instanceOf(error.cause, InvalidOptions)
        assert.deepStrictEqual(log, [])
      })
    )
  )

  it.effect("fails as the producer does", () =>
    Effect.gen(function* () {
      const error = new ProducerError({ reason: "UnknownTopic", topic: "orders", description: "there is none" })
      const publisher = yield* EventPublisher.make({ source: "/shop", topic: "orders" }).pipe(
        Effect.provideService(Producer, {
          send: () => error,
          sendAll: () => error,
          sendAllEither: () => Effect.succeed([]),
          partitions: () => error
        })
      )
      assert.strictEqual(yield* Effect.flip(publisher.publish(OrderPlaced, order)), error)
      assert.strictEqual(yield* Effect.flip(publisher.publishAll([Event.of(OrderPlaced, order)])), error)
    })
  )

  it.effect("fails at the start when its source is not a URI reference", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(publishing(() => Effect.void, { source: "the shop" }))
      assert.strictEqual(error.message, 'EventPublisher: source must be a URI reference, not "the shop"')
    })
  )
})
