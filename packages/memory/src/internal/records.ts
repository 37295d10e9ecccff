/**
 * The requests that write, read and look up offsets in the logs.
 */
import { KafkaErrorCode } from "@spillway/kafka/KafkaErrorCode"
import type {
  FetchPartitionResponse,
  FetchRequest,
  FetchResponse,
  ListOffsetsRequest,
  ListOffsetsResponse,
  OffsetForLeaderEpochRequest,
  OffsetForLeaderEpochResponse,
  ProduceRequest,
  ProduceResponse
} from "@spillway/kafka/Protocol"
import * as RecordBatch from "@spillway/kafka/RecordBatch"
import { concat } from "@spillway/transport/runtime/Bytes"
import type { Answer } from "./connections.js"
import * as Log from "./log.js"
import type { Placement } from "./placement.js"
import * as Signal from "./signal.js"
import type { Timers } from "./timers.js"
import type { Topics } from "./topics.js"
import type { Transactions } from "./transactions.js"

export const produce = (
  topics: Topics,
  transactions: Pick<Transactions, "verify">,
  nodeId: number,
  request: ProduceRequest
): ProduceResponse => {
  const { acks, transactionalId } = request
  /** The error code with which the transaction's coordinator refuses the write, or 0. */
  const unverified = (topic: string, partition: number, batch: Uint8Array): number => {
    const header = RecordBatch.readHeader(batch)
    return header === undefined || header instanceof RecordBatch.RecordBatchError || !header.isTransactional
      ? KafkaErrorCode.NONE
      : transactions.verify(transactionalId, header, { topic, partition })
  }
  const append = (topic: string, partition: number, batch: Uint8Array): Log.Appended => {
    if (acks !== -1 && acks !== 0 && acks !== 1) {
      return { errorCode: KafkaErrorCode.INVALID_REQUIRED_ACKS, baseOffset: -1 }
    }
    const log = topics.log(topic, partition)
    const errorCode =
      log !== undefined && log.leader !== nodeId
        ? KafkaErrorCode.NOT_LEADER_OR_FOLLOWER
        : unverified(topic, partition, batch)
    const appended =
      errorCode === KafkaErrorCode.NONE
        ? topics.append(topic, partition, batch, acks === -1 ? "all" : "leader")
        : { errorCode, baseOffset: -1 }
    // acks=0 gets no response.
    return acks === 0 ? { errorCode: KafkaErrorCode.NONE, baseOffset: -1 } : appended
  }
  return {
    topics: request.topics.map(({ partitions, topic }) => ({
      topic,
      partitions: partitions.map(({ partition, records }) => ({
        partition,
        ...append(topic, partition, records),
        logAppendTimeMs: -1
      }))
    }))
  }
}

/** Answers at once when there are enough records or an error, else when there are or the wait is over. */
export const fetch = (
  topics: Topics,
  placement: Placement,
  nodeId: number,
  timers: Timers,
  request: FetchRequest
): Answer<FetchResponse> => {
  const first = read(topics, placement, nodeId, request)
  if (first.isReady || request.maxWaitMs <= 0) return first.response
  return (respond) => {
    const signals = request.topics.flatMap(({ topic }) => topics.get(topic)?.changed ?? [])
    const ready = () => {
      const next = read(topics, placement, nodeId, request)
      return next.isReady ? next.response : undefined
    }
    const unlisten = Signal.listen(signals, ready, (response) => {
      cancel()
      respond(response)
    })
    const cancel = timers.after(request.maxWaitMs, () => {
      unlisten()
      respond(read(topics, placement, nodeId, request).response)
    })
    return () => {
      unlisten()
      cancel()
    }
  }
}

const unread: Omit<FetchPartitionResponse, "partition" | "errorCode"> = {
  highWatermark: -1,
  lastStableOffset: -1,
  logStartOffset: -1,
  abortedTransactions: [],
  preferredReadReplica: -1,
  records: new Uint8Array(0)
}

