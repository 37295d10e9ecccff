/**
 * The options of a transactional producer, beyond those of every producer.
 */
import type { Issue } from "@spillway/transport/Environment"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as ProducerSettings from "./producerSettings.js"

export interface TransactionalOptions extends Omit<ProducerSettings.ProducerOptions, "idempotent"> {
  /**
   * Names the producer across restarts: the one that begins with it fences the one before, and ends the transaction that
   * that one left open. Each instance of a program needs its own. Needs Kafka's operations Write and Describe on it.
   */
  readonly transactionalId: string
  /**
   * How long a transaction may be open until the coordinator aborts it, from its first record on; up to the brokers'
   * `transaction.max.timeout.ms`, 15 minutes. Who reads committed waits as long for what a lost producer left open.
   * Default: 1 minute.
   */
  readonly transactionTimeout?: Duration.DurationInput | undefined
}

/** What a transactional consumer takes besides a consumer's options. */
export interface TransactionalNumbers extends Pick<TransactionalOptions, "transactionalId" | "transactionTimeout"> {
  /**
   * A transaction is committed at once, and no record starts, while results and their source records of this size, in
   * bytes, are waiting. Default: 8 MiB.
   */
  readonly maxTransactionBytes?: number | undefined
  /** The options of the producer of the transactions. */
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

/** What is wrong with a transactional consumer's `maxTransactionBytes`, if anything is. */
export const checkMaxBytes = ({
  maxTransactionBytes
}: Pick<TransactionalNumbers, "maxTransactionBytes">): ReadonlyArray<Issue> =>
  maxTransactionBytes === undefined || (Number.isSafeInteger(maxTransactionBytes) && maxTransactionBytes >= 1)
    ? []
    : [{ field: "maxTransactionBytes", value: maxTransactionBytes, description: "must be a whole number from 1" }]
