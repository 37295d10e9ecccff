import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as TestClock from "effect/TestClock"
import * as Codec from "../../src/Codec.js"
import * as DeadLetter from "../../src/DeadLetter.js"
import type { Envelope } from "../../src/Envelope.js"
import * as HandlerError from "../../src/HandlerError.js"
import * as RetryPolicy from "../../src/RetryPolicy.js"
import * as Processor from "../../src/runtime/Processor.js"
import {
  Declined,
  inTime,
  makeProcessor,
  makeWorld,
  metadataOf,
  named,
  type Options,
  process,
  producerLayer,
  recover,
  run,
  sleepThrough,
  source,
  succeeded,
  type TextHandler,
  times,
  utf8,
  worldLayer
} from "../support/processor.js"

describe("Processor.attempt", () => {
  const attempt = (handler: TextHandler) =>
    Effect.gen(function* () {
      const world = makeWorld()
      const processor = yield* Effect.provide(makeProcessor(world, handler), producerLayer(world))
      return processor.attempt(source)
    })

  it.effect("is the handler's own effect if the codec is synchronous", () =>
    Effect.gen(function* () {
      const result = Effect.succeed("result")
      assert.strictEqual(yield* attempt(() => result), result)
    })
  )

  it.effect("passes the record's envelope to the handler", () =>
    Effect.gen(function* () {
      let envelope: Envelope<string> | undefined
      yield* yield* attempt((given) => Effect.sync(() => (envelope = given)))
      assert.isDefined(envelope)
      const { attempt: number, eventId, headers, key, offset, partition, timestamp, topic, value } = envelope
      assert.deepStrictEqual([topic, partition, offset, timestamp], ["orders", 3, 42, 1_000])
      assert.deepStrictEqual([number, value, eventId], [1, "value", "orders-3-42"])
      assert.strictEqual(key, source.key)
      assert.strictEqual(headers, source.headers)
    })
  )

  it.effect("turns a handler that throws into a defect", () =>
    Effect.gen(function* () {
      const thrown = yield* attempt(() => {
        throw new Error("thrown")
      })
      const cause = yield* Effect.flip(Effect.sandbox(thrown))
      assert.strictEqual((Option.getOrThrow(Cause.dieOption(cause)) as Error).message, "thrown")
    })
  )

  it.effect("runs an asynchronous codec", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      const values: Array<unknown> = []
      const processor = yield* Processor.make({
        groupId: "billing",
        topics: ["orders"],
        value: { decode: (bytes) => Effect.as(Effect.yieldNow(), bytes?.length ?? 0) } satisfies Codec.Decoder<number>,
        handler: ({ value }) => Effect.sync(() => values.push(value)),
        deadLetter: DeadLetter.none("stop"),
        handlerTimeout: Duration.infinity
      })
      yield* processor.attempt(source)
      assert.deepStrictEqual(values, [5])
      assert.deepStrictEqual(world.tried, [])
    })
  )
})

