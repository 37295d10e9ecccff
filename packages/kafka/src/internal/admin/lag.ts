/**
 * How far a group is behind the ends of its partitions.
 */
import * as Effect from "effect/Effect"
import { KafkaErrorCode as Code } from "../../KafkaErrorCode.js"
import type { TopicMetadata } from "../../Protocol.js"
import { byPlace, keyOf } from "../topicPartition.js"
import * as Arguments from "./arguments.js"
import * as Client from "./client.js"
import * as Failures from "./failures.js"
import * as GroupOffsets from "./groupOffsets.js"
import * as Groups from "./groups.js"
import type { PartitionLag } from "./groupTypes.js"
import * as Offsets from "./offsets.js"
import * as PerItem from "./perItem.js"
import type { KafkaAdminError, ListOffsetsOptions } from "./types.js"

/** The metadata of topics. A deleted topic may still have offsets for a moment: it has no partitions. */
const lookUp = (
  operation: Client.Operation,
  topics: ReadonlyArray<string>
): Effect.Effect<ReadonlyArray<TopicMetadata>, KafkaAdminError> =>
  PerItem.run(operation, {
    items: topics,
    subjectOf: (topic) => ({ topic }),
    attempt: (left) =>
      Effect.match(operation.cluster.refresh(left), {
        onFailure: (error) => PerItem.all(left, (topic) => Failures.ofError({ topic }, error)),
        onSuccess: (found) =>
          PerItem.match(
            left,
            (topic) => topic,
            found.map((metadata) => [metadata.topic, metadata]),
            (metadata, topic): Failures.Outcome<TopicMetadata> =>
              metadata.errorCode === Code.NONE || metadata.errorCode === Code.UNKNOWN_TOPIC_OR_PARTITION
                ? Failures.done(metadata)
                : Failures.ofCode({ topic }, metadata.errorCode)
          )
      })
  })

export const measure =
  (client: Client.Client) =>
  (groupId: string, options?: ListOffsetsOptions): Effect.Effect<ReadonlyArray<PartitionLag>, KafkaAdminError> =>
    Effect.gen(function* () {
      const problems = [...Arguments.groupIds([groupId]), ...Arguments.isolationLevel(options?.isolationLevel)]
      const operation = yield* Client.start(client, options, problems)
      // The offsets before the ends: a lag is never too small.
      const committed = yield* GroupOffsets.committed(operation, groupId)
      const [group] = yield* Groups.describeNow(operation, [groupId], (description) =>
        description.state === "Dead" && committed.length === 0
          ? Failures.failed({ reason: "UnknownGroup", groupId, description: "it has no members and no offsets" })
          : Failures.done(description)
      )
      const assigned = group!.members.flatMap(({ assignment = [] }) => assignment)
      const topics = Array.from(new Set([...committed, ...assigned].map(({ topic }) => topic)))
      const partitions = byPlace(
        (yield* lookUp(operation, topics)).flatMap(({ partitions, topic }) =>
          partitions.map(({ partition }) => ({ topic, partition }))
        )
      )
      const ends = yield* Offsets.ends(operation, partitions, options?.isolationLevel ?? "read_committed")
      const offsets = new Map(committed.map((place) => [keyOf(place), place.offset]))
      return partitions.map((place, index) => {
        const offset = offsets.get(keyOf(place))
        const end = ends[index]!
        return { ...place, committed: offset, end, lag: offset === undefined ? undefined : Math.max(0, end - offset) }
      })
    })
