/**
 * The metrics of consumers and producers. Off by default, and then free. `layer` turns them on: it registers metrics
 * with Effect's Metric registry, and a Prometheus or OpenTelemetry exporter reads them from there.
 *
 * | metric | type, labels | what it counts |
 * |---|---|---|
 * | `{service}_messages_received_total` | counter: topic, group | every record fetched for handling; one redelivered after a rebalance or restart counts again |
 * | `{service}_messages_processed_total` | counter: topic, group, status | every record that has its outcome: `success` if its handler succeeded, `error` if handling failed permanently: it was dead-lettered or discarded, or the consumer stopped at it |
 * | `{service}_message_processing_duration_seconds` | histogram: topic, group | every attempt, failed ones too: decoding and handler, without the waits between attempts |
 * | `{service}_handler_failures_total` | counter: topic, group, error | every attempt that failed, by `HandlerError.typeOf`; the first 50 classes by name, later ones as `other` |
 * | `{service}_retry_attempts_total` | counter: topic, group | every attempt after a record's first |
 * | `{service}_dlq_messages_total` | counter: topic, group | every dead letter that the broker acknowledged; `topic` is the source topic |
 * | `{service}_dlq_publish_failures_total` | counter: topic, group | every failed try to publish a dead letter; `topic` is the source topic |
 * | `{service}_offset_resets_total` | counter: topic, group | every reset by the option `offsetOutOfRange` |
 * | `{service}_skipped_batches_total` | counter: topic, group | every batch skipped by the option `corruptBatch` |
 * | `{service}_skipped_offsets_total` | counter: topic, group | the offsets of those batches: the most records they can have held |
 * | `{service}_rebalances_total` | counter: group | every generation of the group that a consumer joined, including its first |
 * | `{service}_commits_total` | counter: group, status | every commit sent: `success` if all its offsets were acknowledged, otherwise `error`, and it is retried |
 * | `{service}_commit_duration_seconds` | histogram: group | every acknowledged commit |
 * | `{service}_messages_sent_total` | counter: topic | every record that the broker acknowledged, dead letters included |
 * | `{service}_message_publish_duration_seconds` | histogram: topic | every acknowledged record, from `send` to its acknowledgement |
 * | `{service}_messages_abandoned_total` | counter: topic | records whose `send` was interrupted after they had left: they may be written anyway |
 * | `{service}_active_consumers` | gauge | open consumers |
 * | `{service}_active_producers` | gauge | open producers |
 * | `{service}_uptime_seconds` | gauge | seconds since the layer was built, updated once a second |
 *
 * Gauges of an open consumer, updated once a second; consumers of one group in one process add up:
 *
 * | metric | labels | value |
 * |---|---|---|
 * | `{service}_consumer_lag_records` | topic, partition, group | the log's end in the last fetch response, minus the settled offset |
 * | `{service}_oldest_unsettled_age_seconds` | topic, partition, group | since the oldest record without an outcome was fetched; 0 if there is none |
 * | `{service}_in_flight_records` | topic, group | records started without an outcome |
 * | `{service}_buffered_records`, `{service}_buffered_bytes` | topic, group | records fetched and not started; the size of the batches that hold them |
 * | `{service}_retries_waiting` | topic, group | records waiting for a retry |
 * | `{service}_assigned_partitions`, `{service}_paused_partitions` | topic, group | assigned partitions, and those of them that are paused |
 * | `{service}_consumer_status` | group, status | 1 for the current `ConsumerStatus`, 0 for the others |
 * | `{service}_circuit_breaker_state` | group | 0 closed or none, 1 half-open, 2 open; the maximum of several |
 *
 * A consumer's series exist at zero from its start, so that `rate()` sees the first increase; those of a partition
 * appear with its assignment, those of an error class with its first error. Effect's registry drops no series: the
 * gauges of a revoked partition and of a closed consumer go to 0.
 */
import type { Config } from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { InvalidOptions } from "./InvalidOptions.js"
import { settings } from "./internal/metricsSettings.js"
import type { Metrics } from "./runtime/Metrics.js"
import * as MetricsRegistry from "./runtime/MetricsRegistry.js"
import * as Settings from "./runtime/Settings.js"

/** The metrics that consumers and producers report to. Default: off. */
export class TransportMetrics extends Context.Reference<TransportMetrics>()("@spillway/transport/TransportMetrics", {
  defaultValue: (): Metrics => MetricsRegistry.off
}) {}

/** The options of the metrics. */
export interface TransportMetricsOptions {
  /** The prefix of every metric's name; must match `[a-zA-Z_:][a-zA-Z0-9_:]*`. */
  readonly service: string
}

const make = (options: TransportMetricsOptions): Effect.Effect<Metrics, InvalidOptions, Scope.Scope> =>
  Effect.flatMap(Settings.decode(settings, options), ({ service }) => MetricsRegistry.make(service))

/** Turns metrics on for the consumers and producers that this layer is provided to. */
export const layer = (options: TransportMetricsOptions): Layer.Layer<never, InvalidOptions> =>
  Layer.scoped(TransportMetrics, make(options))

/** `METRICS_SERVICE`: the service, required unless there is a default; within a namespace `A`, `A_METRICS_SERVICE`. */
export const config = (
  defaults?: Partial<TransportMetricsOptions> | undefined,
  namespace?: string | undefined
): Config<TransportMetricsOptions> => Settings.config(settings, defaults, namespace)

/** `layer` with the service from the environment; see `config`. */
export const layerConfig = (
  defaults?: Partial<TransportMetricsOptions> | undefined,
  namespace?: string | undefined
): Layer.Layer<never, InvalidOptions | ConfigError> =>
  Layer.scoped(TransportMetrics, Effect.flatMap(config(defaults, namespace), make))
