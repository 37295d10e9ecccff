import * as Schema from "effect/Schema"

/** The kind of card, which decides the bank's answer: see `Payments`. */
export const Card = Schema.Literal("valid", "flaky", "limited", "stolen")
export type Card = typeof Card.Type

export const Order = Schema.Struct({ id: Schema.String, card: Card, amount: Schema.Number })
export type Order = typeof Order.Type

export const ordersTopic = "orders"
export const deadLetterTopic = "orders-dlq"
