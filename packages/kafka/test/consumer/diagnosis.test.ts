import { inspect } from "node:util"
import { assert, describe, it } from "@effect/vitest"
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import { MemoryBroker } from "@spillway/memory/MemoryBroker"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import { Producer } from "@spillway/transport/Producer"
import * as RetryPolicy from "@spillway/transport/RetryPolicy"
import * as TransportMetrics from "@spillway/transport/TransportMetrics"
import * as TransportTracing from "@spillway/transport/TransportTracing"
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import * as Tracer from "effect/Tracer"
import * as Hostile from "../../../../scripts/hostile.js"
import { committed, onBroker, options, topic } from "../support/consumerTesting.js"

const dlq = "orders-dlq"

/** A console that keeps its output, formatted as by Node. */
const keepingConsole = (lines: Array<string>): Console.Console =>
  new Proxy(Effect.runSync(Console.consoleWith(Effect.succeed)), {
    get: (target, key) => {
      if (key !== "unsafe") return Reflect.get(target, key)
      const print = (...args: ReadonlyArray<unknown>) => {
        lines.push(args.map((arg) => (typeof arg === "string" ? arg : inspect(arg))).join(" "))
      }
      return { log: print, error: print, warn: print, info: print, group: () => {}, groupEnd: () => {} }
    }
  })

const loggers = { pretty: Logger.pretty, json: Logger.json, logFmt: Logger.logFmt, structured: Logger.structured }

/** A tracer that renders the exits of its spans, as exporters do. */
const rendering = (ends: Array<string>, attributes: Array<string>): Tracer.Tracer =>
  Tracer.make({
    span: (name, parent, context, links, startTime, kind) => {
      const span: Tracer.Span = {
        _tag: "Span",
        name,
        parent,
        context,
        kind,
        attributes: new Map(),
        links: [...links],
        spanId: "1".padStart(16, "0"),
        traceId: "1".padStart(32, "0"),
        sampled: true,
        status: { _tag: "Started", startTime },
        attribute: (_, value) => void attributes.push(String(value)),
        event: () => {},
        addLinks: () => {},
        end: (_, exit) => {
          if (Exit.isFailure(exit)) ends.push(Cause.pretty(exit.cause, { renderErrorCause: true }))
        }
      }
      return span
    },
    context: (execute) => execute()
  })

const longest = (texts: ReadonlyArray<string>): number => Math.max(...texts.map((text) => Buffer.byteLength(text)))

const retry = RetryPolicy.fixed({ retries: 2, delay: "1 second" })

/** One record fails in a given way at each attempt; a good one follows. */
const consuming = (make: () => Cause.Cause<unknown>) =>
  Effect.gen(function* () {
    const cause = make()
    const broker = yield* MemoryBroker
    const producer = yield* KafkaProducer.make()
    const handled: Array<string> = []
    let attempts = 0
    const consumer = yield* KafkaConsumer.make({
      ...options,
      retry,
      deadLetter: DeadLetter.topic(dlq, { headers: { errorStack: "x-stack" } }),
      circuitBreaker: {},
      handler: ({ value }) => {
        if (value === "good") return Effect.sync(() => handled.push(value))
        attempts++
        return Effect.failCause(cause)
      }
    }).pipe(Effect.provideService(Producer, producer))
    yield* broker.produce(topic, [{ value: "bad" }, { value: "good" }])
    yield* TestClock.adjust("10 seconds")
    const letters = yield* broker.records(dlq)
    return { attempts, consumer, handled, letters, status: yield* consumer.status, committed: yield* committed }
  })

describe("A failure that can't be rendered", () => {
  for (const [by, logger] of Object.entries(loggers)) {
    for (const [name, cause] of Object.entries(Hostile.causes)) {
      it.effect(`is retried and dead-lettered, and the consumer continues (${by}): ${name}`, () => {
        const lines: Array<string> = []
        const ends: Array<string> = []
        const attributes: Array<string> = []
        return Effect.gen(function* () {
          const ran = yield* consuming(cause)
          assert.strictEqual(ran.status, "Running")
          assert.strictEqual(ran.attempts, 3)
          assert.deepStrictEqual(ran.handled, ["good"])
          assert.deepStrictEqual(ran.committed, { 0: 2 })
          assert.strictEqual(ran.letters.length, 1)
          const { errorMessage, errorType } = Option.getOrThrow(DeadLetter.metadata(ran.letters[0]!))
          assert.isTrue(errorMessage !== undefined && errorMessage !== "")
          assert.isTrue(errorType !== undefined && errorType !== "")
          assert.isBelow(Math.max(...ran.letters[0]!.headers.map(([, value]) => value?.length ?? 0)), 12_300)
          assert.isTrue(lines.some((line) => line.includes("publishing a dead letter")))
          assert.isBelow(longest(lines), 32_000)
          assert.strictEqual(ends.length, 3)
          assert.isBelow(longest(ends), 32_000)
          assert.isBelow(longest(attributes), 32_000)
        }).pipe(
          onBroker({ topics: { [topic]: 1, [dlq]: 1 } }),
          Effect.provide([
            logger,
            TransportMetrics.layer({ service: "billing" }),
            Layer.setTracer(rendering(ends, attributes)),
            TransportTracing.layer()
          ]),
          Logger.withMinimumLogLevel(LogLevel.All),
          Effect.withConsole(keepingConsole(lines))
        )
      })
    }
  }
})

