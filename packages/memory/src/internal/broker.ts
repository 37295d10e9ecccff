/**
 * Routes each request to the part of the cluster that answers it: metadata to any node, records to the partition's
 * leader, membership to the group's coordinator, transactions to the transactional id's coordinator.
 */
import { KafkaErrorCode } from "@spillway/kafka/KafkaErrorCode"
import type { Api, Request, Response } from "@spillway/kafka/Protocol"
import type { Answer, Serve } from "./connections.js"
import type { Coordinator } from "./coordinator.js"
import * as GroupRequests from "./groupRequests.js"
import type { Placement } from "./placement.js"
import * as Records from "./records.js"
import * as Refusal from "./refusal.js"
import type { Timers } from "./timers.js"
import * as TopicRequests from "./topicRequests.js"
import type { Topics } from "./topics.js"
import type { Transactions } from "./transactions.js"

export interface Parts {
  readonly timers: Timers
  readonly placement: Placement
  readonly topics: Topics
  readonly coordinator: Coordinator
  readonly transactions: Transactions
}

interface Asked {
  readonly nodeId: number
  readonly clientId: string
}

type Handlers = {
  readonly [A in Api]: (request: Request<A>, asked: Asked) => Answer<Response<A>>
}

const groupApis = new Set<Api>([
  "JoinGroup",
  "SyncGroup",
  "Heartbeat",
  "LeaveGroup",
  "OffsetCommit",
  "OffsetFetch",
  "TxnOffsetCommit",
  "OffsetDelete"
])

const transactionApis = new Set<Api>(["InitProducerId", "AddPartitionsToTxn", "AddOffsetsToTxn", "EndTxn"])

const controllerApis = new Set<Api>(["CreateTopics", "DeleteTopics", "CreatePartitions"])

export const make = ({ coordinator, placement, timers, topics, transactions }: Parts): Serve => {
  const handlers: Handlers = {
    Metadata: (request) => topics.metadata(request),
    FindCoordinator: (request) => {
      const found =
        request.keyType === "group" ? placement.coordinator(request.key) : placement.transactionCoordinator(request.key)
      return found === undefined
        ? Refusal.of("FindCoordinator", request, KafkaErrorCode.COORDINATOR_NOT_AVAILABLE)
        : { errorCode: KafkaErrorCode.NONE, coordinator: found }
    },
    Produce: (request, { nodeId }) => Records.produce(topics, transactions, nodeId, request),
    InitProducerId: transactions.init,
    AddPartitionsToTxn: transactions.addPartitions,
    AddOffsetsToTxn: (request) => ({ errorCode: transactions.addOffsets(request) }),
    EndTxn: (request) => ({ errorCode: transactions.end(request) }),
    TxnOffsetCommit: (request) => {
      const errorCode = transactions.verifyOffsets(request)
      return errorCode === KafkaErrorCode.NONE
        ? coordinator.commitInTransaction(request)
        : Refusal.of("TxnOffsetCommit", request, errorCode)
    },
    Fetch: (request, { nodeId }) => Records.fetch(topics, placement, nodeId, timers, request),
    ListOffsets: (request, { nodeId }) => Records.listOffsets(topics, nodeId, request),
    OffsetForLeaderEpoch: (request, { nodeId }) => Records.offsetForLeaderEpoch(topics, nodeId, request),
    JoinGroup: (request, { clientId }) => coordinator.join(clientId, request),
    SyncGroup: (request) => coordinator.sync(request),
    Heartbeat: (request) => ({ errorCode: coordinator.heartbeat(request) }),
    LeaveGroup: (request) => ({ errorCode: coordinator.leave(request) }),
    OffsetCommit: (request) => coordinator.commit(request),
    OffsetFetch: (request) => coordinator.fetchOffsets(request),
    CreateTopics: (request) => TopicRequests.createTopics(topics, placement, request),
    DeleteTopics: (request) => TopicRequests.deleteTopics(topics, request),
    CreatePartitions: (request) => TopicRequests.createPartitions(topics, request),
    DescribeConfigs: (request) => TopicRequests.describeConfigs(topics, request),
    IncrementalAlterConfigs: (request) => TopicRequests.alterConfigs(topics, request),
    DeleteRecords: (request, { nodeId }) => TopicRequests.deleteRecords(topics, nodeId, request),
    ListGroups: (_, { nodeId }) => GroupRequests.list(coordinator, placement, nodeId),
    DescribeGroups: (request, { nodeId }) => GroupRequests.describe(coordinator, placement, nodeId, request),
    DeleteGroups: (request, { nodeId }) => GroupRequests.remove(coordinator, placement, nodeId, request),
    OffsetDelete: (request) => GroupRequests.removeOffsets(coordinator, topics, request)
  }

  /** The error code that sends the client to another node, or 0. */
  const misdirected = (nodeId: number, api: Api, request: Request<Api>): number => {
    if (groupApis.has(api)) {
      const { groupId } = request as Request<"Heartbeat">
      return placement.coordinator(groupId)?.nodeId === nodeId ? KafkaErrorCode.NONE : KafkaErrorCode.NOT_COORDINATOR
    }
    if (transactionApis.has(api)) {
      const { transactionalId } = request as Request<"InitProducerId">
      return transactionalId === null || placement.transactionCoordinator(transactionalId)?.nodeId === nodeId
        ? KafkaErrorCode.NONE
        : KafkaErrorCode.NOT_COORDINATOR
    }
    return controllerApis.has(api) && placement.controllerId() !== nodeId
      ? KafkaErrorCode.NOT_CONTROLLER
      : KafkaErrorCode.NONE
  }

  return (nodeId, clientId, api, request) => {
    const errorCode = misdirected(nodeId, api, request)
    return errorCode === KafkaErrorCode.NONE
      ? handlers[api](request, { nodeId, clientId })
      : Refusal.of(api, request, errorCode)
  }
}
