/**
 * Handlers that compute: how late the process's timers are, and whether the consumer keeps its membership and commits.
 */
import { KafkaConsumer, KafkaJsWire, KafkaProducer, Wire } from "@spillway/kafka"
import { Codec, DeadLetter, Producer } from "@spillway/transport"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { numberArgument } from "./arguments.js"
import * as Brokers from "./brokers.js"
import * as Preload from "./preload.js"

interface Case {
  readonly handlerMs: number
  readonly partitions: number
  readonly consumers: number
  /** Default: the consumer's. */
  readonly sessionTimeoutMs?: number
  /** What the handler does before it computes. Default: nothing. */
  readonly before?: keyof typeof befores
}

const befores = {
  sleep: Effect.sleep("20 millis"),
  promise: Effect.promise(() => new Promise<void>((resolve) => setTimeout(resolve, 20))),
  yield: Effect.yieldNow()
}

const cases: ReadonlyArray<Case> = [
  { handlerMs: 300, partitions: 6, consumers: 1, sessionTimeoutMs: 10_000 },
  { handlerMs: 1_000, partitions: 6, consumers: 1 },
  { handlerMs: 20, partitions: 12, consumers: 1 },
  { handlerMs: 5, partitions: 100, consumers: 1 },
  { handlerMs: 5, partitions: 100, consumers: 1, before: "sleep" },
  { handlerMs: 5, partitions: 100, consumers: 1, before: "promise" },
  { handlerMs: 5, partitions: 100, consumers: 1, before: "yield" },
  { handlerMs: 0.2, partitions: 12, consumers: 10 }
]

const compute = (millis: number): void => {
  const end = performance.now() + millis
  while (performance.now() < end);
}

/** A wire that counts JoinGroup requests. */
const counting = (wire: Wire.Wire["Type"], joined: () => void): Wire.Wire["Type"] => ({
  bootstrap: wire.bootstrap,
  connect: (endpoint, role) =>
    Effect.map(wire.connect(endpoint, role), (connection) => ({
      closed: connection.closed,
      request: (api, request) => {
        if (api === "JoinGroup") joined()
        return connection.request(api, request)
      }
    }))
})

const resolutionMs = 5

/** Measures how late timers are. */
const watchTimers = () => {
  let longest = 0
  let due = performance.now() + resolutionMs
  const timer = setInterval(() => {
    const now = performance.now()
    longest = Math.max(longest, now - due)
    due = now + resolutionMs
  }, resolutionMs)
  return {
    stop: () => {
      clearInterval(timer)
      return Math.round(longest)
    }
  }
}

const measure = Effect.fnUntraced(function* (one: Case, brokers: ReadonlyArray<string>) {
  const { before, consumers, handlerMs, partitions, sessionTimeoutMs } = one
  const seconds = numberArgument("seconds", 30)
  const records = Math.ceil(Math.max((seconds * 1_000) / handlerMs / consumers, partitions * 20))
  const topic = yield* Preload.emptyTopic(brokers, "compute", partitions)
  const { sendAll } = yield* Producer.Producer
  yield* sendAll(Array.from({ length: records }, (_, i) => ({ topic, partition: i % partitions, value: String(i) })))
  const wire = yield* Wire.Wire
  let joins = 0
  let handled = 0
  const computation = Effect.sync(() => {
    handled++
    compute(handlerMs)
  })
  const start = Effect.suspend(() =>
    KafkaConsumer.make({
      groupId: crypto.randomUUID(),
      topics: [topic],
      value: Codec.bytes,
      sessionTimeout: sessionTimeoutMs,
      handler: () => (before === undefined ? computation : Effect.zipRight(befores[before], computation)),
      deadLetter: DeadLetter.none("stop")
    })
  ).pipe(
    Effect.provideService(
      Wire.Wire,
      counting(wire, () => joins++)
    )
  )
  const started = yield* Effect.replicateEffect(start, consumers, { concurrency: "unbounded" })
  const joinsAtStart = joins
  const timers = watchTimers()
  yield* Effect.sleep(seconds * 1_000)
  const timersLateMs = timers.stop()
  const reports = yield* Effect.forEach(started, ({ report }) => report)
  const committed = reports.flatMap((report) => report.committed).reduce((sum, { offset }) => sum + offset, 0)
  const closing = yield* Effect.forkDaemon(Effect.forEach(started, ({ close }) => close))
  yield* Fiber.await(closing)
  return { ...one, seconds, timersLateMs, rejoins: joins - joinsAtStart, handled, committed }
}, Effect.scoped)

export const computing = Effect.gen(function* () {
  const brokers = yield* Brokers.given
  const measured = yield* Effect.forEach(cases, (one) =>
    measure(one, brokers).pipe(
      Effect.provide(KafkaProducer.layer()),
      Effect.provide(Layer.merge(KafkaJsWire.layer({ brokers }), Logger.minimumLogLevel(LogLevel.None))),
      Effect.tap((result) => Effect.sync(() => console.error(JSON.stringify(result))))
    )
  )
  console.log(JSON.stringify({ benchmark: "compute", cases: measured }))
}).pipe(Effect.scoped)
