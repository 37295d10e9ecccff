/**
 * Bad topics and records. For dead letter topics see consumer/badDeadLetterTopic.kafka.test.ts, for records over the
 * broker's limit producer/producer.kafka.test.ts, and for invalid options, such as an empty list of brokers or a
 * negative retry count, the tests of each module and consumer/config.test.ts.
 */
import { createHash } from "node:crypto"
import { assert, it } from "@effect/vitest"
import * as Codec from "@spillway/transport/Codec"
import { ConsumerError, type TopicPartition } from "@spillway/transport/Consumer"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import type { Envelope } from "@spillway/transport/Envelope"
import * as Headers from "@spillway/transport/Headers"
import { Producer } from "@spillway/transport/Producer"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { describeKafka, uniqueName } from "../../../../scripts/kafka/testing.js"
import * as KafkaAdmin from "../../src/KafkaAdmin.js"
import * as KafkaConsumer from "../../src/KafkaConsumer.js"
import * as KafkaProducer from "../../src/KafkaProducer.js"
import type { FetchResponse } from "../../src/Protocol.js"
import { type Connection, Wire } from "../../src/Wire.js"
import { consumerOf } from "../support/consumerOf.js"
import * as Fixture from "../support/fixture.js"

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

const digest = (value: Uint8Array): string => createHash("sha256").update(value).digest("hex")

describeKafka("A bad topic", (brokers) => {
  it.scopedLive("that is unknown fails a send; a consumer waits for it and reads it from its start", () =>
    Fixture.run(brokers, (journal) =>
      Effect.gen(function* () {
        const topic = uniqueName("late")
        const { handled, options, values } = consumerOf(topic)
        const producer = yield* KafkaProducer.make({ unknownTopicTimeout: "1 second" })
        assert.strictEqual((yield* Effect.flip(producer.send({ topic, value: "a" }))).reason, "UnknownTopic")
        const consumer = yield* KafkaConsumer.make({ ...options, initialOffset: "latest" })
        assert.strictEqual(yield* consumer.status, "Running")
        assert.deepStrictEqual(yield* consumer.assignment, [])
        const [entry] = yield* journal.logged("The topic does not exist")
        assert.deepInclude(entry!.annotations, { topic })
        yield* Fixture.createTopic(1, topic)
        yield* producer.send({ topic, value: "b" })
        yield* handled.reaches(1)
        assert.deepStrictEqual(values, ["b"])
      })
    )
  )

  it.scopedLive(
    "that is deleted while it is consumed is dropped, the others continue, and it is read again when it is back",
    () =>
      Fixture.run(brokers, () =>
        Effect.gen(function* () {
          const [deleted, other] = [yield* Fixture.createTopic(1), yield* Fixture.createTopic(1)]
          const { handled, options, values } = consumerOf(deleted, other)
          const consumer = yield* KafkaConsumer.make(options)
          const { send } = yield* Producer
          yield* send({ topic: deleted, value: "first" })
          yield* handled.reaches(1)
          yield* KafkaAdmin.once((admin) => admin.deleteTopics([deleted]))
          const alone = Effect.gen(function* () {
            const isIt = ({ topic }: TopicPartition, i: number) => i === 0 && topic === other
            let assignment = yield* consumer.assignment
            while (assignment.length !== 1 || !assignment.every(isIt)) {
              yield* Effect.sleep("50 millis")
              assignment = yield* consumer.assignment
            }
          })
          yield* Fixture.within("the deleted topic's end")(alone)
          yield* send({ topic: other, value: "beside" })
          yield* handled.reaches(2)
          assert.strictEqual(yield* consumer.status, "Running")
          yield* Fixture.createTopic(1, deleted)
          const late = yield* KafkaProducer.make()
          // The new topic's first record has the same offset as the old one's.
          yield* late.sendAll(["again", "and again"].map((value) => ({ topic: deleted, value })))
          yield* handled.reaches(3)
          assert.deepStrictEqual(values, ["first", "beside", "again", "and again"])
        })
      )
  )
})

