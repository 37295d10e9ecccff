/** Spillway with retries, dead letters, metrics and commits on. */
import { KafkaConsumer, KafkaJsWire, KafkaProducer } from "@spillway/kafka"
import { Codec, DeadLetter, RetryPolicy, TransportMetrics } from "@spillway/transport"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { count, finish, task } from "./measure.js"

const consume = KafkaConsumer.run({
  groupId: task.groupId,
  topics: [task.topic],
  value: Codec.bytes,
  handler: () => {
    count()
    return Effect.void
  },
  retry: RetryPolicy.exponential(),
  deadLetter: DeadLetter.topic()
})

const fiber = Effect.runFork(
  consume.pipe(
    Effect.provide(KafkaProducer.layer()),
    Effect.provide(
      Layer.mergeAll(
        KafkaJsWire.layer({ brokers: [task.brokers] }),
        TransportMetrics.layer({ service: "benchmark" }),
        Logger.remove(Logger.defaultLogger)
      )
    )
  )
)
await finish(() => Effect.runPromise(Fiber.interrupt(fiber)))