describe("A handler that times out, and whose finalizer fails with an unrenderable error", () => {
  for (const failing of [1, 2]) {
    it.effect(`is retried, and the consumer continues: attempt ${failing}`, () => {
      const lines: Array<string> = []
      const circular = new Error("circular")
      circular.cause = circular
      return Effect.gen(function* () {
        const broker = yield* MemoryBroker
        const attempts: Array<number> = []
        const consumer = yield* KafkaConsumer.make({
          ...options,
          handlerTimeout: "10 seconds",
          retry,
          handler: ({ attempt }) => {
            attempts.push(attempt)
            if (attempt < failing) return Effect.fail("first")
            return attempt === failing ? Effect.onInterrupt(Effect.never, () => Effect.die(circular)) : Effect.void
          }
        })
        yield* broker.produce(topic, [{ value: "a" }])
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(attempts, [1, 2, ...(failing === 2 ? [3] : [])])
        assert.strictEqual((yield* consumer.report).handled, 1)
      }).pipe(
        onBroker({ topics: { [topic]: 1 } }),
        Effect.provide(Logger.json),
        Logger.withMinimumLogLevel(LogLevel.All),
        Effect.withConsole(keepingConsole(lines))
      )
    })
  }
})

describe("A handler whose success is a Promise", () => {
  const rejecting = () => Promise.reject(new Error("the database is down"))
  const handlers = {
    "an Effect of a Promise": () => Effect.sync(rejecting),
    "a Promise": () => rejecting() as unknown as Effect.Effect<unknown>
  }
  for (const [name, promising] of Object.entries(handlers)) {
    it.effect(`fails, is retried and dead-lettered, and leaves no unhandled rejection: ${name}`, () =>
      Effect.gen(function* () {
        const broker = yield* MemoryBroker
        const producer = yield* KafkaProducer.make()
        let attempts = 0
        const consumer = yield* KafkaConsumer.make({
          ...options,
          retry,
          deadLetter: DeadLetter.topic(dlq),
          handler: ({ value }) => {
            if (value === "good") return Effect.void
            attempts++
            return promising()
          }
        }).pipe(Effect.provideService(Producer, producer))
        yield* broker.produce(topic, [{ value: "bad" }, { value: "good" }])
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual(attempts, 3)
        const { deadLettered, handled } = yield* consumer.report
        assert.deepStrictEqual({ deadLettered, handled }, { deadLettered: 1, handled: 1 })
        const { errorMessage, errorType } = Option.getOrThrow(DeadLetter.metadata((yield* broker.records(dlq))[0]!))
        assert.strictEqual(errorType, "UnawaitedPromise")
        assert.include(errorMessage, "use Effect.promise or Effect.tryPromise")
      }).pipe(onBroker({ topics: { [topic]: 1, [dlq]: 1 } }))
    )
  }

  it.effect("of a transactional consumer fails too", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      yield* KafkaConsumer.makeTransactional({
        ...options,
        transactionalId: "billing-1",
        retry: RetryPolicy.fixed({ retries: 0 }),
        deadLetter: DeadLetter.topic(dlq),
        handler: () => Effect.sync(rejecting) as unknown as Effect.Effect<[]>
      })
      yield* broker.produce(topic, [{ value: "bad" }])
      yield* TestClock.adjust("10 seconds")
      const { errorType } = Option.getOrThrow(DeadLetter.metadata((yield* broker.records(dlq))[0]!))
      assert.strictEqual(errorType, "UnawaitedPromise")
    }).pipe(onBroker({ topics: { [topic]: 1, [dlq]: 1 } }))
  )
})
