/**
 * For runtimes: turns a handler's result for a record into the record's one outcome, with retries and dead letters.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type { Caller } from "./CircuitBreaker.js"
import type { Decoder } from "./Codec.js"
import { ConsumerError } from "./Consumer.js"
import type { LaneActivity } from "./ConsumerSnapshot.js"
import type { DeadLetterPolicy, Destination } from "./DeadLetter.js"
import * as Diagnosis from "./Diagnosis.js"
import type { ConsumedRecord } from "./Envelope.js"
import type { Handler } from "./Handler.js"
import * as HandlerError from "./HandlerError.js"
import * as Attempt from "./internal/attempt.js"
import * as DeadLetterPublisher from "./internal/deadLetterPublisher.js"
import * as RecordLog from "./internal/recordLog.js"
import * as ScheduleCursor from "./internal/scheduleCursor.js"
import * as RetryPolicy from "./RetryPolicy.js"
import * as Concurrency from "./runtime/Concurrency.js"
import { TransportMetrics } from "./TransportMetrics.js"
import { TransportTracing } from "./TransportTracing.js"

/** The result of a handler. Throws an `UnawaitedPromise` if it is a Promise, and then takes note of its rejection. */
export const awaited: <A>(result: A) => A = Attempt.awaited

/** The outcome of a record. Each record has exactly one. */
export type Outcome = "handled" | "deadLettered" | "discarded"

/**
 * Sleeps, then waits until the lane allows the next step: another attempt, or another try to publish a dead letter.
 * Returns false, without delay, once the lane closes.
 */
export type Wait = (delay: Duration.Duration, before: "attempt" | "publish") => Effect.Effect<boolean>

/** The current step for a record whose first attempt failed. */
export type RecoveryStep = Extract<LaneActivity, "handling" | "waiting" | "deadLettering">

/** The lane of a record whose first attempt failed, as `recover` sees it. */
export interface RecordLane {
  readonly wait: Wait
  /** Called as each step begins. */
  readonly onStep?: ((step: RecoveryStep) => void) | undefined
  /** Begins a call for each attempt; `recover` reports how each ends. */
  readonly caller?: Caller | undefined
}

export interface Processor<out R> {
  /**
   * The first attempt: decodes and runs the handler, adding nothing to it. The caller enforces the timeout: it
   * interrupts this and calls `recover` with a `HandlerTimeout`.
   */
  readonly attempt: (record: ConsumedRecord) => Effect.Effect<unknown, unknown, R>
  /**
   * Continues from a failed first attempt to the record's outcome; `none` if the lane closes first, and the record is
   * redelivered. The caller must not pass the cause of its own fiber's interruption.
   */
  readonly recover: (
    record: ConsumedRecord,
    cause: Cause.Cause<unknown>,
    lane: RecordLane
  ) => Effect.Effect<Option.Option<Outcome>, ConsumerError, R>
  /** The dead letter topic for a topic's records; undefined if there is none. */
  readonly deadLetterTopicOf: (topic: string) => string | undefined
  /** Checks the dead letter topics of topics that were unknown at construction, as `make` does. */
  readonly checkTopics: (topics: ReadonlyArray<string>) => Effect.Effect<void, ConsumerError>
}

export interface ProcessorOptions<A, E, R, RD> {
  readonly groupId: string
  /** The topics known at construction. */
  readonly topics: ReadonlyArray<string>
  readonly handler: Handler<A, E, R>
  readonly value: Decoder<A>
  /** Default: `RetryPolicy.exponential()`. */
  readonly retry?: RetryPolicy.RetryPolicy | undefined
  readonly deadLetter: DeadLetterPolicy<RD>
  /** Default: `HandlerError.classify`. */
  readonly classify?: HandlerError.Classify | undefined
  /** Interrupts a retry that runs longer. */
  readonly handlerTimeout: Duration.Duration
  /** Whether log lines about a record include 1,024 characters of its key and of its value, as text. Default: false. */
  readonly logPayloads?: boolean | undefined
  /** Called before each attempt after the first. */
  readonly onRetry?: ((record: ConsumedRecord) => void) | undefined
  /**
   * Called with each error that blocks a dead letter, and with the change that fixes it if retrying can't; with
   * `undefined` when nothing blocks one any longer.
   */
  readonly onBlocked?: DeadLetterPublisher.OnBlocked | undefined
}

