import { assert, it } from "@effect/vitest"
import * as Codec from "@spillway/transport/Codec"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Proxy from "../../../../scripts/chaos/proxy.js"
import { describeOwnKafka, makeBroker, uniqueName } from "../../../../scripts/kafka/testing.js"
import * as KafkaConsumer from "../../src/KafkaConsumer.js"
import * as Child from "../support/child.js"
import * as Fixture from "../support/fixture.js"

const listener = "CLIENTS"

/** A broker, a proxy before one of its listeners, and how clients reach each. */
const setUp = Effect.gen(function* () {
  let proxy: Proxy.Proxy | undefined
  const broker = yield* makeBroker(
    { "group.initial.rebalance.delay.ms": "0" },
    {
      listeners: { [listener]: "PLAINTEXT" },
      advertise: (address) =>
        Effect.map(Proxy.make(address), (made) => {
          proxy = made
          return made.address
        })
    }
  )
  return { direct: broker.bootstrap, proxy: proxy!, proxied: broker.listeners[listener]! }
})

describeOwnKafka("A member whose connection for joins is half open", () => {
  for (const lost of ["request", "answer"] as const) {
    it.scopedLive(
      `keeps its membership, and commits on SIGTERM (the ${lost} is lost)`,
      () =>
        Effect.gen(function* () {
          const { direct, proxied, proxy } = yield* setUp
          yield* Fixture.run(direct, () =>
            Effect.gen(function* () {
              const groupId = uniqueName("group")
              const topic = yield* Fixture.createTopic(4)
              const handled = Fixture.tally()
              const member = KafkaConsumer.make({
                groupId,
                topics: [topic],
                value: Codec.text,
                handler: (envelope) => Effect.sync(() => handled.add(envelope)),
                deadLetter: DeadLetter.none("stop"),
                sessionTimeout: "6 seconds",
                heartbeatInterval: "1 second",
                commitInterval: "200 millis"
              })
              const lostOne = (before: number) =>
                Effect.repeat(
                  Effect.sync(() => proxy.lostJoins() > before),
                  { schedule: Schedule.spaced("20 millis"), until: (is) => is }
                ).pipe(Fixture.within("a join is lost"))

              const child = yield* Child.start({ brokers: proxied, groupId, topic })
              yield* Fixture.produce(topic, 4, 40)
              yield* child.prints("handled ", 40)
              yield* proxy.halfOpenJoins(lost, 1_500)
              const second = yield* member
              yield* lostOne(0)
              const since = Date.now()
              yield* Fixture.produce(topic, 4, 400, 40)
              yield* Effect.repeat(
                Effect.sync(() => handled.times.size + child.handled().length >= 440),
                { schedule: Schedule.spaced("20 millis"), until: (is) => is }
              ).pipe(Fixture.within("all is handled"))
              const tookMs = Date.now() - since
              assert.isBelow(tookMs, 8_000)
              assert.strictEqual((yield* second.assignment).length, 2)
              assert.isFalse(child.lines.some((line) => line.includes("membership was lost")))

              const before = proxy.lostJoins()
              yield* proxy.halfOpenJoins(lost, 1_500)
              const third = yield* Effect.fork(member)
              yield* lostOne(before)
              const asked = Date.now()
              yield* child.signal("SIGTERM")
              assert.deepStrictEqual(yield* child.exited, { code: 0, signal: null })
              const endedMs = Date.now() - asked
              assert.isBelow(endedMs, 8_000)
              assert.isFalse(child.lines.some((line) => line.includes("membership was lost")))
              yield* (yield* third).close
              yield* second.close
              assert.strictEqual(handled.times.size + child.handled().length, 440)
              assert.strictEqual(handled.duplicates(), 0)
              assert.deepStrictEqual(yield* Fixture.committedOffsets(groupId), Fixture.endOf(topic, 4, 440))
              console.info(`all handled ${tookMs} ms after the ${lost} was lost; ended ${endedMs} ms after SIGTERM`)
            })
          )
        }),
      120_000
    )
  }
})
