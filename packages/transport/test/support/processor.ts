/**
 * A lane in miniature around one processor: the first attempt, a producer with scripted answers, and a log of
 * everything.
 */
import { assert } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HashMap from "effect/HashMap"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import type * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import * as Codec from "../../src/Codec.js"
import type { ConsumerError } from "../../src/Consumer.js"
import * as DeadLetter from "../../src/DeadLetter.js"
import type { ConsumedRecord, Envelope } from "../../src/Envelope.js"
import * as HandlerError from "../../src/HandlerError.js"
import * as Headers from "../../src/Headers.js"
import { Producer, ProducerError, type ProducerErrorReason, type ProducerRecord } from "../../src/Producer.js"
import * as RetryPolicy from "../../src/RetryPolicy.js"
import * as Processor from "../../src/runtime/Processor.js"
import { TransportMetrics } from "../../src/TransportMetrics.js"

export class Declined extends Data.TaggedError("Declined")<{ readonly card: number }> {}

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)

export const source: ConsumedRecord = {
  topic: "orders",
  partition: 3,
  offset: 42,
  timestamp: 1_000,
  key: utf8("key"),
  value: utf8("value"),
  headers: Headers.fromRecord({ trace: "t-1" })
}

interface Sent {
  readonly at: number
  readonly record: ProducerRecord
}

/** A broker's answers to `send`, in turn; after that it accepts everything. */
export type Answer = ProducerErrorReason | "ok" | "dies" | "hangs"

export interface World {
  /** Every try to publish. */
  readonly tried: Array<Sent>
  readonly acknowledged: Array<ProducerRecord>
  readonly metrics: Array<readonly [name: string, value: unknown]>
  readonly logs: Array<{
    readonly level: LogLevel.LogLevel["_tag"]
    readonly text: string
    readonly annotations: object
  }>
  readonly blocked: Array<ProducerErrorReason | undefined>
}

export const makeWorld = (): World => ({ tried: [], acknowledged: [], metrics: [], logs: [], blocked: [] })

export const producerError = (reason: ProducerErrorReason, topic: string) =>
  new ProducerError({ reason, topic, description: "refused" })

/** A producer for topics with the given partition counts. */
export const producerLayer = (
  { acknowledged, tried }: World,
  answers: ReadonlyArray<Answer> = [],
  partitions: (topic: string) => Effect.Effect<number, ProducerError> = () => Effect.succeed(6)
) => {
  const left = [...answers]
  const send = Effect.fnUntraced(function* (record: ProducerRecord) {
    tried.push({ at: yield* Clock.currentTimeMillis, record })
    const answer = left.shift() ?? "ok"
    if (answer === "dies") return yield* Effect.die("socket exploded")
    if (answer === "hangs") return yield* Effect.never
    if (answer !== "ok") return yield* producerError(answer, record.topic)
    acknowledged.push(record)
    return { topic: record.topic, partition: record.partition ?? 0, offset: acknowledged.length - 1, timestamp: 0 }
  })
  return Layer.succeed(Producer, {
    send,
    sendAll: (records) => Effect.forEach(records, send),
    sendAllEither: (records) => Effect.forEach(records, (record) => Effect.either(send(record))),
    partitions
  })
}

export const worldLayer = ({ logs, metrics }: World) => {
  const count = (name: string) => (value: unknown) => void metrics.push([name, value])
  const logger = Logger.make(({ annotations, logLevel, message }) => {
    logs.push({
      level: logLevel._tag,
      text: Array.isArray(message) ? String(message[0]) : String(message),
      annotations: Object.fromEntries(HashMap.toEntries(annotations))
    })
  })
  return Layer.merge(
    Logger.replace(Logger.defaultLogger, logger),
    Layer.succeed(TransportMetrics, {
      enabled: true,
      consumer: ({ groupId, topic }) => {
        assert.deepStrictEqual([groupId, topic], ["billing", "orders"])
        return {
          received: count("received"),
          processed: (status, records) => void metrics.push([status, records]),
          processingDuration: count("duration"),
          failed: (error) => void metrics.push(["failed", HandlerError.typeOf(error)]),
          retried: count("retried"),
          deadLettered: count("deadLettered"),
          deadLetterFailed: count("deadLetterFailed"),
          offsetReset: () => {},
          skipped: count("skipped")
        }
      },
      group: () => ({ rebalanced: () => {}, committed: () => {}, commitFailed: () => {} }),
      producer: () => ({ sent: () => {}, publishDuration: () => {}, abandoned: () => {} }),
      observeConsumer: () => Effect.void,
      activeConsumer: Effect.void,
      activeProducer: Effect.void
    })
  )
}

