import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import * as Codec from "../../src/Codec.js"
import type { ConsumerError } from "../../src/Consumer.js"
import * as DeadLetter from "../../src/DeadLetter.js"
import { eventIdOf } from "../../src/Envelope.js"
import * as HandlerError from "../../src/HandlerError.js"
import type * as Headers from "../../src/Headers.js"
import type { ProducerError } from "../../src/Producer.js"
import * as Processor from "../../src/runtime/Processor.js"
import {
  type Answer,
  Declined,
  failed,
  inTime,
  makeProcessor,
  makeWorld,
  metadataOf,
  named,
  type Options,
  process,
  producerError,
  producerLayer,
  run,
  source,
  succeeded,
  times,
  worldLayer
} from "../support/processor.js"

describe("Processor.recover: dead letters", () => {
  const fail = [HandlerError.nonRetryable("bad")]

  it.effect("have the original's bytes, and its partition if the topic has it", () =>
    Effect.gen(function* () {
      const { world } = yield* run(fail)
      const [letter] = world.acknowledged
      assert.strictEqual(letter!.topic, "orders-dlq")
      assert.strictEqual(letter!.partition, 3)
      assert.strictEqual(letter!.key, source.key)
      assert.strictEqual(letter!.value, source.value)
      assert.deepStrictEqual((letter!.headers as Headers.Headers)[0], source.headers[0])
    })
  )

  it.effect("leave the partition to the producer if the topic has fewer", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      yield* makeProcessor(world, () => fail[0]!).pipe(
        Effect.flatMap((processor) => process(processor, source)),
        Effect.provide(producerLayer(world, [], () => Effect.succeed(3))),
        Effect.provide(worldLayer(world))
      )
      assert.isUndefined(world.acknowledged[0]!.partition)
    })
  )

  it.effect("go to the topic of the policy", () =>
    Effect.gen(function* () {
      const named = yield* run(fail, { deadLetter: DeadLetter.topic("dead") })
      const computed = yield* run(fail, { deadLetter: DeadLetter.topic((topic) => `dead.${topic}`) })
      assert.strictEqual(named.world.acknowledged[0]!.topic, "dead")
      assert.strictEqual(computed.world.acknowledged[0]!.topic, "dead.orders")
    })
  )

  it.effect("are retried until published, with the partition blocked", () =>
    Effect.gen(function* () {
      const answers: ReadonlyArray<Answer> = [...times(10, "Broker" as const), "dies", "Closed", "Authorization"]
      const ran = yield* Effect.withRandom(run(fail, { answers }), Random.fixed([0]))
      assert.strictEqual(succeeded(ran), "deadLettered")
      assert.deepStrictEqual(
        ran.world.tried.map(({ at }) => at / 1_000),
        [0, 0.25, 0.75, 1.75, 3.75, 7.75, 15.75, 31.75, 61.75, 91.75, 121.75, 151.75, 181.75, 211.75]
      )
      assert.strictEqual(new Set(ran.world.tried.map(({ record }) => JSON.stringify(record))).size, 1)
      assert.strictEqual(ran.world.acknowledged.length, 1)
      assert.deepStrictEqual(ran.world.blocked, [...times(11, "Broker" as const), "Closed", "Authorization", undefined])
      assert.deepStrictEqual(named(ran.world, "error"), [["error", 1]])
      assert.deepStrictEqual(named(ran.world, "deadLettered"), [["deadLettered", 1]])
    })
  )

  it.effect("that are blocked are logged at once, then at most every 30 s", () =>
    Effect.gen(function* () {
      const answers = times(10, "Broker" as const)
      const { world } = yield* Effect.withRandom(run(fail, { answers }), Random.fixed([0]))
      const warnings = world.logs.filter(({ level }) => level === "Warning")
      assert.deepStrictEqual(
        warnings.map(({ text }) => text),
        times(4, "The dead letter is not published yet; the partition is blocked")
      )
      const about = { topic: "orders", partition: 3, offset: 42, groupId: "billing", attempt: 1 }
      const error = { error: "Broker: orders-dlq: refused", errorType: "ProducerError" }
      assert.include(warnings[0]!.annotations, { ...about, ...error, delay: "250ms" })
      assert.deepStrictEqual(
        warnings.map(({ annotations }) => Object.entries(annotations).find(([name]) => name === "suppressed")?.[1]),
        [undefined, 6, undefined, undefined]
      )
    })
  )

  const unkeyed = { ...source, key: null }
  for (const [reason, record, remedy] of [
    ["RecordTooLarge", source, "raise max.message.bytes of orders-dlq and maxBatchBytes of the producer"],
    ["InvalidRecord", unkeyed, 'set cleanup.policy of orders-dlq to "delete"'],
    ["InvalidRecord", source, "the settings of orders-dlq reject the record"],
    ["Authorization", source, "allow the producer to describe and write orders-dlq"],
    ["UnknownTopic", source, "create orders-dlq"],
    ["Broker", source, undefined]
  ] as const) {
    it.effect(`that are blocked report the fix: ${reason}${record.key === null ? " without a key" : ""}`, () =>
      Effect.gen(function* () {
        const remedies: Array<unknown> = []
        const ran = yield* run(fail, {
          record,
          answers: times(2, reason),
          onBlocked: (_, error, remedy) => remedies.push(error && remedy)
        })
        const held = ran.world.logs.find(({ text }) => text.includes("the partition is blocked"))
        assert.include(held!.annotations, { deadLetterTopic: "orders-dlq", error: `${reason}: orders-dlq: refused` })
        const named = Object.entries(held!.annotations).find(([name]) => name === "remedy")?.[1]
        if (remedy === undefined) assert.isUndefined(named)
        else assert.include(named, remedy)
        assert.strictEqual(remedies[0], named)
      })
    )
  }

  it.effect("that are blocked end without an outcome when the lane closes", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      const waits: Array<number> = []
      const wait: Processor.Wait = (delay) => Effect.sync(() => waits.push(Duration.toMillis(delay)) < 3)
      const outcome = yield* makeProcessor(world, () => fail[0]!).pipe(
        Effect.flatMap((processor) => process(processor, source, wait)),
        Effect.provide(producerLayer(world, times(99, "DeliveryTimeout" as const))),
        Effect.provide(worldLayer(world)),
        Effect.withRandom(Random.fixed([0]))
      )
      assert.deepStrictEqual(outcome, Option.none())
      assert.deepStrictEqual(waits, [250, 500, 1_000])
      assert.deepStrictEqual(world.blocked, [...times(3, "DeliveryTimeout" as const), undefined])
      assert.deepStrictEqual(world.metrics, [
        ["failed", "NonRetryableError"],
        ...times(3, ["deadLetterFailed", 1] as const)
      ])
    })
  )

  it.effect("in flight are interrupted with the fiber", () =>
    Effect.gen(function* () {
      const world = makeWorld()
      const exit = yield* makeProcessor(world, () => fail[0]!).pipe(
        Effect.flatMap((processor) =>
          Effect.gen(function* () {
            const fiber = yield* Effect.fork(process(processor, source))
            yield* TestClock.adjust("1 minute")
            assert.strictEqual(world.tried.length, 2)
            return yield* Fiber.interrupt(fiber)
          })
        ),
        Effect.provide(producerLayer(world, ["Broker", "hangs"])),
        Effect.provide(worldLayer(world))
      )
      assert.isTrue(Exit.isInterrupted(exit))
      assert.deepStrictEqual(world.blocked, ["Broker", undefined])
      assert.deepStrictEqual(world.metrics, [
        ["failed", "NonRetryableError"],
        ...times(1, ["deadLetterFailed", 1] as const)
      ])
    })
  )

  for (const headers of ["spillway", "spring", "connect"] as const) {
    it.effect(`too large for the broker are retried at once with less metadata (${headers})`, () =>
      Effect.gen(function* () {
        const deadLetter = DeadLetter.topic(undefined, { headers })
        const ran = yield* run(fail, { answers: ["RecordTooLarge"], deadLetter })
        assert.strictEqual(succeeded(ran), "deadLettered")
        assert.deepStrictEqual(
          ran.world.tried.map(({ at }) => at),
          [0, 0]
        )
        const { errorMessage, offset, retryCount, topic } = metadataOf(ran)
        assert.deepStrictEqual([errorMessage, offset, retryCount, topic], [undefined, 42, 0, "orders"])
        assert.deepStrictEqual(ran.world.blocked, [undefined])
      })
    )
  }

  it.effect("still too large block the partition by default", () =>
    Effect.gen(function* () {
      const ran = yield* run(fail, { answers: times(4, "RecordTooLarge" as const) })
      assert.strictEqual(succeeded(ran), "deadLettered")
      assert.deepStrictEqual(
        ran.world.tried.map(({ at }) => at),
        [0, 0, 30_000, 60_000, 90_000]
      )
      const errors = ran.world.logs.filter(
        ({ level, text }) => level === "Error" && text.startsWith("The dead letter is rejected")
      )
      assert.strictEqual(errors.length, 3)
      assert.deepStrictEqual(ran.world.blocked, [...times(3, "RecordTooLarge" as const), undefined])
    })
  )

  it.effect("still too large fail the consumer if configured", () =>
    Effect.gen(function* () {
      const ran = yield* run(fail, {
        answers: times(2, "RecordTooLarge" as const),
        deadLetter: DeadLetter.topic(undefined, { tooLarge: "stop" })
      })
      assert.strictEqual(failed(ran).reason, "DeadLetterRejected")
      assert.include(failed(ran).description, "orders-3 at offset 42")
      assert.deepStrictEqual(ran.world.metrics, [
        ["failed", "NonRetryableError"],
        ...times(2, ["deadLetterFailed", 1] as const),
        ["error", 1]
      ])
    })
  )

  it.effect("of dead letters replace the metadata and keep the event id", () =>
    Effect.gen(function* () {
      const first = yield* run(fail)
      const record = { ...source, offset: 77, headers: first.world.acknowledged[0]!.headers as Headers.Headers }
      const second = yield* run([HandlerError.nonRetryable("worse")], { record })
      const headers = second.world.acknowledged[0]!.headers as Headers.Headers
      assert.strictEqual(headers.length, record.headers.length)
      assert.strictEqual(eventIdOf({ ...record, headers }), "orders-3-42")
      assert.strictEqual(metadataOf(second).errorMessage, "worse")
      assert.strictEqual(metadataOf(second).offset, 77)
    })
  )
})

