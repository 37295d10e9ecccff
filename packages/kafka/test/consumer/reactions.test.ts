/**
 * A consumer's reaction to every error code. Each cell of the tables in `docs/group-protocol.md` is a test.
 */
import { readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import type { Api } from "@spillway/kafka/Protocol"
import { Wire } from "@spillway/kafka/Wire"
import * as Faults from "@spillway/memory/Faults"
import { MemoryBroker } from "@spillway/memory/MemoryBroker"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import * as KafkaConsumer from "../../src/KafkaConsumer.js"
import { KafkaErrorCode, type KafkaErrorName } from "../../src/KafkaErrorCode.js"
import { committed, group, makeCalls, observed, onBroker, options, quiet, topic } from "../support/consumerTesting.js"

interface Row {
  readonly code: KafkaErrorName
  readonly api: Api
  readonly reaction: string
}

const page = readFileSync(new URL("../../../../docs/group-protocol.md", import.meta.url), "utf8")

/** Every filled cell of every table whose rows are codes and whose columns are requests. */
const rows = page
  .split("\n\n")
  .filter((block) => block.startsWith("| answer |"))
  .flatMap((table) => {
    const [[, ...apis] = [], , ...lines] = table.split("\n").map((line) =>
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim())
    )
    return lines.flatMap(([code, ...cells]) =>
      cells.flatMap((reaction, index): ReadonlyArray<Row> => {
        if (reaction === "") return []
        return [{ code: code!.replaceAll("`", "") as KafkaErrorName, api: apis[index] as Api, reaction }]
      })
    )
  })

/** Requests that are answered before the group is joined. */
const beforeJoin: ReadonlyArray<Api> = ["FindCoordinator", "Metadata"]

/** Requests that are answered before any record is handled. */
const early: ReadonlyArray<Api> = [...beforeJoin, "OffsetFetch", "ListOffsets"]

/** Requests of a rebalance, which another member causes. */
const joins: ReadonlyArray<Api> = ["JoinGroup", "SyncGroup"]

interface Sent {
  readonly api: Api
  readonly memberId: string | undefined
}

const play = ({ api, code }: Row) =>
  Effect.gen(function* () {
    const broker = yield* MemoryBroker
    const sent: Array<Sent> = []
    let met = -1
    const faulty = yield* Faults.wrap(broker.wire, {
      seed: 1,
      rules: [
        {
          fault: { _tag: "Answer", code: KafkaErrorCode[code], when: "instead" },
          apis: [api],
          from: early.includes(api) ? 0 : "3 seconds",
          times: 1
        }
      ],
      onFault: () => {
        met = sent.length
      }
    })
    const wire = observed(faulty, (api, request) =>
      Effect.sync(() => sent.push({ api, memberId: (request as { readonly memberId?: string }).memberId }))
    )
    const calls = makeCalls()
    const release = yield* Effect.makeLatch(false)
    let interrupted = 0
    const consumer = yield* KafkaConsumer.make({
      ...options,
      sessionTimeout: "10 seconds",
      heartbeatInterval: "1 second",
      // So that the clock advances fast.
      fetchMaxWait: "20 seconds",
      drainTimeout: "1 second",
      handler: calls.handler(({ partition }) =>
        partition === 0 ? Effect.onInterrupt(release.await, () => Effect.sync(() => interrupted++)) : Effect.void
      )
    }).pipe(Effect.provideService(Wire, wire), Effect.fork)
    yield* broker.produce(topic, [
      { value: "held", partition: 0 },
      { value: "a", partition: 1 }
    ])
    yield* TestClock.adjust("2500 millis")
    yield* broker.produce(topic, [{ value: "b", partition: 1 }])
    yield* TestClock.adjust("1 second")
    if (api === "OffsetForLeaderEpoch") yield* broker.moveLeader(topic, 1, 1)
    yield* broker.produce(topic, [{ value: "c", partition: 1 }])
    if (joins.includes(api)) {
      yield* Effect.fork(KafkaConsumer.make({ ...options, topics: ["others"], handler: () => Effect.void }))
    }
    yield* TestClock.adjust("20 seconds")
    return { broker, calls, consumer, interrupted, met, release, sent }
  })

const fails = (row: Row, reason: string) =>
  Effect.gen(function* () {
    const { broker, consumer, met } = yield* play(row)
    assert.isAbove(met, -1, "the request was sent")
    const error = yield* Effect.flip(Effect.flatMap(consumer.await, (exit) => Effect.flatMap(exit, ({ wait }) => wait)))
    assert(error._tag === "ConsumerError")
    assert.strictEqual(error.reason, reason)
    assert.include(error.message, row.code)
    assert.strictEqual((yield* broker.group(group)).members.length, joins.includes(row.api) ? 1 : 0)
  })

