/**
 * The options of transactional producers and consumers.
 */
import type * as Duration from "effect/Duration"
import type { KafkaProducerOptions } from "./producerOptions.js"

/** The options of a transactional producer, which is always idempotent. */
export interface TransactionalProducerOptions extends Omit<KafkaProducerOptions, "idempotent"> {
  /**
   * Identifies the producer across restarts: a new producer with this id fences the previous one and aborts its open
   * transaction. Each instance of a program needs its own. Needs Kafka's operations Write and Describe on it.
   */
  readonly transactionalId: string
  /**
   * How long a transaction may be open before the coordinator aborts it, from its first record on; up to the brokers'
   * `transaction.max.timeout.ms`, 15 minutes. Consumers with `read_committed` wait this long for the open transaction
   * of a producer that was lost. Default: 1 minute.
   */
  readonly transactionTimeout?: Duration.DurationInput | undefined
}

/** A transactional consumer's options besides a consumer's. */
export interface TransactionOptions
  extends Pick<TransactionalProducerOptions, "transactionalId" | "transactionTimeout"> {
  /**
   * A transaction is committed at once, and no record starts, while waiting results and their source records take this
   * many bytes. Default: 8 MiB.
   */
  readonly maxTransactionBytes?: number | undefined
  /** The options of the producer that writes the transactions. */
  readonly producer?: Omit<TransactionalProducerOptions, "transactionalId" | "transactionTimeout"> | undefined
}
