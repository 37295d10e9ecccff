/**
 * The requests of the Kafka protocol that Spillway sends, and their responses, as plain data. Field names are those of
 * Kafka's message definitions in camelCase. Error codes stay numbers here, 0 without an error; see `KafkaErrorCode`.
 *
 * Each request names its key in the protocol and the versions that `KafkaJsWire` uses
 * (https://kafka.apache.org/protocol#protocol_api_keys).
 */

/** A broker and the address at which it accepts clients. */
export interface BrokerEndpoint {
  /** The broker's `node.id`; -1 if the response has an error. */
  readonly nodeId: number
  /** The host name or address of the broker's advertised listener. */
  readonly host: string
  /** The port of the broker's advertised listener. */
  readonly port: number
}

/** The request that describes brokers, topics and partitions; never creates a topic. Key 3, versions 7 to 12. */
export interface MetadataRequest {
  /** The names of the topics; empty requests brokers alone, null requests all topics. */
  readonly topics: ReadonlyArray<string> | null
  /** Whether the response shall have the partitions' replicas, which take memory. Default: false. */
  readonly withReplicas?: boolean | undefined
}

/** A partition in a `MetadataResponse`. */
export interface PartitionMetadata {
  /** LEADER_NOT_AVAILABLE while an election runs. */
  readonly errorCode: number
  /** The partition's number, from 0. */
  readonly partition: number
  /** The leader's node id; -1 without a leader. */
  readonly leader: number
  /** The number of the leader's term (KIP-320); -1 if the version doesn't report it. */
  readonly leaderEpoch: number
  /** The node ids of the replicas, the preferred leader first; present if the request asks for them. */
  readonly replicas?: ReadonlyArray<number> | undefined
  /** The node ids of the replicas in sync; present if the request asks for replicas. */
  readonly isr?: ReadonlyArray<number> | undefined
}

/** A topic in a `MetadataResponse`. */
export interface TopicMetadata {
  /** UNKNOWN_TOPIC_OR_PARTITION for a topic that doesn't exist. */
  readonly errorCode: number
  /** The topic's name. */
  readonly topic: string
  /** Distinguishes successive topics of one name (KIP-516); empty if the version doesn't report it. */
  readonly topicId: string
  /** Whether it is one of Kafka's internal topics, such as `__consumer_offsets`. */
  readonly isInternal: boolean
  /** The topic's partitions in any order; empty with an error. */
  readonly partitions: ReadonlyArray<PartitionMetadata>
}

/** The response to a `MetadataRequest`: the cluster as one broker knows it, which may be out of date. */
export interface MetadataResponse {
  /** The cluster's id; null if the broker doesn't report it. */
  readonly clusterId: string | null
  /** The brokers that the cluster believes to be alive. */
  readonly brokers: ReadonlyArray<BrokerEndpoint>
  /** The node id of the broker to send changes of topics to; -1 when unknown. With KRaft any broker, which forwards. */
  readonly controllerId: number
  /** The requested topics, unknown ones included, or all topics. */
  readonly topics: ReadonlyArray<TopicMetadata>
}

/** The request that finds the coordinator of a group or of a transactional id. Key 10, versions 1 and 2. */
export interface FindCoordinatorRequest {
  /** The group id or the transactional id. */
  readonly key: string
  /** Whether the key is a group id or a transactional id. */
  readonly keyType: "group" | "transaction"
}

/** The response to a `FindCoordinatorRequest`. */
export interface FindCoordinatorResponse {
  /** COORDINATOR_NOT_AVAILABLE while there is none, such as in a new cluster. */
  readonly errorCode: number
  /** The coordinator; its node id is -1 with an error. */
  readonly coordinator: BrokerEndpoint
}

/** The request that appends record batches to partitions. Key 0, versions 5 to 7. */
export interface ProduceRequest {
  /** The transaction that the batches belong to; null outside of transactions. */
  readonly transactionalId: string | null
  /** -1: answer when all in-sync replicas have the batches; 1: when the leader has them; 0: there is no answer. */
  readonly acks: -1 | 0 | 1
  /** How long the leader may wait for its replicas with `acks` -1, in milliseconds. */
  readonly timeoutMs: number
  /** The batches by topic. */
  readonly topics: ReadonlyArray<{
    /** The topic's name. */
    readonly topic: string
    /** At most one batch for each partition. */
    readonly partitions: ReadonlyArray<{
      /** The partition's number, from 0. */
      readonly partition: number
      /** One encoded record batch, see `RecordBatch`. */
      readonly records: Uint8Array
    }>
  }>
}