describe("Processor.recover: which failures are retried", () => {
  const retried: ReadonlyArray<readonly [string, Effect.Effect<never, unknown>]> = [
    ["a typed error", new Declined({ card: 1 })],
    ["a TemporaryError", HandlerError.temporary("busy")],
    ["a HandlerTimeout", new HandlerError.HandlerTimeout({ timeout: Duration.minutes(5) })],
    ["a DecodeError of the handler's own", new Codec.DecodeError({ reason: "InvalidJson", description: "" })],
    ["a defect", Effect.die("bug")],
    [
      "a thrown error",
      Effect.suspend(() => {
        throw new Error("thrown")
      })
    ],
    ["its own interruption", Effect.interrupt]
  ]

  for (const [name, end] of retried) {
    it.effect(name, () =>
      Effect.gen(function* () {
        const ran = yield* run([end, end])
        assert.strictEqual(succeeded(ran), "handled")
        assert.deepStrictEqual(
          ran.attempts.map(({ at }) => at),
          [0, 1_000, 3_000]
        )
        assert.deepStrictEqual(ran.world.tried, [])
      })
    )
  }

  it.effect("a NonRetryableError is not", () =>
    Effect.gen(function* () {
      const ran = yield* run([HandlerError.nonRetryable(new Declined({ card: 1 }))])
      assert.strictEqual(succeeded(ran), "deadLettered")
      assert.strictEqual(ran.attempts.length, 1)
      assert.strictEqual(metadataOf(ran).retryCount, 0)
      assert.strictEqual(metadataOf(ran).errorType, "Declined")
    })
  )

  it.effect("a value that doesn't decode is not, and its dead letter has the original bytes", () =>
    Effect.gen(function* () {
      const value = Uint8Array.of(0xff, 0xfe)
      const ran = yield* run([], { record: { ...source, value } })
      assert.strictEqual(succeeded(ran), "deadLettered")
      assert.strictEqual(ran.attempts.length, 0)
      assert.strictEqual(ran.world.acknowledged[0]!.value, value)
      assert.strictEqual(metadataOf(ran).errorType, "DecodeError")
      assert.strictEqual(metadataOf(ran).errorMessage, "InvalidUtf8: 2 bytes")
      assert.strictEqual(metadataOf(ran).retryCount, 0)
    })
  )

  const thrown = () => {
    throw new RangeError("Maximum call stack size exceeded")
  }
  const decoders: Readonly<Record<string, Codec.Decoder<string>>> = {
    "a decoder that throws": { decode: thrown },
    "a decoder that dies": { decode: () => Exit.die(new RangeError("Maximum call stack size exceeded")) },
    "a decoder whose effect throws": { decode: () => Effect.sync(thrown) },
    "a decoder that dies later": { decode: () => Effect.zipRight(Effect.yieldNow(), Effect.sync(thrown)) }
  }
  for (const [name, value] of Object.entries(decoders)) {
    it.effect(`${name} is not`, () =>
      Effect.gen(function* () {
        const ran = yield* run([], { value, classify: () => HandlerError.retry() })
        assert.strictEqual(succeeded(ran), "deadLettered")
        assert.strictEqual(ran.attempts.length, 0)
        assert.strictEqual(metadataOf(ran).errorType, "RangeError")
        assert.strictEqual(metadataOf(ran).errorMessage, "Maximum call stack size exceeded")
      })
    )
  }

  const wrong: Readonly<Record<string, () => unknown>> = {
    Promise: () => Promise.reject(new Error("down")),
    text: () => "text"
  }
  for (const [name, returned] of Object.entries(wrong)) {
    it.effect(`a decoder that returns a ${name} instead of an Effect is not`, () =>
      Effect.gen(function* () {
        const value = { decode: returned } as unknown as Codec.Decoder<string>
        const ran = yield* run([], { value })
        assert.strictEqual(succeeded(ran), "deadLettered")
        assert.strictEqual(metadataOf(ran).errorType, name === "text" ? "TypeError" : "UnawaitedPromise")
      })
    )
  }

  const down = new Codec.DecodeError({ reason: "Unavailable", description: "the registry is down" })
  const unavailable = (times: number, failure: Effect.Effect<never, Codec.DecodeError> = Effect.fail(down)) => {
    let calls = 0
    return { decode: () => (calls++ < times ? failure : Exit.succeed("decoded")) } satisfies Codec.Decoder<string>
  }

  it.effect("an unavailable codec is, by the policy and then forever", () =>
    Effect.gen(function* () {
      const retry = RetryPolicy.fixed({ retries: 2, delay: "1 second" })
      const ran = yield* run([], { value: unavailable(12), retry })
      assert.strictEqual(succeeded(ran), "handled")
      assert.strictEqual(ran.attempts[0]!.envelope.value, "decoded")
      assert.strictEqual(ran.attempts[0]!.envelope.attempt, 13)
      assert.isAbove(ran.attempts[0]!.at, 60_000)
      assert.deepStrictEqual(ran.world.acknowledged, [])
    })
  )

  it.effect("an unavailable codec costs the handler none of its retries", () =>
    Effect.gen(function* () {
      const retry = RetryPolicy.fixed({ retries: 2, delay: "1 second" })
      const failing = times(9, Effect.fail(new Declined({ card: 1 })))
      const ran = yield* run(failing, { value: unavailable(5), retry })
      assert.strictEqual(succeeded(ran), "deadLettered")
      assert.strictEqual(ran.attempts.length, 3)
    })
  )

  it.effect("a codec that dies with Unavailable is, after its delay, as is a key's", () =>
    Effect.gen(function* () {
      const delayed = new Codec.DecodeError({ reason: "Unavailable", description: "down", delay: "7 seconds" })
      for (const options of [
        { value: unavailable(1, Effect.die(delayed)) },
        { key: unavailable(1, Effect.die(delayed)) }
      ]) {
        const start = yield* Clock.currentTimeMillis
        const ran = yield* run([], options as Options)
        assert.strictEqual(succeeded(ran), "handled")
        assert.strictEqual(ran.attempts[0]!.at - start, 7_000)
      }
    })
  )

  it.effect("an unavailable codec is, although classify throws", () =>
    Effect.gen(function* () {
      const classify: HandlerError.Classify = () => {
        throw new Error("classify")
      }
      assert.strictEqual(succeeded(yield* run([], { value: unavailable(3), classify })), "handled")
    })
  )

  it.effect("classify sees both kinds of decode errors, and a handler's own one as the handler's", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const classify: HandlerError.Classify = (failure) => {
        seen.push(`${failure.stage} ${(failure.error as Codec.DecodeError).reason}`)
        return HandlerError.classify(failure)
      }
      const final = new Codec.DecodeError({ reason: "Malformed", description: "no magic byte" })
      yield* run([], { value: unavailable(1), classify })
      assert.strictEqual(
        succeeded(yield* run([], { value: unavailable(1, Effect.fail(final)), classify })),
        "deadLettered"
      )
      assert.strictEqual(succeeded(yield* run([Effect.fail(final)], { classify })), "handled")
      const retried = yield* run([], {
        value: unavailable(2, Effect.fail(final)),
        classify: () => HandlerError.retry()
      })
      assert.strictEqual(succeeded(retried), "handled")
      assert.deepStrictEqual(seen, ["decoding Unavailable", "decoding Malformed", "handling Malformed"])
    })
  )

  it.effect("as classify decides, if given", () =>
    Effect.gen(function* () {
      const classify: HandlerError.Classify = ({ attempt, error }) =>
        error instanceof Declined && attempt < 3 ? HandlerError.retry("7 seconds") : HandlerError.deadLetter
      const ran = yield* run(times(5, Effect.fail(new Declined({ card: 1 }))), { classify })
      assert.strictEqual(succeeded(ran), "deadLettered")
      assert.deepStrictEqual(
        ran.attempts.map(({ at }) => at),
        [0, 7_000, 14_000]
      )
      assert.strictEqual(metadataOf(ran).retryCount, 2)
    })
  )

  it.effect("none, if classify throws what can't be inspected", () =>
    Effect.gen(function* () {
      const hostile = new Proxy({}, { has: () => assert.fail("inspected") })
      const classify: HandlerError.Classify = () => {
        throw hostile
      }
      assert.strictEqual(succeeded(yield* run([Effect.fail("down")], { classify })), "deadLettered")
    })
  )

  it.effect("none, if classify or the schedule throws", () =>
    Effect.gen(function* () {
      const fail = times(5, Effect.fail("failed"))
      const classify = () => {
        throw new Error("thrown")
      }
      const schedule = Schedule.modifyDelay(Schedule.forever, () => {
        throw new Error("thrown")
      })
      for (const options of [{ classify }, { retry: schedule }]) {
        const ran = yield* run(fail, options)
        assert.strictEqual(succeeded(ran), "deadLettered")
        assert.strictEqual(ran.attempts.length, 1)
        assert.strictEqual(metadataOf(ran).errorMessage, "failed")
        assert.include(
          ran.world.logs.map(({ text }) => text),
          "The retry policy failed; not retrying"
        )
      }
    })
  )
})