/**
 * Checks that the dead letter topics of all topics exist, and retries until it knows. Fails with `DeadLetterTopic` if
 * one is missing or hidden from this client, with `Authorization` if the client itself is refused, and with
 * `Configuration` if a topic would be its own dead letter topic.
 */
export const make = Effect.fnUntraced(function* <A, E, R, RD>(
  options: ProcessorOptions<A, E, R, RD>
): Effect.fn.Return<Processor<R>, ConsumerError, RD> {
  const { classify = HandlerError.classify, groupId, handlerTimeout, retry = RetryPolicy.exponential() } = options
  const metrics = yield* TransportMetrics
  const tracing = yield* TransportTracing
  const { attempt, following } = tracing.processing(Attempt.make(options.value, options.handler), options)
  const log = RecordLog.make(groupId, options.logPayloads ?? false)
  const destination = yield* options.deadLetter.destination
  const checkTopics = (topics: ReadonlyArray<string>) =>
    destination._tag === "None" ? Effect.void : DeadLetterPublisher.check(destination, topics, groupId)
  yield* checkTopics(options.topics)
  const settleFailed = yield* makeSettleFailed(options, destination, log)

  const retried = Effect.fnUntraced(function* (record: ConsumedRecord, number: number) {
    const { processingDuration, retried } = metrics.consumer({ topic: record.topic, groupId })
    options.onRetry?.(record)
    retried(1)
    const start = yield* Clock.currentTimeNanos
    const exit = yield* Effect.exit(
      Concurrency.timeoutFail(Effect.map(attempt(record, number), Attempt.awaited), {
        duration: handlerTimeout,
        onTimeout: () => new HandlerError.HandlerTimeout({ timeout: handlerTimeout })
      })
    )
    processingDuration(Number((yield* Clock.currentTimeNanos) - start) / 1e9)
    return exit
  })

  const recover = Effect.fnUntraced(function* (
    record: ConsumedRecord,
    first: Cause.Cause<unknown>,
    { caller, onStep = () => {}, wait }: RecordLane
  ) {
    const { failed } = metrics.consumer({ topic: record.topic, groupId })
    let failure = HandlerError.failureOf(first, 1)
    let cursor = ScheduleCursor.make(retry)
    while (true) {
      const { error } = original(failure)
      failed(error)
      const step = yield* nextAttempt(classify, cursor, failure, caller, (defect) =>
        log.policyFailed({ record, attempt: failure.attempt, error: defect, cause: Cause.die(defect) })
      )
      if (Option.isNone(step)) {
        onStep("deadLettering")
        return yield* settleFailed(record, failure, wait)
      }
      onStep("waiting")
      const { attempt, delay } = step.value
      const more = attempt === failure.attempt ? RecordLog.untilAdmitted : RecordLog.delayed(delay)
      yield* log.retrying({ record, attempt: failure.attempt, error, more })
      if (!(yield* wait(delay, "attempt"))) return Option.none()
      onStep("handling")
      const exit = yield* retried(record, attempt)
      if (Exit.isSuccess(exit)) {
        caller?.succeeded()
        metrics.consumer({ topic: record.topic, groupId }).processed("success", 1)
        return Option.some<Outcome>("handled")
      }
      failure = HandlerError.failureOf(exit.cause, attempt)
      cursor = step.value.cursor
    }
  })

  return {
    attempt: (record) => attempt(record, 1),
    recover: (record, cause, lane) => following(record, recover(record, cause, lane)),
    checkTopics,
    deadLetterTopicOf: (topic) =>
      destination._tag === "None" ? undefined : Option.getOrUndefined(Option.liftThrowable(destination.topicOf)(topic))
  }
})

