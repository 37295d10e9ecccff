/**
 * The options of a transactional producer, beyond those of every producer.
 */
import type { Issue } from "@spillway/transport/runtime/Environment"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as ProducerSettings from "./producerSettings.js"

/** The options of a transactional producer, which is always idempotent. */
export interface TransactionalOptions extends Omit<ProducerSettings.ProducerOptions, "idempotent"> {
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
export interface TransactionalNumbers extends Pick<TransactionalOptions, "transactionalId" | "transactionTimeout"> {
  /**
   * A transaction is committed at once, and no record starts, while waiting results and their source records take this
   * many bytes. Default: 8 MiB.
   */
  readonly maxTransactionBytes?: number | undefined
  /** The options of the producer that writes the transactions. */
  readonly producer?: Omit<TransactionalOptions, "transactionalId" | "transactionTimeout"> | undefined
}

export interface TransactionalSettings extends ProducerSettings.ProducerSettings {
  readonly transactionalId: string
  readonly transactionTimeoutMs: number
}

const maxInt32 = 2 ** 31 - 1

export const decode = ({
  transactionTimeout = "1 minute",
  transactionalId,
  ...options
}: TransactionalOptions): Effect.Effect<TransactionalSettings, ProducerSettings.KafkaProducerConfigError> =>
  Effect.suspend(() => {
    const issues: Array<Issue> = []
    if (typeof transactionalId !== "string" || transactionalId.trim() === "") {
      issues.push({ field: "transactionalId", value: transactionalId, description: "must not be empty" })
    }
    const duration = Duration.decodeUnknown(transactionTimeout)
    const transactionTimeoutMs = Option.isSome(duration) ? Math.ceil(Duration.toMillis(duration.value)) : Number.NaN
    if (!(transactionTimeoutMs >= 1 && transactionTimeoutMs <= maxInt32)) {
      const description = "must be a duration of at least 1 ms and below 25 days"
      issues.push({ field: "transactionTimeout", value: transactionTimeout, description })
    }
    const fail = (others: typeof issues = []) =>
      Effect.fail(
        new ProducerSettings.KafkaProducerConfigError({ reason: "InvalidOptions", issues: [...issues, ...others] })
      )
    return Effect.matchEffect(ProducerSettings.decode({ ...options, idempotent: true }), {
      onFailure: (error) => fail([...error.issues]),
      onSuccess: (settings) =>
        issues.length > 0 ? fail() : Effect.succeed({ ...settings, transactionalId, transactionTimeoutMs })
    })
  })

/** The issue with a transactional consumer's `maxTransactionBytes`, if any. */
export const checkMaxBytes = ({
  maxTransactionBytes
}: Pick<TransactionalNumbers, "maxTransactionBytes">): ReadonlyArray<Issue> =>
  maxTransactionBytes === undefined || (Number.isSafeInteger(maxTransactionBytes) && maxTransactionBytes >= 1)
    ? []
    : [{ field: "maxTransactionBytes", value: maxTransactionBytes, description: "must be a whole number from 1" }]
