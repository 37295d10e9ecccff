/**
 * Requests about partitions, each to the partition's leader.
 */
import type { TopicPartition } from "@spillway/transport/Consumer"
import * as Effect from "effect/Effect"
import { KafkaErrorCode as Code } from "../../KafkaErrorCode.js"
import type { TopicMetadata } from "../../Protocol.js"
import type { WireError } from "../../Wire.js"
import * as Parallel from "../concurrency/parallel.js"
import { keyOf, placeOf } from "../topicPartition.js"
import type { Operation } from "./client.js"
import * as Failures from "./failures.js"
import { groupBy } from "./groupBy.js"
import * as PerItem from "./perItem.js"

/** A partition's part of a response. */
export interface Answer extends TopicPartition {
  readonly errorCode: number
}

/** The answers of a response by topic and partition. */
export const flatten = <A extends { readonly partition: number }>(
  topics: ReadonlyArray<{ readonly topic: string; readonly partitions: ReadonlyArray<A> }>
): ReadonlyArray<A & TopicPartition> =>
  topics.flatMap(({ partitions, topic }) => partitions.map((partition) => ({ ...partition, topic })))

/** The partitions by topic, as requests have them. */
export const nest = <I extends TopicPartition, A>(
  items: ReadonlyArray<I>,
  partitionOf: (item: I) => A
): ReadonlyArray<{ readonly topic: string; readonly partitions: ReadonlyArray<A> }> => {
  const topics = groupBy(items, ({ topic }) => topic)
  return Array.from(topics, ([topic, partitions]) => ({ topic, partitions: partitions.map(partitionOf) }))
}

/** Why a partition has no leader to ask, by its topic's metadata. */
const absence = (place: TopicPartition, metadata: TopicMetadata | undefined): Failures.Outcome<never> => {
  const code = metadata?.errorCode ?? Code.UNKNOWN_TOPIC_OR_PARTITION
  if (code !== Code.NONE && code !== Code.LEADER_NOT_AVAILABLE) return Failures.ofCode(place, code)
  const { partitions } = metadata!
  return partitions.some(({ partition }) => partition === place.partition)
    ? Failures.later(place, "the partition has no leader")
    : Failures.failed({
        reason: "UnknownPartition",
        ...place,
        description: `the topic has ${partitions.length} partitions`
      })
}

/** A leader may not know a partition yet that the metadata lists. */
const refusal = (place: TopicPartition, code: number): Failures.Outcome<never> => {
  const outcome = Failures.ofCode(place, code)
  return code === Code.UNKNOWN_TOPIC_OR_PARTITION && outcome._tag === "Failed"
    ? Failures.later(place, outcome.failure.description)
    : outcome
}

/** Asks the leaders of partitions, all at once. Each request may be sent twice. */
export const ask = Effect.fnUntraced(function* <I extends TopicPartition, B extends Answer, A>(
  { cluster }: Operation,
  items: ReadonlyArray<I>,
  request: (nodeId: number, items: ReadonlyArray<I>) => Effect.Effect<ReadonlyArray<B>, WireError>,
  valueOf: (answer: B, item: I) => A
): Effect.fn.Return<PerItem.Outcomes<I, A>> {
  const refreshed = yield* Effect.either(cluster.refresh(Array.from(new Set(items.map(({ topic }) => topic)))))
  if (refreshed._tag === "Left") {
    return PerItem.all(items, (item) => Failures.ofError(placeOf(item), refreshed.left))
  }
  const byName = new Map(refreshed.right.map((metadata) => [metadata.topic, metadata]))
  const byLeader = groupBy(items, ({ partition, topic }) =>
    byName.get(topic)?.errorCode === Code.NONE ? cluster.leader(topic, partition)?.leader : undefined
  )
  const outcomes = (byLeader.get(undefined) ?? []).map(
    (item) => [item, absence(placeOf(item), byName.get(item.topic))] as const
  )
  byLeader.delete(undefined)
  const answers = yield* Parallel.forEach(Array.from(byLeader), ([nodeId, asked]) =>
    Effect.match(request(nodeId!, asked), {
      onFailure: (error) => PerItem.all(asked, (item) => Failures.ofError(placeOf(item), error)),
      onSuccess: (answers) =>
        PerItem.match(
          asked,
          keyOf,
          answers.map((answer) => [keyOf(answer), answer]),
          (answer, item) => {
            if (answer.errorCode === Code.NONE) return Failures.done(valueOf(answer, item))
            if (Failures.leaderCodes.has(answer.errorCode)) cluster.doubt(item.topic, item.partition)
            return refusal(placeOf(item), answer.errorCode)
          }
        )
    })
  )
  return [...outcomes, ...answers.flat()]
})
