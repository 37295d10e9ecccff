/**
 * The options of a transactional producer, beyond those of every producer.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as ProducerSettings from "../producerSettings.js"

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
    const issues: Array<ProducerSettings.KafkaProducerConfigError["issues"][number]> = []
    if (typeof transactionalId !== "string" || transactionalId.trim() === "") {
      issues.push({ field: "transactionalId", value: transactionalId, description: "must not be empty" })
    }
    const duration = Duration.decodeUnknown(transactionTimeout)
    const transactionTimeoutMs = Option.isSome(duration) ? Math.ceil(Duration.toMillis(duration.value)) : Number.NaN
    if (!(transactionTimeoutMs >= 1 && transactionTimeoutMs <= maxInt32)) {
      const description = "must be a duration of at least 1 ms and below 25 days"
      issues.push({ field: "transactionTimeout", value: transactionTimeout, description })
    }
    const own =
      issues.length === 0
        ? Effect.void
        : Effect.fail(new ProducerSettings.KafkaProducerConfigError({ reason: "InvalidOptions", issues }))
    return Effect.zipRight(
      own,
      Effect.map(ProducerSettings.decode({ ...options, idempotent: true }), (settings) => ({
        ...settings,
        transactionalId,
        transactionTimeoutMs
      }))
    )
  })
