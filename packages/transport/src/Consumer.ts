/**
 * The handle of a running consumer, and the launcher that ends a program when one of its consumers fails.
 */

import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Stream from "effect/Stream"
import type { CircuitBreaker } from "./CircuitBreaker.js"
import { show } from "./Environment.js"
import type { Position } from "./Position.js"
import * as Concurrency from "./runtime/Concurrency.js"

/** `Starting -> Running <-> Paused -> Draining -> Stopped | Failed` */
export type ConsumerStatus = "Starting" | "Running" | "Paused" | "Draining" | "Stopped" | "Failed"

export type ConsumerErrorReason =
  | "Configuration"
  | "Authorization"
  | "DeadLetterTopic"
  | "DeadLetterRejected"
  | "HandlingFailed"
  | "OffsetOutOfRange"
  | "LogTruncated"
  | "CorruptBatch"
  | "FencedInstance"
  /** Another producer has taken over the transactional id of a transactional consumer. */
  | "FencedProducer"
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

export type ControlErrorReason =
  /** An argument that makes no sense, whatever the consumer's state. */
  | "InvalidArgument"
  /** The partition isn't this consumer's. */
  | "NotAssigned"
  /** The log doesn't reach to the offset, or no longer. */
  | "OffsetOutOfRange"
  /** Partitions are being given up or taken over. */
  | "Rebalancing"
  /** The consumer drains, or has ended. */
  | "NotRunning"
  /** The broker doesn't let this client see the partition's offsets. */
  | "Authorization"

/** A pause, resume or seek that was refused; the consumer goes on as before. */
export class ControlError extends Data.TaggedError("ControlError")<{
  readonly reason: ControlErrorReason
  readonly groupId: string
  /** What was refused, as the argument's path: `partitions[0].topic`, `position.offset`. */
  readonly field: string
  readonly value: unknown
  readonly description: string
  readonly cause?: unknown
}> {
  override get message(): string {
    return `${this.reason}: group ${this.groupId}: ${this.field} ${show(this.value)}: ${this.description}`
  }
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
   * `stop` and `wait`; what isn't done within `drainTimeout` is interrupted and will be redelivered. The last commit is
   * repeated for what is left of that, and for 5 seconds at least: a coordinator that doesn't answer adds up to 7
   * seconds, 2 of them for leaving the group.
   */
  readonly close: Effect.Effect<ConsumerReport, ConsumerError>
  readonly status: Effect.Effect<ConsumerStatus>
  /** The current status, then each change, until `Stopped` or `Failed`. */
  readonly changes: Stream.Stream<ConsumerStatus>
  /** The partitions owned now, ordered by topic and partition. */
  readonly assignment: Effect.Effect<ReadonlyArray<TopicPartition>>
  /**
   * Starts no further record or retry: of any partition, or of those given. What is in flight ends, a wait for a retry
   * goes on and then holds, and nothing more is fetched, while membership and commits go on and a drain or a rebalance
   * takes no longer. A pause outlasts rebalances: it holds for partitions that are kept, that come back, and, of all,
   * that come new; so partitions needn't be owned now. The status is `Paused` while all owned partitions are.
   *
   * Fails with `InvalidArgument` for a topic that isn't consumed or a number that is no partition's.
   */
  readonly pause: {
    (): Effect.Effect<void>
    (partitions: ReadonlyArray<TopicPartition>): Effect.Effect<void, ControlError>
  }
  /** Undoes `pause`: of all partitions, or of those given, also when all were paused. Fails as `pause` does. */
  readonly resume: {
    (): Effect.Effect<void>
    (partitions: ReadonlyArray<TopicPartition>): Effect.Effect<void, ControlError>
  }
  /** The partitions owned now that are paused, ordered by topic and partition. */
  readonly paused: Effect.Effect<ReadonlyArray<TopicPartition>>
  /**
   * Goes on at another position: in all partitions owned now, or in those given. Records in flight are waited for: a
   * handler that runs may finish, a wait for a retry ends at once and its record is left without an outcome. Called
   * in a handler of this consumer it waits for none, so not for itself. Then what was fetched is dropped, and the new
   * position is committed at once, even where it lies before the last commit: the one time that this consumer commits
   * backwards. Returns when that commit is acknowledged.
   *
   * It happens in all partitions or in none: a `ControlError` says that the consumer goes on as if not asked, except
   * after a rebalance that came between the new start and its commit (`Rebalancing`), when the partition's next owner
   * goes on at the last commit. Interrupted before the new start it changes nothing.
   *
   * Fails with `NotAssigned` for a partition that isn't owned, with `InvalidArgument` or `OffsetOutOfRange` for a
   * position that can't be, with `Rebalancing` when a rebalance is on, and with `NotRunning` from a drain on. It waits
   * for as long as no broker can tell the offset or take the commit.
   */
  readonly seek: (
    position: Position,
    partitions?: ReadonlyArray<TopicPartition> | undefined
  ) => Effect.Effect<void, ControlError>
  /** What was done so far. */
  readonly report: Effect.Effect<ConsumerReport>
  /** The circuit breaker, where the consumer has one: the option `circuitBreaker`. */
  readonly breaker: CircuitBreaker | undefined
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
      Concurrency.raceFirst(
        Effect.provideService(Effect.zipRight(Layer.build(layer), Effect.never), ConsumerSupervisor, {
          failed: (error) => Deferred.fail(failure, error)
        }),
        Deferred.await(failure)
      )
    )
  )
