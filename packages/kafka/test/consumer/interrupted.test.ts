/**
 * Consumers that are interrupted at each point of their start, as by a SIGTERM. The leak check after each test sees what
 * outlives them.
 */
import { assert, describe, it } from "@effect/vitest"
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import { Wire } from "@spillway/kafka/Wire"
import { MemoryBroker } from "@spillway/memory/MemoryBroker"
import { launch } from "@spillway/transport/Consumer"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Logger from "effect/Logger"
import { interruptedAt } from "../../../../scripts/interrupting.js"
import { committed, group, onBroker, options, topic } from "../support/consumerTesting.js"

type Program = (handler: () => Effect.Effect<void>) => Effect.Effect<unknown, unknown, Wire>

const interrupt = (program: Program, turn: number) =>
  Effect.gen(function* () {
    const broker = yield* MemoryBroker
    yield* broker.produce(topic, [{ value: "a" }])
    let calls = 0
    const handler = () =>
      Effect.sync(() => {
        calls++
      })
    const running = program(handler).pipe(
      Effect.provideService(Wire, yield* Wire),
      Effect.provide(Logger.remove(Logger.defaultLogger))
    )
    const exit = yield* Effect.promise(() => interruptedAt(running, turn))
    assert.isTrue(exit !== undefined && Exit.isInterrupted(exit), `at turn ${turn}: ${exit}`)
    assert.deepStrictEqual((yield* broker.group(group)).members, [], `at turn ${turn}`)
    assert.strictEqual((yield* committed)[0] ?? 0, calls, `at turn ${turn}`)
    return calls
  }).pipe(onBroker({ topics: { [topic]: 1 } }))

/** Interrupts a program at each turn of its event loop, until a run handles its record before the interruption. */
const drainsAtEachTurn = (name: string, program: Program) =>
  it.live(
    name,
    () =>
      Effect.gen(function* () {
        for (let turn = 0, isHandled = false; !isHandled; turn += 20) {
          const turns = Array.from({ length: 20 }, (_, i) => turn + i)
          const calls = yield* Effect.forEach(turns, (at) => interrupt(program, at), { concurrency: "unbounded" })
          isHandled = calls[0] === 1
        }
      }),
    120_000
  )

describe("drains when it is interrupted at any point of its start:", () => {
  drainsAtEachTurn("run", (handler) => KafkaConsumer.run({ ...options, handler }))
  drainsAtEachTurn("launch", (handler) => launch(KafkaConsumer.layer({ ...options, handler })))
  drainsAtEachTurn("runTransactional", (handler) =>
    KafkaConsumer.runTransactional({
      ...options,
      transactionalId: "billing-1",
      handler: () => Effect.as(handler(), [])
    })
  )
})
