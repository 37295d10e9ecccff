/**
 * How long a member waits for its coordinator: always less than the coordinator waits for the member, so that a lost
 * request or response is retried while that still helps. In milliseconds.
 */

export interface Timeouts {
  readonly rebalanceTimeoutMs: number
  readonly sessionTimeoutMs: number
}

/** Brokers may take this long to write a commit (`offsets.commit.timeout.ms`, 5 seconds). */
const commitMs = 6_000

/**
 * For a request that is answered at once. The coordinator removes the requester after `removedAfterMs`: wait a third of
 * that, or longer if a commit may need it.
 */
export const answerLimitMs = (removedAfterMs: number): number =>
  Math.ceil(Math.max(removedAfterMs / 3, Math.min(commitMs, (removedAfterMs * 2) / 3)))

/**
 * For JoinGroup and SyncGroup, which the coordinator parks, after `unanswered` attempts without a response. Once a
 * generation has begun, the coordinator removes a member that doesn't sync within the rebalance timeout, or that sends
 * no heartbeat within the session timeout. A retry replaces the parked request and gets its response, so the first
 * retries are early. Later waits double, up to half of that timeout; otherwise a slow coordinator could never answer.
 */
export const parkedLimitMs = ({ rebalanceTimeoutMs, sessionTimeoutMs }: Timeouts, unanswered: number): number => {
  const removedAfterMs = Math.min(rebalanceTimeoutMs, sessionTimeoutMs)
  const first = Math.max(removedAfterMs / 9, Math.min(1_000, removedAfterMs / 3))
  return Math.ceil(Math.min(first * 2 ** unanswered, removedAfterMs / 2))
}
