import { assert, it } from "@effect/vitest"
import * as Incubating from "@opentelemetry/semantic-conventions/incubating"
import * as KafkaAdmin from "@spillway/kafka/KafkaAdmin"
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import * as KafkaJsWire from "@spillway/kafka/KafkaJsWire"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import * as Codec from "@spillway/transport/Codec"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import { Producer } from "@spillway/transport/Producer"
import * as RetryPolicy from "@spillway/transport/RetryPolicy"
import * as TransportMetrics from "@spillway/transport/TransportMetrics"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { describeKafka, uniqueName } from "../../../scripts/kafka/testing.js"
import * as Telemetry from "../src/Telemetry.js"
import * as Collector from "./collector.js"

class Declined extends Data.TaggedError("Declined") {}

/** Every attribute name in the conventions. */
const conventions = new Set<unknown>(
  Object.entries(Incubating).flatMap(([name, value]) => (name.startsWith("ATTR_") ? [value] : []))
)

/** The conventions' requirements for a Kafka span, plus Spillway's additions. */
const sending = {
  [Incubating.ATTR_MESSAGING_SYSTEM_NAME]: Incubating.MESSAGING_SYSTEM_NAME_VALUE_KAFKA,
  [Incubating.ATTR_MESSAGING_SYSTEM]: Incubating.MESSAGING_SYSTEM_VALUE_KAFKA,
  [Incubating.ATTR_MESSAGING_OPERATION_NAME]: "send",
  [Incubating.ATTR_MESSAGING_OPERATION_TYPE]: Incubating.MESSAGING_OPERATION_TYPE_VALUE_SEND,
  [Incubating.ATTR_MESSAGING_DESTINATION_PARTITION_ID]: "0",
  [Incubating.ATTR_MESSAGING_KAFKA_OFFSET]: 0
}

const processing = {
  ...sending,
  [Incubating.ATTR_MESSAGING_OPERATION_NAME]: "process",
  [Incubating.ATTR_MESSAGING_OPERATION_TYPE]: Incubating.MESSAGING_OPERATION_TYPE_VALUE_PROCESS
}

const producerKind = 4
const consumerKind = 5

