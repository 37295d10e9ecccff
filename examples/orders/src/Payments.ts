import * as Context from "effect/Context"
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Order } from "./Order.js"

/** Retried by the retry policy. */
export class BankUnavailable extends Data.TaggedError("BankUnavailable") {
  override readonly message = "the bank doesn't answer"
}

/** Retried after the delay that the bank asks for. */
export class RateLimited extends Data.TaggedError("RateLimited")<{ readonly retryAfter: Duration.DurationInput }> {
  override readonly message = "too many payments at once"
}

/** Never retried. */
export class CardDeclined extends Data.TaggedError("CardDeclined")<{ readonly order: Order }> {
  override get message(): string {
    return `the card of order ${this.order.id} is ${this.order.card}`
  }
}

export type PaymentError = BankUnavailable | RateLimited | CardDeclined

export class Payments extends Context.Tag("orders/Payments")<
  Payments,
  { readonly charge: (order: Order, attempt: number) => Effect.Effect<void, PaymentError> }
>() {}

/** A bank whose answer depends only on the card and the attempt, so that every kind of failure occurs. */
export const layer: Layer.Layer<Payments> = Layer.succeed(Payments, {
  charge: (order, attempt) => {
    switch (order.card) {
      case "valid":
        return Effect.void
      case "flaky":
        return attempt <= 2 ? new BankUnavailable() : Effect.void
      case "limited":
        return attempt === 1 ? new RateLimited({ retryAfter: "3 seconds" }) : Effect.void
      case "stolen":
        return new CardDeclined({ order })
    }
  }
})
