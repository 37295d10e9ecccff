/**
 * One partition's errors don't affect the others of its broker.
 */
import { assert, describe, it } from "@effect/vitest"
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import { KafkaErrorCode as Code, nameOf } from "@spillway/kafka/KafkaErrorCode"
import type { Api, FetchRequest } from "@spillway/kafka/Protocol"
import { Wire } from "@spillway/kafka/Wire"
import * as Faults from "@spillway/memory/Faults"
import { MemoryBroker } from "@spillway/memory/MemoryBroker"
import * as Health from "@spillway/transport/Health"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import { type Calls, makeCalls, observed, onBroker, options, quiet, topic } from "../support/consumerTesting.js"
import { logged } from "../support/logged.js"

const healthy = 1

/** The answer to partition 0's requests. */
const answers = (code: number, api: Api = "Fetch"): Faults.FaultRule => ({
  fault: { _tag: "Answer", code, when: "instead", partitions: [0] },
  apis: [api],
  from: "5 seconds",
  until: "20 seconds"
})

const unanswered = (api: Api): Faults.FaultRule => ({
  fault: { _tag: "LoseResponse" },
  apis: [api],
  from: "5 seconds",
  until: "20 seconds"
})

/** Time for unanswered requests to time out. */
const settle = TestClock.adjust("1 minute")

const consuming = Effect.fnUntraced(function* (
  rules: ReadonlyArray<Faults.FaultRule>,
  fetchMaxWait: Duration.DurationInput = "500 millis"
) {
  const broker = yield* MemoryBroker
  const calls = makeCalls()
  const asked: Array<{ readonly api: Api; readonly request: unknown }> = []
  const faulty = yield* Faults.wrap(broker.wire, { seed: 1, rules })
  const wire = observed(faulty, (api, request) => Effect.sync(() => asked.push({ api, request })))
  yield* broker.produce(topic, [
    { value: "a", partition: 0 },
    { value: "a", partition: healthy }
  ])
  const consumer = yield* KafkaConsumer.make({
    ...options,
    initialOffset: "earliest",
    metadataMaxAge: "10 minutes",
    fetchMaxWait,
    handler: calls.handler(() => Effect.void)
  }).pipe(Effect.provideService(Wire, wire))
  yield* TestClock.adjust("5 seconds")
  assert.strictEqual(calls.all.length, 2)
  asked.length = 0
  return { asked, broker, calls, consumer }
})

/** Writes a record to each partition every 170 ms for ten seconds; returns the healthy one's latencies, in ms. */
const latencies = Effect.fnUntraced(function* (broker: MemoryBroker["Type"], calls: Calls) {
  const before = calls.all.length
  const written: Array<number> = []
  for (let i = 0; i < 60; i++) {
    written.push(yield* Clock.currentTimeMillis)
    yield* broker.produce(topic, [
      { value: "b", partition: 0 },
      { value: "b", partition: healthy }
    ])
    yield* TestClock.adjust("170 millis")
  }
  yield* TestClock.adjust("2 seconds")
  const handled = calls.all.slice(before).filter(({ partition }) => partition === healthy)
  assert.strictEqual(handled.length, written.length)
  const all = handled.map(({ at }, index) => at - written[index]!).sort((a, b) => a - b)
  return { median: all[Math.floor(all.length / 2)]!, max: all.at(-1)! }
})

const onTwoPartitions = onBroker({ topics: { [topic]: 2 } })

const isUndelayed = ({ max, median }: { readonly max: number; readonly median: number }) => {
  assert.isAtMost(median, 2)
  assert.isAtMost(max, 10)
}