describeKafka("Telemetry on Kafka", (brokers) => {
  it.live("exports one trace from a producer through a consumer, its retry and dead letter to the reader", () =>
    Effect.gen(function* () {
      const collector = yield* Collector.make
      const orders = uniqueName("orders")
      const deadLetters = `${orders}-dlq`
      const service = uniqueName("billing").replace("-", "_")
      const attended = yield* Deferred.make<void>()

      const consume = (topic: string, handler: () => Effect.Effect<void, Declined>, rest: object) =>
        KafkaConsumer.layer({
          groupId: `${topic}-group`,
          topics: [topic],
          value: Codec.text,
          handler,
          retry: RetryPolicy.exponential({ retries: 1, base: "10 millis" }),
          deadLetter: DeadLetter.topic(),
          ...rest
        })
      const Consumers = Layer.merge(
        consume(orders, () => Effect.withSpan(Effect.fail(new Declined()), "charge"), {}),
        consume(deadLetters, () => Effect.asVoid(Deferred.succeed(attended, undefined)), {
          deadLetter: DeadLetter.none("skip")
        })
      )
      const program = Effect.gen(function* () {
        const producer = yield* Producer
        yield* Effect.withSpan(producer.send({ topic: orders, key: "private", value: "a" }), "checkout")
        yield* Effect.timeout(Deferred.await(attended), "20 seconds")
      })
      const Kafka = KafkaJsWire.layer({ brokers: brokers.split(",") })
      yield* Effect.provide(
        KafkaAdmin.once((admin) =>
          admin.createTopics([
            { topic: orders, partitions: 1 },
            { topic: deadLetters, partitions: 1 }
          ])
        ),
        Kafka
      )
      yield* program.pipe(
        Effect.provide(Consumers),
        Effect.provide(KafkaProducer.layer()),
        Effect.provide(Kafka),
        Effect.provide(TransportMetrics.layer({ service })),
        Effect.provide(
          Telemetry.layer({
            serviceName: "billing",
            serviceVersion: "1.2.3",
            endpoint: collector.url,
            protocol: "http/json",
            tracing: { clientId: "billing-1" }
          })
        )
      )

      const spans = collector.spans()
      const named = (name: string) => spans.filter((span) => span.name === name)
      const [checkout] = named("checkout")
      const [send] = named(`send ${orders}`)
      const [first, second] = named(`process ${orders}`)
      const [charge, chargeAgain] = named("charge")
      const [dead] = named(`send ${deadLetters}`)
      const [attend] = named(`process ${deadLetters}`)
      assert.strictEqual(spans.length, 8)
      assert.deepStrictEqual(new Set(spans.map(({ traceId }) => traceId)), new Set([checkout!.traceId]))
      assert.deepStrictEqual(
        [checkout, send, first, charge, second, chargeAgain, dead, attend].map((span) => [
          span!.kind,
          span!.parentSpanId,
          span!.status
        ]),
        [
          [1, undefined, 1],
          [producerKind, checkout!.spanId, 1],
          [consumerKind, send!.spanId, 2],
          [1, first!.spanId, 2],
          [consumerKind, first!.spanId, 2],
          [1, second!.spanId, 2],
          [producerKind, first!.spanId, 1],
          [consumerKind, dead!.spanId, 1]
        ]
      )
      assert.deepStrictEqual(
        [first, second, attend].map((span) => span!.links.map(({ spanId }) => spanId)),
        [[send!.spanId], [send!.spanId], [dead!.spanId]]
      )
      const client = { [Incubating.ATTR_MESSAGING_CLIENT_ID]: "billing-1" }
      const ofAttempt = (attempt: number) => ({
        ...processing,
        ...client,
        [Incubating.ATTR_MESSAGING_DESTINATION_NAME]: orders,
        [Incubating.ATTR_MESSAGING_CONSUMER_GROUP_NAME]: `${orders}-group`,
        [Incubating.ATTR_MESSAGING_MESSAGE_ID]: `${orders}-0-0`,
        [Incubating.ATTR_ERROR_TYPE]: "Declined",
        "spillway.attempt": attempt
      })
      assert.deepStrictEqual(send!.attributes, {
        ...sending,
        ...client,
        [Incubating.ATTR_MESSAGING_DESTINATION_NAME]: orders
      })
      assert.deepStrictEqual([first!.attributes, second!.attributes], [ofAttempt(1), ofAttempt(2)])
      assert.deepStrictEqual(dead!.attributes, {
        ...sending,
        ...client,
        [Incubating.ATTR_MESSAGING_DESTINATION_NAME]: deadLetters
      })
      assert.strictEqual(attend!.attributes[Incubating.ATTR_MESSAGING_MESSAGE_ID], `${orders}-0-0`)
      for (const span of [send, first, second, dead, attend]) {
        for (const name of Object.keys(span!.attributes)) {
          assert.isTrue(conventions.has(name) || name === "spillway.attempt", name)
        }
        assert.isTrue(span!.start <= span!.end)
      }
      assert.deepStrictEqual(send!.resource, { "service.name": "billing", "service.version": "1.2.3" })
      const labels = `topic=${orders},group=${orders}-group`
      assert.strictEqual(collector.metrics()[`${service}_dlq_messages_total{${labels}}`], 1)
      assert.strictEqual(collector.metrics()[`${service}_retry_attempts_total{${labels}}`], 1)
      assert.strictEqual(collector.metrics()[`${service}_message_processing_duration_seconds{${labels}}`], 2)
    }).pipe(Effect.scoped, Effect.provide(Logger.remove(Logger.defaultLogger)))
  )
})
