/**
 * A transactional pipeline as users write it, to be killed. Each number becomes a result, or a dead letter if it ends
 * in 13. Every 37th succeeds on its second attempt.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import * as KafkaJsWire from "@spillway/kafka/KafkaJsWire"
import * as Codec from "@spillway/transport/Codec"
import * as Consumer from "@spillway/transport/Consumer"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import * as HandlerError from "@spillway/transport/HandlerError"
import type { ProducerRecord } from "@spillway/transport/Producer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"

export interface ProgramOptions {
  readonly brokers: ReadonlyArray<string>
  readonly groupId: string
  readonly input: string
  readonly output: string
  readonly deadLetterTopic: string
}

const { brokers, deadLetterTopic, groupId, input, output } = JSON.parse(process.argv[2]!) as ProgramOptions

const Pipeline = KafkaConsumer.layerTransactional({
  groupId,
  topics: [input],
  value: Codec.text,
  handler: ({ attempt, value }): Effect.Effect<ReadonlyArray<ProducerRecord>, unknown> => {
    const number = Number(value)
    if (number % 100 === 13) return HandlerError.nonRetryable("thirteen")
    if (number % 37 === 0 && attempt === 1) return HandlerError.temporary("again", "1 millis")
    return Effect.succeed([{ topic: output, key: value, value: `${number * 2}` }])
  },
  deadLetter: DeadLetter.topic(deadLetterTopic),
  transactionalId: groupId,
  // A process that replaces a killed one takes over its group membership at once.
  groupInstanceId: "pipeline",
  commitInterval: "50 millis",
  maxTransactionBytes: 128 * 1024
})

Consumer.launch(Layer.provide(Pipeline, KafkaJsWire.layer({ brokers }))).pipe(
  Effect.provide(Logger.replace(Logger.defaultLogger, Logger.withConsoleError(Logger.logfmtLogger))),
  NodeRuntime.runMain({ disablePrettyLogger: true })
)
