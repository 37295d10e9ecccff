/**
 * A consumer of batches that unpack to far more than its buffer, or a connection to a broker that lies; and the memory
 * of its process.
 */
import { KafkaConsumer, KafkaJsWire } from "@spillway/kafka"
import { Wire } from "@spillway/kafka/Wire"
import * as Codec from "@spillway/transport/Codec"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"

export interface UnpackTask {
  readonly brokers: ReadonlyArray<string>
  readonly bufferBytes: number
  /** Absent: connects and asks for the topics. */
  readonly topic?: string | undefined
  readonly records?: number | undefined
  /** How long each handler takes, in milliseconds. */
  readonly handlerMs?: number | undefined
}

export interface Unpacked {
  /** Resident memory before the consumer started. */
  readonly startBytes: number
  /** The peak resident memory of the process, as the kernel counts it. */
  readonly peakBytes: number
  readonly handled: number
  readonly seconds: number
  /** The result of connecting to a broker that lies. */
  readonly error?: string | undefined
}

const task: UnpackTask = JSON.parse(process.argv[2]!)
const wire = KafkaJsWire.layer({ brokers: [...task.brokers] })

const consume = Effect.fnUntraced(function* (topic: string, records: number) {
  const done = yield* Deferred.make<void>()
  const wait = task.handlerMs === undefined ? Effect.void : Effect.sleep(task.handlerMs)
  let seen = 0
  let last = -1
  const { handled } = yield* KafkaConsumer.run(
    {
      groupId: crypto.randomUUID(),
      topics: [topic],
      value: Codec.bytes,
      handler: ({ offset }) => {
        if (offset !== last + 1) return Effect.dieMessage(`offset ${offset} after ${last}`)
        last = offset
        return ++seen === records ? Effect.zipRight(wait, Deferred.succeed(done, undefined)) : wait
      },
      maxBufferedBytes: task.bufferBytes,
      deadLetter: DeadLetter.none("stop")
    },
    Deferred.await(done)
  )
  return { handled }
})

const ask = Effect.scoped(
  Effect.gen(function* () {
    const { bootstrap, connect } = yield* Wire
    const connection = yield* connect(bootstrap[0]!, "data")
    const { topics } = yield* connection.request("Metadata", { topics: null })
    return { handled: topics.length }
  })
).pipe(Effect.catchAll((error) => Effect.succeed({ handled: 0, error: error.message })))

const startBytes = process.memoryUsage.rss()
const startedAt = performance.now()
const result = await Effect.runPromise(
  Effect.provide(task.topic === undefined ? ask : consume(task.topic, task.records!), wire)
)
const unpacked: Unpacked = {
  startBytes,
  peakBytes: process.resourceUsage().maxRSS * 1024,
  seconds: Math.round((performance.now() - startedAt) / 100) / 10,
  ...result
}
console.log(JSON.stringify(unpacked))
