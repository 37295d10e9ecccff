import { KafkaConsumer } from "@spillway/kafka"
import { Codec, DeadLetter, Topic } from "@spillway/transport"
import * as Effect from "effect/Effect"
import { Order } from "./Billing.js"

// #region topic
export const orders = Topic.make("orders", { key: Codec.text, value: Codec.json(Order) })

export const place = (order: Order) => Topic.send(orders, { key: order.id, value: order })

export const Orders = KafkaConsumer.layer({
  groupId: "billing",
  topics: [orders.name],
  key: orders.key,
  value: orders.value,
  handler: ({ key, value }) => Effect.log(`${key}: ${value.amount}`),
  deadLetter: DeadLetter.topic()
})
// #endregion

// #region registry
/** Looks up a schema by the id in the value's first byte; fails if the registry can't be reached. */
declare const schemaOf: (id: number) => Effect.Effect<Codec.Decoder<Order>, Error>

export const registered: Codec.Decoder<Order> = {
  decode: (bytes, context) => {
    if (bytes === null || bytes.length === 0) {
      return Effect.fail(new Codec.DecodeError({ reason: "Malformed", description: "no schema id" }))
    }
    return Effect.flatMap(
      Effect.mapError(
        schemaOf(bytes[0]!),
        (cause) => new Codec.DecodeError({ reason: "Unavailable", description: cause.message, cause })
      ),
      (schema) => schema.decode(bytes.subarray(1), context)
    )
  }
}
// #endregion
