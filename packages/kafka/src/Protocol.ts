/**
 * The requests of the Kafka protocol that Spillway sends, and their responses, as plain data. Field names are those of
 * Kafka's message definitions in camelCase. Error codes stay numbers here; see `KafkaErrorCode`.
 */

export interface BrokerEndpoint {
  readonly nodeId: number
  readonly host: string
  readonly port: number
}

export interface MetadataRequest {
  /** null requests all topics. */
  readonly topics: ReadonlyArray<string> | null
  /** Whether the response shall have the partitions' replicas, which take memory. Default: false. */
  readonly withReplicas?: boolean | undefined
}

export interface PartitionMetadata {
  readonly errorCode: number
  readonly partition: number
  /** -1 without a leader. */
  readonly leader: number
  /** -1 if the version doesn't report it. */
  readonly leaderEpoch: number
  /** The node ids of the replicas, the preferred leader first; present if the request asks for them. */
  readonly replicas?: ReadonlyArray<number> | undefined
  /** The node ids of the replicas in sync; present if the request asks for replicas. */
  readonly isr?: ReadonlyArray<number> | undefined
}

export interface TopicMetadata {
  readonly errorCode: number
  readonly topic: string
  /** Distinguishes successive topics of one name (KIP-516); empty if the version doesn't report it. */
  readonly topicId: string
  /** Whether it is one of Kafka's internal topics, such as `__consumer_offsets`. */
  readonly isInternal: boolean
  readonly partitions: ReadonlyArray<PartitionMetadata>
}

export interface MetadataResponse {
  /** The cluster's id; null if the broker doesn't report it. */
  readonly clusterId: string | null
  readonly brokers: ReadonlyArray<BrokerEndpoint>
  readonly controllerId: number
  readonly topics: ReadonlyArray<TopicMetadata>
}

export interface FindCoordinatorRequest {
  readonly key: string
  readonly keyType: "group" | "transaction"
}

export interface FindCoordinatorResponse {
  readonly errorCode: number
  readonly coordinator: BrokerEndpoint
}

export interface ProduceRequest {
  readonly transactionalId: string | null
  readonly acks: -1 | 0 | 1
  readonly timeoutMs: number
  readonly topics: ReadonlyArray<{
    readonly topic: string
    readonly partitions: ReadonlyArray<{
      readonly partition: number
      /** One encoded record batch, see `RecordBatch`. */
      readonly records: Uint8Array
    }>
  }>
}

export interface ProduceResponse {
  readonly topics: ReadonlyArray<{
    readonly topic: string
    readonly partitions: ReadonlyArray<{
      readonly partition: number
      readonly errorCode: number
      readonly baseOffset: number
      /** -1 unless the topic uses log-append time. */
      readonly logAppendTimeMs: number
    }>
  }>
}

/** Whether records of open and aborted transactions count (KIP-98). */
export type IsolationLevel = "read_uncommitted" | "read_committed"

export interface InitProducerIdRequest {
  /** null for a producer that is idempotent without transactions. */
  readonly transactionalId: string | null
  /** How long the coordinator leaves a transaction open; unused without transactions. */
  readonly transactionTimeoutMs: number
  /**
   * The current id and epoch of a transactional producer, to get the next epoch (KIP-360). Default: none, which fences
   * every earlier user of the transactional id.
   */
  readonly producerId?: bigint | undefined
  readonly producerEpoch?: number | undefined
}

export interface InitProducerIdResponse {
  readonly errorCode: number
  /** -1 with an error. */
  readonly producerId: bigint
  readonly producerEpoch: number
}

/** The first fields of every request within a transaction. */
export interface TransactionalProducer {
  readonly transactionalId: string
  readonly producerId: bigint
  readonly producerEpoch: number
}

/** Announces the partitions that the transaction is about to write to; begins it if none is open. */
export interface AddPartitionsToTxnRequest extends TransactionalProducer {
  readonly topics: ReadonlyArray<{ readonly topic: string; readonly partitions: ReadonlyArray<number> }>
}

