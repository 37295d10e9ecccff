/**
 * A group member that a test drives request by request, beside the consumers under test.
 */
import { KafkaErrorCode } from "@spillway/kafka/KafkaErrorCode"
import type { JoinGroupResponse } from "@spillway/kafka/Protocol"
import { MemoryBroker } from "@spillway/memory/MemoryBroker"
import type { TopicPartition } from "@spillway/transport/Consumer"
import * as Effect from "effect/Effect"
import * as ConsumerProtocol from "../../src/internal/group/consumerProtocol.js"
import { group, topic } from "./consumerTesting.js"

export const make = (protocol: string) =>
  Effect.gen(function* () {
    const broker = yield* MemoryBroker
    const { wire } = yield* broker.client()
    const endpoint = wire.bootstrap[0]!
    const joins = yield* wire.connect(endpoint, "join")
    const others = yield* wire.connect(endpoint, "group")
    let memberId = ""
    let generationId = -1
    let owned: ReadonlyArray<TopicPartition> = []
    const identity = () => ({ groupId: group, generationId, memberId, groupInstanceId: null })

    const join: Effect.Effect<JoinGroupResponse> = Effect.suspend(() =>
      joins.request("JoinGroup", {
        groupId: group,
        memberId,
        groupInstanceId: null,
        sessionTimeoutMs: 60_000,
        rebalanceTimeoutMs: 60_000,
        protocolType: "consumer",
        protocols: [
          {
            name: protocol,
            metadata: ConsumerProtocol.encodeSubscription({
              topics: [topic],
              ownedPartitions: owned,
              generationId,
              rackId: null
            })
          }
        ]
      })
    ).pipe(
      Effect.orDie,
      Effect.flatMap((joined) => {
        memberId = joined.memberId
        if (joined.errorCode === KafkaErrorCode.MEMBER_ID_REQUIRED) return join
        generationId = joined.generationId
        return Effect.succeed(joined)
      })
    )

    return {
      id: () => memberId,
      join,
      /** For the leader: each member's partitions of the topic, by member id. */
      sync: (assignment: Readonly<Record<string, ReadonlyArray<number>>> = {}) =>
        Effect.suspend(() =>
          joins.request("SyncGroup", {
            ...identity(),
            assignments: Object.entries(assignment).map(([id, partitions]) => ({
              memberId: id,
              assignment: ConsumerProtocol.encodeAssignment(partitions.map((partition) => ({ topic, partition })))
            }))
          })
        ).pipe(
          Effect.orDie,
          Effect.map((synced) => {
            owned = ConsumerProtocol.decodeAssignment(synced.assignment)
            return owned.map(({ partition }) => partition)
          })
        ),
      heartbeat: Effect.suspend(() => others.request("Heartbeat", identity())).pipe(
        Effect.orDie,
        Effect.map(({ errorCode }) => errorCode)
      ),
      leave: Effect.suspend(() =>
        others.request("LeaveGroup", { groupId: group, members: [{ memberId, groupInstanceId: null }] })
      ).pipe(Effect.orDie)
    }
  })
