/**
 * An attempt at a record, and the reaction to a failed one: a retry, a dead letter or neither. For Spillway's own
 * runtimes; unstable.
 *
 * A lane makes the attempts. It interrupts them after the consumer's `handlerTimeout`, and reports those that succeed.
 * The lanes of `@spillway/kafka` are the only ones; this package's tests play a lane without a time limit.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Decoder } from "../Codec.js"
import { ConsumerError } from "../Consumer.js"
import type { DeadLetterPolicy, Destination } from "../DeadLetter.js"
import type { ConsumedRecord } from "../Envelope.js"
import type { Handler } from "../Handler.js"
import * as HandlerError from "../HandlerError.js"
import * as Attempt from "../internal/attempt.js"
import * as DeadLetterPublisher from "../internal/deadLetterPublisher.js"
import * as RecordLog from "../internal/recordLog.js"
import * as ScheduleCursor from "../internal/scheduleCursor.js"
import * as RetryPolicy from "../RetryPolicy.js"
import { TransportMetrics } from "../TransportMetrics.js"
import { TransportTracing } from "../TransportTracing.js"
import type { Caller } from "./CircuitBreaker.js"
import type { PartitionActivity } from "./ConsumerSnapshot.js"
import * as Diagnosis from "./Diagnosis.js"
import { failureOf } from "./Failure.js"

export type { OnBlocked } from "../internal/deadLetterPublisher.js"
export type { ScheduleCursor, ScheduleStep } from "../internal/scheduleCursor.js"

/**
 * The result of a handler. Throws an `UnawaitedPromise` if it is or holds a Promise, and takes note of its rejection.
 */
export const awaited: <A>(result: A) => A = Attempt.awaited

/** The outcome of a record. Each record has exactly one. */
export type Outcome = "handled" | "deadLettered" | "discarded"

/**
 * Sleeps, then waits until the lane allows the next step: another attempt, or another try to publish a dead letter.
 * Returns false, without delay, once the lane closes.
 */
export type Wait = (delay: Duration.Duration, before: "attempt" | "publish") => Effect.Effect<boolean>

/** The current step for a record whose last attempt failed. */
export type RecoveryStep = Extract<PartitionActivity, "waiting" | "deadLettering">

/** The lane of a record whose last attempt failed, as `recover` sees it. */
export interface RecordLane {
  /** Waits before each further step. */
  readonly wait: Wait
  /** Called as each step begins. */
  readonly onStep?: ((step: RecoveryStep) => void) | undefined
  /** Begins a call for each attempt; `recover` reports to it how a failed one counts. */
  readonly caller?: Caller | undefined
}

type Cursor = ScheduleCursor.ScheduleCursor<HandlerError.HandlerFailure>

/** An attempt after the first. */
export interface Retry {
  readonly _tag: "Retry"
  /** The number of the attempt; that of the failed one if the circuit breaker absorbed the failure. */
  readonly attempt: number
  /** Where the retry policy stands. */
  readonly cursor: Cursor
  /** Where the policy stands for a codec that is unavailable, whose retries are counted apart. */
  readonly unavailable?: Cursor | undefined
}

/** A failed attempt. */
export interface FailedAttempt {
  /** Why it failed. Not an interruption of the caller's own fiber. */
  readonly cause: Cause.Cause<unknown>
  /** The retry that failed; `undefined` for a record's first attempt. */
  readonly retry: Retry | undefined
}

/**
 * The reaction to a failed attempt.
 *
 * - `Retry`: the wait for it is over, the lane makes it now
 * - `Settled`: the record has its outcome
 * - `Unsettled`: the lane has closed, and the record is redelivered
 */
export type Recovery =
  | Retry
  | {
      readonly _tag: "Settled"
      /** The record's outcome: `deadLettered` or `discarded`. */
      readonly outcome: Outcome
    }
  | { readonly _tag: "Unsettled" }

const settled = (outcome: Outcome): Recovery => ({ _tag: "Settled", outcome })
const unsettled: Recovery = { _tag: "Unsettled" }

/** Makes the attempts at a consumer's records, and reacts to the failed ones. */
export interface Processor<out R> {
  /** An attempt, the first or a retry: decodes and runs the handler, adding nothing to it. */
  readonly attempt: (record: ConsumedRecord, retry?: Retry | undefined) => Effect.Effect<unknown, unknown, R>
  /** Continues from a failed attempt to the next one or to the record's outcome. */
  readonly recover: (
    record: ConsumedRecord,
    failed: FailedAttempt,
    lane: RecordLane
  ) => Effect.Effect<Recovery, ConsumerError>
  /** The dead letter topic for a topic's records; undefined if there is none. */
  readonly deadLetterTopicOf: (topic: string) => string | undefined
  /** Checks the dead letter topics of topics that were unknown at construction, as `make` does. */
  readonly checkTopics: (topics: ReadonlyArray<string>) => Effect.Effect<void, ConsumerError>
}

