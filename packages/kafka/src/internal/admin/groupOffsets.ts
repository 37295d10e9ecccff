/**
 * The committed offsets of a group: reading, resetting and deleting them.
 */
import type { TopicPartition } from "@spillway/transport/Consumer"
import * as Effect from "effect/Effect"
import { KafkaErrorCode as Code } from "../../KafkaErrorCode.js"
import type { WireError } from "../../Wire.js"
import { byPlace, keyOf, placeOf } from "../topicPartition.js"
import * as Arguments from "./arguments.js"
import * as Client from "./client.js"
import * as Coordinators from "./coordinators.js"
import * as Failures from "./failures.js"
import type { GroupOffset, OffsetReset } from "./groupTypes.js"
import * as Leaders from "./leaders.js"
import * as Offsets from "./offsets.js"
import * as PerItem from "./perItem.js"
import type { AdminOptions, KafkaAdminError, ListOffsetsOptions, PartitionOffset } from "./types.js"

/** Every committed offset of a group. */
export const committed = (
  operation: Client.Operation,
  groupId: string
): Effect.Effect<ReadonlyArray<GroupOffset>, KafkaAdminError> =>
  Effect.map(
    PerItem.run(operation, {
      items: [groupId],
      subjectOf: () => ({ groupId }),
      attempt: (left) =>
        Effect.match(
          Coordinators.request(operation, groupId, (nodeId) =>
            operation.cluster.request(nodeId, "data", "OffsetFetch", { groupId, topics: null })
          ),
          {
            onFailure: (error) => PerItem.all(left, () => Failures.ofError({ groupId }, error)),
            onSuccess: ({ errorCode, topics }): PerItem.Outcomes<string, ReadonlyArray<GroupOffset>> => {
              const found = Leaders.flatten(topics)
              const refused = found.find(({ errorCode }) => errorCode !== Code.NONE)
              const code = errorCode === Code.NONE ? (refused?.errorCode ?? Code.NONE) : errorCode
              if (code !== Code.NONE) {
                const place = errorCode === Code.NONE && refused !== undefined ? placeOf(refused) : {}
                return PerItem.all(left, () => Coordinators.refusal(operation, groupId, place, code))
              }
              const offsets = found.map(({ leaderEpoch, metadata, offset, partition, topic }) => ({
                topic,
                partition,
                offset,
                leaderEpoch: leaderEpoch < 0 ? undefined : leaderEpoch,
                metadata
              }))
              return [[groupId, Failures.done(byPlace(offsets))]]
            }
          }
        )
    }),
    ([offsets]) => offsets!
  )

export const list =
  (client: Client.Client) =>
  (groupId: string, options?: AdminOptions): Effect.Effect<ReadonlyArray<GroupOffset>, KafkaAdminError> =>
    Effect.flatMap(Client.start(client, options, Arguments.groupIds([groupId])), (operation) =>
      committed(operation, groupId)
    )

/**
 * A change of a group's offsets by its coordinator, which may be sent twice. `isKnown`: the partitions exist, even if
 * the coordinator has yet to learn of them.
 */
const change = <I extends TopicPartition>(
  operation: Client.Operation,
  groupId: string,
  items: ReadonlyArray<I>,
  isKnown: boolean,
  send: (
    nodeId: number,
    items: ReadonlyArray<I>
  ) => Effect.Effect<
    { readonly errorCode?: number | undefined; readonly answers: ReadonlyArray<Leaders.Answer> },
    WireError
  >
): Effect.Effect<ReadonlyArray<I>, KafkaAdminError> => {
  const subjectOf = (item: I): Failures.Subject => ({ ...placeOf(item), groupId })
  return PerItem.run(operation, {
    items,
    subjectOf,
    attempt: (left) =>
      Effect.match(
        Coordinators.request(operation, groupId, (nodeId) => send(nodeId, left)),
        {
          onFailure: (error) => PerItem.all(left, (item) => Failures.ofError(subjectOf(item), error)),
          onSuccess: ({ answers, errorCode = Code.NONE }): PerItem.Outcomes<I, I> =>
            errorCode !== Code.NONE
              ? PerItem.all(left, (item) => Coordinators.refusal(operation, groupId, subjectOf(item), errorCode))
              : PerItem.match(
                  left,
                  keyOf,
                  answers.map((answer) => [keyOf(answer), answer]),
                  ({ errorCode }, item) => {
                    if (errorCode === Code.NONE) return Failures.done(item)
                    if (isKnown && errorCode === Code.UNKNOWN_TOPIC_OR_PARTITION) {
                      return Failures.later(subjectOf(item), "the coordinator doesn't know the partition yet")
                    }
                    return Coordinators.refusal(operation, groupId, subjectOf(item), errorCode)
                  }
                )
        }
      )
  })
}

/** From outside of the group, as Kafka's tools commit: a group with members refuses it. */
const outside = { generationId: -1, memberId: "", groupInstanceId: null }

/** Positions are looked up and checked first: brokers accept any offset. */
export const reset =
  (client: Client.Client) =>
  (
    groupId: string,
    resets: ReadonlyArray<OffsetReset>,
    options?: ListOffsetsOptions
  ): Effect.Effect<ReadonlyArray<PartitionOffset>, KafkaAdminError> =>
    Effect.gen(function* () {
      const problems = [
        ...Arguments.groupIds([groupId]),
        ...Arguments.partitions("resets", resets),
        ...resets.flatMap(({ to, ...place }) => Arguments.position("to", to, placeOf(place))),
        ...Arguments.isolationLevel(options?.isolationLevel)
      ]
      const operation = yield* Client.start(client, options, problems)
      const targets = resets.map(({ to, ...place }) => ({ ...placeOf(place), position: to }))
      const offsets = yield* Offsets.resolve(operation, targets, options?.isolationLevel ?? "read_committed")
      return yield* change(operation, groupId, offsets, true, (nodeId, left) =>
        Effect.map(
          operation.cluster.request(nodeId, "data", "OffsetCommit", {
            ...outside,
            groupId,
            topics: Leaders.nest(left, ({ offset, partition }) => ({ partition, offset, metadata: "" }))
          }),
          ({ topics }) => ({ answers: Leaders.flatten(topics) })
        )
      )
    })

export const remove =
  (client: Client.Client) =>
  (
    groupId: string,
    partitions: ReadonlyArray<TopicPartition>,
    options?: AdminOptions
  ): Effect.Effect<void, KafkaAdminError> =>
    Effect.gen(function* () {
      const problems = [...Arguments.groupIds([groupId]), ...Arguments.partitions("partitions", partitions)]
      const operation = yield* Client.start(client, options, problems)
      yield* change(operation, groupId, partitions, false, (nodeId, left) =>
        Effect.map(
          operation.cluster.request(nodeId, "data", "OffsetDelete", {
            groupId,
            topics: Leaders.nest(left, ({ partition }) => partition)
          }),
          ({ errorCode, topics }) => ({ errorCode, answers: Leaders.flatten(topics) })
        )
      )
    })