export interface AddPartitionsToTxnResponse {
  readonly topics: ReadonlyArray<{
    readonly topic: string
    readonly partitions: ReadonlyArray<{ readonly partition: number; readonly errorCode: number }>
  }>
}

/** Announces that the transaction is about to commit offsets of a group. */
export interface AddOffsetsToTxnRequest extends TransactionalProducer {
  readonly groupId: string
}

export interface AddOffsetsToTxnResponse {
  readonly errorCode: number
}

export interface EndTxnRequest extends TransactionalProducer {
  /** false aborts. */
  readonly committed: boolean
}

export interface EndTxnResponse {
  readonly errorCode: number
}

export interface FetchRequest {
  readonly maxWaitMs: number
  readonly minBytes: number
  readonly maxBytes: number
  readonly isolationLevel: IsolationLevel
  /** The client's rack; empty if it has none. */
  readonly rackId: string
  readonly topics: ReadonlyArray<{
    readonly topic: string
    /** Records of another topic with this name are refused. Default: unknown, any topic with the name. */
    readonly topicId?: string | undefined
    readonly partitions: ReadonlyArray<{
      readonly partition: number
      /** -1 when unknown. */
      readonly currentLeaderEpoch: number
      readonly fetchOffset: number
      readonly maxBytes: number
    }>
  }>
}

export interface FetchPartitionResponse {
  readonly partition: number
  readonly errorCode: number
  readonly highWatermark: number
  /** The end of the log for `read_committed`: no transaction before it is open. */
  readonly lastStableOffset: number
  readonly logStartOffset: number
  /** Under `read_committed`, the aborted transactions that reach into `records`. */
  readonly abortedTransactions: ReadonlyArray<{ readonly producerId: bigint; readonly firstOffset: number }>
  /** The replica to read from while it is reachable, returned without records (KIP-392); -1: this broker. */
  readonly preferredReadReplica: number
  /** Encoded record batches; the last may be cut off. A view into the response: copy what is kept. */
  readonly records: Uint8Array
}

export interface FetchResponse {
  readonly errorCode: number
  readonly topics: ReadonlyArray<{
    readonly topic: string
    readonly partitions: ReadonlyArray<FetchPartitionResponse>
  }>
}

export interface ListOffsetsRequest {
  /** Under `read_committed` the log ends at the last stable offset. Default: `read_uncommitted`. */
  readonly isolationLevel?: IsolationLevel | undefined
  readonly topics: ReadonlyArray<{
    readonly topic: string
    readonly partitions: ReadonlyArray<{
      readonly partition: number
      /** Milliseconds since the epoch, `earliestTimestamp` or `latestTimestamp`. */
      readonly timestamp: number
    }>
  }>
}

/** ListOffsets: the first offset of the log. */
export const earliestTimestamp = -2

/** ListOffsets: the offset of the next record to be written. */
export const latestTimestamp = -1

export interface ListOffsetsResponse {
  readonly topics: ReadonlyArray<{
    readonly topic: string
    readonly partitions: ReadonlyArray<{
      readonly partition: number
      readonly errorCode: number
      readonly timestamp: number
      /** -1 when no record is that late. */
      readonly offset: number
    }>
  }>
}

/** Where a leader's log ended in an earlier epoch (KIP-320). */
export interface OffsetForLeaderEpochRequest {
  readonly topics: ReadonlyArray<{
    readonly topic: string
    readonly partitions: ReadonlyArray<{
      readonly partition: number
      /** The current leader epoch as the client knows it; -1 when unknown. */
      readonly currentLeaderEpoch: number
      readonly leaderEpoch: number
    }>
  }>
}