describe("Processor.recover: no dead letters", () => {
  const fail = [HandlerError.nonRetryable(new Declined({ card: 1 }))]

  it.effect("stop fails the consumer and names the record", () =>
    Effect.gen(function* () {
      const ran = yield* run(fail, { deadLetter: DeadLetter.none("stop") })
      const error = failed(ran)
      assert.strictEqual(error.message, "HandlingFailed: group billing: orders-3 at offset 42: Declined")
      assert.instanceOf(error.cause, HandlerError.NonRetryableError)
      assert.deepStrictEqual(ran.world.metrics, [
        ["failed", "Declined"],
        ["error", 1]
      ])
    })
  )

  it.effect("skip discards the record, with a log line", () =>
    Effect.gen(function* () {
      const ran = yield* run(fail, { deadLetter: DeadLetter.none("skip") })
      assert.strictEqual(succeeded(ran), "discarded")
      assert.deepStrictEqual(ran.world.metrics, [
        ["failed", "Declined"],
        ["error", 1]
      ])
      assert.deepStrictEqual(
        ran.world.logs.map(({ level }) => level),
        ["Error"]
      )
      assert.deepStrictEqual(ran.world.tried, [])
    })
  )

  it.effect("follow the retries", () =>
    Effect.gen(function* () {
      const ran = yield* run(times(9, Effect.fail("failed")), { deadLetter: DeadLetter.none("skip") })
      assert.strictEqual(succeeded(ran), "discarded")
      assert.strictEqual(ran.attempts.length, 4)
    })
  )

  it("need no producer", () => {
    const make: Effect.Effect<Processor.Processor<never>, ConsumerError> = Processor.make({
      groupId: "billing",
      topics: ["orders"],
      value: Codec.json(Schema.Number),
      handler: ({ value }) => Effect.fail(value),
      deadLetter: DeadLetter.none("skip"),
      handlerTimeout: Duration.infinity
    })
    assert.isDefined(Effect.runSync(make))
  })
})

