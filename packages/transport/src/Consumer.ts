/**
 * The handle of a running consumer, and the launcher that ends a program when one of its consumers fails.
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Stream from "effect/Stream"

/** `Starting -> Running <-> Paused -> Draining -> Stopped | Failed` */
export type ConsumerStatus = "Starting" | "Running" | "Paused" | "Draining" | "Stopped" | "Failed"

export type ConsumerErrorReason =
  | "Configuration"
  | "Authorization"
  | "DeadLetterTopic"
  | "DeadLetterRejected"
  | "HandlingFailed"
  | "OffsetOutOfRange"
  | "CorruptBatch"
  | "FencedInstance"
  | "UnsupportedBroker"

/** A consumer that can't go on: nothing it had not handled was committed. */
export class ConsumerError extends Data.TaggedError("ConsumerError")<{
  readonly reason: ConsumerErrorReason
  readonly groupId: string
  readonly description: string
  readonly cause?: unknown
}> {
  override get message(): string {
    return `${this.reason}: group ${this.groupId}: ${this.description}`
  }
}

export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

/** Whether Kafka takes the name for a topic's. */
export const isTopicName = (name: string): boolean => /^(?!\.\.?$)[a-zA-Z0-9._-]{1,249}$/.test(name)

export interface CommittedOffset extends TopicPartition {
  /** The offset of the next record to handle. */
  readonly offset: number
}

/** What a consumer did from its start to its end. */
export interface ConsumerReport {
  readonly handled: number
  /** Attempts beyond a record's first. */
  readonly retried: number
  readonly deadLettered: number
  /** Records given up without a dead letter, by the policy `DeadLetter.none("skip")`. */
  readonly discarded: number
  /** The last acknowledged commit of every partition that this consumer committed. */
  readonly committed: ReadonlyArray<CommittedOffset>
}

export interface Consumer {
  readonly groupId: string
  /** Asks for a drain and returns at once. */
  readonly stop: Effect.Effect<void>
  /** Ends when the consumer has stopped; fails when it failed. */
  readonly wait: Effect.Effect<ConsumerReport, ConsumerError>
  /**
   * `stop` and `wait`; what isn't done within `drainTimeout` is interrupted and will be redelivered. A coordinator that
   * doesn't answer adds up to 7 seconds: 5 for the last commit, 2 for leaving the group.
   */
  readonly close: Effect.Effect<ConsumerReport, ConsumerError>
  readonly status: Effect.Effect<ConsumerStatus>
  /** The current status, then each change, until `Stopped` or `Failed`. */
  readonly changes: Stream.Stream<ConsumerStatus>
  /** The partitions owned now, ordered by topic and partition. */
  readonly assignment: Effect.Effect<ReadonlyArray<TopicPartition>>
  /** What was done so far. */
  readonly report: Effect.Effect<ConsumerReport>
}

/** Where consumers report that they failed; set by `launch`. */
export class ConsumerSupervisor extends Context.Reference<ConsumerSupervisor>()(
  "@spillway/transport/ConsumerSupervisor",
  {
    defaultValue: (): { readonly failed: (error: ConsumerError) => Effect.Effect<void> } => ({
      failed: () => Effect.void
    })
  }
) {}

/**
 * `Layer.launch` that ends with the `ConsumerError` of the first consumer inside the layer that fails, so that a
 * program never goes on without its consumer. Interrupting it drains and closes everything the layer holds.
 */
export const launch = <A, E, R>(layer: Layer.Layer<A, E, R>): Effect.Effect<never, E | ConsumerError, R> =>
  Effect.scoped(
    Effect.flatMap(Deferred.make<never, ConsumerError>(), (failure) =>
      Layer.build(layer).pipe(
        Effect.provideService(ConsumerSupervisor, { failed: (error) => Deferred.fail(failure, error) }),
        Effect.zipRight(Effect.never),
        Effect.raceFirst(Deferred.await(failure))
      )
    )
  )
