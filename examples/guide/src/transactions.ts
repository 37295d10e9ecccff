import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import { TransactionalProducer } from "@spillway/kafka/Transaction"
import * as Codec from "@spillway/transport/Codec"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import * as HandlerError from "@spillway/transport/HandlerError"
import { Producer } from "@spillway/transport/Producer"
import * as Effect from "effect/Effect"
import { Order } from "./Billing.js"
import { place } from "./publishing.js"

// #region layer
export const Transactions = KafkaProducer.layerTransactional({ transactionalId: "billing-1" })
// #endregion

// #region transaction
export const book = Effect.fnUntraced(function* (order: Order) {
  const { transaction } = yield* TransactionalProducer
  return yield* transaction((tx) =>
    tx.sendAll([
      { topic: "invoices", key: order.id, value: JSON.stringify(order) },
      { topic: "ledger", key: order.id, value: `${order.amount}` }
    ])
  )
})
// #endregion

// #region provide
export const placeBoth = Effect.fnUntraced(function* (one: Order, other: Order) {
  const { transaction } = yield* TransactionalProducer
  // `place` needs only a Producer.
  return yield* transaction((tx) => Effect.provideService(Effect.all([place(one), place(other)]), Producer, tx))
})
// #endregion

// #region pipeline
export const Invoicing = KafkaConsumer.layerTransactional({
  groupId: "invoicing",
  topics: ["orders"],
  value: Codec.json(Order),
  handler: ({ value }) =>
    value.amount < 0
      ? HandlerError.nonRetryable("a negative amount")
      : Effect.succeed([{ topic: "invoices", key: value.id, value: JSON.stringify(value) }]),
  deadLetter: DeadLetter.topic("orders-dlq"),
  transactionalId: "invoicing-1" // unique to this instance
})
// #endregion
