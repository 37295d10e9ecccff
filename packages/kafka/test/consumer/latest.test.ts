import { assert, describe, it } from "@effect/vitest"
import { Wire } from "@spillway/kafka/Wire"
import { MemoryBroker } from "@spillway/memory/MemoryBroker"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import type { KafkaConsumerOptions } from "../../src/KafkaConsumer.js"
import * as KafkaConsumer from "../../src/KafkaConsumer.js"
import { delayed, group, makeCalls, onBroker, options, topic } from "../support/consumerTesting.js"

const values = (prefix: string, count: number, partition = 0) =>
  Array.from({ length: count }, (_, i) => ({ value: `${prefix}${i}`, partition }))

const names = (prefix: string, count: number) => values(prefix, count).map(({ value }) => value)

type Options = Partial<KafkaConsumerOptions<string, never, never, never>>

const calls = () => {
  const made = makeCalls()
  const member = (changed: Options = {}, change: (wire: Wire["Type"]) => Wire["Type"] = (wire) => wire) =>
    Effect.gen(function* () {
      const { wire } = yield* Effect.flatMap(MemoryBroker, ({ client }) => client())
      return yield* KafkaConsumer.make({
        ...options,
        initialOffset: "latest",
        metadataMaxAge: "1 hour",
        ...changed,
        handler: made.handler(() => Effect.void)
      }).pipe(Effect.provideService(Wire, change(wire)))
    })
  return { ...made, member }
}

const seconds = (count: number) => TestClock.adjust(`${count} seconds`)

const protocols = [["cooperative-sticky"], ["range"]] as const

describe("initialOffset latest", () => {
  for (const assignors of protocols) {
    describe(`by ${assignors.join()}`, () => {
      it.effect("reads from its start a partition that was added before another member started", () =>
        Effect.gen(function* () {
          const broker = yield* MemoryBroker
          const { member, values: handled } = calls()
          yield* broker.produce(topic, values("old", 3))
          yield* member({ assignors })
          yield* broker.addPartitions(topic, 2)
          yield* broker.produce(topic, values("new", 5, 1))
          yield* Effect.fork(member({ assignors }))
          yield* seconds(20)
          assert.sameMembers([...handled()], names("new", 5))
        }).pipe(onBroker({ topics: { [topic]: 1 } }))
      )

      it.effect("reads from its start a topic that matched before another member started", () =>
        Effect.gen(function* () {
          const broker = yield* MemoryBroker
          const { member, values: handled } = calls()
          yield* broker.produce(topic, values("old", 3))
          yield* member({ assignors, topics: /^orders/ })
          yield* broker.createTopic("orders-eu", 2)
          yield* broker.produce("orders-eu", values("new", 5, 1))
          yield* Effect.fork(member({ assignors, topics: /^orders/ }))
          yield* seconds(20)
          assert.sameMembers([...handled()], names("new", 5))
        }).pipe(onBroker({ topics: { [topic]: 2 } }))
      )

      it.effect("reads no earlier record when two members start a group, one a moment later", () =>
        Effect.gen(function* () {
          const broker = yield* MemoryBroker
          const { member, values: handled } = calls()
          for (let partition = 0; partition < 4; partition++) {
            yield* broker.produce(topic, values(`old${partition}/`, 3, partition))
          }
          let asked = 0
          yield* Effect.fork(
            member({ assignors }, (wire) => delayed(wire, "ListOffsets", () => (asked++ < 2 ? 0 : "1 minute")))
          )
          yield* seconds(1)
          yield* Effect.fork(member({ assignors }))
          yield* TestClock.adjust("3 minutes")
          for (let partition = 0; partition < 4; partition++) {
            yield* broker.produce(topic, values(`new${partition}/`, 1, partition))
          }
          yield* seconds(20)
          assert.sameMembers([...handled()], ["new0/0", "new1/0", "new2/0", "new3/0"])
        }).pipe(onBroker({ topics: { [topic]: 4 } }))
      )
    })
  }

  it.effect("reads from its start a partition that was added while the group was away", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const { member, values: handled } = calls()
      yield* broker.produce(topic, values("old", 3))
      const first = yield* member()
      yield* first.close
      yield* broker.addPartitions(topic, 2)
      yield* broker.produce(topic, [...values("away", 2), ...values("new", 5, 1)])
      yield* member()
      yield* seconds(5)
      assert.sameMembers([...handled()], [...names("away", 2), ...names("new", 5)])
    }).pipe(onBroker({ topics: { [topic]: 1 } }))
  )

  it.effect("reads from its start a topic that was created while the group was away", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const { member, values: handled } = calls()
      const first = yield* member({ topics: /^orders/ })
      yield* first.close
      yield* broker.createTopic("orders-eu", 1)
      yield* broker.produce("orders-eu", values("new", 5))
      yield* member({ topics: /^orders/ })
      yield* seconds(5)
      assert.sameMembers([...handled()], names("new", 5))
    }).pipe(onBroker({ topics: { [topic]: 1 } }))
  )

  it.effect("reads from its start a topic that was deleted and created again before another member started", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const { member, values: handled } = calls()
      yield* broker.produce(topic, values("old", 3))
      const first = yield* member({ assignors: ["range"] })
      // The second has joined before the metadata that would show the new topic arrives.
      yield* first.pause()
      yield* broker.deleteTopic(topic)
      yield* broker.createTopic(topic, 4)
      for (let partition = 0; partition < 4; partition++) {
        yield* broker.produce(topic, values(`new${partition}/`, 2, partition))
      }
      yield* Effect.fork(member({ assignors: ["range"] }))
      yield* seconds(10)
      yield* first.resume()
      yield* seconds(20)
      assert.strictEqual(new Set(handled()).size, 8)
      assert.isTrue(handled().every((value) => value.startsWith("new")))
    }).pipe(onBroker({ topics: { [topic]: 4 } }))
  )

  it.effect("reads from its start a named topic that was created after the group started", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const { member, values: handled } = calls()
      yield* member({ topics: [topic, "later"] })
      yield* broker.createTopic("later", 1)
      yield* broker.produce("later", values("new", 5))
      yield* Effect.fork(member({ topics: [topic, "later"] }))
      yield* seconds(20)
      assert.sameMembers([...handled()], names("new", 5))
    }).pipe(onBroker({ topics: { [topic]: 1 } }))
  )

  it.effect("starts at the end of a topic that is added to the group by name", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const { member, values: handled } = calls()
      yield* broker.produce("others", values("old", 5))
      yield* member()
      yield* Effect.fork(member({ topics: [topic, "others"] }))
      yield* seconds(10)
      yield* broker.produce("others", values("new", 2))
      yield* seconds(5)
      assert.deepStrictEqual(handled(), names("new", 2))
    }).pipe(onBroker({ topics: { [topic]: 1, others: 1 } }))
  )

  it.effect("still depends on the group's start after its leader has changed", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const { member, values: handled } = calls()
      for (const partition of [0, 1, 2, 3]) yield* broker.produce(topic, values(`old${partition}/`, 3, partition))
      const first = yield* member()
      const second = yield* Effect.fork(member())
      yield* seconds(10)
      yield* Effect.flatten(second.await)
      yield* first.close
      yield* seconds(1)
      yield* broker.addPartitions(topic, 5)
      yield* broker.produce(topic, values("new", 5, 4))
      yield* Effect.fork(member())
      yield* seconds(20)
      assert.strictEqual((yield* broker.group(group)).members.length, 2)
      assert.sameMembers([...handled()], names("new", 5))
    }).pipe(onBroker({ topics: { [topic]: 4 } }))
  )
})
