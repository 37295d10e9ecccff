/**
 * Takes orders and charges their cards: some at once, some after retries, and some never.
 *
 *   npm start                                    in memory
 *   KAFKA_BROKERS=127.0.0.1:9092 npm start       on Kafka
 *   curl localhost:8080/metrics
 *   curl localhost:8081/health
 *   LOG_LEVEL=debug npm start                    every log line, with stack traces
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import * as HealthServer from "@spillway/observability/HealthServer"
import * as PrometheusServer from "@spillway/observability/PrometheusServer"
import * as Consumer from "@spillway/transport/Consumer"
import * as TransportMetrics from "@spillway/transport/TransportMetrics"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Cluster from "./Cluster.js"
import * as DeadLettersConsumer from "./DeadLettersConsumer.js"
import * as Logs from "./Logs.js"
import * as OrderSource from "./OrderSource.js"
import * as OrdersConsumer from "./OrdersConsumer.js"
import * as Payments from "./Payments.js"
import { ignoreEchoes } from "./signals.js"

// Layers provided later are released later: metrics are served until the consumers have drained.
const Main = Layer.mergeAll(OrderSource.layer("1 second"), OrdersConsumer.layer, DeadLettersConsumer.layer).pipe(
  Layer.provide(Payments.layer),
  Layer.provide(KafkaProducer.layer()),
  Layer.provide(Cluster.layer),
  Layer.provide([PrometheusServer.layerConfig(), HealthServer.layerConfig()]),
  Layer.provide(TransportMetrics.layer({ service: "example_service" }))
)

ignoreEchoes()
Consumer.launch(Main).pipe(Effect.provide(Logs.layer(Logs.process)), NodeRuntime.runMain({ disablePrettyLogger: true }))
