import { assert, describe, it } from "@effect/vitest"
import { Wire } from "@spillway/kafka/Wire"
import { MemoryBroker } from "@spillway/memory/MemoryBroker"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as TransactionalSettings from "../../src/internal/settings/transactionSettings.js"
import type { CommittingConsumer } from "../../src/internal/transaction/commits.js"
import * as TransactionalParts from "../../src/internal/transaction/consumer.js"
import { committed, group, observed, onBroker, topic } from "../support/consumerTesting.js"

const member = { groupId: group, generationId: -1, memberId: "", groupInstanceId: null }

/** The offsets after the first record of each of two partitions. */
const offsets = [
  { topic, partitions: [0, 1].map((partition) => ({ partition, offset: 1, leaderEpoch: 0, metadata: null })) }
]

const settingsOf = (producer: TransactionalSettings.TransactionOptions["producer"]) =>
  TransactionalSettings.check({ transactionalId: "billing-1", producer }).settings

describe("the commits of a transactional consumer", () => {
  it.effect("leave out a partition that is lost while they look up the outcome of the last transaction", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      let ends = 0
      const wire = observed(broker.wire, (api) => (api === "EndTxn" && ends++ === 0 ? Effect.never : Effect.void))
      const { commits, outputs } = yield* Effect.provideService(
        TransactionalParts.make(group, settingsOf({ deliveryTimeout: "1 second" }), 1_024),
        Wire,
        wire
      )
      for (const partition of [0, 1]) {
        yield* outputs.put({ topic, partition, offset: 0 }, [{ topic: "results", partition, value: `of ${partition}` }])
      }
      const consumer: CommittingConsumer = {
        fetchOffsets: () =>
          Effect.sync(() => {
            commits.forget({ topic, partition: 1 })
            const nothing = { errorCode: 0, offset: -1, leaderEpoch: -1, metadata: null }
            return {
              errorCode: 0,
              topics: [{ topic, partitions: [0, 1].map((partition) => ({ partition, ...nothing })) }]
            }
          }),
        repeat: () => {},
        wakeLanes: () => {},
        fail: Effect.die
      }
      const unanswered = yield* Effect.fork(Effect.flip(commits.commit(member, offsets, consumer)))
      yield* TestClock.adjust("10 seconds")
      assert.propertyVal(yield* Fiber.join(unanswered), "reason", "Unknown")
      commits.begin()
      const answered = yield* Effect.fork(commits.commit(member, offsets, consumer))
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(
        (yield* Fiber.join(answered)).topics.map(({ partitions }) => partitions),
        [[{ partition: 0, errorCode: 0 }]]
      )
      assert.deepStrictEqual(
        (yield* broker.records("results")).map(({ partition }) => partition),
        [0]
      )
      assert.deepStrictEqual(yield* committed, { 0: 1 })
    }).pipe(onBroker({ topics: { [topic]: 2, results: 2 } }))
  )

  it.effect("leave out a partition that is lost between collecting and sending their offsets", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const { commits, outputs } = yield* TransactionalParts.make(group, settingsOf({}), 1_024)
      for (const partition of [0, 1]) {
        yield* outputs.put({ topic, partition, offset: 0 }, [{ topic: "results", partition, value: `of ${partition}` }])
      }
      const consumer: CommittingConsumer = {
        fetchOffsets: () => Effect.dieMessage("nothing is in doubt"),
        repeat: () => {},
        wakeLanes: () => {},
        fail: Effect.die
      }
      commits.begin()
      commits.forget({ topic, partition: 1 })
      const answered = yield* Effect.fork(commits.commit(member, offsets, consumer))
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(answered)
      assert.deepStrictEqual(
        (yield* broker.records("results")).map(({ partition }) => partition),
        [0]
      )
      assert.deepStrictEqual(yield* committed, { 0: 1 })
    }).pipe(onBroker({ topics: { [topic]: 2, results: 2 } }))
  )
})
