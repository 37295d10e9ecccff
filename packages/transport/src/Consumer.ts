/**
 * The handle of a running consumer, and a launcher that ends the program when one of its consumers fails.
 */

import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Stream from "effect/Stream"
import type { CircuitBreaker } from "./CircuitBreaker.js"
import type { Position } from "./Position.js"
import * as Concurrency from "./runtime/Concurrency.js"
import { show } from "./runtime/Environment.js"

/** `Starting -> Running <-> Paused -> Draining -> Stopped | Failed` */
export type ConsumerStatus = "Starting" | "Running" | "Paused" | "Draining" | "Stopped" | "Failed"

/** Why a consumer can't continue. */
export type ConsumerErrorReason =
  /** The coordinator refuses the member, for its session timeout, its assignors, or because the group is full. */
  | "Refused"
  /** The cluster, or the group's coordinator, was not reached within the option `startTimeout`. */
  | "Unreachable"
  /** The brokers refuse the client's credentials, or its access to the group or a topic. */
  | "Authorization"
  /** A topic has no dead letter topic: it is missing, hidden from this client, or the topic itself. */
  | "DeadLetterTopic"
  /** The broker rejected a dead letter as too large, and the policy's `tooLarge` is `"stop"`. */
  | "DeadLetterRejected"
  /**
   * Handling failed permanently and the policy is `DeadLetter.none("stop")`, or the consumer itself failed
   * unexpectedly.
   */
  | "HandlingFailed"
  /** The offset to continue at isn't in the log any more, and the option `offsetOutOfRange` is `"fail"`. */
  | "OffsetOutOfRange"
  /** The new leader's log lacks records that were read (KIP-320), and `offsetOutOfRange` is `"fail"`. */
  | "LogTruncated"
  /** A batch can't be read, and the option `corruptBatch` is `"fail"`. The `cause` is a `RecordBatchError`. */
  | "CorruptBatch"
  /** Another consumer of the group uses the same `groupInstanceId` (KIP-345). */
  | "FencedInstance"
  /** Another producer uses the transactional id of this transactional consumer and has fenced it. */
  | "FencedProducer"
  /** The broker supports no version of a request that the consumer needs. */
  | "UnsupportedBroker"

/** A consumer that can't continue. It has committed nothing that it had not handled. */
export class ConsumerError extends Data.TaggedError("ConsumerError")<{
  /** Why the consumer can't continue. */
  readonly reason: ConsumerErrorReason
  /** The consumer's group. */
  readonly groupId: string
  /** Details for people: the broker's error, the option, or the record's position. */
  readonly description: string
  /** The error behind it, if any: the broker's, the producer's or the handler's. */
  readonly cause?: unknown
}> {
  override get message(): string {
    return `${this.reason}: group ${this.groupId}: ${this.description}`
  }
}

/** A partition of a topic. */
export interface TopicPartition {
  /** The topic's name. */
  readonly topic: string
  /** The partition's number, from 0. */
  readonly partition: number
}

/** A partition's committed offset. */
export interface CommittedOffset extends TopicPartition {
  /** The offset of the next record to handle. */
  readonly offset: number
}

/** Why a pause, resume or seek was refused. */
export type ControlErrorReason =
  /** An argument that is invalid in any state of the consumer. */
  | "InvalidArgument"
  /** The partition isn't assigned to this consumer. */
  | "NotAssigned"
  /** The offset is before the start of the log or beyond its end. */
  | "OffsetOutOfRange"
  /** Partitions are being revoked or assigned. */
  | "Rebalancing"
  /** The consumer is draining or has ended. */
  | "NotRunning"
  /** The client may not see the partition's offsets. */
  | "Authorization"

/** A pause, resume or seek that was refused; the consumer continues unchanged. */
export class ControlError extends Data.TaggedError("ControlError")<{
  /** Why it was refused. */
  readonly reason: ControlErrorReason
  /** The consumer's group. */
  readonly groupId: string
  /** The refused argument as a path: `partitions[0].topic`, `position.offset`. */
  readonly field: string
  /** The refused argument. */
  readonly value: unknown
  /** The rule that the argument breaks, or the state that forbids the call. */
  readonly description: string
  /** The broker's error, if any. */
  readonly cause?: unknown
}> {
  override get message(): string {
    return `${this.reason}: group ${this.groupId}: ${this.field} ${show(this.value)}: ${this.description}`
  }
}

/** The totals of a consumer from its start to its end. */
export interface ConsumerReport {
  /** Records whose handler succeeded. */
  readonly handled: number
  /** Attempts after a record's first. */
  readonly retried: number
  /** Records whose dead letter was acknowledged. */
  readonly deadLettered: number
  /** Records discarded without a dead letter, by the policy `DeadLetter.none("skip")`. */
  readonly discarded: number
  /** The last acknowledged commit of every partition that this consumer committed. */
  readonly committed: ReadonlyArray<CommittedOffset>
}

