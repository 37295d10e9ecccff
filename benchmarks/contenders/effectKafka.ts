/** effect-kafka's `Consumer.serveStream` on kafkajs. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { Consumer } from "effect-kafka"
import { KafkaJS } from "effect-kafka/KafkaJS"
import { count, finish, task } from "./measure.js"

const fiber = Effect.runFork(
  Consumer.serveStream(task.topic).pipe(
    Stream.runForEach(({ value }) => Effect.sync(() => count(value))),
    Effect.provide(
      Consumer.layer({ groupId: task.groupId, fromBeginning: true }).pipe(
        Layer.provide(KafkaJS.layer({ brokers: [...task.brokers] }))
      )
    )
  )
)
await finish(() => Effect.runPromise(Fiber.interruptFork(fiber)))
