/**
 * The options of transactional producers and consumers from the environment.
 */
import * as Environment from "@spillway/transport/runtime/Environment"
import * as Config from "effect/Config"
import * as ConsumerEnvironment from "./consumerEnvironment.js"
import type { ConsumerOptions } from "./consumerSettings.js"
import * as ProducerEnvironment from "./producerEnvironment.js"
import { checkMaxBytes, decode, type TransactionalNumbers, type TransactionalOptions } from "./transactionSettings.js"

const { idempotent: _, ...producerParsers } = ProducerEnvironment.parsers

const parsers: Environment.Parsers<TransactionalOptions> = {
  ...producerParsers,
  transactionalId: Environment.text,
  transactionTimeout: Environment.duration
}

export const producerConfig = (
  defaults: Partial<TransactionalOptions> = {},
  namespace?: string | undefined
): Config.Config<TransactionalOptions> =>
  Environment.options({
    prefix: Environment.prefixOf(namespace, ProducerEnvironment.prefix),
    parsers,
    defaults: { ...defaults, transactionalId: defaults.transactionalId ?? "" },
    check: (options) => Environment.issuesOf(decode(options))
  })

type Size = Pick<TransactionalNumbers, "maxTransactionBytes">

/** A transactional consumer's options; those of its producer have a producer's names. */
export const consumerConfig = (
  {
    maxTransactionBytes,
    producer,
    transactionTimeout,
    transactionalId,
    ...defaults
  }: Partial<ConsumerOptions & TransactionalNumbers> = {},
  namespace?: string | undefined
): Config.Config<ConsumerOptions & TransactionalNumbers> =>
  Config.map(
    Config.all([
      ConsumerEnvironment.config(defaults, namespace),
      Environment.options<Size>({
        prefix: Environment.prefixOf(namespace, ConsumerEnvironment.prefix),
        parsers: { maxTransactionBytes: Environment.number },
        defaults: maxTransactionBytes === undefined ? {} : { maxTransactionBytes },
        check: checkMaxBytes
      }),
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