export interface OffsetForLeaderEpochResponse {
  readonly topics: ReadonlyArray<{
    readonly topic: string
    readonly partitions: ReadonlyArray<{
      readonly partition: number
      readonly errorCode: number
      /** The largest epoch in the log that isn't above the requested one; -1 if there is none. */
      readonly leaderEpoch: number
      /** The offset after that epoch's last record; -1 when the log doesn't know the epoch. */
      readonly endOffset: number
    }>
  }>
}

export interface JoinGroupRequest {
  readonly groupId: string
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
  /** Empty at first: the broker answers MEMBER_ID_REQUIRED with the id to use. */
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly protocolType: string
  readonly protocols: ReadonlyArray<{ readonly name: string; readonly metadata: Uint8Array }>
}

export interface JoinGroupResponse {
  readonly errorCode: number
  readonly generationId: number
  readonly protocolName: string
  readonly leader: string
  readonly memberId: string
  /** Filled for the leader only. */
  readonly members: ReadonlyArray<{
    readonly memberId: string
    readonly groupInstanceId: string | null
    readonly metadata: Uint8Array
  }>
}

export interface SyncGroupRequest {
  readonly groupId: string
  readonly generationId: number
  readonly memberId: string
  readonly groupInstanceId: string | null
  /** Empty from followers. */
  readonly assignments: ReadonlyArray<{ readonly memberId: string; readonly assignment: Uint8Array }>
}

export interface SyncGroupResponse {
  readonly errorCode: number
  readonly assignment: Uint8Array
}

export interface HeartbeatRequest {
  readonly groupId: string
  readonly generationId: number
  readonly memberId: string
  readonly groupInstanceId: string | null
}

export interface HeartbeatResponse {
  readonly errorCode: number
}

export interface LeaveGroupRequest {
  readonly groupId: string
  readonly members: ReadonlyArray<{ readonly memberId: string; readonly groupInstanceId: string | null }>
}

export interface LeaveGroupResponse {
  readonly errorCode: number
}

export interface OffsetCommitRequest {
  readonly groupId: string
  readonly generationId: number
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly topics: ReadonlyArray<{
    readonly topic: string
    readonly partitions: ReadonlyArray<{
      readonly partition: number
      readonly offset: number
      /** The leader epoch of the record before the offset. Default: -1, unknown. */
      readonly leaderEpoch?: number | undefined
      readonly metadata: string | null
    }>
  }>
}

export interface OffsetCommitResponse {
  readonly topics: ReadonlyArray<{
    readonly topic: string
    readonly partitions: ReadonlyArray<{ readonly partition: number; readonly errorCode: number }>
  }>
}

/** Offsets that count once the transaction is committed. The group's fields fence a former member (KIP-447). */
export interface TxnOffsetCommitRequest extends OffsetCommitRequest, TransactionalProducer {}

export type TxnOffsetCommitResponse = OffsetCommitResponse

export interface OffsetFetchRequest {
  readonly groupId: string
  /**
   * Answers UNSTABLE_OFFSET_COMMIT for partitions whose offsets are part of an open transaction (KIP-447), from Kafka
   * 2.5 on. Default: false, the last committed offset.
   */
  readonly requireStable?: boolean | undefined
  /** null requests every partition that the group has committed. */
  readonly topics: ReadonlyArray<{ readonly topic: string; readonly partitions: ReadonlyArray<number> }> | null
}

export interface OffsetFetchResponse {
  readonly errorCode: number
  readonly topics: ReadonlyArray<{
    readonly topic: string
    readonly partitions: ReadonlyArray<{
      readonly partition: number
      readonly errorCode: number
      /** -1 when nothing was committed. */
      readonly offset: number
      /** The leader epoch of the record before the offset; -1 when unknown. */
      readonly leaderEpoch: number
      readonly metadata: string | null
    }>
  }>
}

export interface CreateTopicsRequest {
  readonly timeoutMs: number
  readonly topics: ReadonlyArray<{
    readonly topic: string
    readonly partitions: number
    /** -1: the broker's default. */
    readonly replicationFactor: number
    readonly configs: ReadonlyArray<{ readonly name: string; readonly value: string }>
  }>
}

