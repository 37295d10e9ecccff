import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import * as Event from "@spillway/transport/Event"
import * as EventPublisher from "@spillway/transport/EventPublisher"
import * as EventRouter from "@spillway/transport/EventRouter"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Billing, Order } from "./Billing.js"

const Payment = Schema.Struct({ id: Schema.String, order: Schema.String })

// #region define
export const OrderPlaced = Event.make({ type: "order.placed", version: 1, data: Order, subject: (order) => order.id })
export const OrderPaid = Event.make({ type: "order.paid", version: 2, data: Payment, subject: ({ order }) => order })
// #endregion

// #region publisher
export const Publisher = EventPublisher.layer({ source: "/shop", topic: "orders" })
// #endregion

export const publish = (order: Order, payment: typeof Payment.Type) =>
  Effect.gen(function* () {
    // #region publish
    const publisher = yield* EventPublisher.EventPublisher
    const { eventId } = yield* publisher.publish(OrderPlaced, order)
    yield* publisher.publishAll([
      Event.of(OrderPlaced, order),
      Event.of(OrderPaid, payment, { id: payment.id }) // your own id, if you may publish this again
    ])
    // #endregion
    return eventId
  })

const ship = (order: string) => Effect.logInfo("Shipped", order)

// #region route
export const Orders = KafkaConsumer.layer({
  groupId: "billing",
  topics: ["orders"],
  ...EventRouter.make({
    routes: [
      EventRouter.on(OrderPlaced, ({ value }) => Effect.flatMap(Billing, (billing) => billing.charge(value))),
      EventRouter.on(OrderPaid, ({ value }) => ship(value.order))
    ],
    unknown: "ignore" // types and versions without a route; or "deadLetter"
  }),
  deadLetter: DeadLetter.topic()
})
// #endregion
