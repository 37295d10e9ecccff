import { assert, describe, it } from "@effect/vitest"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import type { Connection, Wire } from "@spillway/kafka/Wire"
import { Producer } from "@spillway/transport/Producer"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import * as Faults from "../src/Faults.js"
import { MemoryBroker, make, layer as memory } from "../src/MemoryBroker.js"

const topic = "orders"

/**
 * Sends a record through a wire with faults. Returns its result, the content of the log, and the faults that happened.
 */
const send = (
  rules: ReadonlyArray<Faults.FaultRule>,
  options: KafkaProducer.KafkaProducerOptions = {},
  seed = 1
): Effect.Effect<{
  readonly sent: string
  readonly log: number
  readonly faults: ReadonlyArray<string>
}> =>
  Effect.gen(function* () {
    const faults: Array<string> = []
    const onFault = ({ api, fault }: Faults.FaultEvent) => void faults.push(`${api ?? "connect"} ${fault._tag}`)
    const wire: Layer.Layer<Wire, never, Wire> = Faults.layer({ seed, rules, onFault })
    const sending = yield* Effect.fork(
      Effect.flatMap(Producer, (producer) => producer.send({ topic, value: "a" })).pipe(
        Effect.match({ onFailure: ({ reason }) => reason, onSuccess: ({ offset }) => `at ${offset}` }),
        Effect.provide(Layer.provide(KafkaProducer.layer(options), wire))
      )
    )
    yield* TestClock.adjust("5 minutes")
    const broker = yield* MemoryBroker
    return { sent: yield* Fiber.join(sending), log: (yield* broker.records(topic)).length, faults }
  }).pipe(
    Effect.provide(memory({ topics: { [topic]: 1 } })),
    Effect.orDie,
    Effect.provide(Logger.remove(Logger.defaultLogger))
  )

const once = { until: "1 second" } as const