describe("Processor.recover: retries", () => {
  const fail = Effect.fail(new Declined({ card: 1 }))

  it.effect("at the policy's delays, each with its own envelope, then a dead letter", () =>
    Effect.gen(function* () {
      const ran = yield* run(times(10, fail))
      assert.strictEqual(succeeded(ran), "deadLettered")
      assert.deepStrictEqual(
        ran.attempts.map(({ at, envelope }) => [at, envelope.attempt]),
        [
          [0, 1],
          [1_000, 2],
          [3_000, 3],
          [7_000, 4]
        ]
      )
      assert.strictEqual(metadataOf(ran).retryCount, 3)
      assert.strictEqual(metadataOf(ran).failedAt, 7_000)
    })
  )

  it.effect("with jitter from Random", () =>
    Effect.gen(function* () {
      const ran = yield* Effect.withRandom(
        run(times(10, fail), { retry: RetryPolicy.exponential() }),
        Random.fixed([0.5])
      )
      assert.deepStrictEqual(
        ran.attempts.map(({ at }) => at),
        [0, 750, 2_250, 5_250]
      )
    })
  )

  it.effect("by any schedule over the failure", () =>
    Effect.gen(function* () {
      const retry: RetryPolicy.RetryPolicy = Schedule.whileInput(
        Schedule.spaced("2 seconds"),
        ({ attempt, error }: HandlerError.HandlerFailure) => error instanceof Declined && attempt < 3
      )
      const ran = yield* run(times(10, fail), { retry })
      assert.deepStrictEqual(
        ran.attempts.map(({ at }) => at),
        [0, 2_000, 4_000]
      )
    })
  )

  it.effect("a TemporaryError's delay replaces the policy's next one, and uses up a retry", () =>
    Effect.gen(function* () {
      const ran = yield* run([fail, HandlerError.temporary("busy", "90 seconds"), ...times(10, fail)])
      assert.strictEqual(succeeded(ran), "deadLettered")
      assert.deepStrictEqual(
        ran.attempts.map(({ at }) => at),
        [0, 1_000, 91_000, 95_000]
      )
    })
  )

  it.effect("count each failure, and a failed outcome once", () =>
    Effect.gen(function* () {
      const lost = yield* run(times(4, fail))
      assert.deepStrictEqual(lost.world.metrics, [
        ...times(4, ["failed", "Declined"] as const),
        ["error", 1],
        ["deadLettered", 1]
      ])
      const saved = yield* run([fail])
      assert.deepStrictEqual(saved.world.metrics, [["failed", "Declined"]])
    })
  )

  it.effect("report each step as it begins", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      const steps: Array<Processor.RecoveryStep> = []
      const lane: Processor.RecordLane = {
        wait: sleepThrough,
        onStep: (step) => {
          steps.push(step)
        }
      }
      const processor = yield* makeProcessor(world, () => fail, { retry: RetryPolicy.fixed({ retries: 1 }) })
      const cause = Cause.fail("failed")
      const retry = yield* inTime(processor.recover(source, { cause, retry: undefined }, lane))
      assert.strictEqual(retry._tag, "Retry")
      assert.deepStrictEqual(steps, ["waiting"])
      if (retry._tag === "Retry") yield* inTime(processor.recover(source, { cause, retry }, lane))
      assert.deepStrictEqual(steps, ["waiting", "deadLettering"])
    }).pipe(Effect.provide(producerLayer(makeWorld())))
  )

  it.effect("leave log lines that name the record and hold none of its content", () =>
    Effect.gen(function* () {
      const { world } = yield* run([fail], { record: { ...source, value: utf8("secret") } })
      assert.deepStrictEqual(world.logs, [
        {
          level: "Warning",
          text: "Handling failed; retrying",
          annotations: {
            topic: "orders",
            partition: 3,
            offset: 42,
            eventId: "orders-3-42",
            groupId: "billing",
            attempt: 1,
            errorType: "Declined",
            error: "Declined",
            delay: "1s"
          }
        }
      ])
    })
  )

  it.effect("end without an outcome when the lane closes during the wait", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      let attempts = 0
      const handler = () => Effect.suspend(() => Effect.fail(++attempts))
      const closing = yield* Deferred.make<boolean>()
      const wait: Processor.Wait = (delay) => Effect.raceFirst(sleepThrough(delay, "attempt"), Deferred.await(closing))
      const outcome = yield* makeProcessor(world, handler).pipe(
        Effect.flatMap((processor) =>
          Effect.gen(function* () {
            const fiber = yield* Effect.fork(process(processor, source, wait))
            yield* TestClock.adjust("1 second")
            yield* Deferred.succeed(closing, false)
            return yield* Fiber.join(fiber)
          })
        ),
        Effect.provide(Layer.merge(worldLayer(world), producerLayer(world)))
      )
      assert.deepStrictEqual(outcome, Option.none())
      assert.strictEqual(attempts, 2)
      assert.deepStrictEqual(named(world, "error"), [])
      assert.deepStrictEqual(world.tried, [])
    })
  )

  it.effect("are interrupted with the fiber, without an outcome", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      const retrying = yield* Deferred.make<void>()
      const handler = ({ attempt }: Envelope<string>) =>
        attempt === 1 ? Effect.fail("failed") : Effect.zipRight(Deferred.succeed(retrying, undefined), Effect.never)
      const exit = yield* makeProcessor(world, handler).pipe(
        Effect.flatMap((processor) =>
          Effect.gen(function* () {
            const fiber = yield* Effect.fork(process(processor, source))
            yield* TestClock.adjust("1 second")
            yield* Deferred.await(retrying)
            return yield* Fiber.interrupt(fiber)
          })
        ),
        Effect.provide(Layer.merge(worldLayer(world), producerLayer(world)))
      )
      assert.isTrue(Exit.isInterrupted(exit))
      assert.deepStrictEqual(world.tried, [])
      assert.deepStrictEqual(world.metrics, [["failed", "string"]])
    })
  )
})

