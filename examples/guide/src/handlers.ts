import type { Envelope } from "@spillway/transport/Envelope"
import * as HandlerError from "@spillway/transport/HandlerError"
import * as Effect from "effect/Effect"
import { Billing, type Order } from "./Billing.js"

const charge = (order: Order) => Effect.flatMap(Billing, (billing) => billing.charge(order))

export const errors = {
  // #region errors
  handler: ({ value }: Envelope<Order>) =>
    charge(value).pipe(
      Effect.catchTags({
        RateLimited: (error) => HandlerError.temporary(error, error.retryAfter),
        CardDeclined: HandlerError.nonRetryable
      })
    )
  // #endregion
}

export const classified = {
  handler: ({ value }: Envelope<Order>) => charge(value),
  // #region classify
  classify: (failure: HandlerError.HandlerFailure) =>
    failure.error instanceof SyntaxError ? HandlerError.deadLetter : HandlerError.classify(failure)
  // #endregion
}
