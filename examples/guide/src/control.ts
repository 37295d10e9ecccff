import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import type { Consumer } from "@spillway/transport/Consumer"
import * as Position from "@spillway/transport/Position"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { BankUnavailable } from "./Billing.js"

export class Database extends Context.Tag("guide/Database")<Database, { readonly truncate: Effect.Effect<void> }>() {}

export const pauses = (consumer: Consumer) =>
  Effect.gen(function* () {
    // #region pause
    yield* consumer.pause() // everything
    yield* consumer.pause([{ topic: "orders", partition: 3 }])
    yield* consumer.resume([{ topic: "orders", partition: 3 }]) // also one of all that were paused
    yield* consumer.resume()
    // #endregion
  })

export const seeks = (consumer: Consumer) =>
  Effect.gen(function* () {
    // #region seek
    yield* consumer.seek(Position.beginning) // in all partitions owned now
    yield* consumer.seek(Position.timestamp(new Date("2026-03-01"))) // the first record not earlier, else the end
    yield* consumer.seek(Position.offset(42), [{ topic: "orders", partition: 3 }])
    yield* consumer.seek(Position.end)
    // #endregion
  })

export const replays = (consumer: Consumer) => {
  // #region replay
  const replay = Effect.gen(function* () {
    yield* consumer.pause()
    yield* consumer.seek(Position.beginning) // no handler runs from here on
    const database = yield* Database
    yield* database.truncate
    yield* consumer.resume()
  })
  // #endregion
  return replay
}

export const guarded = <A, E, R, RD>(options: KafkaConsumer.KafkaConsumerOptions<A, E, R, RD>) => {
  // #region breaker
  const consumer = KafkaConsumer.make({
    ...options,
    circuitBreaker: {
      window: { count: 20 }, // or { time: "10 seconds" }
      failureRatio: 0.5,
      minimumThroughput: 10,
      openTime: "5 seconds",
      factor: 2,
      maxOpenTime: "30 seconds",
      probes: 1,
      isFailure: ({ error }) => error instanceof BankUnavailable
    }
  })
  // #endregion
  return consumer
}

export const watches = (consumer: Consumer) => {
  // #region breakerChanges
  // closed, open, halfOpen
  const states = Stream.runForEach(consumer.breaker?.changes ?? Stream.empty, (state) =>
    Effect.logInfo("The bank's breaker", state)
  )
  // #endregion
  return states
}
