import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import { ConsumerError } from "../Consumer.js"
import type { Destination } from "../DeadLetter.js"
import type { ConsumedRecord } from "../Envelope.js"
import { messageOf } from "../HandlerError.js"
import { ProducerError, type RecordMetadata } from "../Producer.js"
import * as RetryPolicy from "../RetryPolicy.js"
import * as DeadLetter from "../runtime/DeadLetter.js"
import * as Diagnosis from "../runtime/Diagnosis.js"
import { failureOf } from "../runtime/Failure.js"
import * as Logging from "../runtime/Logging.js"
import { remedyOf } from "./deadLetterRemedy.js"
import { delayed, type RecordLog } from "./recordLog.js"
import * as Render from "./render.js"
import * as ScheduleCursor from "./scheduleCursor.js"

type TopicDestination = Extract<Destination, { readonly _tag: "Topic" }>

const cap = Duration.seconds(30)

const backoff = RetryPolicy.exponential({ retries: Number.POSITIVE_INFINITY, base: "250 millis", cap })

/**
 * Fails unless every topic has a visible dead letter topic; retries until brokers answer.
 */
export const check = (
  destination: TopicDestination,
  topics: ReadonlyArray<string>,
  groupId: string
): Effect.Effect<void, ConsumerError> => {
  const pass = Logging.limited({ lines: 1, every: cap })
  const checkTopic = Effect.fnUntraced(function* (topic: string) {
    const deadLetterTopic = yield* topicOf(destination, topic, groupId)
    if (deadLetterTopic === topic) {
      const description = `${topic} can't be its own dead letter topic`
      return yield* new ConsumerError({ reason: "DeadLetterTopic", groupId, description })
    }
    yield* destination.producer.partitions(deadLetterTopic).pipe(
      Effect.tapError((error) =>
        isTransient(error)
          ? pass(
              Logging.log(LogLevel.Warning, "The dead letter topic can't be checked yet; retrying", {
                topic,
                deadLetterTopic,
                groupId,
                error: error.message
              })
            )
          : Effect.void
      ),
      Effect.retry({ schedule: backoff, while: isTransient }),
      Effect.mapError(
        (cause) =>
          new ConsumerError({
            reason: isRefusedClient(cause) ? "Authorization" : "DeadLetterTopic",
            groupId,
            description: `dead letter topic ${deadLetterTopic} of ${topic}: ${cause.message}`,
            cause
          })
      )
    )
  })
  return Effect.forEach(topics, checkTopic, { discard: true })
}

const topicOf = (destination: TopicDestination, topic: string, groupId: string): Effect.Effect<string, ConsumerError> =>
  Effect.try({
    try: () => destination.topicOf(topic),
    catch: (cause) =>
      new ConsumerError({
        reason: "DeadLetterTopic",
        groupId,
        description: `no dead letter topic for ${topic}: ${messageOf(cause)}`,
        cause: Diagnosis.carried(cause)
      })
  })

/** Whether the broker refused the client itself, by its credentials or certificate, rather than access to the topic. */
const isRefusedClient = ({ cause, reason }: ProducerError): boolean =>
  reason === "Authorization" && Render.read(cause, "reason") === "Authentication"

const isTransient = ({ reason }: ProducerError): boolean =>
  reason === "Broker" || reason === "DeliveryTimeout" || reason === "BufferFull"

/** The error that blocks a record's dead letter, and the change that fixes it if retrying can't. */
export type OnBlocked = (record: ConsumedRecord, error: ProducerError | undefined, remedy?: string | undefined) => void

export interface Options {
  readonly destination: TopicDestination
  readonly groupId: string
  readonly log: RecordLog
  readonly onBlocked: OnBlocked
  /** Called with each failed try. */
  readonly onFailure: (record: ConsumedRecord) => void
}

export type Publish = (
  failed: DeadLetter.FailedRecord,
  wait: (delay: Duration.Duration) => Effect.Effect<boolean>
) => Effect.Effect<Option.Option<RecordMetadata>, ConsumerError>

/** Publishes dead letters, retrying until one is acknowledged; `none` if the wait was ended. */
export const make = ({ destination, groupId, log, onBlocked, onFailure }: Options): Publish => {
  const { headers, producer, tooLarge } = destination

  const send = Effect.fnUntraced(function* (failed: DeadLetter.FailedRecord, metadata: "full" | "minimal") {
    const topic = destination.topicOf(failed.record.topic)
    const { partition } = failed.record
    const partitions = yield* producer.partitions(topic)
    return yield* producer.send(
      DeadLetter.record(failed, {
        topic,
        partition: partition < partitions ? partition : undefined,
        headers,
        metadata
      })
    )
  })

  const publish = Effect.fnUntraced(function* (
    failed: DeadLetter.FailedRecord,
    wait: (delay: Duration.Duration) => Effect.Effect<boolean>
  ) {
    const { attempts: attempt, record } = failed
    const target = Option.getOrElse(Option.liftThrowable(destination.topicOf)(record.topic), () => record.topic)
    let metadata: "full" | "minimal" = "full"
    let cursor = ScheduleCursor.make(backoff)
    let heldUpBy: ProducerError | undefined
    while (true) {
      const exit: Exit.Exit<RecordMetadata, ProducerError> = yield* Effect.exit(send(failed, metadata))
      if (Exit.isSuccess(exit)) {
        if (heldUpBy !== undefined) yield* log.deadLetterPublished({ record, attempt, error: heldUpBy })
        return Option.some(exit.value)
      }
      onFailure(record)
      const error = producerError(exit.cause, target)
      const isTooLarge = error.reason === "RecordTooLarge"
      if (isTooLarge && metadata === "full") {
        metadata = "minimal"
        yield* log.deadLetterShrunk({ record, attempt, error })
        continue
      }
      if (isTooLarge && tooLarge === "stop") {
        return yield* new ConsumerError({
          reason: "DeadLetterRejected",
          groupId,
          description: `${record.topic}-${record.partition} at offset ${record.offset}: ${error.message}: ${remedyOf(error, record)}`,
          cause: error
        })
      }
      const remedy = remedyOf(error, record)
      onBlocked(record, error, remedy)
      heldUpBy = error
      const step = yield* cursor.next(undefined)
      if (Option.isSome(step)) cursor = step.value.cursor
      const delay = isTooLarge || Option.isNone(step) ? cap : step.value.delay
      const line = isTooLarge ? log.deadLetterRefused : log.deadLetterDelayed
      const more = { ...delayed(delay), deadLetterTopic: error.topic, ...(remedy === undefined ? {} : { remedy }) }
      yield* line({ record, attempt, error, more })
      if (!(yield* wait(delay))) return Option.none()
    }
  })

  return (failed, wait) =>
    Effect.ensuring(
      publish(failed, wait),
      Effect.sync(() => onBlocked(failed.record, undefined))
    )
}

/** A producer that dies or is interrupted blocks a dead letter like one that fails. */
const producerError = (cause: Cause.Cause<ProducerError>, topic: string): ProducerError =>
  Option.getOrElse(Cause.failureOption(cause), () => {
    const { error } = failureOf(cause, 1)
    return new ProducerError({
      reason: "Broker",
      topic,
      description: messageOf(error),
      cause: Diagnosis.carried(error)
    })
  })
