/** Spillway with retries, dead letters, metrics and commits on. */
import { KafkaConsumer, KafkaJsWire, KafkaProducer } from "@spillway/kafka"
import { Codec, DeadLetter, RetryPolicy, TransportMetrics } from "@spillway/transport"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { count, finish, measured, task } from "./measure.js"

const consumer = KafkaConsumer.run(
  {
    groupId: task.groupId,
    topics: [task.topic],
    value: Codec.bytes,
    handler: ({ value }) => Effect.sync(() => count(value)),
    retry: RetryPolicy.exponential(),
    deadLetter: DeadLetter.topic()
  },
  Effect.promise(() => measured)
)

const { committed } = await consumer.pipe(
  Effect.provide(KafkaProducer.layer()),
  Effect.provide(
    Layer.mergeAll(
      KafkaJsWire.layer({ brokers: task.brokers }),
      TransportMetrics.layer({ service: "benchmark" }),
      Logger.remove(Logger.defaultLogger)
    )
  ),
  Effect.runPromise
)

await finish(async () => {
  const commits = committed.reduce((sum, { offset }) => sum + offset, 0)
  if (commits !== task.records) throw new Error(`committed ${commits} of ${task.records} records`)
})
