/**
 * A member of the group in a chaos run, as users write it. It prints a line for each record at once when it has handled
 * it. Records whose value ends in "bad" are dead letters; those that end in "twice" succeed on their second attempt.
 */
import { writeSync } from "node:fs"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import * as KafkaJsWire from "@spillway/kafka/KafkaJsWire"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import * as Codec from "@spillway/transport/Codec"
import * as Consumer from "@spillway/transport/Consumer"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import * as HandlerError from "@spillway/transport/HandlerError"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"

export interface ProgramOptions {
  readonly brokers: ReadonlyArray<string>
  readonly groupId: string
  readonly topic: string
  readonly deadLetterTopic: string
}

const { brokers, deadLetterTopic, groupId, topic } = JSON.parse(process.argv[2]!) as ProgramOptions

const Main = KafkaConsumer.layer({
  groupId,
  topics: [topic],
  value: Codec.text,
  handler: Effect.fnUntraced(function* ({ attempt, offset, partition, value }) {
    if (value.endsWith("bad")) return yield* HandlerError.nonRetryable("bad")
    if (value.endsWith("twice") && attempt === 1) return yield* HandlerError.temporary("again", "20 millis")
    yield* Effect.sleep("1 millis")
    writeSync(1, `handled ${Date.now()} ${partition} ${offset} ${Number.parseInt(value, 10)}\n`)
  }),
  deadLetter: DeadLetter.topic(deadLetterTopic),
  sessionTimeout: "6 seconds",
  heartbeatInterval: "1 second",
  commitInterval: "500 millis"
})

Consumer.launch(
  Main.pipe(
    Layer.provide(KafkaProducer.layer({ acknowledgeTimeout: "3 seconds" })),
    Layer.provide(KafkaJsWire.layer({ brokers, requestTimeout: "5 seconds" }))
  )
).pipe(
  Effect.provide(Logger.replace(Logger.defaultLogger, Logger.withConsoleError(Logger.logfmtLogger))),
  NodeRuntime.runMain({ disablePrettyLogger: true })
)
