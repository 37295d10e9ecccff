/**
 * How long a member waits for its coordinator: always less than the coordinator waits for the member, so that a request
 * or an answer that was lost is repeated while that still helps. Milliseconds.
 */

export interface Timeouts {
  readonly rebalanceTimeoutMs: number
  readonly sessionTimeoutMs: number
}

/** Brokers may take this long to write a commit (`offsets.commit.timeout.ms`, 5 seconds). */
const commitMs = 6_000

/**
 * For a request that is answered at once, where the one who asks is given up after `givenUpAfterMs`: a third of that, or
 * more where a commit may need it.
 */
export const answerLimitMs = (givenUpAfterMs: number): number =>
  Math.ceil(Math.max(givenUpAfterMs / 3, Math.min(commitMs, (givenUpAfterMs * 2) / 3)))

/**
 * For JoinGroup and SyncGroup, which the coordinator parks, after so many tries without an answer. When a generation has
 * begun, a member that doesn't sync is removed after the rebalance timeout, and one without heartbeats after the session
 * timeout. A repeat takes the place of the parked request and is answered like it, so the first ones come soon; later
 * ones double, or a slow coordinator would never be heard, to half of what the coordinator waits.
 */
export const parkedLimitMs = ({ rebalanceTimeoutMs, sessionTimeoutMs }: Timeouts, unanswered: number): number => {
  const removedAfterMs = Math.min(rebalanceTimeoutMs, sessionTimeoutMs)
  const first = Math.max(removedAfterMs / 9, Math.min(1_000, removedAfterMs / 3))
  return Math.ceil(Math.min(first * 2 ** unanswered, removedAfterMs / 2))
}
