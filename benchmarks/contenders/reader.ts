/** Spillway's reader: the same records without a group, retries and commits. */
import { KafkaJsWire, KafkaReader } from "@spillway/kafka"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Stream from "effect/Stream"
import { count, finish, task } from "./measure.js"

await KafkaReader.read({ topic: task.topic }).pipe(
  Stream.runForEachChunk((records) =>
    Effect.sync(() => {
      for (const { value } of records) count(value)
    })
  ),
  Effect.provide(KafkaJsWire.layer({ brokers: task.brokers })),
  Effect.provide(Logger.remove(Logger.defaultLogger)),
  Effect.runPromise
)

await finish(async () => {})
