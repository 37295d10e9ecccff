import { assert, describe, it } from "@effect/vitest"
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import type { OffsetCommitRequest } from "@spillway/kafka/Protocol"
import { Wire } from "@spillway/kafka/Wire"
import { MemoryBroker } from "@spillway/memory/MemoryBroker"
import type { ConsumerError } from "@spillway/transport/Consumer"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import type { Envelope } from "@spillway/transport/Envelope"
import * as HandlerError from "@spillway/transport/HandlerError"
import type { InvalidOptions } from "@spillway/transport/InvalidOptions"
import { Producer } from "@spillway/transport/Producer"
import * as RetryPolicy from "@spillway/transport/RetryPolicy"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import * as TestContext from "effect/TestContext"
import * as FastCheck from "fast-check"
import { observed, onBroker, options, topic } from "../support/consumerTesting.js"

/** The results of the attempts at a record, one letter each; later attempts succeed. */
type Script = string

type Step =
  | { readonly _tag: "Produce"; readonly partition: number; readonly scripts: ReadonlyArray<Script> }
  | { readonly _tag: "Wait"; readonly millis: number }
  | { readonly _tag: "Restart" }
  | { readonly _tag: "Cut"; readonly millis: number }

// s: success, t: temporary error, n: not retryable, d: defect, w: slow, h: longer than a drain waits
const attempts: Readonly<Record<string, Effect.Effect<unknown, unknown>>> = {
  s: Effect.void,
  t: HandlerError.temporary("temporary"),
  n: HandlerError.nonRetryable("never"),
  d: Effect.die("defect"),
  w: Effect.sleep("700 millis"),
  h: Effect.sleep("3 seconds")
}

const script = FastCheck.oneof(
  { weight: 3, arbitrary: FastCheck.constant("s") },
  { weight: 2, arbitrary: FastCheck.stringMatching(/^[stndwh]{1,4}$/) }
)

const step = (others: ReadonlyArray<FastCheck.Arbitrary<Step>>): FastCheck.Arbitrary<Step> =>
  FastCheck.oneof(
    FastCheck.record({
      _tag: FastCheck.constant("Produce" as const),
      partition: FastCheck.nat(1),
      scripts: FastCheck.array(script, { minLength: 1, maxLength: 5 })
    }),
    FastCheck.record({ _tag: FastCheck.constant("Wait" as const), millis: FastCheck.nat(2_500) }),
    ...others
  )

const restart = FastCheck.record({ _tag: FastCheck.constant("Restart" as const) })
const cut = FastCheck.record({
  _tag: FastCheck.constant("Cut" as const),
  millis: FastCheck.integer({ min: 1, max: 15_000 })
})

const consuming = {
  ...options,
  retry: RetryPolicy.fixed({ retries: 2, delay: "400 millis" }),
  deadLetter: DeadLetter.topic("orders-dlq"),
  drainTimeout: "2 seconds",
  sessionTimeout: "6 seconds",
  fetchMaxWait: "5 seconds"
} as const

