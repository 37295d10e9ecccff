/**
 * Handles a leader's response for one partition: passes its records to the partition, or reacts to its error.
 */

import { ConsumerError } from "@spillway/transport/Consumer"
import * as Logging from "@spillway/transport/runtime/Logging"
import type { ConsumerMetrics } from "@spillway/transport/runtime/Metrics"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as LogLevel from "effect/LogLevel"
import { KafkaErrorCode as Code, nameOf } from "../../KafkaErrorCode.js"
import type { Api, FetchPartitionResponse } from "../../Protocol.js"
import { earliestTimestamp, latestTimestamp } from "../../Protocol.js"
import type { RecordBatchError } from "../../RecordBatch.js"
import { type Cluster, ResponseError } from "../cluster/cluster.js"
import { listOffset } from "../cluster/listOffsets.js"
import type { Failure } from "../concurrency/retries.js"
import type { Partition } from "../lane/partition.js"
import type { ConsumerSettings } from "../settings/consumerSettings.js"
import type { EpochEnd } from "./leaderEpochCheck.js"
import type { RecreatedTopics } from "./recreatedTopics.js"

export interface Reactions {
  /** Reacts to an error code of a request of this API. */
  readonly refused: (assigned: Partition, api: Api, errorCode: number) => Effect.Effect<void>
  /** The leader's log no longer has the records before the partition's position. */
  readonly truncated: (assigned: Partition, answer: EpochEnd) => Effect.Effect<void>
  /** Restarts a partition whose topic was recreated. */
  readonly restart: (assigned: Partition) => Effect.Effect<void>
  /** Reacts to a corrupt batch among the partition's received ones, if any. */
  readonly broken: (assigned: Partition) => Effect.Effect<void>
  readonly receive: (assigned: Partition, answer: FetchPartitionResponse) => Effect.Effect<void>
  /** Fails the consumer at a partition's position. */
  readonly failAt: (
    assigned: Partition,
    reason: ConsumerError["reason"],
    description: string,
    cause?: unknown
  ) => Effect.Effect<void>
}

