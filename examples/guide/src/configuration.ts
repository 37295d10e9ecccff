import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import * as KafkaJsWire from "@spillway/kafka/KafkaJsWire"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import * as Codec from "@spillway/transport/Codec"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import { Producer } from "@spillway/transport/Producer"
import * as ReliabilityConfig from "@spillway/transport/ReliabilityConfig"
import * as RetryPolicy from "@spillway/transport/RetryPolicy"
import * as TransportMetrics from "@spillway/transport/TransportMetrics"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Billing, Order } from "./Billing.js"

const value = Codec.json(Order)

const handler = ({ value }: { readonly value: Order }) => Effect.flatMap(Billing, (billing) => billing.charge(value))

// #region layers
export const Orders = KafkaConsumer.layerConfig({
  groupId: "billing", // unless KAFKA_CONSUMER_GROUP_ID says otherwise
  topics: ["orders"],
  value: Codec.json(Order),
  handler: ({ value }) => Effect.flatMap(Billing, (billing) => billing.charge(value)),
  reliability: { retryCount: 5 } // unless RELIABILITY_RETRY_COUNT does
})

export const Main = Orders.pipe(
  Layer.provide(KafkaProducer.layerConfig()),
  Layer.provide(KafkaJsWire.layerConfig()),
  Layer.provide(TransportMetrics.layerConfig({ service: "billing" }))
)
// #endregion

// #region numbers
export const Payments = Layer.unwrapEffect(
  Effect.map(KafkaConsumer.config({ groupId: "billing", topics: ["payments"] }, "PAYMENTS"), (options) =>
    KafkaConsumer.layer({ ...options, value, handler, retry: RetryPolicy.fixed(), deadLetter: DeadLetter.none("stop") })
  )
)
// #endregion

// #region reliability
export const Refunds = KafkaConsumer.layer({
  groupId: "billing",
  topics: ["refunds"],
  value,
  handler,
  ...ReliabilityConfig.options({ retryCount: 5, maxRetryBackoff: "10 seconds", dlqTopic: "dead" })
})
// #endregion

// #region clusters
/** Copies payments from cluster A to cluster B. */
export const Bridge = KafkaConsumer.layerConfig(
  {
    value: Codec.text,
    handler: ({ value }) => Effect.flatMap(Producer, ({ send }) => send({ topic: "payments", value })),
    reliability: { dlqEnabled: false }
  },
  "A" // A_KAFKA_CONSUMER_GROUP_ID, A_KAFKA_CONSUMER_TOPICS, A_RELIABILITY_RETRY_COUNT
).pipe(
  Layer.provide(KafkaJsWire.layerConfig({}, "A")), // A_KAFKA_BROKERS, A_KAFKA_SASL_USERNAME
  Layer.provide(Layer.provide(KafkaProducer.layerConfig({}, "B"), KafkaJsWire.layerConfig({}, "B"))) // B_KAFKA_BROKERS
)
// #endregion
