// #region program
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import * as KafkaJsWire from "@spillway/kafka/KafkaJsWire"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import * as PrometheusServer from "@spillway/observability/PrometheusServer"
import * as Codec from "@spillway/transport/Codec"
import * as Consumer from "@spillway/transport/Consumer"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import * as RetryPolicy from "@spillway/transport/RetryPolicy"
import * as TransportMetrics from "@spillway/transport/TransportMetrics"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"

const Order = Schema.Struct({ id: Schema.String, amount: Schema.Number })

const Orders = KafkaConsumer.layer({
  groupId: "billing",
  topics: ["orders"],
  value: Codec.json(Order),
  handler: ({ value }) => Effect.logInfo("Order charged", value),
  retry: RetryPolicy.exponential({ retries: 3 }),
  deadLetter: DeadLetter.topic("orders-dlq")
})

const Main = Orders.pipe(
  Layer.provide(KafkaProducer.layer()),
  Layer.provide(KafkaJsWire.layerConfig()), // KAFKA_BROKERS=localhost:9092
  Layer.provide(PrometheusServer.layerConfig()), // PROMETHEUS_PORT, 8080 by default
  Layer.provide(TransportMetrics.layer({ service: "billing" }))
)

Consumer.launch(Main).pipe(NodeRuntime.runMain)
// #endregion
