/**
 * `npm run kafka [-- --brokers N] [--topics orders:3,orders-dlq:3]` runs a real cluster to develop against, by default
 * of one broker, until SIGINT or SIGTERM. It creates the topics, each with its number of partitions.
 */
import { parseArgs } from "node:util"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as KafkaAdmin from "@spillway/kafka/KafkaAdmin"
import * as KafkaJsWire from "@spillway/kafka/KafkaJsWire"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Broker from "./kafka/broker.js"
import { kafkaVersion } from "./kafka/distribution.js"
import * as TopicArguments from "./kafka/topicArguments.js"

const refuse = (description: string): never => {
  console.error(description)
  process.exit(2)
}

const { values } = parseArgs({
  options: { brokers: { type: "string", default: "1" }, topics: { type: "string", default: "" } }
})
const size = Number(values.brokers)
if (!(Number.isSafeInteger(size) && size >= 1 && size <= 9)) {
  refuse(`--brokers: must be a whole number from 1 to 9, not ${values.brokers}`)
}
const topics = Either.getOrElse(TopicArguments.parse(values.topics), refuse)

Effect.gen(function* () {
  yield* Effect.log(`Starting Apache Kafka ${kafkaVersion}`)
  const brokers = yield* Broker.makeCluster(size)
  const bootstrap = brokers.map((broker) => broker.bootstrap).join()
  if (topics.length > 0) {
    const wire = KafkaJsWire.layer({ brokers: bootstrap.split(",") })
    yield* Effect.scoped(Layer.build(Layer.provide(KafkaAdmin.ensureTopics(topics), wire)))
    yield* Effect.log(`Topics: ${topics.map(({ partitions, topic }) => `${topic} (${partitions})`).join(", ")}`)
  }
  yield* Effect.log(`Ready: KAFKA_BROKERS=${bootstrap} npm start`)
  console.log(bootstrap)
  return yield* Effect.never
}).pipe(Effect.scoped, NodeRuntime.runMain)