export type TextHandler = (envelope: Envelope<string>) => Effect.Effect<unknown, unknown>

export type Options = Partial<Processor.ProcessorOptions<string, unknown, never, Producer>>

export const makeProcessor = (world: World, handler: TextHandler, options: Options = {}) =>
  Processor.make<string, unknown, never, Producer>({
    groupId: "billing",
    topics: ["orders"],
    value: Codec.text,
    handler,
    deadLetter: DeadLetter.topic(),
    handlerTimeout: Duration.minutes(5),
    retry: RetryPolicy.exponential({ jitter: false }),
    onBlocked: (_, error) => world.blocked.push(error?.reason),
    ...options
  })

export const sleepThrough: Processor.Wait = (delay) => Effect.as(Effect.sleep(delay), true)

type Handled = Effect.Effect<Option.Option<Processor.Outcome>, ConsumerError>

/** A lane's work: attempts, and the recovery from each failure. */
export const process = (
  processor: Processor.Processor<never>,
  record: ConsumedRecord,
  wait?: Processor.Wait | undefined,
  retry?: Processor.Retry | undefined
): Handled =>
  Effect.matchCauseEffect(Effect.map(processor.attempt(record, retry), Processor.awaited), {
    onFailure: (cause) => recover(processor, record, { cause, retry }, wait),
    onSuccess: () => Effect.succeedSome("handled")
  })

/** A lane's work after a failed attempt. */
export const recover = (
  processor: Processor.Processor<never>,
  record: ConsumedRecord,
  failed: Processor.FailedAttempt,
  wait: Processor.Wait = sleepThrough
): Handled =>
  Effect.flatMap(processor.recover(record, failed, { wait }), (recovery): Handled => {
    if (recovery._tag === "Retry") return process(processor, record, wait, recovery)
    return recovery._tag === "Settled" ? Effect.succeedSome(recovery.outcome) : Effect.succeedNone
  })

/** Advances time until the effect is done. */
export const inTime = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(effect)
    yield* TestClock.adjust("1 hour")
    return yield* Fiber.join(fiber)
  })

interface Run<A> {
  readonly world: World
  readonly result: A
}

/** Processes one record with a handler that fails in the given ways, then succeeds. */
export const run = (
  ends: ReadonlyArray<Effect.Effect<unknown, unknown>>,
  options: Options & { readonly answers?: ReadonlyArray<Answer>; readonly record?: ConsumedRecord } = {}
) =>
  Effect.gen(function* () {
    const { answers, record = source, ...rest } = options
    const world = makeWorld()
    const attempts: Array<{ readonly at: number; readonly envelope: Envelope<string> }> = []
    const handler = (envelope: Envelope<string>) =>
      Effect.flatMap(Clock.currentTimeMillis, (at) => {
        attempts.push({ at, envelope })
        return ends[attempts.length - 1] ?? Effect.void
      })
    const result = yield* makeProcessor(world, handler, rest).pipe(
      Effect.flatMap((processor) => inTime(Effect.exit(process(processor, record)))),
      Effect.provide(Layer.merge(worldLayer(world), producerLayer(world, answers)))
    )
    return { world, attempts, result }
  })

export const metadataOf = ({ world }: Run<unknown>) =>
  Option.getOrThrow(DeadLetter.metadata({ ...source, headers: world.acknowledged[0]!.headers as Headers.Headers }))

export const succeeded = <E>({ result }: Run<Exit.Exit<Option.Option<Processor.Outcome>, E>>) =>
  Option.getOrThrow(Exit.getOrElse(result, (cause) => assert.fail(Cause.pretty(cause))))

export const failed = ({ result }: Run<Exit.Exit<unknown, unknown>>): ConsumerError =>
  Exit.match(result, {
    onSuccess: () => assert.fail("succeeded"),
    onFailure: (cause) => Option.getOrThrow(Cause.failureOption(cause)) as ConsumerError
  })

export const times = <A>(n: number, value: A): ReadonlyArray<A> => Array.from({ length: n }, () => value)

export const named = (world: World, name: string) => world.metrics.filter((metric) => metric[0] === name)
