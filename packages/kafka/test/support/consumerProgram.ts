/**
 * A program as users write it: a consumer under `Consumer.launch` on `NodeRuntime.runMain`. Prints one line at once for
 * each handled record.
 */
import { writeSync } from "node:fs"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Codec from "@spillway/transport/Codec"
import * as Consumer from "@spillway/transport/Consumer"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import * as HandlerError from "@spillway/transport/HandlerError"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as KafkaConsumer from "../../src/KafkaConsumer.js"
import * as KafkaJsWire from "../../src/KafkaJsWire.js"

export interface ProgramOptions {
  readonly brokers: string
  readonly groupId: string
  readonly topic: string
  /** The value of a record that is retried after an hour. */
  readonly failing?: string | undefined
}

const { brokers, failing, groupId, topic } = JSON.parse(process.argv[2]!) as ProgramOptions

const Main = KafkaConsumer.layer({
  groupId,
  topics: [topic],
  value: Codec.text,
  handler: ({ offset, partition, value }) =>
    value === failing
      ? HandlerError.temporary("not now", "1 hour")
      : Effect.map(Effect.sleep("1 millis"), () => writeSync(1, `handled ${partition} ${offset}\n`)),
  deadLetter: DeadLetter.none("stop"),
  sessionTimeout: "6 seconds",
  heartbeatInterval: "1 second",
  commitInterval: "200 millis"
})

Consumer.launch(Layer.provide(Main, KafkaJsWire.layer({ brokers: brokers.split(",") }))).pipe(
  Effect.provide(Logger.replace(Logger.defaultLogger, Logger.withConsoleError(Logger.logfmtLogger))),
  NodeRuntime.runMain({ disablePrettyLogger: true })
)
