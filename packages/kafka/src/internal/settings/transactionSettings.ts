/**
 * The options of transactional producers and consumers with defaults applied and checked.
 */
import type { InvalidOptions, OptionIssue } from "@spillway/transport/InvalidOptions"
import * as Settings from "@spillway/transport/runtime/Settings"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import type { ConsumerOptions } from "./consumerOptions.js"
import * as ConsumerSettings from "./consumerSettings.js"
import * as ProducerSettings from "./producerSettings.js"
import * as Fields from "./transactionFields.js"
import type { TransactionalProducerOptions, TransactionOptions } from "./transactionOptions.js"

export type { TransactionalProducerOptions, TransactionOptions }

export interface TransactionalSettings extends ProducerSettings.ProducerSettings {
  readonly transactionalId: string
  readonly transactionTimeoutMs: number
}

const settingsOf = (values: Settings.Decoded<typeof Fields.producer.fields>): TransactionalSettings => ({
  ...ProducerSettings.settingsOf({ ...values, idempotent: true }),
  transactionalId: values.transactionalId,
  transactionTimeoutMs: Math.ceil(values.transactionTimeout)
})

/** A transactional producer's settings. */
export const decode = (options: TransactionalProducerOptions): Effect.Effect<TransactionalSettings, InvalidOptions> =>
  Effect.map(Settings.decode(Fields.producer, options), settingsOf)

/** The settings that a transactional consumer has besides a consumer's; valid only if there are no issues. */
export const check = (
  options: TransactionOptions
): {
  readonly settings: TransactionalSettings
  readonly maxTransactionBytes: number
  readonly issues: ReadonlyArray<OptionIssue>
} => {
  const { producer, transactionTimeout, transactionalId } = { ...options }
  const own = Settings.check(Fields.consumer, options)
  const { issues, values } = Settings.check(Fields.producer, { ...producer, transactionTimeout, transactionalId })
  return {
    settings: settingsOf(values),
    maxTransactionBytes: own.values.maxTransactionBytes,
    issues: [
      ...own.issues,
      ...issues.map((issue) => (issue.field in Fields.added ? issue : { ...issue, field: `producer.${issue.field}` }))
    ]
  }
}

export const producerConfig = (
  defaults?: Partial<TransactionalProducerOptions> | undefined,
  namespace?: string | undefined
): Config.Config<TransactionalProducerOptions> => Settings.config(Fields.producer, defaults, namespace)

/** A transactional consumer's options; those of its producer have a producer's names. */
export const consumerConfig = (
  {
    maxTransactionBytes,
    producer,
    transactionTimeout,
    transactionalId,
    ...defaults
  }: Partial<ConsumerOptions & TransactionOptions> = {},
  namespace?: string | undefined
): Config.Config<ConsumerOptions & TransactionOptions> =>
  Config.map(
    Config.all([
      ConsumerSettings.config(defaults, namespace),
      Settings.config<Pick<TransactionOptions, "maxTransactionBytes">>(
        Fields.consumer,
        { maxTransactionBytes },
        namespace
      ),
      producerConfig(
        { ...producer, ...(transactionalId === undefined ? {} : { transactionalId }), transactionTimeout },
        namespace
      )
    ]),
    ([options, size, { transactionTimeout, transactionalId, ...producer }]) => ({
      ...options,
      ...size,
      transactionalId,
      transactionTimeout,
      producer
    })
  )
