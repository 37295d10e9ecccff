import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { describeKafka, uniqueName } from "../../../../scripts/kafka/testing.js"
import * as Child from "../support/child.js"
import * as Fixture from "../support/fixture.js"

const id = ({ offset, partition }: { readonly partition: number; readonly offset: number }) => `${partition}-${offset}`

describeKafka("A consumer's process", (brokers) => {
  it.scopedLive(
    "that is killed loses nothing: only uncommitted records are handled again",
    () =>
      Fixture.run(brokers, () =>
        Effect.gen(function* () {
          const groupId = uniqueName("group")
          const count = 4_000
          const topic = yield* Fixture.createTopic(2)
          yield* Fixture.produce(topic, 2, count)

          const killed = yield* Child.start({ brokers, groupId, topic })
          yield* killed.prints("handled ", 1_500)
          yield* killed.signal("SIGKILL")
          assert.deepStrictEqual(yield* killed.exited, { code: null, signal: "SIGKILL" })
          const committed = yield* Fixture.committedOffsets(groupId)
          const first = killed.handled()
          assert.isBelow(first.length, count)

          const next = yield* Child.start({ brokers, groupId, topic })
          yield* Effect.all([next.prints(`handled 0 ${count / 2 - 1}`), next.prints(`handled 1 ${count / 2 - 1}`)])
          yield* next.signal("SIGTERM")
          assert.deepStrictEqual(yield* next.exited, { code: 0, signal: null })

          const second = next.handled()
          const resumedAt = [0, 1].map((partition) => second.find((record) => record.partition === partition)!.offset)
          const uncommitted = first.filter(({ offset, partition }) => offset >= resumedAt[partition]!)
          assert.isTrue(committed.every(({ offset, partition }) => resumedAt[partition]! >= offset))
          assert.isAbove(Math.max(...resumedAt), 0)
          assert.strictEqual(new Set([...first, ...second].map(id)).size, count)
          assert.strictEqual(first.length + second.length, count + uncommitted.length)
          assert.deepStrictEqual(yield* Fixture.committedOffsets(groupId), Fixture.endOf(topic, 2, count))
          console.info(`killed after ${first.length} records, ${uncommitted.length} of them handled again`)
        })
      ),
    60_000
  )

  it.scopedLive("ends on SIGTERM while a record waits for its retry, and the next one continues there", () =>
    Fixture.run(brokers, () =>
      Effect.gen(function* () {
        const groupId = uniqueName("group")
        const topic = yield* Fixture.createTopic(1)
        yield* Fixture.produce(topic, 1, 10)

        const stopped = yield* Child.start({ brokers, groupId, topic, failing: "3" })
        yield* stopped.prints("delay=1h")
        const asked = Date.now()
        yield* stopped.signal("SIGTERM")
        assert.deepStrictEqual(yield* stopped.exited, { code: 0, signal: null })
        const took = Date.now() - asked
        assert.isBelow(took, 2_000)
        assert.deepStrictEqual(stopped.handled().map(id), ["0-0", "0-1", "0-2"])
        assert.deepStrictEqual(yield* Fixture.committedOffsets(groupId), [{ topic, partition: 0, offset: 3 }])

        const next = yield* Child.start({ brokers, groupId, topic })
        yield* next.prints("handled 0 9")
        yield* next.signal("SIGTERM")
        assert.deepStrictEqual(yield* next.exited, { code: 0, signal: null })
        assert.deepStrictEqual(next.handled().map(id), ["0-3", "0-4", "0-5", "0-6", "0-7", "0-8", "0-9"])
        assert.deepStrictEqual(yield* Fixture.committedOffsets(groupId), Fixture.endOf(topic, 1, 10))
        console.info(`ended ${took} ms after SIGTERM`)
      })
    )
  )
})
