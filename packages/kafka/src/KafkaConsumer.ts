/**
 * A member of a consumer group that passes each record to a handler until the record has an outcome: handled, retried
 * by a schedule, or dead-lettered. Commits are manual and never pass a record without an outcome.
 */
import type { CircuitBreakerOptions } from "@spillway/transport/CircuitBreaker"
import type { Decoder } from "@spillway/transport/Codec"
import { type Consumer, ConsumerError, type ConsumerReport } from "@spillway/transport/Consumer"
import type { DeadLetterPolicy, Destination } from "@spillway/transport/DeadLetter"
import type { Envelope } from "@spillway/transport/Envelope"
import type { Handler } from "@spillway/transport/Handler"
import type { Classify } from "@spillway/transport/HandlerError"
import type { InvalidOptions, OptionIssue } from "@spillway/transport/InvalidOptions"
import { Producer, type ProducerRecord } from "@spillway/transport/Producer"
import * as ReliabilityConfig from "@spillway/transport/ReliabilityConfig"
import type { RetryPolicy } from "@spillway/transport/RetryPolicy"
import * as Concurrency from "@spillway/transport/runtime/Concurrency"
import { off } from "@spillway/transport/runtime/MetricsRegistry"
import * as Processor from "@spillway/transport/runtime/Processor"
import * as Settings from "@spillway/transport/runtime/Settings"
import { TransportMetrics } from "@spillway/transport/TransportMetrics"
import * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { AssignorName } from "./internal/assignors/assignor.js"
import * as Reach from "./internal/cluster/reach.js"
import * as internal from "./internal/consumer/consumer.js"
import * as ConsumerHealth from "./internal/consumer/health.js"
import { logStart } from "./internal/logStart.js"
import * as ConsumerCode from "./internal/settings/consumerCode.js"
import type { ConsumerOptions, ConsumerTuning } from "./internal/settings/consumerOptions.js"
import * as ConsumerSettings from "./internal/settings/consumerSettings.js"
import type { TransactionOptions } from "./internal/settings/transactionOptions.js"
import * as TransactionalSettings from "./internal/settings/transactionSettings.js"
import type { TransactionalParts } from "./internal/transaction/consumer.js"
import * as internalTransactional from "./internal/transaction/consumer.js"
import { Wire } from "./Wire.js"

export type { AssignorName, ConsumerOptions, ConsumerTuning, TransactionOptions }

/**
 * A consumer's options, by its handler's result `H`: an Effect, or a union of Effects, whose errors and requirements
 * differ from branch to branch.
 */
export interface KafkaConsumerOptionsOf<A, H extends AnyEffect, RD, K = Uint8Array | null> extends ConsumerOptions {
  /** Decodes a record's value; a value that doesn't decode is dead-lettered with its original bytes. */
  readonly value: Decoder<A>
  /** Decodes a record's key; a key that doesn't decode is dead-lettered as well. Default: a key stays bytes. */
  readonly key?: Decoder<K> | undefined
  /** Handles one record. Its error channel decides what follows, see `HandlerError`; its result is ignored. */
  readonly handler: (envelope: Envelope<A, K>) => H
  /** Default: `RetryPolicy.exponential()`, 3 retries after 1, 2 and 4 seconds at most. */
  readonly retry?: RetryPolicy | undefined
  /** The destination of records whose handling failed permanently. */
  readonly deadLetter: DeadLetterPolicy<RD>
  /** Replaces the classification of failures, to decode or to handle. Default: `HandlerError.classify`. */
  readonly classify?: Classify | undefined
  /** Stops calls of the handler while a dependency is down; `{}` uses the defaults. Default: none. */
  readonly circuitBreaker?: CircuitBreakerOptions | undefined
  /** Whether to count in the metrics that `TransportMetrics` turned on. Default: true. */
  readonly metrics?: boolean | undefined
}

/** A consumer's options, by its handler's errors and requirements. */
export type KafkaConsumerOptions<A, E, R, RD, K = Uint8Array | null> = KafkaConsumerOptionsOf<
  A,
  Effect.Effect<unknown, E, R>,
  RD,
  K
>

type AnyEffect = Effect.Effect<unknown, unknown, unknown>

/**
 * Joins the group and handles its records until the scope closes, which drains: in-flight records settle, waits for
 * retries end, the last commit is made and the consumer leaves the group. Returns once the group is first joined.
 */
export const make = <A, H extends AnyEffect, RD, K = Uint8Array | null>(
  options: KafkaConsumerOptionsOf<A, H, RD, K>
): Effect.Effect<Consumer, ConsumerError | InvalidOptions, Effect.Effect.Context<H> | RD | Wire | Scope.Scope> =>
  counted(
    options,
    Effect.suspend(() => start(options))
  )