export interface CreateTopicsResponse {
  readonly topics: ReadonlyArray<{
    readonly topic: string
    readonly errorCode: number
    readonly errorMessage: string | null
  }>
}

export interface DeleteTopicsRequest {
  readonly timeoutMs: number
  readonly topics: ReadonlyArray<string>
}

export interface DeleteTopicsResponse {
  readonly topics: ReadonlyArray<{ readonly topic: string; readonly errorCode: number }>
}

/** The number of partitions after the request; existing records stay where they are. */
export interface CreatePartitionsRequest {
  readonly timeoutMs: number
  readonly topics: ReadonlyArray<{ readonly topic: string; readonly count: number }>
}

export interface CreatePartitionsResponse {
  readonly topics: ReadonlyArray<{
    readonly topic: string
    readonly errorCode: number
    readonly errorMessage: string | null
  }>
}

/** The settings of topics. */
export interface DescribeConfigsRequest {
  readonly topics: ReadonlyArray<string>
}

export interface ConfigEntry {
  readonly name: string
  /** null for a sensitive setting. */
  readonly value: string | null
  readonly isReadOnly: boolean
  /**
   * Where the value was set: 1 on the topic, 2 on the broker, 3 on the cluster, 4 in the broker's file, 5 nowhere: the
   * default.
   */
  readonly source: number
  readonly isSensitive: boolean
}

export interface DescribeConfigsResponse {
  readonly topics: ReadonlyArray<{
    readonly topic: string
    readonly errorCode: number
    readonly errorMessage: string | null
    readonly configs: ReadonlyArray<ConfigEntry>
  }>
}

/** Changes of topics' settings. All changes of one topic take effect, or none. */
export interface IncrementalAlterConfigsRequest {
  readonly topics: ReadonlyArray<{
    readonly topic: string
    readonly configs: ReadonlyArray<{
      readonly name: string
      readonly operation: "set" | "delete"
      /** null for `delete`. */
      readonly value: string | null
    }>
  }>
}

export interface IncrementalAlterConfigsResponse {
  readonly topics: ReadonlyArray<{
    readonly topic: string
    readonly errorCode: number
    readonly errorMessage: string | null
  }>
}

/** Deletes the records before an offset. */
export interface DeleteRecordsRequest {
  readonly timeoutMs: number
  readonly topics: ReadonlyArray<{
    readonly topic: string
    readonly partitions: ReadonlyArray<{
      readonly partition: number
      /** -1: the high watermark. */
      readonly offset: number
    }>
  }>
}

export interface DeleteRecordsResponse {
  readonly topics: ReadonlyArray<{
    readonly topic: string
    readonly partitions: ReadonlyArray<{
      readonly partition: number
      readonly errorCode: number
      /** The first offset that is left on every replica; -1 with an error. */
      readonly lowWatermark: number
    }>
  }>
}

/** Lists the groups that the broker coordinates. */
export type ListGroupsRequest = Readonly<Record<string, never>>

export interface ListGroupsResponse {
  readonly errorCode: number
  readonly groups: ReadonlyArray<{
    readonly groupId: string
    /** `consumer` for consumers; empty for a group that only has offsets. */
    readonly protocolType: string
    /** As Kafka names it; empty before Kafka 2.6. */
    readonly state: string
    /** `classic`, `consumer`, `share` or `streams`; empty before Kafka 3.8. */
    readonly type: string
  }>
}

export interface DescribeGroupsRequest {
  readonly groupIds: ReadonlyArray<string>
}

export interface DescribeGroupsResponse {
  readonly groups: ReadonlyArray<{
    readonly errorCode: number
    readonly groupId: string
    /** As Kafka names it; `Dead` for an unknown group. */
    readonly state: string
    readonly protocolType: string
    /** The assignor that the members agreed on; empty unless the group is stable. */
    readonly protocol: string
    readonly members: ReadonlyArray<{
      readonly memberId: string
      readonly groupInstanceId: string | null
      readonly clientId: string
      /** The address that the broker sees, such as `/10.0.0.7`. */
      readonly clientHost: string
      /** Empty unless the group is stable. */
      readonly metadata: Uint8Array
      /** Empty unless the group is stable. */
      readonly assignment: Uint8Array
    }>
  }>
}