interface NextAttempt extends ScheduleCursor.ScheduleStep<HandlerError.HandlerFailure> {
  /** The number of the attempt: that of the failed one if the circuit breaker absorbed the failure. */
  readonly attempt: number
}

/** The action after a failure, if the record is retried. If the policy or `classify` throws, nothing is retried. */
const nextAttempt = (
  classify: HandlerError.Classify,
  cursor: ScheduleCursor.ScheduleCursor<HandlerError.HandlerFailure>,
  failure: HandlerError.HandlerFailure,
  caller: Caller | undefined,
  log: (defect: unknown) => Effect.Effect<void>
): Effect.Effect<Option.Option<NextAttempt>> =>
  Effect.suspend(() => {
    if (Attempt.isUndecodable(failure.error)) return Effect.succeedNone
    const decision = classify(failure)
    if (decision._tag === "DeadLetter") return Effect.succeedNone
    const { attempt } = failure
    if (caller?.failed(failure) === true) return Effect.succeedSome({ attempt, cursor, delay: Duration.zero })
    const own = Duration.decodeUnknown(decision.delay)
    return Effect.map(
      cursor.next(failure),
      Option.map((step) => ({ ...step, attempt: attempt + 1, delay: Option.getOrElse(own, () => step.delay) }))
    )
  }).pipe(
    Effect.catchAllDefect((defect) => Effect.as(log(defect), Option.none())),
    Effect.ensuring(Effect.sync(() => caller?.ignored()))
  )

type SettleFailed = (
  record: ConsumedRecord,
  failure: HandlerError.HandlerFailure,
  wait: Wait
) => Effect.Effect<Option.Option<Outcome>, ConsumerError>

const makeSettleFailed = Effect.fnUntraced(function* <A, E, R, RD>(
  { groupId, onBlocked = () => {} }: ProcessorOptions<A, E, R, RD>,
  destination: Destination,
  log: RecordLog.RecordLog
): Effect.fn.Return<SettleFailed> {
  const metrics = yield* TransportMetrics
  const consumerMetrics = ({ topic }: ConsumedRecord) => metrics.consumer({ topic, groupId })

  if (destination._tag === "None") {
    return (record, failure) => {
      const { cause, error } = original(failure)
      const isSkipped = destination.otherwise === "skip"
      const line = isSkipped ? log.discarding : log.stopping
      const description = `${record.topic}-${record.partition} at offset ${record.offset}: ${HandlerError.messageOf(error)}`
      consumerMetrics(record).processed("error", 1)
      return Effect.zipRight(
        line({ record, attempt: failure.attempt, error, cause }),
        isSkipped
          ? Effect.succeedSome<Outcome>("discarded")
          : new ConsumerError({ reason: "HandlingFailed", groupId, description, cause: Diagnosis.carried(error) })
      )
    }
  }

  const publish = DeadLetterPublisher.make({
    destination,
    groupId,
    log,
    onBlocked,
    onFailure: (record) => consumerMetrics(record).deadLetterFailed(1)
  })
  return Effect.fnUntraced(function* (record, failure, wait) {
    const { cause, error } = original(failure)
    yield* log.deadLettering({ record, attempt: failure.attempt, error, cause })
    const failedAt = yield* Clock.currentTimeMillis
    const published = yield* Effect.tapError(
      publish({ record, error, attempts: failure.attempt, failedAt, groupId }, (delay) => wait(delay, "publish")),
      () => Effect.sync(() => consumerMetrics(record).processed("error", 1))
    )
    if (Option.isNone(published)) return Option.none()
    consumerMetrics(record).processed("error", 1)
    consumerMetrics(record).deadLettered(1)
    return Option.some<Outcome>("deadLettered")
  })
})

/** The failure as its cause had it before this module wrapped it. */
const original = ({
  cause,
  error
}: HandlerError.HandlerFailure): Pick<HandlerError.HandlerFailure, "cause" | "error"> => ({
  cause: Attempt.decodeCauseOf(cause),
  error: Attempt.decodeErrorOf(error)
})