describe("Processor.make", () => {
  const make = (partitions: (topic: string) => Effect.Effect<number, ProducerError>, options: Options = {}) =>
    Effect.suspend(() => {
      const world = makeWorld()
      return makeProcessor(world, () => Effect.void, options).pipe(
        Effect.provide(producerLayer(world, [], partitions)),
        Effect.provide(worldLayer(world))
      )
    })

  for (const reason of ["UnknownTopic", "Authorization", "InvalidRecord", "Closed"] as const) {
    it.effect(`fails when a dead letter topic answers ${reason}`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(
          make((topic) => (topic === "b-dlq" ? Effect.fail(producerError(reason, topic)) : Effect.succeed(1)), {
            topics: ["a", "b"]
          })
        )
        assert.strictEqual(error.reason, "DeadLetterTopic")
        assert.include(error.description, "b-dlq")
      })
    )
  }

  it.effect("retries until it gets an answer", () =>
    Effect.gen(function* () {
      const asked: Array<number> = []
      const partitions = (topic: string) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) =>
          asked.push(now) > 9
            ? Effect.succeed(1)
            : Effect.fail(producerError(asked.length % 2 === 0 ? "Broker" : "DeliveryTimeout", topic))
        )
      yield* Effect.withRandom(inTime(make(partitions)), Random.fixed([0]))
      assert.deepStrictEqual(
        asked.map((at) => at / 1_000),
        [0, 0.25, 0.75, 1.75, 3.75, 7.75, 15.75, 31.75, 61.75, 91.75]
      )
    })
  )

  it.effect("rejects a topic that would be its own dead letter topic", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(make(() => Effect.succeed(1), { deadLetter: DeadLetter.topic("orders") }))
      assert.strictEqual(error.reason, "DeadLetterTopic")
    })
  )

  it.effect("rejects a topic for which the policy's function throws", () =>
    Effect.gen(function* () {
      const deadLetter = DeadLetter.topic(() => {
        throw new Error("no name")
      })
      const error = yield* Effect.flip(make(() => Effect.succeed(1), { deadLetter }))
      assert.strictEqual(error.reason, "DeadLetterTopic")
      assert.include(error.description, "no name")
    })
  )
})
