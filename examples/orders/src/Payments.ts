import * as Context from "effect/Context"
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Order } from "./Order.js"

/** Worth another try, when the retry policy says. */
export class BankUnavailable extends Data.TaggedError("BankUnavailable") {
  override readonly message = "the bank doesn't answer"
}

/** Worth another try, when the bank says. */
export class RateLimited extends Data.TaggedError("RateLimited")<{ readonly retryAfter: Duration.DurationInput }> {
  override readonly message = "too many payments at once"
}

/** Not worth another try. */
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

/** A bank that answers by the card and the attempt alone, so that every kind of failure shows. */
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
