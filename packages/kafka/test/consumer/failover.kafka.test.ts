import { assert, it } from "@effect/vitest"
import * as Codec from "@spillway/transport/Codec"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import { Producer } from "@spillway/transport/Producer"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Proxy from "../../../../scripts/chaos/proxy.js"
import { describeOwnKafka, makeBroker, uniqueName } from "../../../../scripts/kafka/testing.js"
import * as KafkaConsumer from "../../src/KafkaConsumer.js"
import * as Fixture from "../support/fixture.js"

describeOwnKafka("An address that leads to another cluster, and back", () => {
  it.scopedLive(
    "is followed by consumer and producer, each cluster with its own offsets",
    () =>
      Effect.gen(function* () {
        const proxy = yield* Proxy.make("127.0.0.1:1")
        // Both advertise the proxy's address.
        const broker = Effect.gen(function* () {
          let behind = ""
          const { bootstrap } = yield* makeBroker(
            {},
            {
              listeners: { PROXIED: "PLAINTEXT" },
              advertise: (address) => {
                behind = address
                return Effect.succeed(proxy.address)
              }
            }
          )
          return { bootstrap, behind }
        })
        const [a, b] = yield* Effect.all([broker, broker])
        const groupId = uniqueName("group")
        const topic = uniqueName("topic")
        const on = <A, E>(at: typeof a, effect: Effect.Effect<A, E, Fixture.Clients>) =>
          Effect.provide(effect, Fixture.layer(at.bootstrap))
        for (const at of [a, b]) yield* on(at, Fixture.createTopic(1, topic))
        const leadTo = (at: typeof a) => Effect.zipRight(proxy.leadTo(at.behind), proxy.cut)
        const committed = (at: typeof a, offset: number) =>
          Effect.retry(
            Effect.filterOrFail(on(at, Fixture.committedOffsets(groupId)), ([one]) => one?.offset === offset),
            Schedule.spaced("100 millis")
          ).pipe(Fixture.within(`a commit of ${offset}`))

        yield* leadTo(a)
        yield* Fixture.run(proxy.address, (journal) =>
          Effect.gen(function* () {
            const values: Array<string> = []
            const handled = Fixture.tally()
            yield* KafkaConsumer.make({
              groupId,
              topics: [topic],
              sessionTimeout: "6 seconds",
              heartbeatInterval: "500 millis",
              commitInterval: "200 millis",
              value: Codec.text,
              handler: (envelope) =>
                Effect.sync(() => {
                  values.push(envelope.value)
                  handled.add({ ...envelope, topic: envelope.value })
                }),
              deadLetter: DeadLetter.none("stop")
            })
            const { send } = yield* Producer
            const publish = (value: string) => send({ topic, partition: 0, value })
            for (const value of ["a0", "a1", "a2"]) yield* publish(value)
            yield* handled.reaches(3)
            yield* committed(a, 3)

            yield* on(b, Fixture.produce(topic, 1, 2, 100))
            yield* leadTo(b)
            assert.strictEqual((yield* Fixture.within("a record for the second")(publish("b2"))).offset, 2)
            yield* handled.reaches(6)
            yield* committed(b, 3)

            yield* leadTo(a)
            assert.strictEqual((yield* Fixture.within("a record for the first")(publish("a3"))).offset, 3)
            yield* handled.reaches(7)
            yield* committed(a, 4)
            yield* committed(b, 3)
            assert.deepStrictEqual(values, ["a0", "a1", "a2", "100", "101", "b2", "a3"])
            const moves = yield* journal.logged("another cluster", 4)
            assert.strictEqual(new Set(moves.map(({ annotations }) => annotations["clusterId"])).size, 2)
          })
        )
      }),
    180_000
  )
})