/** The options of a consumer that concern the handling of its records. */
export interface ProcessorOptions<A, E, R, RD, K = Uint8Array | null> {
  /** The consumer's group. */
  readonly groupId: string
  /** The topics known at construction. */
  readonly topics: ReadonlyArray<string>
  /** Handles a decoded record. */
  readonly handler: Handler<A, E, R, K>
  /** Decodes the keys. Default: a key stays bytes. */
  readonly key?: Decoder<K> | undefined
  /** Decodes the values. */
  readonly value: Decoder<A>
  /** The delays between attempts. Default: `RetryPolicy.exponential()`. */
  readonly retry?: RetryPolicy.RetryPolicy | undefined
  /** The policy for records whose handling fails permanently. */
  readonly deadLetter: DeadLetterPolicy<RD>
  /** Decides whether a failure is retried. Default: `HandlerError.classify`. */
  readonly classify?: HandlerError.Classify | undefined
  /** A span shows an attempt as timed out if it was interrupted after this time. */
  readonly handlerTimeout: Duration.Duration
  /** Whether log lines about a record include 1,024 characters of its key and of its value, as text. Default: false. */
  readonly logPayloads?: boolean | undefined
  /**
   * Called with each error that blocks a dead letter, and with the change that fixes it if retrying can't; with
   * `undefined` when nothing blocks one any longer.
   */
  readonly onBlocked?: DeadLetterPublisher.OnBlocked | undefined
}

/**
 * Checks that the dead letter topics of all topics exist, and retries until it knows. Fails with `DeadLetterTopic` if
 * one is missing, hidden from this client or its own dead letter topic, and with `Authorization` if the client itself is
 * refused.
 */
export const make = Effect.fnUntraced(function* <A, E, R, RD, K = Uint8Array | null>(
  options: ProcessorOptions<A, E, R, RD, K>
): Effect.fn.Return<Processor<R>, ConsumerError, RD> {
  const { classify = HandlerError.classify, groupId, retry: policy = RetryPolicy.exponential() } = options
  const metrics = yield* TransportMetrics
  const tracing = yield* TransportTracing
  const { attempt, following } = tracing.processing(Attempt.make(options), options)
  const log = RecordLog.make(groupId, options.logPayloads ?? false)
  const destination = yield* options.deadLetter.destination
  const checkTopics = (topics: ReadonlyArray<string>) =>
    destination._tag === "None" ? Effect.void : DeadLetterPublisher.check(destination, topics, groupId)
  yield* checkTopics(options.topics)
  const settleFailed = yield* makeSettleFailed(options, destination, log)

  const recover = Effect.fnUntraced(function* (
    record: ConsumedRecord,
    { cause, retry }: FailedAttempt,
    { caller, onStep = () => {}, wait }: RecordLane
  ) {
    const failure = failureOf(cause, retry?.attempt ?? 1)
    const { error } = failure
    metrics.consumer({ topic: record.topic, groupId }).failed(error)
    const next = yield* nextAttempt({ classify, policy, retry, failure, caller }, (defect) =>
      log.policyFailed({ record, attempt: failure.attempt, error: defect, cause: Cause.die(defect) })
    )
    if (Option.isNone(next)) {
      onStep("deadLettering")
      return yield* settleFailed(record, failure, wait)
    }
    onStep("waiting")
    const { delay, ...again } = next.value
    const { attempt } = again
    const more = attempt === failure.attempt ? RecordLog.untilAdmitted : RecordLog.delayed(delay)
    yield* log.retrying({ record, attempt: failure.attempt, error, more })
    return (yield* wait(delay, "attempt")) ? ({ _tag: "Retry", ...again } satisfies Recovery) : unsettled
  })

  return {
    attempt: (record, retry) =>
      retry === undefined ? attempt(record, 1) : following(record, attempt(record, retry.attempt)),
    recover: (record, failed, lane) => following(record, recover(record, failed, lane)),
    checkTopics,
    deadLetterTopicOf: (topic) =>
      destination._tag === "None" ? undefined : Option.getOrUndefined(Option.liftThrowable(destination.topicOf)(topic))
  }
})

interface NextAttempt extends Omit<Retry, "_tag"> {
  readonly delay: Duration.Duration
}

