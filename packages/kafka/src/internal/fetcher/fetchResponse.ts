/**
 * What follows a leader's answer for one partition: its records go to the lane, or its error is acted on.
 */

import { ConsumerError } from "@spillway/transport/Consumer"
import * as Logging from "@spillway/transport/Logging"
import type { ConsumerMetrics } from "@spillway/transport/TransportMetrics"
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
import type { Lane } from "../lane/lane.js"
import type { ConsumerSettings } from "../settings/consumerSettings.js"
import type * as Validation from "./leaderEpochCheck.js"
import type { Recreated } from "./recreatedTopics.js"

export interface Answers {
  /** What follows an error code of a request of this api. */
  readonly refused: (lane: Lane, api: Api, errorCode: number) => Effect.Effect<void>
  /** The leader's log no longer holds what was read before the lane's position. */
  readonly truncated: (lane: Lane, answer: Validation.Answer) => Effect.Effect<void>
  /** Lets a lane begin anew whose topic was. */
  readonly restart: (lane: Lane) => Effect.Effect<void>
  /** What follows where a batch of what a lane has received was found to be broken. */
  readonly broken: (lane: Lane) => Effect.Effect<void>
  readonly receive: (lane: Lane, answer: FetchPartitionResponse) => Effect.Effect<void>
  /** Fails the consumer at a lane's position. */
  readonly failAt: (
    lane: Lane,
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
  /** Runs an effect while no commit is in flight, so that a commit of before isn't taken for one of after. */
  readonly betweenCommits: <A>(effect: Effect.Effect<A>) => Effect.Effect<A>
  readonly recreated: Recreated
  /** The lane is asked for again after a while. */
  readonly retry: (lane: Lane, failure: Failure) => Effect.Effect<void>
  /** Finds a new position for the lane in the background; it is not asked for until then. */
  readonly repair: (lane: Lane, effect: Effect.Effect<void>) => Effect.Effect<void>
}): Answers => {
  const { cluster, fail, metrics, recreated, repair, retry, settings } = options
  /** Positions at which a batch was found corrupt once. */
  const suspected = new WeakMap<Lane, number>()

  const failAt: Answers["failAt"] = (lane, reason, description, cause) =>
    fail(
      new ConsumerError({
        reason,
        groupId: settings.groupId,
        description: `${lane.topic}-${lane.partition} at offset ${lane.position}: ${description}`,
        cause
      })
    )

  /** Goes on at another offset, unless the lane was sought elsewhere meanwhile. */
  const resume = (lane: Lane, from: number, to: number, leaderEpoch: number) =>
    options.betweenCommits(
      Effect.sync(() => {
        if (lane.position === from) lane.resumeAt(to, leaderEpoch)
      })
    )

  const outOfRange = (lane: Lane): Effect.Effect<void> => orUnauthorized(lane, reset(lane))

  const orUnauthorized = (lane: Lane, effect: Effect.Effect<void, ResponseError>) =>
    Effect.catchAll(effect, (cause) => failAt(lane, "Authorization", cause.message, cause))

  const restart: Answers["restart"] = (lane) => orUnauthorized(lane, recreated.restart(lane))

  /** What a log that differs from what was read calls for, unless it is that of a new topic. */
  const unlessRecreated = (lane: Lane, policy: Effect.Effect<void>): Effect.Effect<void> =>
    repair(
      lane,
      Effect.matchEffect(cluster.refresh([lane.topic]), {
        onFailure: (cause) => retry(lane, cause),
        onSuccess: () => (recreated.isGone(lane) ? restart(lane) : policy)
      })
    )

  const reset = Effect.fnUntraced(function* (lane: Lane) {
    const policy = settings.offsetOutOfRange
    const { partition, position: offset, topic } = lane
    const [start, end] = yield* Effect.all([
      listOffset(cluster, lane, earliestTimestamp),
      listOffset(cluster, lane, latestTimestamp, settings.isolationLevel)
    ])
    // Sought elsewhere meanwhile.
    if (lane.position !== offset) return
    if (policy === "fail") {
      return yield* failAt(lane, "OffsetOutOfRange", `the log starts at ${start} and ends at ${end}`)
    }
    const resumedAt = policy === "earliest" ? start : end
    const annotations = { groupId: settings.groupId, topic, partition, offset, start, end, resumedAt, policy }
    yield* Logging.log(LogLevel.Warning, "Offset out of range", annotations)
    metrics(topic).offsetReset()
    yield* resume(lane, offset, resumedAt, -1)
  })

  const truncated: Answers["truncated"] = (lane, answer) => unlessRecreated(lane, cutBack(lane, answer))

  const cutBack = Effect.fnUntraced(function* (lane: Lane, { endOffset, leaderEpoch }: Validation.Answer) {
    const { partition, position: offset, topic } = lane
    const readEpoch = lane.leaderEpoch()
    if (settings.offsetOutOfRange === "fail") {
      const end = endOffset < 0 ? "holds no such epoch" : `ended at ${endOffset} in it`
      const description = `the records read last were of leader epoch ${readEpoch}, but the log now ${end}`
      return yield* failAt(lane, "LogTruncated", description)
    }
    if (endOffset < 0) return yield* outOfRange(lane)
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
    yield* resume(lane, offset, endOffset, leaderEpoch)
  })

  const corrupt = Effect.fnUntraced(function* (lane: Lane, error: RecordBatchError) {
    const { highWatermark, partition, position: offset, topic } = lane
    if (error.reason === "CorruptBatch" && suspected.get(lane) !== offset) {
      suspected.set(lane, offset)
      return yield* Logging.log(
        LogLevel.Debug,
        "A batch is corrupt; it is fetched once more, in case it was damaged on its way",
        { topic, partition, offset },
        Cause.fail(error)
      )
    }
    if (settings.corruptBatch === "fail") return yield* failAt(lane, "CorruptBatch", error.message, error)
    const { nextOffset } = error
    if (nextOffset === undefined || nextOffset <= offset || nextOffset > highWatermark) {
      return yield* failAt(
        lane,
        "CorruptBatch",
        `${error.message}; it can't be skipped, for nothing tells its end`,
        error
      )
    }
    lane.resumeAt(nextOffset, lane.leaderEpoch())
    const skipped = { groupId: settings.groupId, topic, partition, firstOffset: offset, lastOffset: nextOffset - 1 }
    yield* Logging.log(LogLevel.Error, "A corrupt batch is skipped", skipped, Cause.fail(error))
    metrics(topic).skipped(nextOffset - offset)
  })

  const refused: Answers["refused"] = (lane, api, errorCode) => {
    switch (errorCode) {
      case Code.OFFSET_OUT_OF_RANGE:
        return unlessRecreated(lane, outOfRange(lane))
      case Code.TOPIC_AUTHORIZATION_FAILED:
        return failAt(lane, "Authorization", nameOf(errorCode))
      case Code.CORRUPT_MESSAGE:
      case Code.UNSUPPORTED_COMPRESSION_TYPE:
        return failAt(lane, "CorruptBatch", nameOf(errorCode))
      case Code.UNKNOWN_TOPIC_OR_PARTITION:
      case Code.UNKNOWN_TOPIC_ID:
      case Code.INCONSISTENT_TOPIC_ID:
      case Code.UNKNOWN_LEADER_EPOCH:
        cluster.doubt(lane.topic, lane.partition)
    }
    return retry(lane, new ResponseError({ api, code: errorCode }))
  }

  const broken: Answers["broken"] = (lane) =>
    Effect.suspend(() => {
      const error = lane.takeFailure()
      return error === undefined ? Effect.void : corrupt(lane, error)
    })

  const receive: Answers["receive"] = Effect.fnUntraced(function* (lane, answer) {
    if (answer.errorCode !== Code.NONE) return yield* refused(lane, "Fetch", answer.errorCode)
    lane.highWatermark = answer.highWatermark
    lane.offer(answer)
    yield* broken(lane)
  })

  return { broken, failAt, receive, refused, restart, truncated }
}
