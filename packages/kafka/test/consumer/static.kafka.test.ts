import { assert, it } from "@effect/vitest"
import * as Codec from "@spillway/transport/Codec"
import type { Consumer } from "@spillway/transport/Consumer"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import { describeKafka, uniqueName } from "../../../../scripts/kafka/testing.js"
import * as KafkaConsumer from "../../src/KafkaConsumer.js"
import * as Fixture from "../support/fixture.js"

describeKafka("A static member", (brokers) => {
  const member = (
    groupId: string,
    topic: string,
    groupInstanceId: string,
    assignor: "cooperative-sticky" | "range" = "cooperative-sticky"
  ) =>
    KafkaConsumer.make({
      groupId,
      topics: [topic],
      groupInstanceId,
      assignors: [assignor],
      value: Codec.text,
      handler: () => Effect.void,
      deadLetter: DeadLetter.none("stop"),
      heartbeatInterval: "200 millis"
    })

  /** The partitions a member has when it has two. */
  const half = (consumer: Consumer) =>
    Effect.filterOrFail(consumer.assignment, ({ length }) => length === 2).pipe(
      Effect.retry(Schedule.spaced("50 millis")),
      Fixture.within("two partitions")
    )

  for (const assignor of ["cooperative-sticky", "range"] as const) {
    it.scopedLive(`gets its partitions back after a restart, and no other partition moves (${assignor})`, () =>
      Fixture.run(brokers, (journal) =>
        Effect.gen(function* () {
          const groupId = uniqueName("group")
          const topic = yield* Fixture.createTopic(4)
          const restarted = yield* Scope.make()
          const before = yield* Scope.extend(member(groupId, topic, "a", assignor), restarted)
          const other = yield* member(groupId, topic, "b", assignor)
          const theirs = yield* half(other)
          const mine = yield* half(before)
          const joins = () => journal.entries.filter(({ message }) => message.includes("Joined the group")).length
          const joined = joins()

          yield* Scope.close(restarted, Exit.void)
          const after = yield* member(groupId, topic, "a", assignor)
          assert.deepStrictEqual(yield* half(after), mine)
          assert.deepStrictEqual(yield* other.assignment, theirs)
          // The restarted one; the other has seen no rebalance.
          assert.strictEqual(joins(), joined + 1)
        })
      )
    )
  }

  it.scopedLive("fails with a typed error when another one takes its instance id", () =>
    Fixture.run(brokers, () =>
      Effect.gen(function* () {
        const groupId = uniqueName("group")
        const topic = yield* Fixture.createTopic(1)
        const fenced = yield* member(groupId, topic, "a")
        yield* member(groupId, topic, "a")
        const failure = yield* Effect.flip(fenced.wait).pipe(Fixture.within("the fenced member's end"))
        assert.include(failure, { reason: "FencedInstance" })
        assert.include(failure.message, '"a"')
      })
    )
  )
})