const goesOn = (row: Row) =>
  Effect.gen(function* () {
    const { broker, calls, consumer, interrupted, met, release, sent } = yield* play(row)
    assert.isAbove(met, -1, "the request was sent")
    const handle = yield* consumer
    yield* release.open
    yield* TestClock.adjust("5 seconds")
    assert.strictEqual(yield* handle.status, "Running")
    assert.sameMembers([...new Set(calls.values())], ["held", "a", "b", "c"])
    assert.deepStrictEqual(yield* committed, { 0: 1, 1: 3 })
    assert.isTrue((yield* broker.group(group)).members.length > 0)

    const { memberId } = sent[met - 1]!
    const after = sent.slice(met)
    const again = after.findIndex(({ api }) => api === (row.api === "SyncGroup" ? "JoinGroup" : row.api))
    assert.isAbove(again, -1, "the request is repeated")
    if (beforeJoin.includes(row.api)) return "again"
    const rejoin = after.find(({ api }) => api === "JoinGroup")
    const shown = [
      interrupted > 0 ? "lost" : "",
      after.slice(0, again).some(({ api }) => api === "FindCoordinator") ? "look up" : "",
      rejoin !== undefined && rejoin.memberId === memberId && row.api !== "JoinGroup" ? "rejoin" : "",
      rejoin?.memberId === "" ? "as new" : ""
    ]
    return shown.filter((word) => word !== "").join(", ") || "again"
  })

/** A consumer of one record that gets the code for each such request. */
const consumerThatMeets = (code: KafkaErrorName, api: Api, from: Duration.DurationInput = 0) =>
  Effect.gen(function* () {
    const broker = yield* MemoryBroker
    const wire = yield* Faults.wrap(broker.wire, {
      seed: 1,
      rules: [{ fault: { _tag: "Answer", code: KafkaErrorCode[code], when: "instead" }, apis: [api], from }]
    })
    yield* Effect.ignore(broker.produce(topic, [{ value: "a" }]))
    return yield* Effect.provideService(KafkaConsumer.make({ ...options, handler: () => Effect.void }), Wire, wire)
  })

describe("A consumer's reaction to", () => {
  for (const row of rows) {
    const { api, code, reaction } = row
    const reason = reaction.startsWith("fail: ") ? reaction.slice("fail: ".length) : undefined
    it.effect(`${code} on ${api}: ${reaction}`, () =>
      Effect.gen(function* () {
        if (reason === undefined) assert.strictEqual(yield* goesOn(row), reaction)
        else yield* fails(row, reason)
      }).pipe(onBroker({ nodes: 2, topics: { [topic]: 2, others: 1 } }))
    )
  }

  it("every code of the table is one of Kafka's", () => {
    assert.isAbove(rows.length, 50)
    for (const { code } of rows) assert.property(KafkaErrorCode, code)
  })

  for (const code of ["NOT_COORDINATOR", "UNKNOWN_MEMBER_ID", "GROUP_AUTHORIZATION_FAILED"] as const) {
    it.effect(`${code} on LeaveGroup: closes anyway`, () =>
      Effect.gen(function* () {
        const consumer = yield* consumerThatMeets(code, "LeaveGroup")
        yield* TestClock.adjust("1 second")
        const closing = yield* Effect.fork(consumer.close)
        yield* quiet
        assert.deepStrictEqual((yield* closing).committed, [{ topic, partition: 0, offset: 1 }])
        assert.strictEqual(yield* consumer.status, "Stopped")
      }).pipe(onBroker({ topics: { [topic]: 1 } }))
    )
  }

  it.effect("a permanently refused commit: fails without repeating it", () =>
    Effect.gen(function* () {
      const consumer = yield* consumerThatMeets("GROUP_AUTHORIZATION_FAILED", "OffsetCommit")
      yield* TestClock.adjust("1100 millis")
      assert.strictEqual(yield* consumer.status, "Failed")
    }).pipe(onBroker({ topics: { [topic]: 1 } }))
  )

  it.effect("TOPIC_AUTHORIZATION_FAILED on Metadata, while nothing is assigned: fails", () =>
    Effect.gen(function* () {
      const consumer = yield* consumerThatMeets("TOPIC_AUTHORIZATION_FAILED", "Metadata", "1 second")
      yield* TestClock.adjust("40 seconds")
      assert.include(yield* Effect.flip(consumer.wait), { reason: "Authorization" })
    }).pipe(onBroker({}))
  )
})
