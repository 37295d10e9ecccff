import * as KafkaAdmin from "@spillway/kafka/KafkaAdmin"
import * as KafkaJsWire from "@spillway/kafka/KafkaJsWire"
import type { Wire } from "@spillway/kafka/Wire"
import * as MemoryBroker from "@spillway/memory/MemoryBroker"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { deadLetterTopic, ordersTopic } from "./Order.js"

const memory = MemoryBroker.layer()
const kafka = KafkaJsWire.layerConfig()

/**
 * Kafka at `KAFKA_BROKERS` if it is set, otherwise a broker in memory: the only difference between the two programs.
 */
const wire = Layer.unwrapEffect(
  Effect.map(
    Config.option(Config.string("KAFKA_BROKERS")),
    (brokers): Layer.Layer<Wire, Layer.Layer.Error<typeof kafka> | Layer.Layer.Error<typeof memory>> =>
      Option.isSome(brokers) ? kafka : memory
  )
)

const topics = KafkaAdmin.ensureTopics([ordersTopic, deadLetterTopic].map((topic) => ({ topic, partitions: 3 })))

/** A cluster that has the example's topics. */
export const layer = Layer.provideMerge(topics, wire)
