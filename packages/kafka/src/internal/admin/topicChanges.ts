/**
 * Changes of topics by the controller, and the wait until brokers report them.
 */
import * as Effect from "effect/Effect"
import { KafkaErrorCode as Code } from "../../KafkaErrorCode.js"
import type { TopicMetadata } from "../../Protocol.js"
import type { WireError } from "../../Wire.js"
import * as Backoff from "../concurrency/backoff.js"
import type { Operation } from "./client.js"
import * as Failures from "./failures.js"
import * as PerItem from "./perItem.js"
import type { KafkaAdminError } from "./types.js"

export const subjectOf = (topic: string): Failures.Subject => ({ topic })

export const isNone = (errorCode: number): boolean => errorCode === Code.NONE

/** A topic's part of a response. */
export interface Answer {
  readonly topic: string
  readonly errorCode: number
  readonly errorMessage?: string | null | undefined
}

/** Sends a change of topics to the controller. */
export const change = (
  operation: Operation,
  topics: ReadonlyArray<string>,
  isFine: (errorCode: number) => boolean,
  repeatable: Failures.Repeatable,
  request: (topics: ReadonlyArray<string>, timeoutMs: number) => Effect.Effect<ReadonlyArray<Answer>, WireError>
): Effect.Effect<unknown, KafkaAdminError> =>
  PerItem.run(operation, {
    items: topics,
    subjectOf,
    attempt: (left) =>
      Effect.match(
        Effect.flatMap(operation.remainingMs, (timeoutMs) => request(left, timeoutMs)),
        {
          onFailure: (error) => PerItem.all(left, (topic) => Failures.ofError({ topic }, error, repeatable)),
          onSuccess: (answers) =>
            PerItem.match(
              left,
              (topic) => topic,
              answers.map((answer) => [answer.topic, answer]),
              ({ errorCode, errorMessage }, topic) =>
                isFine(errorCode) ? Failures.done(topic) : Failures.ofCode({ topic }, errorCode, errorMessage)
            )
        }
      )
  })

/** Waits until a broker reports the expected state of every topic. */
export const awaitMetadata = (
  operation: Operation,
  topics: ReadonlyArray<string>,
  missing: (metadata: TopicMetadata | undefined, topic: string) => string | undefined
): Effect.Effect<unknown, KafkaAdminError> =>
  PerItem.run(operation, {
    items: topics,
    subjectOf,
    backoff: Backoff.make(20, 500),
    attempt: (left) =>
      Effect.match(operation.cluster.refresh(left), {
        onFailure: (error) => PerItem.all(left, (topic) => Failures.ofError({ topic }, error)),
        onSuccess: (found) => {
          const byName = new Map(found.map((metadata) => [metadata.topic, metadata]))
          return left.map((topic) => {
            const description = missing(byName.get(topic), topic)
            const outcome = description === undefined ? Failures.done(topic) : Failures.later({ topic }, description)
            return [topic, outcome] as const
          })
        }
      })
  })

/** Why a new topic can't be used yet. */
export const unready = (metadata: TopicMetadata | undefined): string | undefined =>
  metadata?.errorCode === Code.NONE &&
  metadata.partitions.length > 0 &&
  metadata.partitions.every(({ leader }) => leader >= 0)
    ? undefined
    : "created, but a partition has no leader yet"

/** Waits for the topics that were changed, also when others failed. */
export const andThenAwait = (
  changed: Effect.Effect<unknown, KafkaAdminError>,
  topics: ReadonlyArray<string>,
  wait: (succeeded: ReadonlyArray<string>) => Effect.Effect<unknown, KafkaAdminError>
): Effect.Effect<void, KafkaAdminError> =>
  Effect.matchEffect(changed, {
    onSuccess: () => Effect.asVoid(wait(topics)),
    onFailure: (error) => {
      const failed = new Set(error.failures.map(({ topic }) => topic))
      const succeeded = topics.filter((topic) => !failed.has(topic))
      return Effect.matchEffect(wait(succeeded), {
        onSuccess: () => Effect.fail(error),
        onFailure: (late) => Effect.fail(Failures.errorOf([...error.failures, ...late.failures]))
      })
    }
  })