describe("Faults", () => {
  it.effect("change nothing without a rule", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* send([]), { sent: "at 0", log: 1, faults: [] })
    })
  )

  it.effect("carry out a request whose response they lose, but not a request that they lose", () =>
    Effect.gen(function* () {
      const lost = (tag: "LoseRequest" | "LoseResponse") =>
        send([{ fault: { _tag: tag }, apis: ["Produce"] }], { deliveryTimeout: "20 seconds" })
      assert.deepInclude(yield* lost("LoseResponse"), { sent: "DeliveryTimeout", log: 1 })
      assert.deepInclude(yield* lost("LoseRequest"), { sent: "DeliveryTimeout", log: 0 })
    })
  )

  it.effect("end: a lost batch is sent again, and written once", () =>
    Effect.gen(function* () {
      for (const fault of [
        { _tag: "LoseResponse" },
        { _tag: "LoseRequest" },
        { _tag: "Disconnect", when: "before" },
        { _tag: "Disconnect", when: "after" },
        { _tag: "Delay", min: "1 second", max: "2 seconds" },
        { _tag: "Freeze" },
        { _tag: "Silence" },
        { _tag: "Refuse" }
      ] as const) {
        const { faults, log, sent } = yield* send([{ fault, ...once }])
        assert.deepStrictEqual({ sent, log }, { sent: "at 0", log: 1 }, fault._tag)
        assert.isAbove(faults.length, 0, fault._tag)
      }
    })
  )

  it.effect("answer with a code instead of the broker, or when it has carried out the request", () =>
    Effect.gen(function* () {
      const answer = (when: "instead" | "after") =>
        send([{ fault: { _tag: "Answer", code: 87, when }, apis: ["Produce"] }])
      assert.deepInclude(yield* answer("instead"), { sent: "InvalidRecord", log: 0 })
      assert.deepInclude(yield* answer("after"), { sent: "InvalidRecord", log: 1 })
    })
  )

  it.scoped("silence connections that are open during the rule, and none that is opened later", () =>
    Effect.gen(function* () {
      const broker = yield* make({ topics: { [topic]: 1 } })
      const faults: Array<string> = []
      const wire = yield* Faults.wrap(broker.wire, {
        seed: 1,
        rules: [{ fault: { _tag: "Silence" }, roles: ["group"], from: "1 second", until: "2 seconds" }],
        onFault: ({ api, fault }) => void faults.push(`${api ?? "connect"} ${fault._tag}`)
      })
      const find = (connection: Connection) =>
        Effect.match(connection.request("FindCoordinator", { key: "billing", keyType: "group" }), {
          onFailure: ({ reason }) => reason,
          onSuccess: () => "answered"
        })
      const idle = yield* wire.connect(wire.bootstrap[0]!, "group")
      const other = yield* wire.connect(wire.bootstrap[0]!, "data")
      assert.strictEqual(yield* find(idle), "answered")
      yield* TestClock.adjust("5 seconds")
      const asked = yield* Effect.fork(find(idle))
      yield* TestClock.adjust("29 seconds")
      assert.isNull(yield* Fiber.poll(asked).pipe(Effect.map(Option.getOrNull)))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(asked), "Timeout")
      assert.strictEqual(yield* find(other), "answered")
      assert.strictEqual(yield* find(yield* wire.connect(wire.bootstrap[0]!, "group")), "answered")
      assert.deepStrictEqual(faults, ["FindCoordinator Silence"])
    })
  )

  it.scoped("refuse some partitions of a request, and let the broker answer the others", () =>
    Effect.gen(function* () {
      const broker = yield* make({ topics: { [topic]: 3 } })
      for (const when of ["instead", "after"] as const) {
        const groupId = `billing-${when}`
        const wire = yield* Faults.wrap(broker.wire, {
          seed: 1,
          rules: [{ fault: { _tag: "Answer", code: 27, when, partitions: [1] } }]
        })
        const connection = yield* wire.connect(wire.bootstrap[0]!, "group")
        const commit = (partitions: ReadonlyArray<number>) =>
          connection.request("OffsetCommit", {
            groupId,
            generationId: -1,
            memberId: "",
            groupInstanceId: null,
            topics: [
              {
                topic,
                partitions: partitions.map((partition) => ({ partition, offset: 5, leaderEpoch: -1, metadata: null }))
              }
            ]
          })
        const codes = Effect.map(commit([0, 1]), ({ topics }) =>
          topics.flatMap(({ partitions }) => partitions.map(({ errorCode, partition }) => [partition, errorCode]))
        )
        assert.sameDeepMembers(yield* codes, [
          [0, 0],
          [1, 27]
        ])
        yield* commit([2])
        assert.strictEqual((yield* commit([1])).topics[0]?.partitions[0]?.errorCode, 27)
        const committed = (yield* broker.committed(groupId)).map(({ partition }) => partition)
        assert.deepStrictEqual(committed, when === "after" ? [0, 1, 2] : [0, 2])
        const fetched = yield* connection.request("OffsetFetch", {
          groupId,
          topics: [{ topic, partitions: [0, 1] }],
          requireStable: false
        })
        assert.strictEqual(fetched.errorCode, 0)
        assert.sameDeepMembers(
          fetched.topics.flatMap(({ partitions }) =>
            partitions.map(({ errorCode, offset, partition }) => [partition, errorCode, offset])
          ),
          [
            [0, 0, 5],
            [1, 27, -1]
          ]
        )
      }
    })
  )

  it.effect("are the same for the same seed, and different for another", () =>
    Effect.gen(function* () {
      const rules = [{ fault: { _tag: "Disconnect", when: "before" }, probability: 0.5, until: "1 minute" }] as const
      const [one, again] = [yield* send(rules), yield* send(rules)]
      assert.deepStrictEqual(one, again)
      const others = yield* Effect.forEach([2, 3, 4, 5], (seed) => send(rules, {}, seed))
      assert.isTrue(others.some(({ faults }) => faults.length !== one.faults.length))
    })
  )
})
