/**
 * What a consumer is doing at one moment, read by metrics and health checks. Runtimes make it from what they know,
 * without waiting for anything.
 */
import type { CircuitBreakerState } from "./CircuitBreaker.js"
import type { ConsumerStatus, TopicPartition } from "./Consumer.js"

/**
 * - `idle`: nothing fetched is left to handle
 * - `queued`: records are there and none is in flight
 * - `handling`: the handler runs
 * - `waiting`: for a retry
 * - `deadLettering`: the record's handling failed for good, its dead letter isn't acknowledged yet
 */
export type LaneActivity = "idle" | "queued" | "handling" | "waiting" | "deadLettering"

/** One owned partition. */
export interface LaneSnapshot extends TopicPartition {
  readonly activity: LaneActivity
  readonly paused: boolean
  /** Every record before this offset has its outcome. */
  readonly settledTo: number
  /** The log's end as the last fetch answered; -1 before the first answer. */
  readonly highWatermark: number
  /** Records that were started and have no outcome: handled now, waiting for a retry, or for their dead letter. */
  readonly inFlight: number
  /** Records fetched and not started. */
  readonly bufferedRecords: number
  /** The size of the fetched batches that hold them, as they came: compressed, and whole. */
  readonly bufferedBytes: number
  /** When the oldest record without an outcome was fetched, in milliseconds of the clock's monotonic nanoseconds. */
  readonly oldestFetchedAt: number | undefined
  /** Grows with each record started and each change of `activity` in its recovery: unchanged, the same thing goes on. */
  readonly steps: number
}

export interface ConsumerSnapshot {
  readonly status: ConsumerStatus
  /** `undefined` where the consumer has none. */
  readonly circuitBreaker: CircuitBreakerState | undefined
  readonly lanes: ReadonlyArray<LaneSnapshot>
}
