/**
 * Partitions by topic and number, alone and in lists as in the protocol.
 */
import type { TopicPartition } from "@spillway/transport/Consumer"

export const placeOf = ({ partition, topic }: TopicPartition): TopicPartition => ({ topic, partition })

/** A copy, ordered by topic and partition. */
export const byPlace = <A extends TopicPartition>(all: Iterable<A>): ReadonlyArray<A> =>
  Array.from(all).sort((a, b) => (a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1))

/** A unique text for each partition: a topic may contain dashes, a partition's number doesn't. */
export const keyOf = ({ topic, partition }: TopicPartition): string => `${topic}-${partition}`

/** The partitions of `all` that aren't in `others`. */
export const without = <A extends TopicPartition>(
  all: ReadonlyArray<A>,
  others: ReadonlyArray<TopicPartition>
): ReadonlyArray<A> => {
  const excluded = new Set(others.map(keyOf))
  return all.filter((one) => !excluded.has(keyOf(one)))
}

/** The partitions' numbers by topic, in their order. */
export const byTopic = (partitions: ReadonlyArray<TopicPartition>): Map<string, Array<number>> => {
  const topics = new Map<string, Array<number>>()
  for (const { topic, partition } of partitions) {
    const known = topics.get(topic)
    if (known === undefined) topics.set(topic, [partition])
    else known.push(partition)
  }
  return topics
}

/** `topic-partition` of each, for logs. */
export const show = (partitions: ReadonlyArray<TopicPartition>): string => partitions.map(keyOf).join(" ")