/** The response to a `ProduceRequest`: the result of each batch. */
export interface ProduceResponse {
  /** The results by topic. */
  readonly topics: ReadonlyArray<{
    /** The topic's name. */
    readonly topic: string
    /** One result for each partition of the request. */
    readonly partitions: ReadonlyArray<{
      /** The partition's number, from 0. */
      readonly partition: number
      /** The refusal of this partition's batch; after REQUEST_TIMED_OUT the batch may have been appended. */
      readonly errorCode: number
      /** The offset of the batch's first record, also when the batch was appended before; -1 with an error. */
      readonly baseOffset: number
      /** The timestamp of every record, in milliseconds since the epoch; -1 unless the topic uses log-append time. */
      readonly logAppendTimeMs: number
    }>
  }>
}

/** Whether records of open and aborted transactions count (KIP-98). */
export type IsolationLevel = "read_uncommitted" | "read_committed"

/**
 * The request that assigns a producer id and epoch, for idempotence and transactions (KIP-98). Key 22, versions 0 to 4;
 * 3 and 4 with a transactional id.
 */
export interface InitProducerIdRequest {
  /** null for a producer that is idempotent without transactions. */
  readonly transactionalId: string | null
  /** How long the coordinator leaves a transaction open, in milliseconds; unused without transactions. */
  readonly transactionTimeoutMs: number
  /**
   * The current id and epoch of a transactional producer, to get the next epoch (KIP-360). Default: none, which fences
   * every earlier user of the transactional id.
   */
  readonly producerId?: bigint | undefined
  /** The epoch that goes with `producerId`. Default: -1, none. */
  readonly producerEpoch?: number | undefined
}

/** The response to an `InitProducerIdRequest`. */
export interface InitProducerIdResponse {
  /** CONCURRENT_TRANSACTIONS while the predecessor's transaction is being aborted. */
  readonly errorCode: number
  /** -1 with an error. */
  readonly producerId: bigint
  /** Fences producers with the same id and a lower epoch; -1 with an error. */
  readonly producerEpoch: number
}

/** The first fields of every request within a transaction. */
export interface TransactionalProducer {
  /** The transactional id of the producer. */
  readonly transactionalId: string
  /** The producer id from `InitProducerIdResponse`. */
  readonly producerId: bigint
  /** The epoch from `InitProducerIdResponse`; requests with an older one are refused. */
  readonly producerEpoch: number
}

/**
 * The request that announces the partitions that the transaction is about to write to; begins the transaction if none
 * is open (KIP-98). Key 24, versions 1 and 2.
 */
export interface AddPartitionsToTxnRequest extends TransactionalProducer {
  /** The partitions to add, by topic. */
  readonly topics: ReadonlyArray<{
    /** The topic's name. */
    readonly topic: string
    /** The numbers of the partitions. */
    readonly partitions: ReadonlyArray<number>
  }>
}

/** The response to an `AddPartitionsToTxnRequest`: all partitions are added, or none. */
export interface AddPartitionsToTxnResponse {
  /** The results by topic. */
  readonly topics: ReadonlyArray<{
    /** The topic's name. */
    readonly topic: string
    /** One result for each partition of the request. */
    readonly partitions: ReadonlyArray<{
      /** The partition's number, from 0. */
      readonly partition: number
      /** OPERATION_NOT_ATTEMPTED if only another partition was refused. */
      readonly errorCode: number
    }>
  }>
}

/** The request that announces that the transaction is about to commit offsets of a group. Key 25, versions 1 and 2. */
export interface AddOffsetsToTxnRequest extends TransactionalProducer {
  /** The group whose offsets are committed. */
  readonly groupId: string
}

/** The response to an `AddOffsetsToTxnRequest`. */
export interface AddOffsetsToTxnResponse {
  /** CONCURRENT_TRANSACTIONS while the previous transaction is being completed. */
  readonly errorCode: number
}

/** The request that commits or aborts the open transaction. Key 26, versions 1 and 2. */
export interface EndTxnRequest extends TransactionalProducer {
  /** false aborts. */
  readonly committed: boolean
}

/** The response to an `EndTxnRequest`. The partitions of the transaction show the result a moment later. */
export interface EndTxnResponse {
  /** INVALID_TXN_STATE if there is no transaction to end that way. */
  readonly errorCode: number
}

/**
 * The request that reads record batches from partitions, without a fetch session. Key 1, versions 11 to 13; 13 if all
 * topic ids are known.
 */
