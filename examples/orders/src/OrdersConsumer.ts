import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import * as Codec from "@spillway/transport/Codec"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import type { Envelope } from "@spillway/transport/Envelope"
import * as HandlerError from "@spillway/transport/HandlerError"
import * as RetryPolicy from "@spillway/transport/RetryPolicy"
import * as Effect from "effect/Effect"
import { deadLetterTopic, Order, ordersTopic } from "./Order.js"
import { Payments } from "./Payments.js"

/** `BankUnavailable` is passed on unchanged: the policy retries any error that isn't marked otherwise. */
export const handler = ({ attempt, offset, partition, value: order }: Envelope<Order>) =>
  Effect.gen(function* () {
    const payments = yield* Payments
    yield* payments.charge(order, attempt)
    yield* Effect.logInfo("Order paid")
  }).pipe(
    Effect.catchTags({
      RateLimited: (error) => HandlerError.temporary(error, error.retryAfter),
      CardDeclined: HandlerError.nonRetryable
    }),
    Effect.annotateLogs({ order: order.id, card: order.card, partition, offset, attempt })
  )

export const options = {
  groupId: "payments",
  topics: [ordersTopic],
  value: Codec.json(Order),
  handler,
  retry: RetryPolicy.exponential({ retries: 3, base: "1 second", factor: 2, cap: "30 seconds" }),
  deadLetter: DeadLetter.topic(deadLetterTopic)
}

/** Charges each order's card. */
export const layer = KafkaConsumer.layer(options)
