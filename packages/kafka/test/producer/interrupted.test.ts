import { assert, describe, it } from "@effect/vitest"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import { Wire } from "@spillway/kafka/Wire"
import { MemoryBroker } from "@spillway/memory/MemoryBroker"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { interruptedAt } from "../../../../scripts/interrupting.js"
import { onBroker, topic } from "../support/consumerTesting.js"

const records = [{ topic, key: null, value: Buffer.from("a") }]

const sending = Effect.scoped(
  Effect.flatMap(KafkaProducer.make(), (producer) => Effect.zipRight(producer.sendAll(records), Effect.never))
)

const transacting = Effect.scoped(
  Effect.flatMap(KafkaProducer.makeTransactional({ transactionalId: "billing-1" }), (producer) =>
    Effect.zipRight(
      producer.transaction((transaction) => transaction.sendAll(records)),
      Effect.never
    )
  )
)

/** The leak check after the test finds anything that outlives the producer. */
const closesAtEachTurn = (name: string, program: Effect.Effect<unknown, unknown, Wire>) =>
  it.live(
    name,
    () =>
      Effect.gen(function* () {
        for (let turn = 0, isSent = false; !isSent; turn++) {
          isSent = yield* Effect.gen(function* () {
            const running = Effect.provideService(program, Wire, yield* Wire).pipe(
              Logger.withMinimumLogLevel(LogLevel.None)
            )
            const exit = yield* Effect.promise(() => interruptedAt(running, turn))
            const isInterrupted = exit !== undefined && Exit.isFailure(exit) && Cause.isInterruptedOnly(exit.cause)
            assert.isTrue(isInterrupted, `at turn ${turn}: ${exit}`)
            return (yield* (yield* MemoryBroker).records(topic)).length > 0
          }).pipe(onBroker({ topics: { [topic]: 1 } }))
        }
      }),
    120_000
  )

describe("closes when it is interrupted at any point of its start:", () => {
  closesAtEachTurn("a producer", sending)
  closesAtEachTurn("a transactional producer", transacting)
})
