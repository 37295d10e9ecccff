/**
 * The requests that list, describe and delete groups and their offsets.
 */
import { KafkaErrorCode } from "@spillway/kafka/KafkaErrorCode"
import type {
  DeleteGroupsRequest,
  DeleteGroupsResponse,
  DescribeGroupsRequest,
  DescribeGroupsResponse,
  ListGroupsResponse,
  OffsetDeleteRequest,
  OffsetDeleteResponse
} from "@spillway/kafka/Protocol"
import type { Coordinator } from "./coordinator.js"
import { subscribes } from "./groupProtocol.js"
import { noBytes } from "./groupState.js"
import type { Placement } from "./placement.js"
import type { Topics } from "./topics.js"

const coordinates = (placement: Placement, nodeId: number, groupId: string): boolean =>
  placement.coordinator(groupId)?.nodeId === nodeId

export const list = (coordinator: Coordinator, placement: Placement, nodeId: number): ListGroupsResponse => ({
  errorCode: KafkaErrorCode.NONE,
  groups: coordinator
    .groupIds()
    .filter((groupId) => coordinates(placement, nodeId, groupId))
    .map((groupId) => {
      const { phase, protocolType } = coordinator.group(groupId)!
      return { groupId, protocolType, state: phase, type: "classic" }
    })
})

type Described = DescribeGroupsResponse["groups"][number]

const describeOne = (coordinator: Coordinator, groupId: string): Described => {
  const group = coordinator.group(groupId)
  if (group === undefined) {
    return { errorCode: KafkaErrorCode.NONE, groupId, state: "Dead", protocolType: "", protocol: "", members: [] }
  }
  const isStable = group.phase === "Stable"
  return {
    errorCode: KafkaErrorCode.NONE,
    groupId,
    state: group.phase,
    protocolType: group.protocolType,
    protocol: isStable ? group.protocol : "",
    members: Array.from(group.members.values(), ({ assignment, clientId, id, instanceId, protocols }) => ({
      memberId: id,
      groupInstanceId: instanceId,
      clientId,
      clientHost: "/memory",
      metadata: (isStable ? protocols.find(({ name }) => name === group.protocol)?.metadata : undefined) ?? noBytes,
      assignment: isStable ? assignment : noBytes
    }))
  }
}

export const describe = (
  coordinator: Coordinator,
  placement: Placement,
  nodeId: number,
  { groupIds }: DescribeGroupsRequest
): DescribeGroupsResponse => ({
  groups: groupIds.map((groupId) =>
    coordinates(placement, nodeId, groupId)
      ? describeOne(coordinator, groupId)
      : {
          errorCode: KafkaErrorCode.NOT_COORDINATOR,
          groupId,
          state: "",
          protocolType: "",
          protocol: "",
          members: []
        }
  )
})

export const remove = (
  coordinator: Coordinator,
  placement: Placement,
  nodeId: number,
  { groupIds }: DeleteGroupsRequest
): DeleteGroupsResponse => {
  /** The error code. */
  const removeOne = (groupId: string): number => {
    if (!coordinates(placement, nodeId, groupId)) return KafkaErrorCode.NOT_COORDINATOR
    const group = coordinator.group(groupId)
    if (group === undefined) return KafkaErrorCode.GROUP_ID_NOT_FOUND
    if (group.phase !== "Empty") return KafkaErrorCode.NON_EMPTY_GROUP
    coordinator.remove(groupId)
    return KafkaErrorCode.NONE
  }
  return { groups: groupIds.map((groupId) => ({ groupId, errorCode: removeOne(groupId) })) }
}

export const removeOffsets = (
  coordinator: Coordinator,
  topics: Topics,
  { groupId, topics: asked }: OffsetDeleteRequest
): OffsetDeleteResponse => {
  const group = coordinator.group(groupId)
  if (group === undefined) return { errorCode: KafkaErrorCode.GROUP_ID_NOT_FOUND, topics: [] }
  if (group.phase !== "Empty" && group.protocolType !== "consumer") {
    return { errorCode: KafkaErrorCode.NON_EMPTY_GROUP, topics: [] }
  }
  /** The error code. */
  const removeOne = (topic: string, partition: number): number => {
    if (topics.log(topic, partition) === undefined) return KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    if (group.phase !== "Empty" && subscribes(group, topic)) return KafkaErrorCode.GROUP_SUBSCRIBED_TO_TOPIC
    coordinator.removeOffset(groupId, topic, partition)
    return KafkaErrorCode.NONE
  }
  return {
    errorCode: KafkaErrorCode.NONE,
    topics: asked.map(({ partitions, topic }) => ({
      topic,
      partitions: partitions.map((partition) => ({ partition, errorCode: removeOne(topic, partition) }))
    }))
  }
}
