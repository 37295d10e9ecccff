/**
 * Publishing to Kafka: records are acknowledged by all in-sync replicas before `send` returns, keep their order within
 * a partition, and go to the partition that Java's producer would choose for their key.
 *
 * Records gather in one batch per partition, for up to `linger`, and several batches may be in flight at once. A
 * failure that may pass is retried, to the same partition, until `deliveryTimeout`. A record is written once even if
 * its batch is sent again: the producer is idempotent.
 */
import type { InvalidOptions } from "@spillway/transport/InvalidOptions"
import { Producer } from "@spillway/transport/Producer"
import type * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Reach from "./internal/cluster/reach.js"
import { logStart } from "./internal/logStart.js"
import * as internal from "./internal/producer/producer.js"
import type { KafkaProducerOptions, PartitionerInput } from "./internal/settings/producerOptions.js"
import * as ProducerSettings from "./internal/settings/producerSettings.js"
import type { TransactionalProducerOptions } from "./internal/settings/transactionOptions.js"
import * as TransactionalSettings from "./internal/settings/transactionSettings.js"
import * as internalTransactional from "./internal/transaction/producer.js"
import { TransactionalProducer, type TransactionError } from "./Transaction.js"
import type { ClusterUnreachable, Wire } from "./Wire.js"

export type { KafkaProducerOptions, PartitionerInput, TransactionalProducerOptions }

/**
 * A producer with its own connections. Closing the scope refuses further records, sends accepted records at once, waits
 * for them up to `drainTimeout`, and fails the rest with `Closed`.
 *
 * `sendAll` checks every record and looks up its topic before sending any. An interrupted `send` ends at once: its
 * record is withdrawn if it has not been sent; otherwise it may still be written, which the metric
 * `messages_abandoned_total` counts.
 */
export const make = (
  options: KafkaProducerOptions = {}
): Effect.Effect<Context.Tag.Service<Producer>, InvalidOptions | ClusterUnreachable, Wire | Scope.Scope> =>
  Effect.flatMap(ProducerSettings.decode(options), (settings) =>
    logStart("Producer starting", {}).pipe(
      Effect.zipRight(Reach.within(settings.startTimeoutMs)),
      Effect.zipRight(internal.make(settings))
    )
  )

/** The `Producer` service; see `make`. */
export const layer = (
  options?: KafkaProducerOptions | undefined
): Layer.Layer<Producer, InvalidOptions | ClusterUnreachable, Wire> => Layer.scoped(Producer, make(options))

/**
 * The options from the environment: `KAFKA_PRODUCER_COMPRESSION`, `KAFKA_PRODUCER_DELIVERY_TIMEOUT` and so on, by their
 * names; within a namespace `ORDERS`, `ORDERS_KAFKA_PRODUCER_COMPRESSION`. An option without a variable has its
 * default.
 */
export const config: (
  defaults?: KafkaProducerOptions | undefined,
  namespace?: string | undefined
) => Config.Config<KafkaProducerOptions> = ProducerSettings.config

/** The `Producer` service with options from the environment; see `config`. */
export const layerConfig = (
  defaults?: KafkaProducerOptions | undefined,
  namespace?: string | undefined
): Layer.Layer<Producer, InvalidOptions | ClusterUnreachable | ConfigError, Wire> =>
  Layer.scoped(Producer, Effect.flatMap(config(defaults, namespace), make))

/**
 * A producer of transactions (KIP-98), either of its own records alone or of a group that consumes, handles and writes;
 * see `Transaction`. Returns once the coordinator has assigned its epoch, which fences the previous producer with the
 * transactional id and aborts its open transaction. Needs Kafka 2.5 or later.
 */
export const makeTransactional = (
  options: TransactionalProducerOptions
): Effect.Effect<
  Context.Tag.Service<TransactionalProducer>,
  InvalidOptions | ClusterUnreachable | TransactionError,
  Wire | Scope.Scope
> =>
  Effect.flatMap(TransactionalSettings.decode(options), (settings) =>
    logStart("Producer starting", { transactionalId: settings.transactionalId }).pipe(
      Effect.zipRight(
        Reach.within(settings.startTimeoutMs, [{ key: settings.transactionalId, keyType: "transaction" }])
      ),
      Effect.zipRight(internalTransactional.make(settings))
    )
  )

/** The `TransactionalProducer` service; see `makeTransactional`. */
export const layerTransactional = (
  options: TransactionalProducerOptions
): Layer.Layer<TransactionalProducer, InvalidOptions | ClusterUnreachable | TransactionError, Wire> =>
  Layer.scoped(TransactionalProducer, makeTransactional(options))

/**
 * The options of a transactional producer from the environment: those of `config` except `KAFKA_PRODUCER_IDEMPOTENT`,
 * and `KAFKA_PRODUCER_TRANSACTIONAL_ID` and `KAFKA_PRODUCER_TRANSACTION_TIMEOUT`.
 */
export const configTransactional: (
  defaults?: Partial<TransactionalProducerOptions> | undefined,
  namespace?: string | undefined
) => Config.Config<TransactionalProducerOptions> = TransactionalSettings.producerConfig

/** `layerTransactional` with options from the environment; see `configTransactional`. */
export const layerConfigTransactional = (
  defaults?: Partial<TransactionalProducerOptions> | undefined,
  namespace?: string | undefined
): Layer.Layer<TransactionalProducer, InvalidOptions | ClusterUnreachable | TransactionError | ConfigError, Wire> =>
  Layer.scoped(TransactionalProducer, Effect.flatMap(configTransactional(defaults, namespace), makeTransactional))