/** Runs the steps and checks every commit before it is sent; returns the records redelivered after they had settled. */
const play = Effect.fnUntraced(function* (steps: ReadonlyArray<Step>) {
  const broker = yield* MemoryBroker
  const client = yield* broker.client("consumer")
  const producer = yield* KafkaProducer.make()
  const produced: ReadonlyArray<Array<Script>> = [[], []]
  const handled: ReadonlyArray<Set<number>> = [new Set(), new Set()]
  const committed = [0, 0]
  const again: Array<string> = []

  const settled = Effect.map(broker.records("orders-dlq"), (letters) => {
    const all = handled.map((offsets) => new Set(offsets))
    for (const letter of letters) {
      const { offset, partition } = Option.getOrThrow(DeadLetter.metadata(letter))
      all[partition!]!.add(offset!)
    }
    return all
  })

  const firstUnsettled = Effect.map(settled, (all) =>
    all.map((offsets) => {
      let first = 0
      while (offsets.has(first)) first++
      return first
    })
  )

  const check = Effect.fnUntraced(function* (topics: OffsetCommitRequest["topics"]) {
    const limits = yield* firstUnsettled
    for (const { offset, partition } of topics.flatMap(({ partitions }) => partitions)) {
      assert.isAtMost(offset, limits[partition]!, `partition ${partition} committed past an unsettled record`)
      assert.isAtLeast(offset, committed[partition]!, `partition ${partition} committed backwards`)
    }
  })

  const note = Effect.map(broker.committed(options.groupId), (all) => {
    for (const { offset, partition } of all) committed[partition] = offset
  })

  const handler = ({ attempt, offset, partition, value }: Envelope<string>) =>
    Effect.flatMap(settled, (all) => {
      if (all[partition]!.has(offset)) again.push(`${partition}-${offset}`)
      const done = Effect.sync(() => handled[partition]!.add(offset))
      return Effect.zipRight(attempts[value[attempt - 1] ?? "s"]!, done)
    })

  // A failed check would be a defect of the committing fiber, so it is kept for the end.
  let broken: unknown
  const wire = observed(client.wire, (api, request) =>
    api !== "OffsetCommit"
      ? Effect.void
      : Effect.zipRight(note, check((request as OffsetCommitRequest).topics)).pipe(
          Effect.catchAllDefect((defect) =>
            Effect.sync(() => {
              broken ??= defect
            })
          )
        )
  )

  const start = Effect.gen(function* () {
    const scope = yield* Scope.make()
    const starting = yield* Effect.fork(
      Scope.extend(KafkaConsumer.make({ ...consuming, handler }), scope).pipe(
        Effect.provideService(Wire, wire),
        Effect.provideService(Producer, producer)
      )
    )
    yield* TestClock.adjust("10 millis")
    return { scope, starting }
  })

  const stop = (running: {
    readonly scope: Scope.CloseableScope
    readonly starting: Fiber.Fiber<unknown, ConsumerError | InvalidOptions>
  }) =>
    Effect.gen(function* () {
      const stopping = yield* Effect.fork(
        Effect.zipRight(Fiber.interrupt(running.starting), Scope.close(running.scope, Exit.void))
      )
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(stopping)
    })

  let running = yield* start
  for (const step of steps) {
    if (step._tag === "Produce") {
      const { partition, scripts } = step
      produced[partition]!.push(...scripts)
      yield* broker.produce(
        topic,
        scripts.map((value) => ({ value, partition }))
      )
    } else if (step._tag === "Wait") yield* TestClock.adjust(step.millis)
    else if (step._tag === "Restart") {
      yield* stop(running)
      yield* note
      assert.deepStrictEqual(committed, yield* firstUnsettled, "a clean drain commits every settled record")
      running = yield* start
    } else {
      yield* client.cut
      yield* TestClock.adjust(step.millis)
      yield* client.restore
    }
  }
  yield* TestClock.adjust(10_000 + 5_000 * produced.flat().length)
  yield* stop(running)
  if (broken !== undefined) throw broken
  yield* note
  assert.deepStrictEqual(
    committed,
    produced.map((scripts) => scripts.length),
    "every record is settled and committed in the end"
  )
  return again
})

const holds = (steps: FastCheck.Arbitrary<Step>, verify: (again: ReadonlyArray<string>) => void, numRuns: number) =>
  FastCheck.assert(
    FastCheck.asyncProperty(FastCheck.array(steps, { minLength: 1, maxLength: 10 }), (all) =>
      play(all).pipe(
        Effect.map(verify),
        onBroker({ topics: { [topic]: 2, "orders-dlq": 2 } }),
        Effect.provide(TestContext.TestContext),
        Effect.runPromise
      )
    ),
    { numRuns, interruptAfterTimeLimit: 60_000 }
  )

describe("promises", () => {
  it(
    "commits no unsettled record and repeats no settled one, for any handler results and any stops",
    () => holds(step([restart]), (again) => assert.deepStrictEqual(again, []), 25),
    120_000
  )

  it(
    "commits no unsettled record and handles every record, for any disconnects",
    () => holds(step([cut]), () => {}, 15),
    120_000
  )
})