/** An effect that counts in the metrics only if the consumer's option `metrics` allows it. */
const counted = <A, E, R>(
  options: { readonly metrics?: boolean | undefined },
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.suspend(() => (options?.metrics === false ? Effect.provideService(effect, TransportMetrics, off) : effect))

/** The settings of valid options. `others`: issues that were found before. */
const decode = Effect.fnUntraced(function* (
  options: ConsumerOptions & { readonly circuitBreaker?: CircuitBreakerOptions | undefined },
  destination: Destination | undefined,
  others: ReadonlyArray<OptionIssue> = []
): Effect.fn.Return<ConsumerSettings.ConsumerSettings, InvalidOptions, Wire> {
  const { issues, settings } = ConsumerSettings.check(options, (yield* Wire).maxResponseBytes)
  const ofDestination = ConsumerCode.checkDestination(destination, settings.topics)
  yield* Settings.refuse("KafkaConsumer", [...issues, ...others, ...ConsumerCode.check(options), ...ofDestination])
  return settings
})

const reach = (groupId: string, timeoutMs: number | undefined, coordinated: ReadonlyArray<Reach.Coordinated>) =>
  Effect.mapError(
    Reach.within(timeoutMs, coordinated),
    (cause) => new ConsumerError({ reason: "Unreachable", groupId, description: cause.message, cause })
  )

const start = Effect.fnUntraced(function* <A, H extends AnyEffect, RD, K>(
  options: KafkaConsumerOptionsOf<A, H, RD, K>,
  transactional?: TransactionalParts | undefined
): Effect.fn.Return<Consumer, ConsumerError | InvalidOptions, Effect.Effect.Context<H> | RD | Wire | Scope.Scope> {
  const destination = yield* ConsumerCode.destinationOf(options?.deadLetter)
  const settings = yield* decode(options, destination)
  yield* logStart("Consumer starting", {
    groupId: settings.groupId,
    topics: settings.topicPattern === undefined ? settings.topics.join(" ") : String(settings.topicPattern)
  })
  const health = yield* ConsumerHealth.make(settings)
  if (transactional === undefined) {
    yield* reach(settings.groupId, settings.startTimeoutMs, [{ key: settings.groupId, keyType: "group" }])
  }
  const processor = yield* Processor.make({
    groupId: settings.groupId,
    topics: settings.topics,
    // TypeScript doesn't see that the handler's result is an Effect with the result's own requirements.
    handler: options.handler as Handler<A, unknown, Effect.Effect.Context<H>, K>,
    key: options.key,
    value: options.value,
    retry: options.retry,
    deadLetter: destination === undefined ? options.deadLetter : { destination: Effect.succeed(destination) },
    classify: options.classify,
    logPayloads: options.logPayloads,
    handlerTimeout: Duration.millis(settings.handlerTimeoutMs),
    onBlocked: health.onBlocked
  })
  return transactional === undefined
    ? yield* internal.make(settings, processor, health)
    : yield* internal.make(settings, transactional.outputs.recovering(processor), health, transactional.commits)
})

/** A consumer as a Layer: built when it has first joined its group, drained when the layer is released. */
export const layer = <A, H extends AnyEffect, RD, K = Uint8Array | null>(
  options: KafkaConsumerOptionsOf<A, H, RD, K>
): Layer.Layer<never, ConsumerError | InvalidOptions, Effect.Effect.Context<H> | RD | Wire> =>
  Layer.scopedDiscard(make(options))

/** Like `layer`, with the handle under a custom tag. */
export const layerTag = <Self, A, H extends AnyEffect, RD, K = Uint8Array | null>(
  tag: Context.Tag<Self, Consumer>,
  options: KafkaConsumerOptionsOf<A, H, RD, K>
): Layer.Layer<Self, ConsumerError | InvalidOptions, Effect.Effect.Context<H> | RD | Wire> =>
  Layer.scoped(tag, make(options))

/**
 * A consumer's options from the environment: `KAFKA_CONSUMER_GROUP_ID`, `KAFKA_CONSUMER_TOPICS` (separated by commas),
 * `KAFKA_CONSUMER_SESSION_TIMEOUT` and so on, by the options' names; within a namespace `ORDERS`,
 * `ORDERS_KAFKA_CONSUMER_GROUP_ID`. An option without a variable has its default.
 */
export const config: (
  defaults?: Partial<ConsumerOptions> | undefined,
  namespace?: string | undefined
) => Config.Config<ConsumerOptions> = ConsumerSettings.config

/** The options in code of a consumer that is configured by its environment; the others are defaults for variables. */
export interface KafkaConsumerConfigOptions<A, H extends AnyEffect, K = Uint8Array | null>
  extends Partial<ConsumerOptions>,
    Pick<KafkaConsumerOptionsOf<A, H, never, K>, "key" | "value" | "handler" | "classify"> {
  /** The failure policy's defaults for variables that aren't set. Default: those of `ReliabilityConfig`. */
  readonly reliability?: ReliabilityConfig.ReliabilityConfig | undefined
}

/**
 * A consumer as a Layer, with options from `config` and the failure policy from `ReliabilityConfig.config`. Give each
 * consumer its own namespace if a program has several.
 */
export const layerConfig = <A, H extends AnyEffect, K = Uint8Array | null>(
  options: KafkaConsumerConfigOptions<A, H, K>,
  namespace?: string | undefined
): Layer.Layer<never, ConsumerError | InvalidOptions | ConfigError, Effect.Effect.Context<H> | Producer | Wire> => {
  // From a program without types, the options may be missing.
  const { classify, handler, key, reliability, value, ...defaults } = { ...options }
  return Config.all([config(defaults, namespace), ReliabilityConfig.config(reliability, namespace)]).pipe(
    Effect.map(([given, policy]) =>
      layer({ ...given, ...ReliabilityConfig.options(policy), key, value, handler, classify })
    ),
    Layer.unwrapEffect
  )
}

/**
 * Consumes until `until` ends (never, by default), then drains and returns its report. Interrupting it drains too: the
 * interruption completes when in-flight records have settled, the last commit is made and the consumer has left the
 * group. Fails if the consumer or `until` fails.
 */
export const run = <A, H extends AnyEffect, RD, K = Uint8Array | null, E2 = never, R2 = never>(
  options: KafkaConsumerOptionsOf<A, H, RD, K>,
  until: Effect.Effect<unknown, E2, R2> = Effect.never
): Effect.Effect<ConsumerReport, ConsumerError | InvalidOptions | E2, Effect.Effect.Context<H> | RD | R2 | Wire> =>
  Effect.scoped(
    Effect.flatMap(make(options), (consumer) =>
      Effect.zipRight(Concurrency.raceFirst(until, consumer.wait), consumer.close)
    )
  )

/** A transactional consumer's options, by its handler's result; see `KafkaConsumerOptionsOf`. */
export interface TransactionalConsumerOptionsOf<A, H extends AnyResults, RD, K = Uint8Array | null>
  extends Omit<KafkaConsumerOptionsOf<A, H, RD, K>, "handler">,
    TransactionOptions {
  /** Returns the records to write for a record. It is called again for that record only if it failed. */
  readonly handler: (envelope: Envelope<A, K>) => H
  /** How often a transaction is committed. Default: 100 milliseconds. */
  readonly commitInterval?: Duration.DurationInput | undefined
}

/** A transactional consumer's options, by its handler's errors and requirements. */
export type TransactionalConsumerOptions<A, E, R, RD, K = Uint8Array | null> = TransactionalConsumerOptionsOf<
  A,
  Effect.Effect<ReadonlyArray<ProducerRecord>, E, R>,
  RD,
  K
>

type AnyResults = Effect.Effect<ReadonlyArray<ProducerRecord>, unknown, unknown>

/**
 * A consumer whose effect on Kafka is exactly once. The records that its handler returns are written in a transaction
 * together with the source record's offset, in batches. So are dead letters, which need no separate `Producer`. With
 * `read_committed`, consumers see each result exactly once, despite crashes and rebalances.
 *
 * Each instance needs its own `transactionalId`. Keep it over a restart: then the new instance aborts its predecessor's
 * open transaction at once; otherwise that takes up to `transactionTimeout`. An aborted transaction is repeated without
 * handling its records again. If another instance takes over the id, the consumer fails with `FencedProducer`. A
 * handler's other effects are at least once, as with every consumer. Needs Kafka 2.5 or later.
 */
export const makeTransactional = <A, H extends AnyResults, RD, K = Uint8Array | null>(
  options: TransactionalConsumerOptionsOf<A, H, RD, K>
): Effect.Effect<
  Consumer,
  ConsumerError | InvalidOptions,
  Effect.Effect.Context<H> | Exclude<RD, Producer> | Wire | Scope.Scope
> =>
  counted(
    options,
    Effect.suspend(() => startTransactional(options))
  )

type Results<H extends AnyResults> = Effect.Effect<ReadonlyArray<ProducerRecord>, unknown, Effect.Effect.Context<H>>

const startTransactional = Effect.fnUntraced(function* <A, H extends AnyResults, RD, K>(
  options: TransactionalConsumerOptionsOf<A, H, RD, K>
): Effect.fn.Return<
  Consumer,
  ConsumerError | InvalidOptions,
  Effect.Effect.Context<H> | Exclude<RD, Producer> | Wire | Scope.Scope
> {
  const { issues, maxTransactionBytes, settings } = TransactionalSettings.check(options)
  const { groupId, startTimeoutMs = settings.startTimeoutMs } = yield* decode(options, undefined, issues)
  yield* reach(groupId, startTimeoutMs, [
    { key: groupId, keyType: "group" },
    { key: settings.transactionalId, keyType: "transaction" }
  ])
  const { commitInterval = "100 millis", handler } = options
  const parts = yield* internalTransactional.make(groupId, settings, maxTransactionBytes)
  const { outputs } = parts
  const { destination } = options.deadLetter
  return yield* start(
    {
      ...options,
      commitInterval,
      handler: (envelope: Envelope<A, K>) =>
        Effect.flatMap(handler(envelope) as Results<H>, (records) =>
          outputs.handled(envelope, Processor.awaited(records))
        ),
      deadLetter: { destination: Effect.provideService(destination, Producer, outputs.producer) }
    },
    parts
  )
})

/** `run` of a transactional consumer; see `makeTransactional`. */
export const runTransactional = <A, H extends AnyResults, RD, K = Uint8Array | null, E2 = never, R2 = never>(
  options: TransactionalConsumerOptionsOf<A, H, RD, K>,
  until: Effect.Effect<unknown, E2, R2> = Effect.never
): Effect.Effect<
  ConsumerReport,
  ConsumerError | InvalidOptions | E2,
  Effect.Effect.Context<H> | Exclude<RD, Producer> | R2 | Wire
> =>
  Effect.scoped(
    Effect.flatMap(makeTransactional(options), (consumer) =>
      Effect.zipRight(Concurrency.raceFirst(until, consumer.wait), consumer.close)
    )
  )

/** A transactional consumer as a Layer; see `makeTransactional`. */
export const layerTransactional = <A, H extends AnyResults, RD, K = Uint8Array | null>(
  options: TransactionalConsumerOptionsOf<A, H, RD, K>
): Layer.Layer<never, ConsumerError | InvalidOptions, Effect.Effect.Context<H> | Exclude<RD, Producer> | Wire> =>
  Layer.scopedDiscard(makeTransactional(options))

/** Like `layerTransactional`, with the handle under a custom tag. */
export const layerTagTransactional = <Self, A, H extends AnyResults, RD, K = Uint8Array | null>(
  tag: Context.Tag<Self, Consumer>,
  options: TransactionalConsumerOptionsOf<A, H, RD, K>
): Layer.Layer<Self, ConsumerError | InvalidOptions, Effect.Effect.Context<H> | Exclude<RD, Producer> | Wire> =>
  Layer.scoped(tag, makeTransactional(options))

/** A transactional consumer's options, apart from code. */
export interface TransactionalOptions extends ConsumerOptions, TransactionOptions {}

/**
 * A transactional consumer's options from the environment: those of `config`, `KAFKA_CONSUMER_MAX_TRANSACTION_BYTES`,
 * and those of `KafkaProducer.configTransactional`, including `KAFKA_PRODUCER_TRANSACTIONAL_ID`.
 */
export const configTransactional: (
  defaults?: Partial<TransactionalOptions> | undefined,
  namespace?: string | undefined
) => Config.Config<TransactionalOptions> = TransactionalSettings.consumerConfig

/** The options in code of a transactional consumer that is configured by its environment. */
export interface TransactionalConsumerConfigOptions<A, H extends AnyResults, K = Uint8Array | null>
  extends Partial<TransactionalOptions>,
    Pick<TransactionalConsumerOptionsOf<A, H, never, K>, "key" | "value" | "handler" | "classify"> {
  /** The failure policy's defaults for variables that aren't set. Default: those of `ReliabilityConfig`. */
  readonly reliability?: ReliabilityConfig.ReliabilityConfig | undefined
}

/**
 * `layerTransactional` with options from `configTransactional` and the failure policy from `ReliabilityConfig.config`.
 */
export const layerConfigTransactional = <A, H extends AnyResults, K = Uint8Array | null>(
  options: TransactionalConsumerConfigOptions<A, H, K>,
  namespace?: string | undefined
): Layer.Layer<never, ConsumerError | InvalidOptions | ConfigError, Effect.Effect.Context<H> | Wire> => {
  const { classify, handler, key, reliability, value, ...defaults } = { ...options }
  return Config.all([configTransactional(defaults, namespace), ReliabilityConfig.config(reliability, namespace)]).pipe(
    Effect.map(([given, policy]) =>
      layerTransactional({ ...given, ...ReliabilityConfig.options(policy), key, value, handler, classify })
    ),
    Layer.unwrapEffect
  )
}
