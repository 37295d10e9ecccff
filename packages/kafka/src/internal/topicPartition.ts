import type { TopicPartition } from "@spillway/transport/Consumer"

export const placeOf = ({ partition, topic }: TopicPartition): TopicPartition => ({ topic, partition })

/** A copy, ordered by topic and partition. */
export const byPlace = <A extends TopicPartition>(all: Iterable<A>): ReadonlyArray<A> =>
  Array.from(all).sort((a, b) => (a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1))
