import { assert, describe, it } from "@effect/vitest"
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import type { Api } from "@spillway/kafka/Protocol"
import { Wire } from "@spillway/kafka/Wire"
import * as Faults from "@spillway/memory/Faults"
import { MemoryBroker } from "@spillway/memory/MemoryBroker"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { committed, group, makeCalls, onBroker, options, quiet, topic } from "../support/consumerTesting.js"
import * as GroupMember from "../support/groupMember.js"
import { logged } from "../support/logged.js"

const topics = { [topic]: 2 }

/** The wire of a separate client, with faults from second 10 on. */
const faulty = (rule: Omit<Faults.FaultRule, "from">, onFault: (event: Faults.FaultEvent) => void = () => {}) =>
  Effect.gen(function* () {
    const broker = yield* MemoryBroker
    const { wire } = yield* broker.client("faulty")
    return yield* Faults.wrap(wire, { seed: 1, rules: [{ ...rule, from: "10 seconds" }], onFault })
  })

const lost = (lines: ReadonlyArray<{ readonly message: string }>) =>
  lines.filter(({ message }) => message.includes("membership was lost"))

const cases = (["JoinGroup", "SyncGroup"] as const).flatMap((api) =>
  (["LoseRequest", "LoseResponse"] as const).map((fault) => [api, fault] as const)
)

describe("a rebalance in which the connection for joins goes silent", () => {
  for (const [api, fault] of cases) {
    for (const assignor of ["cooperative-sticky", "range"] as const) {
      it.effect(`by ${fault} at ${api} takes seconds and costs no membership (${assignor})`, () =>
        logged((lines) =>
          Effect.gen(function* () {
            const broker = yield* MemoryBroker
            const calls = makeCalls()
            const given = { ...options, assignors: [assignor], handler: calls.handler(() => Effect.void) }
            const faults: Array<Api | undefined> = []
            const wire = yield* faulty({ fault: { _tag: fault }, apis: [api], times: 1 }, (event) =>
              faults.push(event.api)
            )
            const first = yield* KafkaConsumer.make(given).pipe(Effect.provideService(Wire, wire))
            yield* TestClock.adjust("10 seconds")
            const starting = yield* Effect.fork(KafkaConsumer.make(given))
            yield* TestClock.adjust("15 seconds")
            const second = yield* starting
            assert.deepStrictEqual(faults, [api])
            for (const consumer of [first, second]) assert.strictEqual((yield* consumer.assignment).length, 1)
            yield* broker.produce(topic, [
              { value: "a", partition: 0 },
              { value: "b", partition: 1 }
            ])
            yield* TestClock.adjust("2 seconds")
            assert.deepStrictEqual([...calls.values()].sort(), ["a", "b"])
            assert.deepStrictEqual(yield* committed, { 0: 1, 1: 1 })
            assert.deepStrictEqual(lost(lines), [])
          })
        ).pipe(onBroker({ topics }))
      )
    }

    it.effect(`by ${fault} at ${api} leaves a stop quick, with everything committed`, () =>
      Effect.gen(function* () {
        const broker = yield* MemoryBroker
        const given = { ...options, commitInterval: "1 minute", handler: () => Effect.void } as const
        let isLost = false
        const wire = yield* faulty({ fault: { _tag: fault }, apis: [api], times: 1 }, () => {
          isLost = true
        })
        const first = yield* KafkaConsumer.make(given).pipe(Effect.provideService(Wire, wire))
        yield* TestClock.adjust("10 seconds")
        yield* broker.produce(topic, [
          { value: "a", partition: 0 },
          { value: "b", partition: 1 }
        ])
        yield* TestClock.adjust("1 second")
        const second = yield* Effect.fork(KafkaConsumer.make(given))
        while (!isLost) yield* TestClock.adjust("100 millis")
        const closing = yield* Effect.fork(first.close)
        yield* TestClock.adjust("2 seconds")
        assert.isTrue((yield* Fiber.poll(closing))._tag === "Some")
        assert.deepStrictEqual(yield* committed, { 0: 1, 1: 1 })
        yield* TestClock.adjust("10 seconds")
        yield* second
      }).pipe(onBroker({ topics }))
    )
  }

  it.effect("while idle takes no longer than any other, and costs no membership", () =>
    logged((lines) =>
      Effect.gen(function* () {
        const wire = yield* faulty({ fault: { _tag: "Silence" }, roles: ["join"], until: "20 seconds" })
        const given = { ...options, handler: () => Effect.void }
        const first = yield* KafkaConsumer.make(given).pipe(Effect.provideService(Wire, wire))
        yield* TestClock.adjust("21 seconds")
        const second = yield* Effect.fork(KafkaConsumer.make(given))
        yield* TestClock.adjust("7 seconds")
        for (const consumer of [first, yield* second]) assert.strictEqual((yield* consumer.assignment).length, 1)
        assert.deepStrictEqual(lost(lines), [])
      })
    ).pipe(onBroker({ topics }))
  )

  it.effect("costs a new member no more than seconds", () =>
    Effect.gen(function* () {
      for (const [api, fault] of cases) {
        const { wire } = yield* (yield* MemoryBroker).client("new")
        const faultyWire = yield* Faults.wrap(wire, {
          seed: 1,
          rules: [{ fault: { _tag: fault }, apis: [api], times: 1 }]
        })
        const joining = yield* Effect.fork(
          KafkaConsumer.make({ ...options, groupId: `${api} ${fault}`, handler: () => Effect.void }).pipe(
            Effect.provideService(Wire, faultyWire)
          )
        )
        // A member id whose owner never received it delays the group by a session timeout.
        yield* TestClock.adjust(api === "JoinGroup" ? "50 seconds" : "6 seconds")
        assert.isTrue((yield* Fiber.poll(joining))._tag === "Some", `${api} ${fault}`)
      }
    }).pipe(onBroker({ topics }))
  )
})

describe("a rebalance with slow members", () => {
  it.effect("is awaited by repeated JoinGroup and SyncGroup requests that change nothing", () =>
    logged((lines) =>
      Effect.gen(function* () {
        const broker = yield* MemoryBroker
        const leader = yield* GroupMember.make("cooperative-sticky")
        yield* leader.join
        yield* leader.sync()
        const starting = yield* Effect.fork(KafkaConsumer.make({ ...options, handler: () => Effect.void }))
        yield* TestClock.adjust("1 second")
        for (let i = 0; i < 5; i++) {
          yield* TestClock.adjust("10 seconds")
          yield* leader.heartbeat
        }
        const joined = yield* leader.join
        const { generationId } = joined
        yield* quiet
        for (let i = 0; i < 5; i++) {
          yield* TestClock.adjust("10 seconds")
          yield* leader.heartbeat
        }
        const other = joined.members.find(({ memberId }) => memberId !== leader.id())!.memberId
        yield* leader.sync({ [other]: [0, 1] })
        yield* TestClock.adjust("1 second")
        const consumer = yield* starting
        assert.strictEqual((yield* consumer.assignment).length, 2)
        const { generation, members } = yield* broker.group(group)
        assert.deepStrictEqual([generation, members.length], [generationId, 2])
        assert.deepStrictEqual(lost(lines), [])
      })
    ).pipe(onBroker({ topics }))
  )
})
