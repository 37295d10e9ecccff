/**
 * Commits the ledgers' settled offsets to the group's coordinator: one commit in flight, with newly settled records
 * merged into the next; never past an unsettled record, never for a partition that is no longer assigned, and backwards
 * only after a partition's restart.
 */
import type { CommittedOffset } from "@spillway/transport/Consumer"
import * as Logging from "@spillway/transport/runtime/Logging"
import type { GroupMetrics } from "@spillway/transport/runtime/Metrics"
import * as Monotonic from "@spillway/transport/runtime/Monotonic"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as LogLevel from "effect/LogLevel"
import { KafkaErrorCode as Code, nameOf } from "../../KafkaErrorCode.js"
import * as Backoff from "../concurrency/backoff.js"
import type { Retry } from "../concurrency/retries.js"
import type { CommitError } from "../group/commitError.js"
import type { OffsetCommits } from "../group/offsetCommits.js"
import type { AssignedPartitions } from "../lane/assignedPartitions.js"
import type { Partition } from "../lane/partition.js"
import { byPlace } from "../topicPartition.js"
import { isFatal } from "../transaction/commits.js"

export interface CommitterOptions {
  readonly partitions: Pick<AssignedPartitions, "all">
  readonly commits: OffsetCommits
  /** Whether the partition's topic was deleted: in a new topic of the same name, its offsets would skip records. */
  readonly isStale: (assigned: Partition) => boolean
  /** Whether a topic no longer exists; called when a commit was refused for that reason. */
  readonly isGone: (topic: string) => Effect.Effect<boolean>
  readonly metrics: GroupMetrics
  readonly retry: Retry
}

export interface Committer {
  /** Every partition's last acknowledged commit, also of partitions that are no longer assigned. */
  readonly committed: () => ReadonlyArray<CommittedOffset>
  /** Whether a settled record isn't committed. */
  readonly isBehind: () => boolean
  /** Commits the settled records once; true if no record that had settled before is left to commit. */
  readonly once: Effect.Effect<boolean>
  /** Runs while no commit is in flight. */
  readonly between: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Commits the settled records, with retries until acknowledged or impossible; the caller's interruption ends it. */
  readonly flush: Effect.Effect<void>
}

const offsetToCommit = (assigned: Partition): number | undefined => {
  const offset = assigned.settledTo()
  return offset > assigned.committed ? offset : undefined
}

/** `Refused`: permanently. */
type Attempted = "Complete" | "Incomplete" | "Refused"

interface Sent {
  readonly assigned: Partition
  readonly offset: number
  readonly leaderEpoch: number
}

export const make = (options: CommitterOptions): Committer => {
  const { commits, metrics, partitions: assignedPartitions, retry } = options
  const committed = new Map<string, CommittedOffset>()
  /** When the last commit began, in monotonic milliseconds. */
  let attemptedAt = 0
  const oneInFlight = Effect.unsafeMakeSemaphore(1)

  const collect = (): Map<string, Map<number, Sent>> => {
    const topics = new Map<string, Map<number, Sent>>()
    for (const assigned of assignedPartitions.all) {
      const offset = offsetToCommit(assigned)
      if (offset === undefined || assigned.isAbandoned() || options.isStale(assigned)) continue
      const partitions = topics.get(assigned.topic) ?? new Map()
      topics.set(
        assigned.topic,
        partitions.set(assigned.partition, { assigned, offset, leaderEpoch: assigned.settledEpoch() })
      )
    }
    return topics
  }

  const attempt = Effect.gen(function* (): Effect.fn.Return<Attempted, CommitError> {
    attemptedAt = yield* Monotonic.now
    commits.begin()
    const topics = collect()
    if (topics.size === 0) {
      retry.dropped()
      return "Complete"
    }
    const startedAt = yield* Clock.currentTimeNanos
    const answer = yield* commits
      .commit(
        Array.from(topics, ([topic, partitions]) => ({
          topic,
          partitions: Array.from(partitions, ([partition, { leaderEpoch, offset }]) => ({
            partition,
            offset,
            leaderEpoch,
            metadata: null
          }))
        }))
      )
      .pipe(Effect.tapErrorCause(() => Effect.sync(metrics.commitFailed)))
    if (answer === undefined) return "Incomplete"
    if (answer.topics.some(({ partitions }) => partitions.some(({ errorCode }) => errorCode !== 0))) {
      metrics.commitFailed()
    } else {
      metrics.committed(Number((yield* Clock.currentTimeNanos) - startedAt) / 1e9)
    }
    let complete = true
    let refusal: string | undefined
    for (const { topic, partitions } of answer.topics) {
      for (const { partition, errorCode } of partitions) {
        const sent = topics.get(topic)?.get(partition)
        if (sent === undefined) continue
        if (errorCode === 0) {
          sent.assigned.acknowledge(sent.offset)
          committed.set(`${topic}-${partition}`, { topic, partition, offset: sent.offset })
          continue
        }
        if (errorCode === Code.UNKNOWN_TOPIC_OR_PARTITION && (yield* options.isGone(topic))) continue
        const reaction = yield* commits.onError(errorCode)
        refusal ??= `OffsetCommit answered ${nameOf(errorCode)} for ${topic}-${partition}`
        // A permanent refusal ends the consumer: a retry would only delay that.
        if (reaction._tag !== "Fatal") complete = false
      }
    }
    yield* refusal === undefined ? retry.succeeded : retry.failed(refusal, attemptedAt)
    return complete ? "Complete" : "Incomplete"
  }).pipe(
    Effect.catchAll((error) =>
      Effect.as(
        Effect.zipRight(
          Logging.log(LogLevel.Debug, "Commit failed; retrying", {}, Cause.fail(error)),
          retry.failed(error, attemptedAt)
        ),
        error._tag === "TransactionError" && isFatal(error) ? "Refused" : "Incomplete"
      )
    ),
    oneInFlight.withPermits(1)
  )

  const isBehind = () => collect().size > 0

  return {
    isBehind,
    committed: () => byPlace(committed.values()),
    // Usually nothing has settled since the last commit: don't wait for a turn then.
    once: Effect.suspend(() =>
      isBehind() ? Effect.map(attempt, (attempted) => attempted === "Complete") : Effect.succeed(true)
    ),
    between: oneInFlight.withPermits(1),
    flush: Effect.suspend(() => {
      const backoff = Backoff.make(50, 500)
      return Effect.repeat(
        Effect.tap(attempt, (attempted) => (attempted === "Incomplete" ? backoff.next : Effect.void)),
        { until: (attempted) => attempted !== "Incomplete" }
      )
    })
  }
}
