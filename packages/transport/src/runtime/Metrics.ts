/**
 * The events that runtimes report to metrics. For Spillway's own runtimes; unstable.
 */
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { ConsumerSnapshot } from "./ConsumerSnapshot.js"

/** Whether a record's handler succeeded, or handling failed permanently. */
export type ProcessedStatus = "success" | "error"

/** The metrics of one topic in one group. The functions are synchronous and take about 10 ns. */
export interface ConsumerMetrics {
  /** Records were fetched for handling. */
  readonly received: (records: number) => void
  /** Records have their outcome. */
  readonly processed: (status: ProcessedStatus, records: number) => void
  /** An attempt ended; its duration in seconds. */
  readonly processingDuration: (seconds: number) => void
  /** An attempt failed with this error. */
  readonly failed: (error: unknown) => void
  /** Attempts after a record's first were started. */
  readonly retried: (attempts: number) => void
  /** Dead letters were acknowledged. */
  readonly deadLettered: (records: number) => void
  /** Tries to publish a dead letter failed. */
  readonly deadLetterFailed: (tries: number) => void
  /** The option `offsetOutOfRange` reset a partition's offset. */
  readonly offsetReset: () => void
  /** A corrupt batch was skipped; it covered this many offsets. */
  readonly skipped: (offsets: number) => void
}

/** The metrics of one group. */
export interface GroupMetrics {
  /** The consumer joined a generation of the group. */
  readonly rebalanced: () => void
  /** A commit was acknowledged; its duration in seconds. */
  readonly committed: (seconds: number) => void
  /** A commit was sent and not acknowledged for all its offsets. */
  readonly commitFailed: () => void
}

/** The metrics of publishing to one topic. The functions are synchronous and take about 10 ns. */
export interface ProducerMetrics {
  /** Records were acknowledged. */
  readonly sent: (records: number) => void
  /** A record was acknowledged; the seconds since its `send`. */
  readonly publishDuration: (seconds: number) => void
  /** The `send` of records was interrupted after they had left: they may be written anyway. */
  readonly abandoned: (records: number) => void
}

/** The metrics of consumers and producers. */
export interface Metrics {
  /** False if metrics are off: callers can skip measuring. */
  readonly enabled: boolean
  /** Created on the first call for the labels, with all series at zero. */
  readonly consumer: (labels: { readonly topic: string; readonly groupId: string }) => ConsumerMetrics
  /** Created on the first call for the group, with all series at zero. */
  readonly group: (labels: { readonly groupId: string }) => GroupMetrics
  /** Created on the first call for the labels, with all series at zero. */
  readonly producer: (labels: { readonly topic: string }) => ProducerMetrics
  /** Samples a consumer's snapshots once a second until the scope closes; samples nothing if metrics are off. */
  readonly observeConsumer: (
    labels: { readonly groupId: string; readonly topics: ReadonlyArray<string> },
    sample: () => ConsumerSnapshot
  ) => Effect.Effect<void, never, Scope.Scope>
  /** Counts a consumer as active until the scope closes. */
  readonly activeConsumer: Effect.Effect<void, never, Scope.Scope>
  /** Counts a producer as active until the scope closes. */
  readonly activeProducer: Effect.Effect<void, never, Scope.Scope>
}
