/**
 * A broker that freezes under full load. Measures the producer's memory, and checks that callers are suspended and then
 * continue, and that deadlines turn waits into typed errors.
 */
import { KafkaJsWire, KafkaProducer } from "@spillway/kafka"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as Broker from "../scripts/kafka/broker.js"
import { numberArgument } from "./arguments.js"
import * as Preload from "./preload.js"

const callers = 200
const recordsACall = 200
const valueBytes = 1_000

/** Each record has a value of its own, as in real programs. */
const recordsOf = (topic: string) =>
  Array.from({ length: recordsACall }, (_, i) => ({ topic, key: `key-${i}`, value: Buffer.alloc(valueBytes, "x") }))

export const frozen = Effect.gen(function* () {
  const seconds = numberArgument("seconds", 30)
  const bufferMemory = numberArgument("buffer", 32 * 1024 * 1024)
  const broker = yield* Broker.make()
  const brokers = [broker.bootstrap]
  const topic = yield* Preload.emptyTopic(brokers, "frozen")

  return yield* Effect.gen(function* () {
    const { sendAll } = yield* KafkaProducer.make({ bufferMemory })
    let acknowledged = 0
    let failed = 0
    let isOver = false
    const caller = Effect.whileLoop({
      while: () => !isOver,
      body: () => Effect.either(Effect.suspend(() => sendAll(recordsOf(topic)))),
      step: (sent) => {
        if (sent._tag === "Right") acknowledged += recordsACall
        else failed += recordsACall
      }
    })
    const load = yield* Effect.fork(
      Effect.replicateEffect(caller, callers, { concurrency: "unbounded", discard: true })
    )
    /** Acknowledged records per second, over `milliseconds`. */
    const rate = (milliseconds: number) =>
      Effect.suspend(() => {
        const before = acknowledged
        return Effect.map(Effect.sleep(milliseconds), () =>
          Math.round(((acknowledged - before) * 1_000) / milliseconds)
        )
      })

    // The heap first grows to the size that full load needs.
    yield* Effect.sleep("15 seconds")
    const startBytes = process.memoryUsage.rss()
    let peakBytes = startBytes
    const look = Effect.sync(() => {
      peakBytes = Math.max(peakBytes, process.memoryUsage.rss())
    })
    const looking = yield* Effect.forkScoped(Effect.repeat(look, Schedule.spaced("50 millis")))
    const rateBefore = yield* rate(3_000)

    const resume = Effect.gen(function* () {
      yield* broker.resume
      const resumedAt = performance.now()
      const before = acknowledged
      yield* Effect.repeat(
        Effect.sync(() => acknowledged),
        { schedule: Schedule.spaced("10 millis"), until: (now) => now > before }
      )
      return Math.round(performance.now() - resumedAt)
    })

    yield* broker.freeze
    yield* Effect.sleep("2 seconds")
    const rateFrozen = yield* rate(seconds * 1_000 - 2_000)
    const goesOnAfterMs = yield* resume
    const rateAfter = yield* rate(3_000)
    yield* Fiber.interrupt(looking)

    // Frozen a second time, for the callers with deadlines.
    const hasty = yield* KafkaProducer.make({ bufferMemory, maxBlock: "2 seconds", deliveryTimeout: "5 seconds" })
    yield* hasty.sendAll(recordsOf(topic))
    yield* broker.freeze
    const errors: Record<string, number> = {}
    const sendHasty = Effect.map(
      Effect.suspend(() => hasty.sendAllEither(recordsOf(topic))),
      (results) => {
        for (const result of results) {
          const name = result._tag === "Left" ? result.left.reason : "acknowledged"
          errors[name] = (errors[name] ?? 0) + 1
        }
      }
    )
    yield* Effect.replicateEffect(sendHasty, callers, { concurrency: "unbounded", discard: true })
    yield* resume
    isOver = true
    yield* Fiber.join(load)
    const bound = startBytes + 3 * bufferMemory
    console.log(
      JSON.stringify({
        benchmark: "frozen",
        seconds,
        bufferMemory,
        startBytes,
        peakBytes,
        bound,
        within: peakBytes < bound,
        recordsPerSecond: { before: rateBefore, frozen: rateFrozen, after: rateAfter },
        goesOnAfterMs,
        failed,
        withDeadlines: errors
      })
    )
  }).pipe(Effect.provide(KafkaJsWire.layer({ brokers })))
}).pipe(Effect.scoped)
