/** Spillway with its defaults, idempotence among them; sequential sends have a linger of 0. */
import { KafkaJsWire, KafkaProducer } from "@spillway/kafka"
import { Producer, type ProducerError } from "@spillway/transport/Producer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import { type RunCallers, serve, task } from "./produce.js"

const { brokers, topic } = task()

const producer = (options?: KafkaProducer.KafkaProducerOptions) =>
  ManagedRuntime.make(KafkaProducer.layer(options).pipe(Layer.provide(KafkaJsWire.layer({ brokers }))))

const lingering = producer()
const immediate = producer({ linger: 0 })

const runBy =
  (runtime: typeof lingering): RunCallers =>
  (callers, call, isOver) =>
    runtime.runPromise(
      Effect.flatMap(Producer, ({ send, sendAll }) => {
        const next = Effect.suspend((): Effect.Effect<unknown, ProducerError> => {
          const records = call().map(({ key, value }) => ({ topic, key, value }))
          return records.length === 1 ? send(records[0]!) : sendAll(records)
        })
        const caller = Effect.whileLoop({ while: () => !isOver(), body: () => next, step: () => {} })
        return Effect.all(
          Array.from({ length: callers }, () => caller),
          { concurrency: "unbounded", discard: true }
        )
      })
    )

serve({
  run: (way) => runBy(way === "sequential" ? immediate : lingering),
  close: () => Promise.all([lingering.dispose(), immediate.dispose()])
})
