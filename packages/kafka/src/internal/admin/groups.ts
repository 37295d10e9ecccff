/**
 * Listing, describing and deleting groups.
 */
import type { TopicPartition } from "@spillway/transport/Consumer"
import * as Effect from "effect/Effect"
import { KafkaErrorCode as Code } from "../../KafkaErrorCode.js"
import type { DescribeGroupsResponse, ListGroupsResponse } from "../../Protocol.js"
import * as Parallel from "../concurrency/parallel.js"
import { decodeAssignment } from "../group/consumerProtocol.js"
import * as Arguments from "./arguments.js"
import * as Client from "./client.js"
import * as Coordinators from "./coordinators.js"
import * as Failures from "./failures.js"
import type { GroupDescription, GroupListing } from "./groupTypes.js"
import * as PerItem from "./perItem.js"
import type { AdminOptions, KafkaAdminError } from "./types.js"

type Listed = ListGroupsResponse["groups"]

const listOf = ({ cluster }: Client.Operation, nodeId: number): Effect.Effect<Failures.Outcome<Listed>> =>
  Effect.match(cluster.request(nodeId, "data", "ListGroups", {}), {
    onFailure: (error) => Failures.ofError({}, error),
    onSuccess: ({ errorCode, groups }) =>
      errorCode === Code.NONE ? Failures.done(groups) : Failures.ofCode({}, errorCode)
  })

/** The groups of every broker, or why one of them can't list its own. */
const listAll = (operation: Client.Operation): Effect.Effect<Failures.Outcome<Listed>> =>
  Effect.matchEffect(operation.cluster.refresh([]), {
    onFailure: (error) => Effect.succeed(Failures.ofError({}, error)),
    onSuccess: () =>
      Effect.map(
        Parallel.forEach(operation.cluster.nodeIds(), (nodeId) => listOf(operation, nodeId)),
        (outcomes): Failures.Outcome<Listed> => {
          const failed = outcomes.find(({ _tag }) => _tag === "Failed") ?? outcomes.find(({ _tag }) => _tag === "Retry")
          return failed ?? Failures.done(outcomes.flatMap((outcome) => (outcome._tag === "Done" ? outcome.value : [])))
        }
      )
  })

const listingOf = ({ groupId, protocolType, state, type }: Listed[number]): GroupListing => ({
  groupId,
  protocolType,
  state: state === "" ? undefined : state,
  type: type === "" ? undefined : type
})

export const list =
  (client: Client.Client) =>
  (options?: AdminOptions): Effect.Effect<ReadonlyArray<GroupListing>, KafkaAdminError> =>
    Effect.gen(function* () {
      const operation = yield* Client.start(client, options, [])
      const [groups] = yield* PerItem.run(operation, {
        items: ["all groups"],
        subjectOf: () => ({}),
        attempt: ([item]) => Effect.map(listAll(operation), (outcome) => [[item!, outcome]] as const)
      })
      // A group that moves meanwhile may be listed by two brokers.
      const byId = new Map(groups!.map((group) => [group.groupId, group]))
      return Array.from(byId.values(), listingOf).sort((one, other) => (one.groupId < other.groupId ? -1 : 1))
    })

const assignmentOf = (protocolType: string, bytes: Uint8Array): ReadonlyArray<TopicPartition> | undefined => {
  if (protocolType !== "consumer") return undefined
  try {
    return decodeAssignment(bytes)
  } catch {
    return undefined
  }
}

const descriptionOf = (
  { groupId, members, protocol, protocolType, state }: DescribeGroupsResponse["groups"][number],
  coordinator: number
): GroupDescription => ({
  groupId,
  state,
  protocolType,
  protocol,
  coordinator,
  members: members.map(({ assignment, clientHost, clientId, groupInstanceId, memberId }) => ({
    memberId,
    groupInstanceId: groupInstanceId ?? undefined,
    clientId,
    host: clientHost,
    assignment: assignmentOf(protocolType, assignment)
  }))
})

/** The descriptions of groups; `Dead` for those that the coordinator doesn't know. */
export const describeNow = (
  operation: Client.Operation,
  groupIds: ReadonlyArray<string>,
  outcomeOf: (description: GroupDescription) => Failures.Outcome<GroupDescription>
): Effect.Effect<ReadonlyArray<GroupDescription>, KafkaAdminError> =>
  PerItem.run(operation, {
    items: groupIds,
    subjectOf: (groupId) => ({ groupId }),
    attempt: (left) =>
      Coordinators.ask(
        operation,
        left,
        "always",
        (nodeId, asked) =>
          Effect.map(
            operation.cluster.request(nodeId, "data", "DescribeGroups", { groupIds: asked }),
            ({ groups }) => groups
          ),
        (answer, nodeId) => outcomeOf(descriptionOf(answer, nodeId))
      )
  })

const known = (description: GroupDescription): Failures.Outcome<GroupDescription> =>
  description.state === "Dead"
    ? Failures.failed({
        reason: "UnknownGroup",
        groupId: description.groupId,
        description: "its coordinator knows no group of the classic protocol with this id"
      })
    : Failures.done(description)

export const describe =
  (client: Client.Client) =>
  (
    groupIds: ReadonlyArray<string>,
    options?: AdminOptions
  ): Effect.Effect<ReadonlyArray<GroupDescription>, KafkaAdminError> =>
    Effect.flatMap(Client.start(client, options, Arguments.groupIds(groupIds)), (operation) =>
      describeNow(operation, groupIds, known)
    )

/** A lost response may hide a deletion, which a second attempt would report as an unknown group. */
export const remove =
  (client: Client.Client) =>
  (groupIds: ReadonlyArray<string>, options?: AdminOptions): Effect.Effect<void, KafkaAdminError> =>
    Effect.gen(function* () {
      const operation = yield* Client.start(client, options, Arguments.groupIds(groupIds))
      yield* PerItem.run(operation, {
        items: groupIds,
        subjectOf: (groupId) => ({ groupId }),
        attempt: (left) =>
          Coordinators.ask(
            operation,
            left,
            "unless sent",
            (nodeId, asked) =>
              Effect.map(
                operation.cluster.request(nodeId, "data", "DeleteGroups", { groupIds: asked }),
                ({ groups }) => groups
              ),
            ({ groupId }) => Failures.done(groupId)
          )
      })
    })
