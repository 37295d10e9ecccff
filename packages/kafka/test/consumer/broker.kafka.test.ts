import { assert, it } from "@effect/vitest"
import * as Codec from "@spillway/transport/Codec"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import { Producer } from "@spillway/transport/Producer"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { type Broker, describeOwnKafka, makeBroker, uniqueName } from "../../../../scripts/kafka/testing.js"
import * as KafkaConsumer from "../../src/KafkaConsumer.js"
import * as Fixture from "../support/fixture.js"

const partitions = 3

const faults: Readonly<Record<string, (broker: Broker) => Effect.Effect<unknown, unknown>>> = {
  "is stopped and started": (broker) => Effect.zipRight(broker.stop, broker.start),
  "is killed and started": (broker) => Effect.zipRight(broker.kill, broker.start),
  "hangs for three seconds": (broker) =>
    broker.freeze.pipe(Effect.zipRight(Effect.sleep("3 seconds")), Effect.zipRight(broker.resume))
}

describeOwnKafka("A consumer", () => {
  it.scopedLive(
    "waits while its broker is down, continues by itself and loses nothing",
    () =>
      Effect.gen(function* () {
        const broker = yield* makeBroker({ "broker.session.timeout.ms": "1000", "broker.heartbeat.interval.ms": "100" })
        yield* Fixture.run(broker.bootstrap, (journal) =>
          Effect.gen(function* () {
            const groupId = uniqueName("group")
            const topic = yield* Fixture.createTopic(partitions)
            const handled = Fixture.tally()
            const values = new Set<string>()
            yield* broker.stop
            const starting = yield* Effect.fork(
              KafkaConsumer.make({
                groupId,
                topics: [topic],
                value: Codec.text,
                handler: (envelope) =>
                  Effect.sync(() => {
                    values.add(envelope.value)
                    handled.add(envelope)
                  }),
                deadLetter: DeadLetter.none("stop"),
                sessionTimeout: "6 seconds",
                heartbeatInterval: "500 millis",
                commitInterval: "200 millis"
              })
            )
            const { send } = yield* Producer
            const early = yield* Effect.fork(send({ topic, partition: 0, value: "early" }))
            yield* journal.logged("The broker can't be reached")
            yield* broker.start
            const consumer = yield* Fixture.within("the first join")(Fiber.join(starting))
            yield* Fixture.within("the records sent before the broker started")(Fiber.join(early))
            const acknowledged = new Set(["early"])
            const publish = (partition: number) => {
              let count = 0
              return Effect.suspend(() => {
                const value = `${partition}/${count++}`
                return Effect.map(send({ topic, partition, value }), () => acknowledged.add(value))
              }).pipe(Effect.zipLeft(Effect.sleep("2 millis")), Effect.forever)
            }
            const load = yield* Effect.fork(
              Effect.all(
                Array.from({ length: partitions }, (_, partition) => publish(partition)),
                {
                  concurrency: "unbounded"
                }
              )
            )
            const loaded = (more: number) => handled.reaches(handled.times.size + more)
            yield* loaded(500)
            for (const [name, fault] of Object.entries(faults)) {
              const before = { at: Date.now(), handled: handled.times.size, duplicates: handled.duplicates() }
              yield* fault(broker)
              const over = Date.now()
              yield* Fixture.within(`records after the broker ${name}`)(loaded(500))
              console.info(
                `${name}: ${over - before.at} ms, records again after ${Date.now() - over} ms more,`,
                `${handled.duplicates() - before.duplicates} handled again`
              )
            }
            yield* Fiber.interrupt(load)
            const written = yield* Fixture.readTopic(topic)
            yield* handled.reaches(written.length)
            const report = yield* consumer.close
            assert.deepStrictEqual(
              written.filter((record) => !handled.times.has(Fixture.idOf(record))),
              []
            )
            assert.deepStrictEqual(
              Array.from(acknowledged).filter((value) => !values.has(value)),
              []
            )
            const wasLost = journal.entries.some(({ message }) => message.includes("The membership was lost"))
            if (!wasLost) assert.strictEqual(handled.duplicates(), 0)
            assert.isAtLeast(
              report.committed.reduce((sum, { offset }) => sum + offset, 0),
              written.length
            )
            assert.deepStrictEqual(yield* Fixture.committedOffsets(groupId), report.committed)
          })
        )
      }),
    150_000
  )
})
