/**
 * The response of a broker that refuses a whole request: its error code in every place where the response has one.
 */
import type { Api, Request, Response } from "@spillway/kafka/Protocol"

type Refusals = { readonly [A in Api]: (request: Request<A>, errorCode: number) => Response<A> }

const nothing = new Uint8Array(0)

const perPartition = <P extends { readonly partition: number }, A>(
  topics: ReadonlyArray<{ readonly topic: string; readonly partitions: ReadonlyArray<P> }>,
  answer: (partition: number) => A
): ReadonlyArray<{ readonly topic: string; readonly partitions: ReadonlyArray<A> }> =>
  topics.map(({ partitions, topic }) => ({ topic, partitions: partitions.map(({ partition }) => answer(partition)) }))

const refusals: Refusals = {
  Metadata: ({ topics }, errorCode) => ({
    clusterId: null,
    brokers: [],
    controllerId: -1,
    topics: (topics ?? []).map((topic) => ({ errorCode, topic, topicId: "", isInternal: false, partitions: [] }))
  }),
  FindCoordinator: (_, errorCode) => ({ errorCode, coordinator: { nodeId: -1, host: "", port: -1 } }),
  Produce: ({ topics }, errorCode) => ({
    topics: perPartition(topics, (partition) => ({ partition, errorCode, baseOffset: -1, logAppendTimeMs: -1 }))
  }),
  InitProducerId: (_, errorCode) => ({ errorCode, producerId: -1n, producerEpoch: -1 }),
  AddPartitionsToTxn: ({ topics }, errorCode) => ({
    topics: topics.map(({ partitions, topic }) => ({
      topic,
      partitions: partitions.map((partition) => ({ partition, errorCode }))
    }))
  }),
  AddOffsetsToTxn: (_, errorCode) => ({ errorCode }),
  TxnOffsetCommit: ({ topics }, errorCode) => ({
    topics: perPartition(topics, (partition) => ({ partition, errorCode }))
  }),
  EndTxn: (_, errorCode) => ({ errorCode }),
  Fetch: ({ topics }, errorCode) => ({
    errorCode: 0,
    topics: perPartition(topics, (partition) => ({
      partition,
      errorCode,
      highWatermark: -1,
      lastStableOffset: -1,
      logStartOffset: -1,
      abortedTransactions: [],
      preferredReadReplica: -1,
      records: nothing
    }))
  }),
  ListOffsets: ({ topics }, errorCode) => ({
    topics: perPartition(topics, (partition) => ({ partition, errorCode, timestamp: -1, offset: -1 }))
  }),
  OffsetForLeaderEpoch: ({ topics }, errorCode) => ({
    topics: perPartition(topics, (partition) => ({ partition, errorCode, leaderEpoch: -1, endOffset: -1 }))
  }),
  JoinGroup: ({ memberId }, errorCode) => ({
    errorCode,
    generationId: -1,
    protocolName: "",
    leader: "",
    memberId,
    members: []
  }),
  SyncGroup: (_, errorCode) => ({ errorCode, assignment: nothing }),
  Heartbeat: (_, errorCode) => ({ errorCode }),
  LeaveGroup: (_, errorCode) => ({ errorCode }),
  OffsetCommit: ({ topics }, errorCode) => ({
    topics: perPartition(topics, (partition) => ({ partition, errorCode }))
  }),
  OffsetFetch: (_, errorCode) => ({ errorCode, topics: [] }),
  CreateTopics: ({ topics }, errorCode) => ({
    topics: topics.map(({ topic }) => ({ topic, errorCode, errorMessage: null }))
  }),
  DeleteTopics: ({ topics }, errorCode) => ({ topics: topics.map((topic) => ({ topic, errorCode })) }),
  CreatePartitions: ({ topics }, errorCode) => ({
    topics: topics.map(({ topic }) => ({ topic, errorCode, errorMessage: null }))
  }),
  DescribeConfigs: ({ topics }, errorCode) => ({
    topics: topics.map((topic) => ({ topic, errorCode, errorMessage: null, configs: [] }))
  }),
  IncrementalAlterConfigs: ({ topics }, errorCode) => ({
    topics: topics.map(({ topic }) => ({ topic, errorCode, errorMessage: null }))
  }),
  DeleteRecords: ({ topics }, errorCode) => ({
    topics: perPartition(topics, (partition) => ({ partition, errorCode, lowWatermark: -1 }))
  }),
  ListGroups: (_, errorCode) => ({ errorCode, groups: [] }),
  DescribeGroups: ({ groupIds }, errorCode) => ({
    groups: groupIds.map((groupId) => ({
      errorCode,
      groupId,
      state: "",
      protocolType: "",
      protocol: "",
      members: []
    }))
  }),
  DeleteGroups: ({ groupIds }, errorCode) => ({ groups: groupIds.map((groupId) => ({ groupId, errorCode })) }),
  OffsetDelete: (_, errorCode) => ({ errorCode, topics: [] })
}

/** Refuses a request with an error code. */
export const of = <A extends Api>(api: A, request: Request<A>, errorCode: number): Response<A> =>
  refusals[api](request, errorCode)
