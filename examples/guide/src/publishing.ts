import { Producer } from "@spillway/transport/Producer"
import * as Effect from "effect/Effect"
import type { Order } from "./Billing.js"

export const place = (order: Order) =>
  Effect.gen(function* () {
    // #region send
    const producer = yield* Producer
    const { partition, offset } = yield* producer.send({
      topic: "orders",
      key: order.id,
      value: JSON.stringify(order)
    })
    // #endregion
    return { partition, offset }
  })
