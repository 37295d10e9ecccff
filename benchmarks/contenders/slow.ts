/** A consumer whose handler takes 50 ms, and the memory of its process. */
import { KafkaConsumer, KafkaJsWire } from "@spillway/kafka"
import * as Codec from "@spillway/transport/Codec"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"

export interface SlowTask {
  readonly brokers: ReadonlyArray<string>
  readonly topic: string
  readonly groupId: string
  readonly bufferBytes: number
  readonly seconds: number
}

export interface Watched {
  /** Resident memory before the consumer started. */
  readonly startBytes: number
  /** The peak resident memory, sampled ten times a second. */
  readonly peakBytes: number
  readonly handled: number
}

const task: SlowTask = JSON.parse(process.argv[2]!)

const watched = Effect.gen(function* () {
  const startBytes = process.memoryUsage.rss()
  let peakBytes = startBytes
  const look = Effect.sync(() => {
    peakBytes = Math.max(peakBytes, process.memoryUsage.rss())
  })
  yield* Effect.forkScoped(Effect.repeat(look, Schedule.spaced("100 millis")))
  const { handled } = yield* KafkaConsumer.run(
    {
      groupId: task.groupId,
      topics: [task.topic],
      value: Codec.bytes,
      handler: () => Effect.sleep("50 millis"),
      maxBufferedBytes: task.bufferBytes,
      deadLetter: DeadLetter.none("stop")
    },
    Effect.sleep(`${task.seconds} seconds`)
  )
  return { startBytes, peakBytes, handled } satisfies Watched
})

const { startBytes, peakBytes, handled } = await Effect.runPromise(
  watched.pipe(Effect.scoped, Effect.provide(KafkaJsWire.layer({ brokers: [...task.brokers] })))
)
console.log(JSON.stringify({ startBytes, peakBytes, handled }))
