/**
 * Consumers that join and leave one group, with both rebalance protocols: the same members on every wire.
 */
import { assert } from "@effect/vitest"
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import * as RecordBatch from "@spillway/kafka/RecordBatch"
import { Wire } from "@spillway/kafka/Wire"
import * as Codec from "@spillway/transport/Codec"
import type { Consumer } from "@spillway/transport/Consumer"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import * as Headers from "@spillway/transport/Headers"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Scope from "effect/Scope"
import { createTopic, eventually, type Harness, member, openSession, type Session, type Suite } from "./harness.js"

const partitions = 6
const perPartition = 60

const produce = ({ data }: Session, topic: string) =>
  Effect.forEach(Array.from({ length: partitions }).keys(), (partition) =>
    data.request("Produce", {
      transactionalId: null,
      acks: -1,
      timeoutMs: 10_000,
      topics: [
        {
          topic,
          partitions: [
            {
              partition,
              records: RecordBatch.encode(
                Array.from({ length: perPartition }, (_, i) => ({
                  key: null,
                  value: new TextEncoder().encode(`${partition}/${i}`),
                  headers: Headers.empty,
                  timestamp: 1_000
                }))
              )
            }
          ]
        }
      ]
    })
  )

/** How the tests wait: a virtual clock is advanced; a real one advances while the broker is polled. */
const waiting = (harness: Harness, session: Session) => {
  const until = <E>(holds: Effect.Effect<boolean, E>) =>
    eventually(
      session.data
        .request("Metadata", { topics: [] })
        .pipe(Effect.zipRight(harness.elapse("50 millis")), Effect.zipRight(holds)),
      (holds) => holds
    )
  const inTime = <A, E>(effect: Effect.Effect<A, E>) =>
    Effect.gen(function* () {
      const fiber = yield* Effect.fork(effect)
      yield* until(Effect.sync(() => fiber.unsafePoll() !== null))
      return yield* Fiber.join(fiber)
    })
  return { until, inTime }
}

const sizes = (consumers: ReadonlyArray<Consumer>) =>
  Effect.map(
    Effect.forEach(consumers, ({ assignment }) => assignment),
    (all) => all.map(({ length }) => length).join()
  )

export const consumers = ({ test }: Suite): void => {
  for (const assignor of ["cooperative-sticky", "range"] as const) {
    test(`${assignor}: members join and leave, and each record is handled once`, (harness) =>
      Effect.gen(function* () {
        const session = yield* openSession(harness)
        const topic = yield* createTopic(harness, session, partitions)
        const groupId = harness.unique("group")
        const { inTime, until } = waiting(harness, session)
        yield* produce(session, topic)
        const observer = yield* member(harness, groupId)
        const settled: Array<string> = []

        const start = Effect.gen(function* () {
          const { wire } = yield* harness.client
          const scope = yield* Scope.fork(yield* Effect.scope, ExecutionStrategy.sequential)
          const consumer = yield* inTime(
            KafkaConsumer.make({
              groupId,
              topics: [topic],
              assignors: [assignor],
              heartbeatInterval: "100 millis",
              value: Codec.text,
              handler: ({ value }) =>
                Effect.zipRight(
                  Effect.sleep("20 millis"),
                  Effect.sync(() => settled.push(value))
                ),
              deadLetter: DeadLetter.none("stop")
            }).pipe(Effect.provideService(Wire, wire), Scope.extend(scope))
          )
          return { consumer, stop: inTime(Scope.close(scope, Exit.void)) }
        })

        const first = yield* start
        assert.strictEqual(yield* sizes([first.consumer]), "6")
        const second = yield* start
        yield* until(Effect.map(sizes([first.consumer, second.consumer]), (all) => all === "3,3"))
        const third = yield* start
        yield* until(Effect.map(sizes([first.consumer, second.consumer, third.consumer]), (all) => all === "2,2,2"))
        yield* first.stop
        yield* until(Effect.map(sizes([second.consumer, third.consumer]), (all) => all === "3,3"))
        yield* second.stop
        const committed = Effect.map(
          observer.connection.request("OffsetFetch", { groupId, topics: null }),
          ({ topics }) => topics.flatMap((found) => found.partitions.map(({ offset }) => offset))
        )
        yield* until(
          Effect.map(committed, (offsets) => offsets.filter((offset) => offset === perPartition).length === partitions)
        )
        yield* third.stop
        assert.strictEqual(settled.length, partitions * perPartition)
        assert.strictEqual(new Set(settled).size, partitions * perPartition)
      }).pipe(Effect.provide(Logger.remove(Logger.defaultLogger))))
  }
}