export interface DeleteGroupsRequest {
  readonly groupIds: ReadonlyArray<string>
}

export interface DeleteGroupsResponse {
  readonly groups: ReadonlyArray<{ readonly groupId: string; readonly errorCode: number }>
}

/** Deletes a group's committed offsets. */
export interface OffsetDeleteRequest {
  readonly groupId: string
  readonly topics: ReadonlyArray<{ readonly topic: string; readonly partitions: ReadonlyArray<number> }>
}

export interface OffsetDeleteResponse {
  readonly errorCode: number
  /** Empty with an error. */
  readonly topics: ReadonlyArray<{
    readonly topic: string
    readonly partitions: ReadonlyArray<{ readonly partition: number; readonly errorCode: number }>
  }>
}

/** Every request of a Wire, with its response. To add one, add it here and in each Wire. */
export interface Protocol {
  readonly Metadata: readonly [MetadataRequest, MetadataResponse]
  readonly FindCoordinator: readonly [FindCoordinatorRequest, FindCoordinatorResponse]
  readonly Produce: readonly [ProduceRequest, ProduceResponse]
  readonly InitProducerId: readonly [InitProducerIdRequest, InitProducerIdResponse]
  readonly AddPartitionsToTxn: readonly [AddPartitionsToTxnRequest, AddPartitionsToTxnResponse]
  readonly AddOffsetsToTxn: readonly [AddOffsetsToTxnRequest, AddOffsetsToTxnResponse]
  readonly TxnOffsetCommit: readonly [TxnOffsetCommitRequest, TxnOffsetCommitResponse]
  readonly EndTxn: readonly [EndTxnRequest, EndTxnResponse]
  readonly Fetch: readonly [FetchRequest, FetchResponse]
  readonly ListOffsets: readonly [ListOffsetsRequest, ListOffsetsResponse]
  readonly OffsetForLeaderEpoch: readonly [OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse]
  readonly JoinGroup: readonly [JoinGroupRequest, JoinGroupResponse]
  readonly SyncGroup: readonly [SyncGroupRequest, SyncGroupResponse]
  readonly Heartbeat: readonly [HeartbeatRequest, HeartbeatResponse]
  readonly LeaveGroup: readonly [LeaveGroupRequest, LeaveGroupResponse]
  readonly OffsetCommit: readonly [OffsetCommitRequest, OffsetCommitResponse]
  readonly OffsetFetch: readonly [OffsetFetchRequest, OffsetFetchResponse]
  readonly CreateTopics: readonly [CreateTopicsRequest, CreateTopicsResponse]
  readonly DeleteTopics: readonly [DeleteTopicsRequest, DeleteTopicsResponse]
  readonly CreatePartitions: readonly [CreatePartitionsRequest, CreatePartitionsResponse]
  readonly DescribeConfigs: readonly [DescribeConfigsRequest, DescribeConfigsResponse]
  readonly IncrementalAlterConfigs: readonly [IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse]
  readonly DeleteRecords: readonly [DeleteRecordsRequest, DeleteRecordsResponse]
  readonly ListGroups: readonly [ListGroupsRequest, ListGroupsResponse]
  readonly DescribeGroups: readonly [DescribeGroupsRequest, DescribeGroupsResponse]
  readonly DeleteGroups: readonly [DeleteGroupsRequest, DeleteGroupsResponse]
  readonly OffsetDelete: readonly [OffsetDeleteRequest, OffsetDeleteResponse]
}

export type Api = keyof Protocol

export type Request<A extends Api> = Protocol[A][0]

export type Response<A extends Api> = Protocol[A][1]
