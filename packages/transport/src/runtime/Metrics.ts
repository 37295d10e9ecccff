/**
 * The events that runtimes report to metrics. For Spillway's own runtimes; unstable.
 */
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { ConsumerSnapshot } from "../ConsumerSnapshot.js"

/** Whether a record's handler succeeded, or handling failed permanently. */
export type ProcessedStatus = "success" | "error"

/** The metrics of one topic in one group. The functions are synchronous and take about 10 ns. */
export interface ConsumerMetrics {
  readonly received: (records: number) => void
  readonly processed: (status: ProcessedStatus, records: number) => void
  readonly processingDuration: (seconds: number) => void
  /** An attempt failed with this error. */
  readonly failed: (error: unknown) => void
  readonly retried: (attempts: number) => void
  readonly deadLettered: (records: number) => void
  readonly deadLetterFailed: (tries: number) => void
  readonly offsetReset: () => void
  /** A corrupt batch was skipped; it covered this many offsets. */
  readonly skipped: (offsets: number) => void
}

/** The metrics of one group. */
export interface GroupMetrics {
  readonly rebalanced: () => void
  /** A commit was acknowledged; its duration in seconds. */
  readonly committed: (seconds: number) => void
  readonly commitFailed: () => void
}

/** The metrics of publishing to one topic. The functions are synchronous and take about 10 ns. */
export interface ProducerMetrics {
  readonly sent: (records: number) => void
  readonly publishDuration: (seconds: number) => void
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
