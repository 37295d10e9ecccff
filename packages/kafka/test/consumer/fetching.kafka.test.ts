import { assert, it } from "@effect/vitest"
import * as Codec from "@spillway/transport/Codec"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import type { ConsumedRecord } from "@spillway/transport/Envelope"
import { Producer } from "@spillway/transport/Producer"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { describeOwnKafka, makeBroker, uniqueName } from "../../../../scripts/kafka/testing.js"
import * as KafkaAdmin from "../../src/KafkaAdmin.js"
import * as KafkaConsumer from "../../src/KafkaConsumer.js"
import { Wire } from "../../src/Wire.js"
import { observed } from "../support/consumerTesting.js"
import * as Fixture from "../support/fixture.js"

describeOwnKafka("Fetching from a broker", () => {
  it.scopedLive(
    "continues after a restart, through compaction, and for records larger than the fetch limit",
    () =>
      Effect.gen(function* () {
        const broker = yield* makeBroker({ "log.cleaner.backoff.ms": "100", "log.cleanup.policy": "compact" })
        yield* Fixture.run(broker.bootstrap, () =>
          Effect.gen(function* () {
            const topic = uniqueName("log")
            const configs = {
              "max.message.bytes": String(8 * 1024 * 1024),
              "segment.ms": "200",
              "min.cleanable.dirty.ratio": "0.0001"
            }
            yield* KafkaAdmin.once((admin) => admin.createTopics([{ topic, partitions: 1, configs }]))
            const { send } = yield* Producer
            const put = (key: string, value: string) => send({ topic, key, value })

            // Compaction removes nine of each key's ten values, and whole batches, once a record follows `segment.ms` later.
            for (let i = 0; i < 10; i++) for (const key of ["a", "b"]) yield* put(key, `${key}${i}`)
            const isOf = (keys: string) => (record: ConsumedRecord) =>
              keys.includes(Buffer.from(record.key!).toString())
            const left = yield* Effect.zipRight(
              put("c", "c"),
              Effect.delay(Fixture.readTopic(topic), "100 millis")
            ).pipe(
              Effect.repeat({ until: (found) => found.filter(isOf("ab")).length === 2 }),
              Fixture.within("compaction", "60 seconds")
            )
            const end = left.at(-1)!.offset + 1
            assert.isAbove(end, 20)

            const asked: Array<string> = []
            const values: Array<string> = []
            const caughtUp = yield* Deferred.make<void>()
            const done = yield* Deferred.make<void>()
            const groupId = uniqueName("group")
            const wire = yield* Wire
            const consumer = yield* KafkaConsumer.make({
              groupId,
              topics: [topic],
              value: Codec.text,
              handler: (envelope) =>
                Effect.sync(() => {
                  values.push(envelope.value.length > 100 ? `${envelope.value.length} characters` : envelope.value)
                  if (envelope.offset === end - 1) Deferred.unsafeDone(caughtUp, Effect.void)
                  if (envelope.value === "f") Deferred.unsafeDone(done, Effect.void)
                }),
              deadLetter: DeadLetter.none("stop"),
              commitInterval: "100 millis",
              fetchMaxPartitionBytes: 100_000,
              fetchMaxBytes: 200_000
            }).pipe(
              Effect.provideService(
                Wire,
                observed(wire, (api) => Effect.sync(() => void asked.push(api)))
              )
            )
            yield* Fixture.within("the log's end")(Deferred.await(caughtUp))
            assert.deepStrictEqual(new Set(values), new Set(["a9", "b9", "c"]))
            const before = values.length

            yield* broker.stop
            yield* broker.start
            const large = "x".repeat(5 * 1024 * 1024)
            yield* put("d", "d")
            yield* put("e", large)
            yield* put("f", "f")
            yield* Fixture.within("the records after the restart")(Deferred.await(done))
            assert.deepStrictEqual(values.slice(before), ["d", `${large.length} characters`, "f"])
            // The restart started a new leader epoch.
            assert.include(asked, "OffsetForLeaderEpoch")
            const report = yield* consumer.close
            assert.deepStrictEqual(report.committed, [{ topic, partition: 0, offset: end + 3 }])
          })
        )
      }),
    120_000
  )
})