/** An unavailable codec is retried forever. */
const endless = RetryPolicy.exponential({ retries: Number.POSITIVE_INFINITY, cap: "30 seconds" })

/**
 * The action after a failure, if the record is retried. If the policy or `classify` throws, only an unavailable codec is
 * retried.
 */
const nextAttempt = (
  {
    caller,
    classify,
    failure,
    policy,
    retry
  }: {
    readonly classify: HandlerError.Classify
    readonly policy: RetryPolicy.RetryPolicy
    readonly retry: Retry | undefined
    readonly failure: HandlerError.HandlerFailure
    readonly caller: Caller | undefined
  },
  log: (defect: unknown) => Effect.Effect<void>
): Effect.Effect<Option.Option<NextAttempt>> => {
  const { attempt, error, stage } = failure
  const isUnavailable = stage === "decoding" && HandlerError.isUnavailable(error)
  const cursor = retry?.cursor ?? ScheduleCursor.make(policy)
  const unavailable = retry?.unavailable ?? ScheduleCursor.make(policy)
  const endlessly = Effect.suspend(() => ScheduleCursor.make(endless).next(failure))
  return Effect.suspend(() => {
    let decision: HandlerError.Decision
    try {
      decision = classify(failure)
    } catch (thrown) {
      // Effect inspects a thrown value, which may throw in its turn.
      return Effect.die(thrown)
    }
    if (decision._tag === "DeadLetter") return Effect.succeedNone
    if (caller?.failed(failure) === true) {
      return Effect.succeedSome({ attempt, cursor, unavailable, delay: Duration.zero })
    }
    const own = Duration.decodeUnknown(decision.delay)
    const delayOf = (step: { readonly delay: Duration.Duration }) => Option.getOrElse(own, () => step.delay)
    return isUnavailable
      ? Effect.map(
          Effect.flatMap(
            unavailable.next(failure),
            Option.match({ onNone: () => endlessly, onSome: Effect.succeedSome })
          ),
          Option.map((step) => ({ attempt: attempt + 1, cursor, unavailable: step.cursor, delay: delayOf(step) }))
        )
      : Effect.map(
          cursor.next(failure),
          Option.map((step) => ({ attempt: attempt + 1, cursor: step.cursor, delay: delayOf(step) }))
        )
  }).pipe(
    Effect.catchAllDefect((defect) =>
      Effect.zipRight(
        log(defect),
        isUnavailable
          ? Effect.map(
              endlessly,
              Option.map((step) => ({ attempt: attempt + 1, cursor, unavailable: step.cursor, delay: step.delay }))
            )
          : Effect.succeedNone
      )
    ),
    Effect.ensuring(Effect.sync(() => caller?.ignored()))
  )
}

type SettleFailed = (
  record: ConsumedRecord,
  failure: HandlerError.HandlerFailure,
  wait: Wait
) => Effect.Effect<Recovery, ConsumerError>

const makeSettleFailed = Effect.fnUntraced(function* (
  { groupId, onBlocked = () => {} }: Pick<ProcessorOptions<never, never, never, never>, "groupId" | "onBlocked">,
  destination: Destination,
  log: RecordLog.RecordLog
): Effect.fn.Return<SettleFailed> {
  const metrics = yield* TransportMetrics
  const consumerMetrics = ({ topic }: ConsumedRecord) => metrics.consumer({ topic, groupId })

  if (destination._tag === "None") {
    return (record, failure) => {
      const { cause, error } = failure
      const isSkipped = destination.otherwise === "skip"
      const line = isSkipped ? log.discarding : log.stopping
      const description = `${record.topic}-${record.partition} at offset ${record.offset}: ${HandlerError.messageOf(error)}`
      consumerMetrics(record).processed("error", 1)
      return Effect.zipRight(
        line({ record, attempt: failure.attempt, error, cause }),
        isSkipped
          ? Effect.succeed(settled("discarded"))
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
    const { cause, error } = failure
    yield* log.deadLettering({ record, attempt: failure.attempt, error, cause })
    const failedAt = yield* Clock.currentTimeMillis
    const published = yield* Effect.tapError(
      publish({ record, error, attempts: failure.attempt, failedAt, groupId }, (delay) => wait(delay, "publish")),
      () => Effect.sync(() => consumerMetrics(record).processed("error", 1))
    )
    if (Option.isNone(published)) return unsettled
    consumerMetrics(record).processed("error", 1)
    consumerMetrics(record).deadLettered(1)
    return settled("deadLettered")
  })
})