describe("A Promise as a handler's result", () => {
  const thenable = (name: string, then: () => void) => ({ [Symbol.toStringTag]: name, then })
  const rejecting = () => Promise.reject(new Error("the database is down"))
  const handlers: Readonly<Record<string, () => Effect.Effect<unknown>>> = {
    "of Effect.sync": () => Effect.sync(rejecting),
    "of Effect.succeed": () => Effect.succeed(rejecting()),
    "in an array": () => Effect.sync(() => [1, Promise.resolve(), rejecting(), rejecting()]),
    "in an Option": () => Effect.sync(() => Option.some(rejecting())),
    "in an Either": () => Effect.sync(() => Either.right(rejecting())),
    "of Effect.map": () => Effect.map(Effect.yieldNow(), rejecting),
    "instead of an Effect": () => rejecting() as unknown as Effect.Effect<unknown>,
    "that is a query builder's": () => Effect.succeed(thenable("Query", () => assert.fail("the query ran"))),
    "whose then throws": () =>
      Effect.succeed(
        thenable("Promise", () => {
          throw new Error("no")
        })
      )
  }
  for (const [name, handler] of Object.entries(handlers)) {
    it.effect(`is a failure that is retried, and its rejection is handled: ${name}`, () => {
      const world = makeWorld()
      return Effect.gen(function* () {
        let attempts = 0
        const counted = () => {
          attempts++
          return handler()
        }
        const processor = yield* makeProcessor(world, counted, { retry: RetryPolicy.fixed({ retries: 1 }) })
        // A lane checks the first result itself.
        const first = yield* Effect.flip(Effect.sandbox(Effect.map(processor.attempt(source), Processor.awaited)))
        const outcome = yield* inTime(recover(processor, source, { cause: first, retry: undefined }))
        assert.deepStrictEqual(outcome, Option.some("deadLettered"))
        assert.strictEqual(attempts, 2)
        const { errorMessage, errorType } = metadataOf({ world, result: undefined })
        assert.strictEqual(errorType, "UnawaitedPromise")
        assert.include(errorMessage, "use Effect.promise or Effect.tryPromise")
        // An unhandled rejection would fail the run here.
        yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      }).pipe(Effect.provide(Layer.merge(worldLayer(world), producerLayer(world))))
    })
  }
})
