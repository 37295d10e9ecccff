import { assert, describe, it } from "@effect/vitest"
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import type { FetchPartitionResponse, IsolationLevel } from "@spillway/kafka/Protocol"
import { Wire } from "@spillway/kafka/Wire"
import { MemoryBroker } from "@spillway/memory/MemoryBroker"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import { answering, committed, makeCalls, onBroker, options, rewritten, topic } from "../support/consumerTesting.js"

/** The content of each offset: a transactional record of one of two producers, a commit or abort, or a plain record. */
const log = ["1:a", "2:b", "1:c", "1 aborts", "2:d", "2 commits", "1:e", "1 commits", "plain", "2:f", "2 aborts"]

const marker = (type: number) => Uint8Array.of(0, 0, 0, type)

/** The producers' aborted transactions as a broker returns them: in an unspecified order. */
const abortedTransactions = [
  { producerId: 2n, firstOffset: 9 },
  { producerId: 1n, firstOffset: 0 }
]

/** Turns the memory broker's plain batches into transactional ones. */
const transactional = (answer: FetchPartitionResponse): FetchPartitionResponse => ({
  ...answer,
  abortedTransactions,
  records: rewritten(answer.records, (batch, offset) => {
    const [entry] = log.slice(offset)
    if (entry === undefined || entry === "plain") return
    batch.setInt16(21, entry.includes(":") ? 0x10 : 0x30)
    batch.setBigInt64(43, BigInt(entry[0]!))
  })
})

const consuming = Effect.fnUntraced(function* (isolationLevel?: IsolationLevel) {
  const broker = yield* MemoryBroker
  yield* broker.produce(
    topic,
    log.map((entry) => {
      if (entry.includes(":")) return { value: entry.slice(2) }
      return entry === "plain" ? { value: entry } : { key: marker(entry.endsWith("commits") ? 1 : 0), value: "end" }
    })
  )
  const calls = makeCalls()
  const asked = new Set<string>()
  yield* KafkaConsumer.make({ ...options, isolationLevel, handler: calls.handler(() => Effect.void) }).pipe(
    Effect.provideService(
      Wire,
      answering(broker.wire, (answer, request) => {
        asked.add(request.isolationLevel)
        return request.isolationLevel === "read_committed"
          ? transactional(answer)
          : { ...transactional(answer), abortedTransactions: [] }
      })
    )
  )
  yield* TestClock.adjust("5 seconds")
  return { values: calls.values(), asked: Array.from(asked) }
})

describe("transactions", () => {
  it.effect("deliver their records if committed, and none if aborted", () =>
    Effect.gen(function* () {
      const { asked, values } = yield* consuming()
      assert.deepStrictEqual(asked, ["read_committed"])
      assert.deepStrictEqual(values, ["b", "d", "e", "plain"])
      assert.deepStrictEqual(yield* committed, { 0: log.length })
    }).pipe(onBroker({ topics: { [topic]: 1 } }))
  )

  it.effect("deliver all their records to `read_uncommitted`", () =>
    Effect.gen(function* () {
      const { asked, values } = yield* consuming("read_uncommitted")
      assert.deepStrictEqual(asked, ["read_uncommitted"])
      assert.deepStrictEqual(values, ["a", "b", "c", "d", "e", "plain", "f"])
      assert.deepStrictEqual(yield* committed, { 0: log.length })
    }).pipe(onBroker({ topics: { [topic]: 1 } }))
  )
})