/** The handle of a running consumer. */
export interface Consumer {
  /** The consumer's group. */
  readonly groupId: string
  /** Requests a drain and returns at once. */
  readonly stop: Effect.Effect<void>
  /** Ends when the consumer has stopped; fails if it failed. */
  readonly wait: Effect.Effect<ConsumerReport, ConsumerError>
  /**
   * `stop` and `wait`. Interrupts work that isn't done within `drainTimeout`; those records are redelivered. The last
   * commit is retried for the rest of that time, at least 5 seconds. A coordinator that doesn't answer adds up to 7
   * seconds, 2 of them for leaving the group.
   */
  readonly close: Effect.Effect<ConsumerReport, ConsumerError>
  /** The current status. */
  readonly status: Effect.Effect<ConsumerStatus>
  /** The current status, then each change, until `Stopped` or `Failed`. */
  readonly changes: Stream.Stream<ConsumerStatus>
  /** The assigned partitions, ordered by topic and partition. */
  readonly assignment: Effect.Effect<ReadonlyArray<TopicPartition>>
  /**
   * Stops starting records and retries: in all partitions, or in those given. In-flight records finish, a wait for a
   * retry continues and then holds, and fetching stops. Membership and commits continue, and a drain or a rebalance
   * takes no longer than usual. A pause outlasts rebalances: it applies to partitions that are kept or come back, and a
   * pause of everything applies to new ones too, so partitions don't have to be assigned now. The status is `Paused`
   * while all assigned partitions are paused.
   *
   * Fails with `InvalidArgument` for a topic that isn't consumed or a number that is not a valid partition.
   */
  readonly pause: {
    (): Effect.Effect<void>
    (partitions: ReadonlyArray<TopicPartition>): Effect.Effect<void, ControlError>
  }
  /** Undoes `pause`: for all partitions or for those given, even if all were paused. Fails as `pause` does. */
  readonly resume: {
    (): Effect.Effect<void>
    (partitions: ReadonlyArray<TopicPartition>): Effect.Effect<void, ControlError>
  }
  /** The assigned partitions that are paused, ordered by topic and partition. */
  readonly paused: Effect.Effect<ReadonlyArray<TopicPartition>>
  /**
   * Continues at another position: in all assigned partitions, or in those given. It waits for in-flight records: a
   * running handler may finish; a wait for a retry ends at once, and its record has no outcome. Called from a handler
   * of this consumer, it waits for no record, which avoids waiting for itself. Then it drops the fetched records and
   * commits the new position at once, even if that is before the last commit: the only case in which this consumer
   * commits backwards on request. Returns when the commit is acknowledged.
   *
   * A seek is all-or-nothing across the partitions: after a `ControlError` the consumer continues unchanged. The
   * exception is a rebalance between the new start and its commit (`Rebalancing`): then the partition's next owner
   * continues at the last commit. An interruption before the new start changes nothing.
   *
   * Fails with `NotAssigned` for a partition that isn't assigned, with `InvalidArgument` or `OffsetOutOfRange` for an
   * invalid position, with `Rebalancing` during a rebalance, and with `NotRunning` once a drain has begun. Waits as
   * long as no broker can look up the offset or accept the commit.
   */
  readonly seek: (
    position: Position,
    partitions?: ReadonlyArray<TopicPartition> | undefined
  ) => Effect.Effect<void, ControlError>
  /** The totals so far. */
  readonly report: Effect.Effect<ConsumerReport>
  /** The circuit breaker, if the consumer has one (option `circuitBreaker`). */
  readonly breaker: CircuitBreaker | undefined
}

/** Where consumers report their failure. */
export interface Supervisor {
  /** Called once with the error of each consumer that fails. */
  readonly failed: (error: ConsumerError) => Effect.Effect<void>
}

/**
 * The supervisor of the consumers that this is provided to; set by `launch`. Default: none. Then a consumer that failed
 * logs an error every minute, until its scope closes or its handle's `wait` or `close` has returned the failure.
 */
export class ConsumerSupervisor extends Context.Reference<ConsumerSupervisor>()(
  "@spillway/transport/ConsumerSupervisor",
  { defaultValue: (): Supervisor | undefined => undefined }
) {}

/**
 * `Layer.launch` that fails with the `ConsumerError` of the first consumer in the layer that fails, so a program never
 * keeps running without its consumer, as it would under `Layer.launch`. Interrupting it drains and closes everything in
 * the layer.
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
