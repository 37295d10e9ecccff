/**
 * The state of a consumer at one moment, for metrics and health checks. Runtimes build it from cached state, without
 * waiting. For Spillway's own runtimes; unstable.
 */
import type { CircuitBreakerState } from "../CircuitBreaker.js"
import type { ConsumerStatus, TopicPartition } from "../Consumer.js"

/**
 * - `idle`: no fetched records are left
 * - `queued`: records are queued and none is in flight
 * - `handling`: the handler runs
 * - `waiting`: for a retry
 * - `deadLettering`: handling failed permanently, and the dead letter isn't acknowledged yet
 */
export type PartitionActivity = "idle" | "queued" | "handling" | "waiting" | "deadLettering"

/** One assigned partition. */
export interface PartitionSnapshot extends TopicPartition {
  /** The activity of the partition's lane. */
  readonly activity: PartitionActivity
  /** Whether the partition is paused. */
  readonly paused: boolean
  /** Every record before this offset has its outcome. */
  readonly settledTo: number
  /** The end of the log in the last fetch response; -1 before the first response. */
  readonly highWatermark: number
  /**
   * Records that have started and have no outcome: handled now, waiting for a retry, or waiting for their dead letter.
   */
  readonly inFlight: number
  /** Records fetched and not started. */
  readonly bufferedRecords: number
  /** The size of the fetched batches that hold them, as received: compressed and whole. */
  readonly bufferedBytes: number
  /** When the oldest record without an outcome was fetched, in milliseconds of the clock's monotonic nanoseconds. */
  readonly oldestFetchedAt: number | undefined
  /**
   * Grows with each started record and each change of `activity` in its recovery: if unchanged, nothing has progressed.
   */
  readonly steps: number
}

/** The state of a consumer at one moment. */
export interface ConsumerSnapshot {
  /** The consumer's status. */
  readonly status: ConsumerStatus
  /** The breaker's state; `undefined` if the consumer has none. */
  readonly circuitBreaker: CircuitBreakerState | undefined
  /** The assigned partitions. */
  readonly partitions: ReadonlyArray<PartitionSnapshot>
}
