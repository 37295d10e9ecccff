/** Spillway with its defaults, which include idempotence. Sequential sends have a linger of 0. */
import { KafkaJsWire, KafkaProducer } from "@spillway/kafka"
import { TransactionalProducer } from "@spillway/kafka/Transaction"
import { Producer, type ProducerError } from "@spillway/transport/Producer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import { isTransactional, type RunCallers, serve, task } from "./produce.js"

const { brokers, topic } = task()

const producer = (options?: KafkaProducer.KafkaProducerOptions) =>
  ManagedRuntime.make(KafkaProducer.layer(options).pipe(Layer.provide(KafkaJsWire.layer({ brokers }))))

const lingering = producer()
const immediate = producer({ linger: 0 })
const transactional = ManagedRuntime.make(
  KafkaProducer.layerTransactional({ transactionalId: `spillway-${topic}` }).pipe(
    Layer.provide(KafkaJsWire.layer({ brokers }))
  )
)

type Call = Parameters<RunCallers>[1]

/** Callers that each continue with the next records until the turn is over. */
const repeated = <E>(callers: number, next: Effect.Effect<unknown, E>, isOver: () => boolean) =>
  Effect.replicateEffect(Effect.whileLoop({ while: () => !isOver(), body: () => next, step: () => {} }), callers, {
    concurrency: "unbounded",
    discard: true
  })

const sendNext = ({ send, sendAll }: Producer["Type"], call: Call) =>
  Effect.suspend((): Effect.Effect<unknown, ProducerError> => {
    const records = call().map(({ key, value }) => ({ topic, key, value }))
    return records.length === 1 ? send(records[0]!) : sendAll(records)
  })

const runBy =
  (runtime: typeof lingering): RunCallers =>
  (callers, call, isOver) =>
    runtime.runPromise(Effect.flatMap(Producer, (producer) => repeated(callers, sendNext(producer, call), isOver)))

const runTransactions: RunCallers = (callers, call, isOver) =>
  transactional.runPromise(
    Effect.flatMap(TransactionalProducer, ({ transaction }) =>
      repeated(
        callers,
        transaction((own) => sendNext(own, call)),
        isOver
      )
    )
  )

serve({
  run: (way) => (isTransactional(way) ? runTransactions : runBy(way === "sequential" ? immediate : lingering)),
  close: () => Promise.all([lingering.dispose(), immediate.dispose(), transactional.dispose()])
})
