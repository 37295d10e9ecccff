/**
 * The options of transactional producers and consumers: their rules, defaults, variables and documentation.
 */
import * as Settings from "@spillway/transport/runtime/Settings"
import * as ConsumerFields from "./consumerFields.js"
import * as ProducerFields from "./producerFields.js"
import type { TransactionalProducerOptions, TransactionOptions } from "./transactionOptions.js"

/** The options that a transactional producer has besides a producer's. */
export const added = {
  transactionalId: Settings.text({
    meaning: "identifies the producer across restarts; unique to each instance of a program",
    kafka: ["transactional.id"]
  }),
  transactionTimeout: Settings.or(
    Settings.duration(
      {
        meaning: "how long a transaction may be open before the coordinator aborts it",
        kafka: ["transaction.timeout.ms"]
      },
      1
    ),
    "1 minute"
  )
}

const { idempotent: _, ...producerFields } = ProducerFields.fields

const fields = { ...added, ...producerFields } satisfies Settings.FieldsOf<TransactionalProducerOptions>

export const producer: Settings.Settings<typeof fields> = {
  module: "KafkaProducer",
  prefix: ProducerFields.settings.prefix,
  fields,
  rules: ProducerFields.rules
}

/** The options that a transactional consumer has besides a consumer's and its producer's. */
export const consumer = {
  module: "KafkaConsumer",
  prefix: ConsumerFields.settings.prefix,
  fields: {
    maxTransactionBytes: Settings.or(
      Settings.whole({
        meaning:
          "a transaction is committed at once, and no record starts, while waiting results and their source records take this many bytes"
      }),
      8 * 1024 * 1024
    )
  } satisfies Settings.FieldsOf<Pick<TransactionOptions, "maxTransactionBytes">>
}
