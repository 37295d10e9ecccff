import { assert, describe, it } from "@effect/vitest"
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import { MemoryBroker } from "@spillway/memory/MemoryBroker"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import * as Event from "@spillway/transport/Event"
import * as EventPublisher from "@spillway/transport/EventPublisher"
import * as EventRouter from "@spillway/transport/EventRouter"
import * as HandlerError from "@spillway/transport/HandlerError"
import * as Headers from "@spillway/transport/Headers"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { committed, onBroker, quiet, topic } from "../support/consumerTesting.js"

const dlq = "orders-dlq"

const OrderPlaced = Event.make({
  type: "order.placed",
  version: 1,
  data: Schema.Struct({ id: Schema.String, total: Schema.Number }),
  subject: (order) => order.id
})

const OrderPaid = Event.make({ type: "order.paid", version: 1, data: Schema.Struct({ card: Schema.String }) })

const OrderShipped = Event.make({ type: "order.shipped", version: 1, data: Schema.Struct({}) })

const Publisher = EventPublisher.layer({ source: "/shop", topic }).pipe(Layer.provideMerge(KafkaProducer.layer()))

describe("events", () => {
  it.effect("reach their handlers, or the dead letter topic with their ids", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const publisher = yield* EventPublisher.EventPublisher
      const handled: Array<readonly [id: string, attempt: number, data: unknown]> = []
      const consumer = yield* KafkaConsumer.make({
        groupId: "billing",
        topics: [topic],
        ...EventRouter.make({
          routes: [
            EventRouter.on(OrderPlaced, ({ attempt, eventId, value }) =>
              Effect.sync(() => handled.push([eventId, attempt, value]))
            ),
            EventRouter.on(OrderPaid, ({ value }) => HandlerError.nonRetryable(`${value.card} declined`))
          ],
          unknown: "deadLetter"
        }),
        deadLetter: DeadLetter.topic(dlq)
      })
      const placed = yield* publisher.publish(OrderPlaced, { id: "o-1", total: 3 })
      yield* publisher.publishAll([
        Event.of(OrderPaid, { card: "c-1" }, { id: "e-paid", subject: "o-1" }),
        Event.of(OrderShipped, {}, { id: "e-shipped", subject: "o-1" }),
        Event.of(OrderPlaced, { id: "o-1", total: 4 }, { id: "e-last" })
      ])
      yield* broker.produce(topic, [{ value: "{}", partition: 0 }])
      yield* quiet
      const { deadLettered, handled: count, retried } = yield* consumer.close
      assert.deepStrictEqual({ count, retried, deadLettered }, { count: 2, retried: 0, deadLettered: 3 })
      assert.deepStrictEqual(handled, [
        [placed.eventId, 1, { id: "o-1", total: 3 }],
        ["e-last", 1, { id: "o-1", total: 4 }]
      ])
      const letters = yield* broker.records(dlq)
      assert.deepStrictEqual(
        letters.map(({ headers }) => {
          const text = Object.fromEntries(Headers.toText(headers))
          return [text["x-event-id"], text["ce_id"], text["x-error-message"]]
        }),
        [
          ["e-paid", "e-paid", "c-1 declined"],
          ["e-shipped", "e-shipped", "UnknownType: order.shipped.v1: type: has no route"],
          ["orders-0-4", undefined, "NotCloudEvent: specversion is missing"]
        ]
      )
      assert.deepStrictEqual(yield* committed, { 0: 5 })
    }).pipe(Effect.provide(Publisher), onBroker({ topics: { [topic]: 1, [dlq]: 1 } }))
  )
})
