/**
 * A first program often meets a cluster without its topics: each error and log line says how to create them.
 */
import { assert, describe, it } from "@effect/vitest"
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import * as KafkaReader from "@spillway/kafka/KafkaReader"
import type { Wire } from "@spillway/kafka/Wire"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import { Producer } from "@spillway/transport/Producer"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { onBroker, options } from "../support/consumerTesting.js"
import { logged } from "../support/logged.js"

const saysHow = (text: unknown, topic: string) => {
  assert.include(text, "KafkaAdmin.ensureTopics")
  assert.include(text, `kafka-topics.sh --create --topic ${topic} `)
}

describe("a topic that doesn't exist", () => {
  it.effect("fails consumers, producers and readers with an error that says how to create it", () =>
    Effect.gen(function* () {
      const handler = () => Effect.void
      const send = Effect.flatMap(Producer, (producer) => producer.send({ topic: "nowhere", value: "a" }))
      const ways: ReadonlyArray<Effect.Effect<unknown, { readonly message: string }, Producer | Wire | Scope.Scope>> = [
        KafkaConsumer.run({ ...options, topics: ["orders"], handler, deadLetter: DeadLetter.topic("nowhere") }),
        send,
        Effect.flatMap(Producer, (producer) => producer.partitions("nowhere")),
        Stream.runDrain(KafkaReader.read({ topic: "nowhere" }))
      ]
      for (const way of ways) {
        const failing = yield* Effect.fork(Effect.flip(Effect.provide(Effect.scoped(way), KafkaProducer.layer())))
        yield* TestClock.adjust("1 minute")
        const { message } = yield* Fiber.join(failing)
        assert.include(message, "nowhere")
        saysHow(message, "nowhere")
      }
    }).pipe(onBroker({ topics: { orders: 1 } }))
  )

  it.effect("is awaited by a consumer that subscribes to it, with a line that says how to create it", () =>
    logged((lines) =>
      Effect.gen(function* () {
        yield* KafkaConsumer.make({ ...options, topics: ["later"], handler: () => Effect.void })
        const waiting = lines.filter(({ message }) => message === "The topic does not exist: waiting for it")
        assert.strictEqual(waiting.length, 1)
        assert.strictEqual(waiting[0]!.annotations["topic"], "later")
        saysHow(waiting[0]!.annotations["remedy"], "later")
      })
    ).pipe(onBroker({}))
  )
})