describeKafka("A bad record", (brokers) => {
  it.scopedLive("with a value that isn't JSON or violates the schema is dead-lettered at once, byte for byte", () =>
    Fixture.run(brokers, () =>
      Effect.gen(function* () {
        const [topic, letters] = [yield* Fixture.createTopic(1), yield* Fixture.createTopic(1)]
        const handled = Fixture.tally()
        const producer = yield* Producer
        const values = [bytes("{"), bytes('{"id":7}'), null, new Uint8Array([0xff]), bytes('{"id":"a"}')]
        yield* producer.sendAll(values.map((value) => ({ topic, value })))
        const consumer = yield* KafkaConsumer.make({
          groupId: uniqueName("group"),
          topics: [topic],
          value: Codec.json(Schema.Struct({ id: Schema.String })),
          handler: (envelope) => Effect.sync(() => handled.add(envelope)),
          deadLetter: DeadLetter.topic(letters)
        })
        yield* handled.reaches(1)
        const { committed: _, ...report } = yield* consumer.close
        assert.deepStrictEqual(report, { handled: 1, retried: 0, deadLettered: 4, discarded: 0 })
        const found = yield* Fixture.readTopic(letters)
        assert.deepStrictEqual(
          found.map(({ value }) => value && Array.from(value)),
          values.slice(0, 4).map((value) => value && Array.from(value))
        )
        assert.deepStrictEqual(
          found.map((letter) => {
            const { errorMessage, errorType, offset, retryCount } = Option.getOrThrow(DeadLetter.metadata(letter))
            return [offset, retryCount, errorType, errorMessage!.split(":")[0]]
          }),
          ["InvalidJson", "SchemaMismatch", "Null", "InvalidUtf8"].map((reason, i) => [i, 0, "DecodeError", reason])
        )
      })
    )
  )

  it.scopedLive("of 5 MB is sent and handled, to the byte, on a topic that allows it", () =>
    Fixture.run(brokers, () =>
      Effect.gen(function* () {
        const topic = uniqueName("large")
        yield* KafkaAdmin.once((admin) => admin.createTopics([{ topic, configs: { "max.message.bytes": "6000000" } }]))
        const large = Array.from({ length: 3 }, (_, i) => new Uint8Array(5_000_000).fill(i + 1))
        const small = yield* KafkaProducer.make()
        const refused = yield* Effect.flip(small.send({ topic, value: large[0]! }))
        assert.strictEqual(refused.reason, "RecordTooLarge")
        const producer = yield* KafkaProducer.make({ maxBatchBytes: 6_000_000 })
        yield* producer.sendAll([...large, bytes("small")].map((value) => ({ topic, value })))
        const handled = Fixture.tally()
        const digests: Array<string> = []
        const consumer = yield* KafkaConsumer.make({
          ...consumerOf(topic).options,
          value: Codec.bytes,
          handler: (envelope: Envelope<Uint8Array | null>) =>
            Effect.sync(() => {
              digests.push(digest(envelope.value!))
              handled.add(envelope)
            })
        })
        yield* handled.reaches(4)
        assert.deepStrictEqual(digests, [...large, bytes("small")].map(digest))
        assert.deepStrictEqual((yield* consumer.close).committed, [{ topic, partition: 0, offset: 4 }])
      })
    )
  )

  it.scopedLive("with headers that aren't UTF-8 is delivered and dead-lettered unchanged", () =>
    Fixture.run(brokers, () =>
      Effect.gen(function* () {
        const [topic, letters] = [yield* Fixture.createTopic(1), yield* Fixture.createTopic(1)]
        const broken = new Uint8Array([0xff, 0x00, 0xc3])
        const headers: Headers.Headers = ["own", "x-event-id", "ce_id", "traceparent", "x-retry-count"].map((name) => [
          name,
          broken
        ])
        const { send } = yield* Producer
        yield* send({ topic, value: "good", headers })
        yield* send({ topic, value: "bad", headers })
        yield* send({ topic, value: "last", headers })
        const { handled, options } = consumerOf(topic)
        const seen: Array<Envelope<string>> = []
        yield* KafkaConsumer.make({
          ...options,
          handler: (envelope) => {
            seen.push(envelope)
            return options.handler(envelope)
          },
          deadLetter: DeadLetter.topic(letters)
        })
        yield* handled.reaches(2)
        for (const envelope of seen) {
          assert.deepStrictEqual(
            envelope.headers.map(([name, value]) => [name, Array.from(value!)]),
            headers.map(([name]) => [name, Array.from(broken)])
          )
          assert.strictEqual(envelope.eventId, "\ufffd\u0000\ufffd")
        }
        const [letter] = yield* Fixture.readTopic(letters)
        for (const name of ["own", "x-event-id", "ce_id", "traceparent"]) {
          assert.deepStrictEqual(
            Headers.getAll(letter!.headers, name).map((value) => Array.from(value!)),
            [Array.from(broken)]
          )
        }
        assert.deepInclude(Option.getOrThrow(DeadLetter.metadata(letter!)), { retryCount: 0, topic, offset: 1 })
      })
    )
  )

  it.scopedLive("in a corrupt batch fails the consumer, and no record from there on is handled or committed", () =>
    Fixture.run(brokers, () =>
      Effect.gen(function* () {
        const topic = yield* Fixture.createTopic(1)
        const { send } = yield* Producer
        for (const value of ["a", "b", "c"]) yield* send({ topic, value })
        const wire = yield* Wire
        const { groupId, options, values } = consumerOf(topic)
        const running = Effect.provideService(KafkaConsumer.run(options), Wire, spoiled(wire, 1))
        const error = yield* Fixture.within("the failure")(Effect.flip(running))
        assert.instanceOf(error, ConsumerError)
        assert.strictEqual(error.reason, "CorruptBatch")
        assert.include(error.message, `${topic}-0`)
        assert.deepStrictEqual(values, ["a"].slice(0, values.length))
        const offset = values.length
        assert.deepStrictEqual(yield* Fixture.committedOffsets(groupId), [{ topic, partition: 0, offset }])
      })
    )
  )
})

/** A wire that flips a bit in each batch that begins at an offset. */
const spoiled = (wire: Wire["Type"], offset: number): Wire["Type"] => ({
  ...wire,
  connect: (endpoint, role) =>
    Effect.map(
      wire.connect(endpoint, role),
      (connection): Connection => ({
        ...connection,
        request: (api, request) =>
          Effect.map(connection.request(api, request), (response) => {
            if (api !== "Fetch") return response
            for (const { partitions } of (response as FetchResponse).topics) {
              for (const { records } of partitions) spoil(records, offset)
            }
            return response
          })
      })
    )
})

const spoil = (records: Uint8Array, offset: number): void => {
  const view = new DataView(records.buffer, records.byteOffset, records.byteLength)
  for (let at = 0; at + 12 < records.length; at += 12 + view.getInt32(at + 8)) {
    if (Number(view.getBigInt64(at)) === offset) records[at + 12 + view.getInt32(at + 8) - 1]! ^= 1
  }
}
