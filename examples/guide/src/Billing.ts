/** The service with which the guide's programs charge orders. */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"

export const Order = Schema.Struct({ id: Schema.String, amount: Schema.Number })
export type Order = typeof Order.Type

export class RateLimited extends Data.TaggedError("RateLimited")<{ readonly retryAfter: Duration.DurationInput }> {}
export class CardDeclined extends Data.TaggedError("CardDeclined") {}
export class BankUnavailable extends Data.TaggedError("BankUnavailable") {}

export type ChargeError = RateLimited | CardDeclined | BankUnavailable

export class Billing extends Context.Tag("guide/Billing")<
  Billing,
  { readonly charge: (order: Order) => Effect.Effect<void, ChargeError> }
>() {}

/** Charges every order. */
export const layer: Layer.Layer<Billing> = Layer.succeed(Billing, {
  charge: (order) => Effect.logInfo("Order charged", order)
})
