/**
 * Transactions (KIP-98): records to any partitions, and the offsets that a group commits for them, that count all
 * together or not at all. `KafkaProducer.transactional` makes a `TransactionalProducer`.
 */
import type { CommittedOffset } from "@spillway/transport/Consumer"
import type { Producer } from "@spillway/transport/Producer"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

export type TransactionErrorReason =
  /** Another producer has taken over the transactional id: this one may begin no further transaction. */
  | "Fenced"
  /** It was open for longer than `transactionTimeout`: the coordinator has aborted it. The next one may do better. */
  | "TimedOut"
  /** A record of it was not acknowledged, or an answer left no other way: it was aborted. `cause` is that error. */
  | "Aborted"
  /** The offsets are those of a member that isn't in the group's generation any more: it was aborted. */
  | "NotMember"
  /** Nobody answered whether it was committed. */
  | "Unknown"
  | "Authorization"
  | "Configuration"
  | "UnsupportedBroker"

/** A transaction that was not, or not for sure, committed. */
export class TransactionError extends Data.TaggedError("TransactionError")<{
  readonly reason: TransactionErrorReason
  readonly transactionalId: string
  readonly description: string
  /** The broker's error code, where there is one; see `KafkaErrorCode`. */
  readonly code?: number | undefined
  readonly cause?: unknown
}> {
  override get message(): string {
    return `${this.reason}: transactional id ${this.transactionalId}: ${this.description}`
  }
}

/** By what the coordinator of a group knows a member (KIP-447). */
export interface GroupMember {
  readonly groupId: string
  readonly generationId: number
  readonly memberId: string
  readonly groupInstanceId: string | null
}

export interface TransactionOffset extends CommittedOffset {
  /** That of the record before the offset. Default: -1, unknown. */
  readonly leaderEpoch?: number | undefined
  /** Default: null. */
  readonly metadata?: string | null | undefined
}

/**
 * A transaction that is open: a `Producer` whose records are part of it. Provide it as `Producer` to let a program that
 * knows nothing of transactions take part in one.
 *
 * A record that isn't acknowledged dooms the transaction, whether its error is caught or not: it will be aborted, and
 * what else is sent in it fails with `Aborted`. Not so a record that was refused before it left, with `InvalidRecord`,
 * `RecordTooLarge`, `BufferFull` or `UnknownTopic`. A `send` that is interrupted when its record has left is part of it.
 */
export interface Transaction extends Context.Tag.Service<Producer> {
  /** Offsets that count when the transaction is committed, unless the member is no longer in its generation. */
  readonly sendOffsets: (
    offsets: ReadonlyArray<TransactionOffset>,
    member: GroupMember
  ) => Effect.Effect<void, TransactionError>
}

/** A producer of transactions, one at a time: who begins one waits for the end of the one before. */
export class TransactionalProducer extends Context.Tag("@spillway/kafka/TransactionalProducer")<
  TransactionalProducer,
  {
    readonly transactionalId: string
    /**
     * Runs an effect in a transaction: committed when it succeeds and all its records are acknowledged, aborted when it
     * fails or is interrupted. Fails with a `TransactionError` when it couldn't be committed; after `Unknown`, and after
     * an interruption while it is committed, it may have been. Transactions don't nest: within one this waits for ever.
     */
    readonly transaction: <A, E, R>(
      use: (transaction: Transaction) => Effect.Effect<A, E, R>
    ) => Effect.Effect<A, E | TransactionError, R>
    /**
     * A transaction that lasts as long as its scope: committed when the scope closes with success, else aborted. A scope
     * has no error channel, so one that can't be committed is a defect there: `transaction` fails with it instead.
     */
    readonly begin: Effect.Effect<Transaction, TransactionError, Scope.Scope>
    /** How many partitions a topic has; fails with `UnknownTopic` when it doesn't exist. */
    readonly partitions: Context.Tag.Service<Producer>["partitions"]
  }
>() {}
