/**
 * The error codes with which a simulation answers requests that could have been carried out.
 */
import { KafkaErrorCode as Code } from "@spillway/kafka/KafkaErrorCode"
import type { Api } from "@spillway/kafka/Protocol"

/** Error codes of each API while brokers, leaders and coordinators change. */
export const transient: Partial<Record<Api, ReadonlyArray<number>>> = {
  Produce: [Code.NOT_LEADER_OR_FOLLOWER, Code.NOT_ENOUGH_REPLICAS, Code.REQUEST_TIMED_OUT, Code.KAFKA_STORAGE_ERROR],
  Fetch: [Code.NOT_LEADER_OR_FOLLOWER, Code.KAFKA_STORAGE_ERROR, Code.REPLICA_NOT_AVAILABLE, Code.FENCED_LEADER_EPOCH],
  ListOffsets: [Code.NOT_LEADER_OR_FOLLOWER, Code.LEADER_NOT_AVAILABLE, Code.OFFSET_NOT_AVAILABLE],
  FindCoordinator: [Code.COORDINATOR_NOT_AVAILABLE],
  JoinGroup: [Code.NOT_COORDINATOR, Code.COORDINATOR_LOAD_IN_PROGRESS, Code.COORDINATOR_NOT_AVAILABLE],
  SyncGroup: [Code.NOT_COORDINATOR, Code.COORDINATOR_LOAD_IN_PROGRESS, Code.REBALANCE_IN_PROGRESS],
  Heartbeat: [Code.NOT_COORDINATOR, Code.COORDINATOR_LOAD_IN_PROGRESS, Code.COORDINATOR_NOT_AVAILABLE],
  OffsetCommit: [Code.NOT_COORDINATOR, Code.COORDINATOR_LOAD_IN_PROGRESS, Code.REQUEST_TIMED_OUT],
  OffsetFetch: [Code.NOT_COORDINATOR, Code.COORDINATOR_LOAD_IN_PROGRESS]
}

/** Error codes of each API after the request was carried out. */
export const after: Partial<Record<Api, ReadonlyArray<number>>> = {
  Produce: [Code.REQUEST_TIMED_OUT, Code.NOT_ENOUGH_REPLICAS_AFTER_APPEND],
  OffsetCommit: [Code.REQUEST_TIMED_OUT, Code.COORDINATOR_NOT_AVAILABLE]
}

const ofCoordinators = [Code.NOT_COORDINATOR, Code.COORDINATOR_LOAD_IN_PROGRESS, Code.COORDINATOR_NOT_AVAILABLE]

/** Like `transient`, for the requests of transactions. */
export const ofTransactions: Partial<Record<Api, ReadonlyArray<number>>> = {
  InitProducerId: [...ofCoordinators, Code.CONCURRENT_TRANSACTIONS],
  AddPartitionsToTxn: [...ofCoordinators, Code.CONCURRENT_TRANSACTIONS],
  AddOffsetsToTxn: [...ofCoordinators, Code.CONCURRENT_TRANSACTIONS],
  TxnOffsetCommit: ofCoordinators,
  EndTxn: [...ofCoordinators, Code.CONCURRENT_TRANSACTIONS]
}