const read = (
  topics: Topics,
  placement: Placement,
  nodeId: number,
  request: FetchRequest
): { readonly isReady: boolean; readonly response: FetchResponse } => {
  let bytesRead = 0
  /** There is an error or another replica to report. */
  let hasError = false

  const readOne = (
    { topic, topicId = "" }: FetchRequest["topics"][number],
    wanted: FetchRequest["topics"][number]["partitions"][number]
  ): FetchPartitionResponse => {
    const refuse = (errorCode: number): FetchPartitionResponse => {
      hasError = true
      return { ...unread, partition: wanted.partition, errorCode }
    }
    if (topicId !== "" && topics.get(topic)?.id !== topicId) return refuse(KafkaErrorCode.UNKNOWN_TOPIC_ID)
    const log = topics.log(topic, wanted.partition)
    if (log === undefined) return refuse(KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    const nearest = placement.nearest(log.leader, request.rackId)
    const isReplica = nearest !== -1 && log.leader !== -1
    const errorCode = refusal(log, isReplica ? log.leader : nodeId, wanted)
    if (errorCode !== KafkaErrorCode.NONE) return refuse(errorCode)
    if (isReplica && log.leader === nodeId && nearest !== nodeId) {
      hasError = true
      return { ...unread, partition: wanted.partition, errorCode, preferredReadReplica: nearest }
    }
    const limit = Math.min(wanted.maxBytes, request.maxBytes - bytesRead)
    const { abortedTransactions, batches } = Log.read(
      log,
      wanted.fetchOffset,
      request.isolationLevel,
      limit,
      bytesRead === 0
    )
    const records = concat(batches)
    bytesRead += records.length
    return {
      partition: wanted.partition,
      errorCode,
      highWatermark: log.highWatermark,
      lastStableOffset: Log.endFor(log, "read_committed"),
      logStartOffset: log.startOffset,
      abortedTransactions,
      preferredReadReplica: -1,
      records
    }
  }

  const response: FetchResponse = {
    errorCode: KafkaErrorCode.NONE,
    topics: request.topics.map((asked) => ({
      topic: asked.topic,
      // As on a real broker, partitions aren't answered in the order of the request: errors come last.
      partitions: asked.partitions
        .map((wanted) => readOne(asked, wanted))
        .sort((one, other) => Math.abs(one.errorCode) - Math.abs(other.errorCode))
    }))
  }
  const asksNothing = request.topics.every(({ partitions }) => partitions.length === 0)
  return { isReady: hasError || asksNothing || bytesRead >= request.minBytes, response }
}

/** The error code of a node that isn't the leader, or isn't in the epoch that the client knows; or 0. */
const misdirected = (log: Log.Log, nodeId: number, currentLeaderEpoch: number): number => {
  if (log.leader !== nodeId) return KafkaErrorCode.NOT_LEADER_OR_FOLLOWER
  if (currentLeaderEpoch === -1 || currentLeaderEpoch === log.leaderEpoch) return KafkaErrorCode.NONE
  return currentLeaderEpoch < log.leaderEpoch ? KafkaErrorCode.FENCED_LEADER_EPOCH : KafkaErrorCode.UNKNOWN_LEADER_EPOCH
}

const refusal = (
  log: Log.Log,
  nodeId: number,
  wanted: { readonly currentLeaderEpoch: number; readonly fetchOffset: number }
): number => {
  const errorCode = misdirected(log, nodeId, wanted.currentLeaderEpoch)
  if (errorCode !== KafkaErrorCode.NONE) return errorCode
  return Log.canRead(log, wanted.fetchOffset) ? KafkaErrorCode.NONE : KafkaErrorCode.OFFSET_OUT_OF_RANGE
}

export const offsetForLeaderEpoch = (
  topics: Topics,
  nodeId: number,
  request: OffsetForLeaderEpochRequest
): OffsetForLeaderEpochResponse => ({
  topics: request.topics.map(({ partitions, topic }) => ({
    topic,
    partitions: partitions.map(({ currentLeaderEpoch, leaderEpoch, partition }) => {
      const log = topics.log(topic, partition)
      const errorCode =
        log === undefined ? KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION : misdirected(log, nodeId, currentLeaderEpoch)
      return log === undefined || errorCode !== KafkaErrorCode.NONE
        ? { partition, errorCode, leaderEpoch: -1, endOffset: -1 }
        : { partition, errorCode, ...Log.endOfEpoch(log, leaderEpoch) }
    })
  }))
})

export const listOffsets = (
  topics: Topics,
  nodeId: number,
  { isolationLevel = "read_uncommitted", topics: asked }: ListOffsetsRequest
): ListOffsetsResponse => ({
  topics: asked.map(({ partitions, topic }) => ({
    topic,
    partitions: partitions.map(({ partition, timestamp }) => {
      const log = topics.log(topic, partition)
      const refused = (errorCode: number) => ({ partition, errorCode, timestamp: -1, offset: -1 })
      if (log === undefined) return refused(KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
      if (log.leader !== nodeId) return refused(KafkaErrorCode.NOT_LEADER_OR_FOLLOWER)
      return { partition, errorCode: KafkaErrorCode.NONE, ...Log.offsetFor(log, timestamp, isolationLevel) }
    })
  }))
})