describe("the errors of one partition", () => {
  for (const code of [
    Code.KAFKA_STORAGE_ERROR,
    Code.UNKNOWN_SERVER_ERROR,
    Code.NOT_LEADER_OR_FOLLOWER,
    Code.UNKNOWN_TOPIC_OR_PARTITION,
    Code.UNKNOWN_LEADER_EPOCH,
    Code.OFFSET_NOT_AVAILABLE
  ]) {
    it.effect(`delay no other partition: ${nameOf(code)}`, () =>
      Effect.gen(function* () {
        const { asked, broker, calls } = yield* consuming([answers(code)])
        isUndelayed(yield* latencies(broker, calls))
        const failing = asked.filter(
          ({ api, request }) =>
            api === "Fetch" &&
            (request as FetchRequest).topics.some((one) => one.partitions.some(({ partition }) => partition === 0))
        )
        assert.isAtMost(failing.length, 40, "partition 0 is fetched")
        assert.isAtMost(asked.filter(({ api }) => api === "Metadata").length, 40)
        assert.isAtMost(asked.filter(({ api }) => api === "Fetch").length, 400)
      }).pipe(onTwoPartitions)
    )
  }

  it.effect("delay no other partition while metadata requests fail", () =>
    Effect.gen(function* () {
      const { broker, calls } = yield* consuming([answers(Code.NOT_LEADER_OR_FOLLOWER), unanswered("Metadata")])
      isUndelayed(yield* latencies(broker, calls))
      yield* settle
    }).pipe(onTwoPartitions)
  )

  for (const [what, rule] of [
    ["is refused", answers(Code.UNKNOWN_SERVER_ERROR, "ListOffsets")],
    ["isn't answered", unanswered("ListOffsets")]
  ] as const) {
    it.effect(`delay no other partition while its log's offsets are requested, which ${what}`, () =>
      Effect.gen(function* () {
        const { broker, calls } = yield* consuming([answers(Code.OFFSET_OUT_OF_RANGE), rule])
        isUndelayed(yield* latencies(broker, calls))
        yield* settle
      }).pipe(onTwoPartitions)
    )
  }

  for (const [what, rule] of [
    ["is refused", answers(Code.UNKNOWN_SERVER_ERROR, "OffsetForLeaderEpoch")],
    ["isn't answered", unanswered("OffsetForLeaderEpoch")]
  ] as const) {
    it.effect(`delay no other partition while its new leader's epoch is checked, which ${what}`, () =>
      Effect.gen(function* () {
        const { broker, calls } = yield* consuming([rule])
        const leader = yield* broker.leader(topic, healthy)
        // A new epoch for each; the healthy partition keeps its leader.
        yield* broker.moveLeader(topic, 0, 3 - (yield* broker.leader(topic, 0)))
        yield* broker.moveLeader(topic, 0, leader)
        isUndelayed(yield* latencies(broker, calls))
        yield* settle
      }).pipe(onBroker({ nodes: 2, topics: { [topic]: 2 } }))
    )
  }

  it.effect("end without a delay by the others' long polls", () =>
    Effect.gen(function* () {
      const { broker, calls } = yield* consuming(
        [{ ...answers(Code.KAFKA_STORAGE_ERROR), until: "65 seconds" }],
        "28 seconds"
      )
      // Ends the request that was sent before the errors began.
      yield* broker.produce(topic, [{ value: "b", partition: healthy }])
      yield* TestClock.adjust("1 second")
      yield* broker.produce(topic, [{ value: "c", partition: 0 }])
      yield* TestClock.adjust("58999 millis")
      assert.deepStrictEqual(calls.values(), ["a", "a", "b"])
      yield* TestClock.adjust("1051 millis")
      assert.deepStrictEqual(calls.values(), ["a", "a", "b", "c"])
    }).pipe(onTwoPartitions)
  )

  it.effect("end at once when another broker becomes its leader", () =>
    Effect.gen(function* () {
      const { broker, calls } = yield* consuming([])
      const leader = yield* broker.leader(topic, 0)
      yield* broker.moveLeader(topic, 0, 3 - leader)
      yield* broker.produce(topic, [{ value: "b", partition: 0 }])
      yield* TestClock.adjust("600 millis")
      assert.deepStrictEqual(calls.values(), ["a", "a", "b"])
    }).pipe(onBroker({ nodes: 2, topics: { [topic]: 2 } }))
  )

  it.effect("are logged and reported in health once they last, until they end", () =>
    logged((lines) =>
      Effect.gen(function* () {
        const health = yield* Health.make()
        yield* Effect.gen(function* () {
          yield* consuming([{ ...answers(Code.KAFKA_STORAGE_ERROR), until: "65 seconds" }])
          yield* TestClock.adjust("9 seconds")
          const said = () => lines.filter(({ annotations }) => annotations["operation"] === "Fetch")
          assert.deepStrictEqual(said(), [])
          yield* TestClock.adjust("41 seconds")
          assert.deepStrictEqual(
            said().map(({ annotations, level }) => [level, annotations["subjects"], annotations["error"]]),
            [
              ["Warning", `${topic}-0`, "Fetch answered KAFKA_STORAGE_ERROR"],
              ["Warning", `${topic}-0`, "Fetch answered KAFKA_STORAGE_ERROR"]
            ]
          )
          const { components } = yield* health.report
          assert.include(JSON.stringify(components), `"operation":"Fetch","count":1,"subjects":["${topic}-0"]`)
          yield* TestClock.adjust("12 seconds")
          assert.strictEqual(said().at(-1)!.level, "Info")
          yield* quiet
          assert.notInclude(JSON.stringify((yield* health.report).components), '"operation":"Fetch"')
        }).pipe(Effect.provideService(Health.Health, health))
      })
    ).pipe(onTwoPartitions)
  )
})
