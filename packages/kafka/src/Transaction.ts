/**
 * Transactions (KIP-98): records to any partitions, and the offsets that a group commits for them, count all together
 * or not at all. `KafkaProducer.makeTransactional` makes a `TransactionalProducer`.
 */
import type { CommittedOffset } from "@spillway/transport/Consumer"
import type { Producer } from "@spillway/transport/Producer"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** Why a transaction, or its producer, failed. */
export type TransactionErrorReason =
  /** Another producer has taken over the transactional id: this one can begin no further transaction. */
  | "Fenced"
  /** It was open for longer than `transactionTimeout`: the coordinator aborted it. The next one may succeed. */
  | "TimedOut"
  /** One of its records was not acknowledged, or a response forced an abort; `cause` is that error. */
  | "Aborted"
  /** The offsets are from a member that has left the group's generation: the transaction was aborted. */
  | "NotMember"
  /** No broker confirmed whether it was committed. */
  | "Unknown"
  /** The broker refused the credentials, or doesn't permit the transactional id, a topic or the group. */
  | "Authorization"
  /** The coordinator refuses the producer, such as for a `transactionTimeout` above its limit. No transaction can begin. */
  | "Refused"
  /** The broker is older than Kafka 2.5. No transaction can begin. */
  | "UnsupportedBroker"

/** A transaction that was not committed, or not certainly. */
export class TransactionError extends Data.TaggedError("TransactionError")<{
  /** The kind of failure, and with it whether the next transaction may succeed. */
  readonly reason: TransactionErrorReason
  /** The transactional id of the producer. */
  readonly transactionalId: string
  /** The failure in words. */
  readonly description: string
  /** The broker's error code, if any; see `KafkaErrorCode`. */
  readonly code?: number | undefined
  /** The error that led to this one, such as a `ProducerError` or `WireError`, if any. */
  readonly cause?: unknown
}> {
  override get message(): string {
    return `${this.reason}: transactional id ${this.transactionalId}: ${this.description}`
  }
}

/** A group member's identity for the group's coordinator (KIP-447). */
export interface GroupMember {
  /** The group's id. */
  readonly groupId: string
  /** The member's generation; offsets of an older one fail with `NotMember`. */
  readonly generationId: number
  /** The id that the coordinator issued. */
  readonly memberId: string
  /** The id of a static member (KIP-345); null for a dynamic one. */
  readonly groupInstanceId: string | null
}

/** An offset to commit in a transaction. */
export interface TransactionOffset extends CommittedOffset {
  /** The leader epoch of the record before the offset. Default: -1, unknown. */
  readonly leaderEpoch?: number | undefined
  /** Any text to store with the offset. Default: null. */
  readonly metadata?: string | null | undefined
}

/**
 * An open transaction: a `Producer` whose records are part of it. Provide it as `Producer` to a program that doesn't
 * know about transactions, and the program takes part in one.
 *
 * A record that isn't acknowledged forces the transaction to abort, even if its error is caught: further sends in it
 * fail with `Aborted`. A record that was refused before it was sent does not: `InvalidRecord`, `RecordTooLarge`,
 * `BufferFull` or `UnknownTopic`. A `send` that is interrupted after its record was sent is part of it.
 */
export interface Transaction extends Context.Tag.Service<Producer> {
  /** Offsets that count once the transaction is committed, unless the member has left its generation. */
  readonly sendOffsets: (
    offsets: ReadonlyArray<TransactionOffset>,
    member: GroupMember
  ) => Effect.Effect<void, TransactionError>
}

/** A producer of transactions, one at a time: a new transaction waits for the end of the previous one. */
export class TransactionalProducer extends Context.Tag("@spillway/kafka/TransactionalProducer")<
  TransactionalProducer,
  {
    /** The transactional id from the options. */
    readonly transactionalId: string
    /**
     * Runs an effect in a transaction: committed if it succeeds and all its records are acknowledged, aborted if it
     * fails or is interrupted. Fails with a `TransactionError` if it couldn't be committed; after `Unknown`, and after
     * an interruption during the commit, it may have been. Transactions don't nest: a nested one waits forever.
     */
    readonly transaction: <A, E, R>(
      use: (transaction: Transaction) => Effect.Effect<A, E, R>
    ) => Effect.Effect<A, E | TransactionError, R>
    /**
     * A transaction that lasts as long as its scope: committed if the scope closes with success, else aborted. A scope
     * has no error channel, so a failed commit is a defect there; `transaction` fails with it instead.
     */
    readonly begin: Effect.Effect<Transaction, TransactionError, Scope.Scope>
    /** The topic's number of partitions; fails with `UnknownTopic` if it doesn't exist. */
    readonly partitions: Context.Tag.Service<Producer>["partitions"]
  }
>() {}
