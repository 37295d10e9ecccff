/**
 * Two clusters in one program, both from its environment.
 */
import { assert, describe, it } from "@effect/vitest"
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import * as KafkaJsWire from "@spillway/kafka/KafkaJsWire"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import { Wire } from "@spillway/kafka/Wire"
import * as MemoryBroker from "@spillway/memory/MemoryBroker"
import * as Codec from "@spillway/transport/Codec"
import { Producer } from "@spillway/transport/Producer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import { problemsOf, withVariables } from "../../../transport/test/support/environment.js"

describe("two clusters from the environment of one program", () => {
  it.effect("have their own brokers, credentials and TLS by their namespaces", () =>
    Effect.gen(function* () {
      const wireOf = (namespace: string) =>
        Effect.provide(Wire, KafkaJsWire.layerConfig({ clientId: "bridge" }, namespace))
      const read = Effect.all([wireOf("A"), wireOf("B")])
      const [a, b] = yield* withVariables({
        A_KAFKA_BROKERS: "a:9092",
        B_KAFKA_BROKERS: "b:9093",
        B_KAFKA_MAX_RESPONSE_BYTES: "2048"
      })(read)
      assert.deepStrictEqual(a.bootstrap, [{ host: "a", port: 9092 }])
      assert.deepStrictEqual(b.bootstrap, [{ host: "b", port: 9093 }])
      assert.deepStrictEqual([a.maxResponseBytes, b.maxResponseBytes], [100 * 1024 * 1024, 2_048])
      const config = KafkaJsWire.config({ brokers: ["a:9092"] }, "A")
      const secured = yield* withVariables({ A_KAFKA_TLS: "true", KAFKA_TLS: "false" })(config)
      assert.deepStrictEqual([secured.tls, secured.sasl], [true, undefined])
      const wrong = { A_KAFKA_SASL_USERNAME: "bob", A_KAFKA_TLS: "perhaps", A_KAFKA_BROKERS: "a" }
      const error = yield* Effect.flip(withVariables(wrong)(config))
      assert.deepStrictEqual(
        problemsOf(error).map((problem) => problem.split(":")[0]),
        ["A_KAFKA_BROKERS", "A_KAFKA_TLS", "A_KAFKA_SASL_MECHANISM", "A_KAFKA_SASL_PASSWORD"]
      )
    })
  )

  it.scoped("are bridged by a consumer of one and a producer of the other", () =>
    Effect.gen(function* () {
      const source = yield* MemoryBroker.make({ topics: { orders: 1 } })
      const target = yield* MemoryBroker.make({ topics: { orders: 1, copies: 1 } })
      const to = KafkaProducer.layerConfig({}, "B").pipe(Layer.provide(Layer.succeed(Wire, target.wire)))
      const from = KafkaConsumer.layerConfig(
        {
          value: Codec.text,
          handler: ({ value }) => Effect.flatMap(Producer, ({ send }) => send({ topic: "copies", value })),
          reliability: { dlqEnabled: false }
        },
        "A"
      ).pipe(Layer.provide(Layer.succeed(Wire, source.wire)), Layer.provide(to))
      yield* withVariables({
        A_KAFKA_CONSUMER_GROUP_ID: "bridge",
        A_KAFKA_CONSUMER_TOPICS: "orders",
        A_RELIABILITY_RETRY_COUNT: "0",
        B_KAFKA_PRODUCER_COMPRESSION: "gzip",
        B_KAFKA_CONSUMER_GROUP_ID: "unused"
      })(Layer.build(from))
      yield* source.produce("orders", [{ value: "a" }])
      yield* target.produce("orders", [{ value: "not this one" }])
      yield* TestClock.adjust("5 seconds")
      const copies = yield* target.records("copies")
      assert.deepStrictEqual(
        copies.map(({ value }) => new TextDecoder().decode(value!)),
        ["a"]
      )
      yield* source.awaitCommitted("bridge", "orders", 0, 1)
    })
  )
})
