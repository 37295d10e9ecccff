/**
 * Measures the memory of a consumer with a slow handler while a million records wait: in a process of its own, on
 * Kafka, for a minute.
 */
import * as Effect from "effect/Effect"
import { numberArgument } from "./arguments.js"
import * as Brokers from "./brokers.js"
import type { SlowTask, Watched } from "./contenders/slow.js"
import * as Preload from "./preload.js"
import * as Program from "./program.js"

export const memory = Effect.scoped(
  Effect.gen(function* () {
    const brokers = yield* Brokers.given
    const topic = yield* Preload.topic(brokers, numberArgument("records", 1_000_000))
    const bufferBytes = numberArgument("buffer", 64 * 1024 * 1024)
    const seconds = numberArgument("seconds", 60)
    const task: SlowTask = { brokers, topic, groupId: crypto.randomUUID(), bufferBytes, seconds }
    const watched = yield* Program.run<Watched>("contenders/slow", task)
    const bound = watched.startBytes + 3 * bufferBytes
    console.log(
      JSON.stringify({
        benchmark: "memory",
        seconds,
        bufferBytes,
        ...watched,
        bound,
        within: watched.peakBytes < bound
      })
    )
  })
)