export const make = (options: {
  readonly cluster: Cluster
  readonly settings: ConsumerSettings
  readonly fail: (error: ConsumerError) => Effect.Effect<void>
  readonly metrics: (topic: string) => ConsumerMetrics
  /** Runs an effect while no commit is in flight, so that an earlier commit isn't taken for a later one. */
  readonly betweenCommits: <A>(effect: Effect.Effect<A>) => Effect.Effect<A>
  readonly recreated: RecreatedTopics
  /** Fetches the partition again after a delay. */
  readonly retry: (assigned: Partition, failure: Failure) => Effect.Effect<void>
  /** Finds a new position for the partition in the background; it is not fetched until then. */
  readonly repair: (assigned: Partition, effect: Effect.Effect<void>) => Effect.Effect<void>
}): Reactions => {
  const { cluster, fail, metrics, recreated, repair, retry, settings } = options
  /** Positions at which a batch was found corrupt once. */
  const suspected = new WeakMap<Partition, number>()

  const failAt: Reactions["failAt"] = (assigned, reason, description, cause) =>
    fail(
      new ConsumerError({
        reason,
        groupId: settings.groupId,
        description: `${assigned.topic}-${assigned.partition} at offset ${assigned.position}: ${description}`,
        cause
      })
    )

  /** Continues at another offset, unless a seek has moved the partition meanwhile. */
  const resume = (assigned: Partition, from: number, to: number, leaderEpoch: number) =>
    options.betweenCommits(
      Effect.sync(() => {
        if (assigned.position === from) assigned.resumeAt(to, leaderEpoch)
      })
    )

  const outOfRange = (assigned: Partition): Effect.Effect<void> => orUnauthorized(assigned, reset(assigned))

  const orUnauthorized = (assigned: Partition, effect: Effect.Effect<void, ResponseError>) =>
    Effect.catchAll(effect, (cause) => failAt(assigned, "Authorization", cause.message, cause))

  const restart: Reactions["restart"] = (assigned) => orUnauthorized(assigned, recreated.restart(assigned))

  /** Applies the policy for a log that differs from the read records, unless the topic was recreated. */
  const unlessRecreated = (assigned: Partition, policy: Effect.Effect<void>): Effect.Effect<void> =>
    repair(
      assigned,
      Effect.matchEffect(cluster.refresh([assigned.topic]), {
        onFailure: (cause) => retry(assigned, cause),
        onSuccess: () => (recreated.isGone(assigned) ? restart(assigned) : policy)
      })
    )

  const reset = Effect.fnUntraced(function* (assigned: Partition) {
    const policy = settings.offsetOutOfRange
    const { partition, position: offset, topic } = assigned
    const [start, end] = yield* Effect.all([
      listOffset(cluster, assigned, earliestTimestamp),
      listOffset(cluster, assigned, latestTimestamp, settings.isolationLevel)
    ])
    // A seek has moved it meanwhile.
    if (assigned.position !== offset) return
    if (policy === "fail") {
      return yield* failAt(assigned, "OffsetOutOfRange", `the log starts at ${start} and ends at ${end}`)
    }
    const resumedAt = policy === "earliest" ? start : end
    const annotations = { groupId: settings.groupId, topic, partition, offset, start, end, resumedAt, policy }
    yield* Logging.log(LogLevel.Warning, "Offset out of range", annotations)
    metrics(topic).offsetReset()
    yield* resume(assigned, offset, resumedAt, -1)
  })

  const truncated: Reactions["truncated"] = (assigned, answer) => unlessRecreated(assigned, cutBack(assigned, answer))

  const cutBack = Effect.fnUntraced(function* (assigned: Partition, { endOffset, leaderEpoch }: EpochEnd) {
    const { partition, position: offset, topic } = assigned
    const readEpoch = assigned.leaderEpoch()
    if (settings.offsetOutOfRange === "fail") {
      const end = endOffset < 0 ? "holds no such epoch" : `ended at ${endOffset} in it`
      const description = `the records read last were of leader epoch ${readEpoch}, but the log now ${end}`
      return yield* failAt(assigned, "LogTruncated", description)
    }
    if (endOffset < 0) return yield* outOfRange(assigned)
    yield* Logging.log(LogLevel.Warning, "The log was truncated", {
      groupId: settings.groupId,
      topic,
      partition,
      offset,
      readEpoch,
      resumedAt: endOffset,
      leaderEpoch
    })
    metrics(topic).offsetReset()
    yield* resume(assigned, offset, endOffset, leaderEpoch)
  })

  const corrupt = Effect.fnUntraced(function* (assigned: Partition, error: RecordBatchError) {
    const { highWatermark, partition, position: offset, topic } = assigned
    if (error.reason === "CorruptBatch" && suspected.get(assigned) !== offset) {
      suspected.set(assigned, offset)
      return yield* Logging.log(
        LogLevel.Debug,
        "A batch is corrupt; it is fetched once more, in case it was damaged in transit",
        { topic, partition, offset },
        Cause.fail(error)
      )
    }
    if (settings.corruptBatch === "fail") return yield* failAt(assigned, "CorruptBatch", error.message, error)
    const { nextOffset } = error
    if (nextOffset === undefined || nextOffset <= offset || nextOffset > highWatermark) {
      return yield* failAt(
        assigned,
        "CorruptBatch",
        `${error.message}; it can't be skipped, because its end is unknown`,
        error
      )
    }
    assigned.resumeAt(nextOffset, assigned.leaderEpoch())
    const skipped = { groupId: settings.groupId, topic, partition, firstOffset: offset, lastOffset: nextOffset - 1 }
    yield* Logging.log(LogLevel.Error, "A corrupt batch is skipped", skipped, Cause.fail(error))
    metrics(topic).skipped(nextOffset - offset)
  })

  const refused: Reactions["refused"] = (assigned, api, errorCode) => {
    switch (errorCode) {
      case Code.OFFSET_OUT_OF_RANGE:
        return unlessRecreated(assigned, outOfRange(assigned))
      case Code.TOPIC_AUTHORIZATION_FAILED:
        return failAt(assigned, "Authorization", nameOf(errorCode))
      case Code.CORRUPT_MESSAGE:
      case Code.UNSUPPORTED_COMPRESSION_TYPE:
        return failAt(assigned, "CorruptBatch", nameOf(errorCode))
      case Code.UNKNOWN_TOPIC_OR_PARTITION:
      case Code.UNKNOWN_TOPIC_ID:
      case Code.INCONSISTENT_TOPIC_ID:
      case Code.UNKNOWN_LEADER_EPOCH:
        cluster.doubt(assigned.topic, assigned.partition)
    }
    return retry(assigned, new ResponseError({ api, code: errorCode }))
  }

  const broken: Reactions["broken"] = (assigned) =>
    Effect.suspend(() => {
      const error = assigned.takeFailure()
      return error === undefined ? Effect.void : corrupt(assigned, error)
    })

  const receive: Reactions["receive"] = Effect.fnUntraced(function* (assigned, answer) {
    if (answer.errorCode !== Code.NONE) return yield* refused(assigned, "Fetch", answer.errorCode)
    assigned.receive(answer)
    yield* broken(assigned)
  })

  return { broken, failAt, receive, refused, restart, truncated }
}