export interface FetchRequest {
  /** How long the broker may wait until it has `minBytes`, in milliseconds. */
  readonly maxWaitMs: number
  /** The broker answers as soon as it has this many bytes of records. */
  readonly minBytes: number
  /** The most bytes of records in the response; the first batch is returned even if it is larger. */
  readonly maxBytes: number
  /** `read_committed` returns batches up to the last stable offset, and lists aborted transactions. */
  readonly isolationLevel: IsolationLevel
  /** The client's rack; empty if it has none. */
  readonly rackId: string
  /** The partitions to read, by topic. */
  readonly topics: ReadonlyArray<{
    /** The topic's name. */
    readonly topic: string
    /** Records of another topic with this name are refused. Default: unknown, any topic with the name. */
    readonly topicId?: string | undefined
    /** The partitions to read, in the order in which they fill the response. */
    readonly partitions: ReadonlyArray<{
      /** The partition's number, from 0. */
      readonly partition: number
      /** The leader epoch as the client knows it, which the broker compares with its own (KIP-320); -1 when unknown. */
      readonly currentLeaderEpoch: number
      /** The offset of the first record to read. The first batch may begin before it. */
      readonly fetchOffset: number
      /** The most bytes of this partition's records; the response's first batch may be larger. */
      readonly maxBytes: number
    }>
  }>
}

/** A partition in a `FetchResponse`. */
export interface FetchPartitionResponse {
  /** The partition's number, from 0. */
  readonly partition: number
  /** OFFSET_OUT_OF_RANGE if the log doesn't hold the offset; FENCED_LEADER_EPOCH if the client's epoch is old. */
  readonly errorCode: number
  /** The offset after the last record that all in-sync replicas have; -1 with an error. */
  readonly highWatermark: number
  /** The end of the log for `read_committed`: no transaction before it is open. */
  readonly lastStableOffset: number
  /** The offset of the first record that the log holds; -1 with an error. */
  readonly logStartOffset: number
  /** Under `read_committed`, the aborted transactions that reach into `records`. */
  readonly abortedTransactions: ReadonlyArray<{
    /** The producer that aborted. */
    readonly producerId: bigint
    /** The offset of the transaction's first record in the partition. */
    readonly firstOffset: number
  }>
  /** The replica to read from while it is reachable, returned without records (KIP-392); -1: this broker. */
  readonly preferredReadReplica: number
  /** Encoded record batches; the last may be cut off. A view into the response: copy what is kept. */
  readonly records: Uint8Array
}

/** The response to a `FetchRequest`. */
export interface FetchResponse {
  /** An error of the whole request; 0 if only partitions have errors. */
  readonly errorCode: number
  /** The results by topic. */
  readonly topics: ReadonlyArray<{
    /** The topic's name; empty if the broker returned a topic id that the request doesn't have. */
    readonly topic: string
    /** One result for each partition of the request. */
    readonly partitions: ReadonlyArray<FetchPartitionResponse>
  }>
}

