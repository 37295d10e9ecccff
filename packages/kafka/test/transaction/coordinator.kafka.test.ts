import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { durable, inSync } from "../../../../scripts/kafka/durable.js"
import * as Inspect from "../../../../scripts/kafka/inspect.js"
import { describeOwnKafka, makeCluster } from "../../../../scripts/kafka/testing.js"
import * as KafkaAdmin from "../../src/KafkaAdmin.js"
import * as KafkaJsWire from "../../src/KafkaJsWire.js"
import * as KafkaProducer from "../../src/KafkaProducer.js"

const topic = "results"
const partitions = 3
const count = 60
const transactionalId = "results-1"

const batchOf = (transaction: string) =>
  Array.from({ length: count }, (_, i) => ({ topic, partition: i % partitions, key: transaction, value: String(i) }))

/** The number of records of each transaction under `read_committed`. */
const committed = Effect.suspend(() => {
  const counts: Record<string, number> = {}
  return Effect.as(
    Inspect.forEachRecord(
      topic,
      ({ key }) => {
        const transaction = Buffer.from(key!).toString()
        counts[transaction] = (counts[transaction] ?? 0) + 1
      },
      "read_committed"
    ),
    counts
  )
})

describeOwnKafka("A transaction on three brokers", () => {
  it.scopedLive(
    "commits as a whole or not at all although its coordinator is killed, and the next one continues",
    () =>
      Effect.gen(function* () {
        const brokers = yield* makeCluster(3, {
          ...durable,
          "broker.session.timeout.ms": "1000",
          "broker.heartbeat.interval.ms": "200"
        })
        const addresses = brokers.map(({ bootstrap }) => bootstrap)
        const wire = KafkaJsWire.layer({ brokers: addresses, requestTimeout: "2 seconds" })
        yield* Effect.gen(function* () {
          yield* KafkaAdmin.once((admin) => admin.createTopics([{ topic, partitions, replicationFactor: 3 }]))
          const { transaction } = yield* KafkaProducer.makeTransactional({
            transactionalId,
            acknowledgeTimeout: "1 second"
          })
          yield* transaction((tx) => tx.sendAll(batchOf("before")))

          const killCoordinator = Effect.gen(function* () {
            const killed = brokers[(yield* Inspect.coordinatorOf(transactionalId, "transaction")) - 1]!
            yield* killed.kill
            return killed
          })
          const half = count / 2
          const killed = yield* transaction((tx) =>
            Effect.gen(function* () {
              yield* tx.sendAll(batchOf("killed while open").slice(0, half))
              const killed = yield* killCoordinator
              yield* tx.sendAll(batchOf("killed while open").slice(half))
              return killed
            })
          )
          yield* transaction((tx) => tx.sendAll(batchOf("between")))
          yield* killed.start
          yield* inSync(addresses)

          const ending = yield* Effect.fork(Effect.exit(transaction((tx) => tx.sendAll(batchOf("killed at its end")))))
          yield* killCoordinator
          const atItsEnd = yield* Fiber.join(ending)
          yield* transaction((tx) => tx.sendAll(batchOf("after")))

          const expected = {
            before: count,
            "killed while open": count,
            between: count,
            ...(Exit.isSuccess(atItsEnd) ? { "killed at its end": count } : {}),
            after: count
          }
          assert.deepStrictEqual(yield* committed, expected)
        }).pipe(Effect.provide(wire))
      }).pipe(Logger.withMinimumLogLevel(LogLevel.None)),
    120_000
  )
})
