import * as KafkaAdmin from "@spillway/kafka/KafkaAdmin"
import * as KafkaJsWire from "@spillway/kafka/KafkaJsWire"
import * as MemoryBroker from "@spillway/memory/MemoryBroker"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { deadLetterTopic, ordersTopic } from "./Order.js"

/** Kafka where `KAFKA_BROKERS` says, else a broker in memory: the only difference between the two programs. */
const Wire = Layer.unwrapEffect(
  Effect.map(
    Config.option(Config.string("KAFKA_BROKERS")),
    Option.match({ onNone: () => MemoryBroker.layer(), onSome: () => KafkaJsWire.layerConfig() })
  )
)

/** Creates the topics that don't exist yet. */
const Topics = Layer.effectDiscard(
  KafkaAdmin.ensureTopics([
    { topic: ordersTopic, partitions: 3 },
    { topic: deadLetterTopic, partitions: 3 }
  ])
)

export const layer = Layer.provideMerge(Topics, Wire)
