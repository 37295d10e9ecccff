/**
 * What follows a leader's answer for one partition: its records go to the lane, or its error is acted on.
 */
import { ConsumerError } from "@spillway/transport/Consumer"
import type { ConsumerMetrics } from "@spillway/transport/TransportMetrics"
import * as Effect from "effect/Effect"
import { KafkaErrorCode as Code, nameOf } from "../../KafkaErrorCode.js"
import type { FetchPartitionResponse } from "../../Protocol.js"
import { earliestTimestamp, latestTimestamp } from "../../Protocol.js"
import * as RecordBatch from "../../RecordBatch.js"
import type { Cluster } from "../cluster.js"
import type { ConsumerSettings } from "../consumerSettings.js"
import type { Lane } from "../lane.js"
import { listOffset } from "../listOffsets.js"

export interface Answers {
  /** True when the leader's metadata is in doubt. */
  readonly receive: (lane: Lane, answer: FetchPartitionResponse) => Effect.Effect<boolean>
  /** Fails the consumer at a lane's position. */
  readonly failAt: (
    lane: Lane,
    reason: ConsumerError["reason"],
    description: string,
    cause?: unknown
  ) => Effect.Effect<void>
}

const decode = ({ abortedTransactions, records }: FetchPartitionResponse, offset: number): RecordBatch.Decoded => {
  const decoded = RecordBatch.decode(records, { abortedTransactions })
  if (records.byteLength === 0 || decoded.batches.length > 0 || decoded.error !== undefined) return decoded
  // A broker never cuts the first batch off (KIP-74): waiting for its rest would be for ever.
  const description = `${records.byteLength} bytes hold no whole batch`
  return {
    ...decoded,
    error: new RecordBatch.RecordBatchError({ reason: "CorruptBatch", baseOffset: offset, description })
  }
}

export const make = (options: {
  readonly cluster: Cluster
  readonly settings: ConsumerSettings
  readonly fail: (error: ConsumerError) => Effect.Effect<void>
  readonly metrics: (topic: string) => ConsumerMetrics
}): Answers => {
  const { cluster, fail, metrics, settings } = options
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

  const outOfRange = Effect.fnUntraced(function* (lane: Lane) {
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
    yield* Effect.logWarning("Offset out of range").pipe(
      Effect.annotateLogs({ groupId: settings.groupId, topic, partition, offset, start, end, resumedAt, policy })
    )
    metrics(topic).offsetReset()
    lane.resumeAt(resumedAt)
  })

  const corrupt = Effect.fnUntraced(function* (
    lane: Lane,
    error: RecordBatch.RecordBatchError,
    { highWatermark }: FetchPartitionResponse
  ) {
    const { partition, position: offset, topic } = lane
    if (error.reason === "CorruptBatch" && suspected.get(lane) !== offset) {
      suspected.set(lane, offset)
      const doubt = Effect.logDebug(
        "A batch is corrupt; it is fetched once more, in case it was damaged on its way",
        error
      )
      return yield* Effect.annotateLogs(doubt, { topic, partition, offset })
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
    lane.resumeAt(nextOffset)
    yield* Effect.logError("A corrupt batch is skipped", error).pipe(
      Effect.annotateLogs({
        groupId: settings.groupId,
        topic,
        partition,
        firstOffset: offset,
        lastOffset: nextOffset - 1
      })
    )
    metrics(topic).skipped(nextOffset - offset)
  })

  const receive: Answers["receive"] = Effect.fnUntraced(function* (lane, answer) {
    switch (answer.errorCode) {
      case Code.NONE: {
        const { batches, error } = decode(answer, lane.position)
        lane.highWatermark = answer.highWatermark
        lane.offer(batches)
        if (error !== undefined) yield* corrupt(lane, error, answer)
        return false
      }
      case Code.OFFSET_OUT_OF_RANGE:
        yield* Effect.catchAll(outOfRange(lane), (cause) => failAt(lane, "Authorization", cause.message, cause))
        return false
      case Code.TOPIC_AUTHORIZATION_FAILED:
        yield* failAt(lane, "Authorization", nameOf(answer.errorCode))
        return false
      case Code.CORRUPT_MESSAGE:
      case Code.UNSUPPORTED_COMPRESSION_TYPE:
        yield* failAt(lane, "CorruptBatch", nameOf(answer.errorCode))
        return false
      case Code.UNKNOWN_TOPIC_OR_PARTITION:
      case Code.UNKNOWN_LEADER_EPOCH:
        cluster.forgetTopic(lane.topic)
        return true
      default:
        return true
    }
  })

  return { failAt, receive }
}