/** The request that looks up offsets by timestamp, or the start or end of logs. Key 2, versions 2 and 3. */
export interface ListOffsetsRequest {
  /** Under `read_committed` the log ends at the last stable offset. Default: `read_uncommitted`. */
  readonly isolationLevel?: IsolationLevel | undefined
  /** The partitions to look up, by topic. */
  readonly topics: ReadonlyArray<{
    /** The topic's name. */
    readonly topic: string
    /** The partitions to look up. */
    readonly partitions: ReadonlyArray<{
      /** The partition's number, from 0. */
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

/** The response to a `ListOffsetsRequest`. */
export interface ListOffsetsResponse {
  /** The results by topic. */
  readonly topics: ReadonlyArray<{
    /** The topic's name. */
    readonly topic: string
    /** One result for each partition of the request. */
    readonly partitions: ReadonlyArray<{
      /** The partition's number, from 0. */
      readonly partition: number
      /** OFFSET_NOT_AVAILABLE while a new leader doesn't know the end of its log yet. */
      readonly errorCode: number
      /** The timestamp of the record found, in milliseconds since the epoch; -1 for the start or end of the log. */
      readonly timestamp: number
      /** The first offset whose record isn't earlier than the requested timestamp; -1 when no record is that late. */
      readonly offset: number
    }>
  }>
}

/** The request for where a leader's log ended in an earlier epoch (KIP-320). Key 23, version 3. */
export interface OffsetForLeaderEpochRequest {
  /** The partitions to look up, by topic. */
  readonly topics: ReadonlyArray<{
    /** The topic's name. */
    readonly topic: string
    /** The partitions to look up. */
    readonly partitions: ReadonlyArray<{
      /** The partition's number, from 0. */
      readonly partition: number
      /** The current leader epoch as the client knows it; -1 when unknown. */
      readonly currentLeaderEpoch: number
      /** The epoch to look up: that of the last record read. */
      readonly leaderEpoch: number
    }>
  }>
}

/** The response to an `OffsetForLeaderEpochRequest`. */
export interface OffsetForLeaderEpochResponse {
  /** The results by topic. */
  readonly topics: ReadonlyArray<{
    /** The topic's name. */
    readonly topic: string
    /** One result for each partition of the request. */
    readonly partitions: ReadonlyArray<{
      /** The partition's number, from 0. */
      readonly partition: number
      /** FENCED_LEADER_EPOCH or UNKNOWN_LEADER_EPOCH if the client and the broker know different leaders. */
      readonly errorCode: number
      /** The largest epoch in the log that isn't above the requested one; -1 if there is none. */
      readonly leaderEpoch: number
      /** The offset after that epoch's last record; -1 when the log doesn't know the epoch. */
      readonly endOffset: number
    }>
  }>
}

/**
 * The request that joins a group, or joins it again in a rebalance. The coordinator answers once all members have
 * joined, after `rebalanceTimeoutMs` at most. Key 11, version 5.
 */
export interface JoinGroupRequest {
  /** The group to join. */
  readonly groupId: string
  /** The coordinator removes the member if it receives no heartbeat for this long, in milliseconds. */
  readonly sessionTimeoutMs: number
  /** How long the coordinator waits for members to rejoin, in milliseconds; it uses the largest of the group. */
  readonly rebalanceTimeoutMs: number
  /** Empty at first: the broker answers MEMBER_ID_REQUIRED with the id to use. */
  readonly memberId: string
  /** The id of a static member (KIP-345); null for a dynamic one. */
  readonly groupInstanceId: string | null
  /** `consumer` for consumers; the same for all members. */
  readonly protocolType: string
  /** The assignors that the member offers, in order of preference. */
  readonly protocols: ReadonlyArray<{
    /** The assignor's name, such as `cooperative-sticky`. */
    readonly name: string
    /** The member's subscription, encoded for the assignor. */
    readonly metadata: Uint8Array
  }>
}

/** The response to a `JoinGroupRequest`: the member's place in the new generation. */
export interface JoinGroupResponse {
  /** MEMBER_ID_REQUIRED for a first request, see `memberId`. */
  readonly errorCode: number
  /** The number of the generation, which commits and heartbeats carry; -1 with an error. */
  readonly generationId: number
  /** The assignor that the coordinator chose; empty with an error. */
  readonly protocolName: string
  /** The member id of the leader, which assigns the partitions. */
  readonly leader: string
  /** This member's id: use it in every further request. */
  readonly memberId: string
  /** The group's members and their subscriptions; filled for the leader only. */
  readonly members: ReadonlyArray<{
    /** The id that the coordinator issued. */
    readonly memberId: string
    /** null for a dynamic member. */
    readonly groupInstanceId: string | null
    /** The subscription from the member's JoinGroup. */
    readonly metadata: Uint8Array
  }>
}

/**
 * The request for the member's assignment, to which the leader attaches those of all members. The coordinator answers
 * once it has them. Key 14, version 3.
 */
export interface SyncGroupRequest {
  /** The group's id. */
  readonly groupId: string
  /** The generation from the `JoinGroupResponse`. */
  readonly generationId: number
  /** The member's id. */
  readonly memberId: string
  /** null for a dynamic member. */
  readonly groupInstanceId: string | null
  /** The assignments by member; empty from followers. */
  readonly assignments: ReadonlyArray<{
    /** The member that gets the assignment. */
    readonly memberId: string
    /** The member's partitions, encoded. */
    readonly assignment: Uint8Array
  }>
}

/** The response to a `SyncGroupRequest`. */
export interface SyncGroupResponse {
  /** REBALANCE_IN_PROGRESS if the generation ended meanwhile: join again. */
  readonly errorCode: number
  /** The member's partitions, encoded by the leader; empty with an error. */
  readonly assignment: Uint8Array
}

/** The request that keeps the member's session alive. Key 12, version 3. */
export interface HeartbeatRequest {
  /** The group's id. */
  readonly groupId: string
  /** The member's generation. */
  readonly generationId: number
  /** The member's id. */
  readonly memberId: string
  /** null for a dynamic member. */
  readonly groupInstanceId: string | null
}

/** The response to a `HeartbeatRequest`. */
export interface HeartbeatResponse {
  /** REBALANCE_IN_PROGRESS: join again. UNKNOWN_MEMBER_ID or ILLEGAL_GENERATION: the partitions are lost. */
  readonly errorCode: number
}

/** The request that removes members from their group; a static member too (KIP-345). Key 13, version 3. */
export interface LeaveGroupRequest {
  /** The group's id. */
  readonly groupId: string
  /** The members to remove. */
  readonly members: ReadonlyArray<{
    /** The member's id. */
    readonly memberId: string
    /** null for a dynamic member. */
    readonly groupInstanceId: string | null
  }>
}

/** The response to a `LeaveGroupRequest`. */
export interface LeaveGroupResponse {
  /** The error of the request, or else the first error of a member. */
  readonly errorCode: number
}

/** The request that commits offsets of a group. Key 8, version 7. */
export interface OffsetCommitRequest {
  /** The group's id. */
  readonly groupId: string
  /** The member's generation; -1 to commit for a group without members, with an empty `memberId`. */
  readonly generationId: number
  /** The member's id. The broker doesn't check that the partitions are assigned to it. */
  readonly memberId: string
  /** null for a dynamic member. */
  readonly groupInstanceId: string | null
  /** The offsets by topic. */
  readonly topics: ReadonlyArray<{
    /** The topic's name. */
    readonly topic: string
    /** The offsets by partition. */
    readonly partitions: ReadonlyArray<{
      /** The partition's number, from 0. */
      readonly partition: number
      /** The offset of the next record to handle. */
      readonly offset: number
      /** The leader epoch of the record before the offset. Default: -1, unknown. */
      readonly leaderEpoch?: number | undefined
      /** Any text to store with the offset, up to the broker's `offset.metadata.max.bytes`; null for none. */
      readonly metadata: string | null
    }>
  }>
}

/** The response to an `OffsetCommitRequest`. */
export interface OffsetCommitResponse {
  /** The results by topic. */
  readonly topics: ReadonlyArray<{
    /** The topic's name. */
    readonly topic: string
    /** One result for each partition of the request. */
    readonly partitions: ReadonlyArray<{
      /** The partition's number, from 0. */
      readonly partition: number
      /** ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID or FENCED_INSTANCE_ID: the member may not commit any more. */
      readonly errorCode: number
    }>
  }>
}

/**
 * The request that adds offsets to a transaction; they count once it is committed. The group's fields fence a former
 * member (KIP-447). Key 28, version 3.
 */
export interface TxnOffsetCommitRequest extends OffsetCommitRequest, TransactionalProducer {}

/** The response to a `TxnOffsetCommitRequest`. */
export type TxnOffsetCommitResponse = OffsetCommitResponse

/** The request for the committed offsets of a group. Key 9, versions 5 to 7. */
export interface OffsetFetchRequest {
  /** The group's id. */
  readonly groupId: string
  /**
   * Answers UNSTABLE_OFFSET_COMMIT for partitions whose offsets are part of an open transaction (KIP-447), from Kafka
   * 2.5 on. Default: false, the last committed offset.
   */
  readonly requireStable?: boolean | undefined
  /** null requests every partition that the group has committed. */
  readonly topics: ReadonlyArray<{
    /** The topic's name. */
    readonly topic: string
    /** The numbers of the partitions. */
    readonly partitions: ReadonlyArray<number>
  }> | null
}

/** The response to an `OffsetFetchRequest`. */
export interface OffsetFetchResponse {
  /** An error of the whole request, such as NOT_COORDINATOR. */
  readonly errorCode: number
  /** The offsets by topic. */
  readonly topics: ReadonlyArray<{
    /** The topic's name. */
    readonly topic: string
    /** The offsets by partition. */
    readonly partitions: ReadonlyArray<{
      /** The partition's number, from 0. */
      readonly partition: number
      /** UNSTABLE_OFFSET_COMMIT: request it again, see `requireStable`. */
      readonly errorCode: number
      /** The offset of the next record to handle; -1 when nothing was committed. */
      readonly offset: number
      /** The leader epoch of the record before the offset; -1 when unknown. */
      readonly leaderEpoch: number
      /** The text that was committed with the offset; null or empty if there is none. */
      readonly metadata: string | null
    }>
  }>
}

/** The request that creates topics. Key 19, version 4. */
export interface CreateTopicsRequest {
  /** How long the broker may wait until the topics exist, in milliseconds. */
  readonly timeoutMs: number
  /** The topics to create. */
  readonly topics: ReadonlyArray<{
    /** The topic's name: letters, digits, dots, underscores and dashes, 249 at most. */
    readonly topic: string
    /** The number of partitions; -1: the broker's default. */
    readonly partitions: number
    /** The number of replicas; -1: the broker's default. */
    readonly replicationFactor: number
    /** The topic's settings; those that are not listed have the broker's values. */
    readonly configs: ReadonlyArray<{
      /** The setting's name, such as `retention.ms`. */
      readonly name: string
      /** The setting's value as text. */
      readonly value: string
    }>
  }>
}

/** The response to a `CreateTopicsRequest`. A topic without an error exists, but may have no leaders yet. */
export interface CreateTopicsResponse {
  /** One result for each topic of the request. */
  readonly topics: ReadonlyArray<{
    /** The topic's name. */
    readonly topic: string
    /** TOPIC_ALREADY_EXISTS if there is one of that name. */
    readonly errorCode: number
    /** The broker's explanation; null if it gives none. */
    readonly errorMessage: string | null
  }>
}

/** The request that deletes topics. Key 20, versions 1 to 3. */
export interface DeleteTopicsRequest {
  /** How long the broker may wait until the topics are gone, in milliseconds. */
  readonly timeoutMs: number
  /** The names of the topics. */
  readonly topics: ReadonlyArray<string>
}

/** The response to a `DeleteTopicsRequest`. */
export interface DeleteTopicsResponse {
  /** One result for each topic of the request. */
  readonly topics: ReadonlyArray<{
    /** The topic's name. */
    readonly topic: string
    /** TOPIC_DELETION_DISABLED if the brokers don't allow it. */
    readonly errorCode: number
  }>
}

/** The request that adds partitions to topics; existing records stay where they are. Key 37, versions 0 and 1. */
export interface CreatePartitionsRequest {
  /** How long the broker may wait until the partitions exist, in milliseconds. */
  readonly timeoutMs: number
  /** The topics to enlarge. */
  readonly topics: ReadonlyArray<{
    /** The topic's name. */
    readonly topic: string
    /** The total number of partitions after the request. */
    readonly count: number
  }>
}

/** The response to a `CreatePartitionsRequest`. */
export interface CreatePartitionsResponse {
  /** One result for each topic of the request. */
  readonly topics: ReadonlyArray<{
    /** The topic's name. */
    readonly topic: string
    /** INVALID_PARTITIONS if the topic has as many partitions, or more. */
    readonly errorCode: number
    /** The broker's explanation; null if it gives none. */
    readonly errorMessage: string | null
  }>
}

/** The request for all settings of topics. Key 32, versions 1 and 2. */
export interface DescribeConfigsRequest {
  /** The names of the topics. */
  readonly topics: ReadonlyArray<string>
}

/** A setting in a `DescribeConfigsResponse`. */
export interface ConfigEntry {
  /** The setting's name, such as `retention.ms`. */
  readonly name: string
  /** The value as text; null for a sensitive setting. */
  readonly value: string | null
  /** Whether it can't be changed while brokers run. */
  readonly isReadOnly: boolean
  /**
   * Where the value was set: 1 on the topic, 2 on the broker, 3 on the cluster, 4 in the broker's file, 5 nowhere: the
   * default.
   */
  readonly source: number
  /** Whether brokers keep the value secret, such as a password. */
  readonly isSensitive: boolean
}

/** The response to a `DescribeConfigsRequest`. */
export interface DescribeConfigsResponse {
  /** One result for each topic of the request. */
  readonly topics: ReadonlyArray<{
    /** The topic's name. */
    readonly topic: string
    /** UNKNOWN_TOPIC_OR_PARTITION for a topic that doesn't exist. */
    readonly errorCode: number
    /** The broker's explanation; null or empty if it gives none. */
    readonly errorMessage: string | null
    /** Every setting, those with default values included; empty with an error. */
    readonly configs: ReadonlyArray<ConfigEntry>
  }>
}

/**
 * The request that changes settings of topics (KIP-339). All changes of one topic take effect, or none. Key 44,
 * version 0.
 */
export interface IncrementalAlterConfigsRequest {
  /** The changes by topic. */
  readonly topics: ReadonlyArray<{
    /** The topic's name. */
    readonly topic: string
    /** The changes; settings that are not listed keep their values. */
    readonly configs: ReadonlyArray<{
      /** The setting's name, such as `retention.ms`. */
      readonly name: string
      /** `set` sets the value on the topic; `delete` returns the setting to the broker's value. */
      readonly operation: "set" | "delete"
      /** The new value as text; null for `delete`. */
      readonly value: string | null
    }>
  }>
}

/** The response to an `IncrementalAlterConfigsRequest`. */
export interface IncrementalAlterConfigsResponse {
  /** One result for each topic of the request. */
  readonly topics: ReadonlyArray<{
    /** The topic's name. */
    readonly topic: string
    /** INVALID_CONFIG for an unknown setting or a value that can't be used. */
    readonly errorCode: number
    /** The broker's explanation; null or empty if it gives none. */
    readonly errorMessage: string | null
  }>
}

/** The request that deletes the records before an offset (KIP-107). Key 21, versions 0 and 1. */
export interface DeleteRecordsRequest {
  /** How long the leader may wait for its replicas, in milliseconds. */
  readonly timeoutMs: number
  /** The partitions by topic. */
  readonly topics: ReadonlyArray<{
    /** The topic's name. */
    readonly topic: string
    /** The partitions to delete from. */
    readonly partitions: ReadonlyArray<{
      /** The partition's number, from 0. */
      readonly partition: number
      /** The first offset to keep; -1: the high watermark. */
      readonly offset: number
    }>
  }>
}

/** The response to a `DeleteRecordsRequest`. */
export interface DeleteRecordsResponse {
  /** The results by topic. */
  readonly topics: ReadonlyArray<{
    /** The topic's name. */
    readonly topic: string
    /** One result for each partition of the request. */
    readonly partitions: ReadonlyArray<{
      /** The partition's number, from 0. */
      readonly partition: number
      /** OFFSET_OUT_OF_RANGE for an offset beyond the end of the log. */
      readonly errorCode: number
      /** The first offset that is left on every replica; -1 with an error. */
      readonly lowWatermark: number
    }>
  }>
}

/** The request for the groups that the broker coordinates. Key 16, versions 3 to 5. */
export type ListGroupsRequest = Readonly<Record<string, never>>

/** The response to a `ListGroupsRequest`. */
export interface ListGroupsResponse {
  /** COORDINATOR_LOAD_IN_PROGRESS while the broker reads the groups. */
  readonly errorCode: number
  /** The groups in any order. */
  readonly groups: ReadonlyArray<{
    /** The group's id. */
    readonly groupId: string
    /** `consumer` for consumers; empty for a group that only has offsets. */
    readonly protocolType: string
    /** As Kafka names it; empty before Kafka 2.6. */
    readonly state: string
    /** `classic`, `consumer`, `share` or `streams`; empty before Kafka 3.8. */
    readonly type: string
  }>
}

/** The request that describes groups of the classic protocol. Key 15, version 4. */
export interface DescribeGroupsRequest {
  /** The ids of the groups. */
  readonly groupIds: ReadonlyArray<string>
}

/** The response to a `DescribeGroupsRequest`. */
export interface DescribeGroupsResponse {
  /** One result for each group of the request. */
  readonly groups: ReadonlyArray<{
    /** 0 for an unknown group, whose state is `Dead`. */
    readonly errorCode: number
    /** The group's id. */
    readonly groupId: string
    /** As Kafka names it; `Dead` for an unknown group. */
    readonly state: string
    /** `consumer` for consumers; empty for a group that only has offsets. */
    readonly protocolType: string
    /** The assignor that the members agreed on; empty unless the group is stable. */
    readonly protocol: string
    /** The group's members; empty with an error. */
    readonly members: ReadonlyArray<{
      /** The id that the coordinator issued. */
      readonly memberId: string
      /** null for a dynamic member. */
      readonly groupInstanceId: string | null
      /** The member's `client.id`. */
      readonly clientId: string
      /** The address that the broker sees, such as `/10.0.0.7`. */
      readonly clientHost: string
      /** The member's subscription, encoded; empty unless the group is stable. */
      readonly metadata: Uint8Array
      /** The member's partitions, encoded; empty unless the group is stable. */
      readonly assignment: Uint8Array
    }>
  }>
}

/** The request that deletes groups and their committed offsets (KIP-229). Key 42, versions 0 and 1. */
export interface DeleteGroupsRequest {
  /** The ids of the groups. */
  readonly groupIds: ReadonlyArray<string>
}

/** The response to a `DeleteGroupsRequest`. */
export interface DeleteGroupsResponse {
  /** One result for each group of the request. */
  readonly groups: ReadonlyArray<{
    /** The group's id. */
    readonly groupId: string
    /** NON_EMPTY_GROUP if it has members; GROUP_ID_NOT_FOUND if it doesn't exist. */
    readonly errorCode: number
  }>
}

/** The request that deletes committed offsets of a group (KIP-496). Key 47, version 0. */
export interface OffsetDeleteRequest {
  /** The group's id. */
  readonly groupId: string
  /** The partitions by topic. */
  readonly topics: ReadonlyArray<{
    /** The topic's name. */
    readonly topic: string
    /** The numbers of the partitions. */
    readonly partitions: ReadonlyArray<number>
  }>
}

/** The response to an `OffsetDeleteRequest`. */
export interface OffsetDeleteResponse {
  /** An error of the whole request, such as GROUP_ID_NOT_FOUND. */
  readonly errorCode: number
  /** The results by topic; empty with an error. */
  readonly topics: ReadonlyArray<{
    /** The topic's name. */
    readonly topic: string
    /** One result for each partition of the request. */
    readonly partitions: ReadonlyArray<{
      /** The partition's number, from 0. */
      readonly partition: number
      /** GROUP_SUBSCRIBED_TO_TOPIC if a member subscribes to the topic; 0 also if there was no offset. */
      readonly errorCode: number
    }>
  }>
}

/**
 * Every request of a Wire, with its response, and the broker to send it to. To add one, add it here and in each Wire.
 */
export interface Protocol {
  /** To any broker. */
  readonly Metadata: readonly [MetadataRequest, MetadataResponse]
  /** To any broker. */
  readonly FindCoordinator: readonly [FindCoordinatorRequest, FindCoordinatorResponse]
  /** To the leader of its partitions. */
  readonly Produce: readonly [ProduceRequest, ProduceResponse]
  /** To the coordinator of the transactional id, or without one to any broker. */
  readonly InitProducerId: readonly [InitProducerIdRequest, InitProducerIdResponse]
  /** To the coordinator of the transactional id. */
  readonly AddPartitionsToTxn: readonly [AddPartitionsToTxnRequest, AddPartitionsToTxnResponse]
  /** To the coordinator of the transactional id. */
  readonly AddOffsetsToTxn: readonly [AddOffsetsToTxnRequest, AddOffsetsToTxnResponse]
  /** To the coordinator of the group, after AddOffsetsToTxn. */
  readonly TxnOffsetCommit: readonly [TxnOffsetCommitRequest, TxnOffsetCommitResponse]
  /** To the coordinator of the transactional id. */
  readonly EndTxn: readonly [EndTxnRequest, EndTxnResponse]
  /** To the leader of its partitions, or the replica that the leader prefers. */
  readonly Fetch: readonly [FetchRequest, FetchResponse]
  /** To the leader of its partitions. */
  readonly ListOffsets: readonly [ListOffsetsRequest, ListOffsetsResponse]
  /** To the leader of its partitions. */
  readonly OffsetForLeaderEpoch: readonly [OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse]
  /** To the coordinator of the group. */
  readonly JoinGroup: readonly [JoinGroupRequest, JoinGroupResponse]
  /** To the coordinator of the group. */
  readonly SyncGroup: readonly [SyncGroupRequest, SyncGroupResponse]
  /** To the coordinator of the group. */
  readonly Heartbeat: readonly [HeartbeatRequest, HeartbeatResponse]
  /** To the coordinator of the group. */
  readonly LeaveGroup: readonly [LeaveGroupRequest, LeaveGroupResponse]
  /** To the coordinator of the group. */
  readonly OffsetCommit: readonly [OffsetCommitRequest, OffsetCommitResponse]
  /** To the coordinator of the group. */
  readonly OffsetFetch: readonly [OffsetFetchRequest, OffsetFetchResponse]
  /** To the controller; see `MetadataResponse.controllerId`. */
  readonly CreateTopics: readonly [CreateTopicsRequest, CreateTopicsResponse]
  /** To the controller. */
  readonly DeleteTopics: readonly [DeleteTopicsRequest, DeleteTopicsResponse]
  /** To the controller. */
  readonly CreatePartitions: readonly [CreatePartitionsRequest, CreatePartitionsResponse]
  /** To any broker. */
  readonly DescribeConfigs: readonly [DescribeConfigsRequest, DescribeConfigsResponse]
  /** To any broker. */
  readonly IncrementalAlterConfigs: readonly [IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse]
  /** To the leader of its partitions. */
  readonly DeleteRecords: readonly [DeleteRecordsRequest, DeleteRecordsResponse]
  /** To every broker: each lists the groups that it coordinates. */
  readonly ListGroups: readonly [ListGroupsRequest, ListGroupsResponse]
  /** To the coordinator of the groups. */
  readonly DescribeGroups: readonly [DescribeGroupsRequest, DescribeGroupsResponse]
  /** To the coordinator of the groups. */
  readonly DeleteGroups: readonly [DeleteGroupsRequest, DeleteGroupsResponse]
  /** To the coordinator of the group. */
  readonly OffsetDelete: readonly [OffsetDeleteRequest, OffsetDeleteResponse]
}

/** The name of a request. */
export type Api = keyof Protocol

/** A request by its name, such as `Request<"Fetch">`. */
export type Request<A extends Api> = Protocol[A][0]

/** The response to a request by its name. */
export type Response<A extends Api> = Protocol[A][1]
