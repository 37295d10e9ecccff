/**
 * How many partitions each topic had when the group began to read it. Without a committed offset, those partitions
 * start by `initialOffset`; later partitions, and those of later topics, start at their first record. The leader decides
 * the counts for the group and sends them with the assignments.
 */
import type { TopicPartition } from "@spillway/transport/Consumer"

export interface StartCount {
  /** The topic's id; empty if brokers don't report it. */
  readonly topicId: string
  readonly partitions: number
}

/** By topic. */
export type StartCounts = ReadonlyMap<string, StartCount>

/** A topic that exists now. */
export interface Present extends StartCount {
  readonly topic: string
}

export const none: StartCounts = new Map()

const isSame = (a: string, b: string): boolean => a === "" || b === "" || a === b

/** Adds the given topics that don't exist: when they are created, the group already reads them. */
export const withMissing = (
  known: StartCounts,
  topics: ReadonlyArray<string>,
  isMissing: (topic: string) => boolean
): StartCounts => {
  const missing = topics.filter((topic) => !known.has(topic) && isMissing(topic))
  return new Map([...known, ...missing.map((topic) => [topic, { topicId: "", partitions: 0 }] as const)])
}

/** Whether every topic's count is known. */
export const areKnown = (known: StartCounts, topics: ReadonlyArray<Present>): boolean =>
  topics.every(({ topic }) => known.has(topic))

export interface Group {
  /** Whether there was an earlier generation, as far as the leader knows. */
  readonly hasBegun: boolean
  readonly known: StartCounts
  /** The topics for which the group has committed offsets. */
  readonly committed: ReadonlySet<string>
  /** Whether a topic is read because it matches a pattern, rather than by its name. */
  readonly isMatched: (topic: string) => boolean
}

/** The counts of the topics that a group reads. */
export const decide = (
  { committed, hasBegun, isMatched, known }: Group,
  topics: ReadonlyArray<Present>
): StartCounts => {
  const isBeginning = committed.size === 0 && !hasBegun
  return new Map(
    topics.map(({ partitions, topic, topicId }) => {
      const before = known.get(topic)
      if (before !== undefined) {
        return [topic, { topicId, partitions: isSame(before.topicId, topicId) ? before.partitions : 0 }] as const
      }
      // A member commits where it starts, so an uncommitted partition of a topic that the group reads is a later one.
      const isLater = committed.has(topic) || (isMatched(topic) && !isBeginning)
      return [topic, { topicId, partitions: isLater ? 0 : partitions }] as const
    })
  )
}

/** Whether a partition was created after the group began to read its topic; undefined if the counts don't say. */
export const isLater = (
  counts: StartCounts,
  { partition, topic }: TopicPartition,
  topicId: string
): boolean | undefined => {
  const count = counts.get(topic)
  return count && (!isSame(count.topicId, topicId) || partition >= count.partitions)
}

/** The counts of the given topics only. */
export const only = (counts: StartCounts, topics: Iterable<string>): StartCounts =>
  new Map(Array.from(new Set(topics)).flatMap((topic) => (counts.has(topic) ? [[topic, counts.get(topic)!]] : [])))

/** As an assignment's user data, which the assignors of other clients don't read. */
export const encode = (counts: StartCounts): Uint8Array =>
  new TextEncoder().encode(
    JSON.stringify({
      startCounts: Array.from(counts, ([topic, { partitions, topicId }]) => [topic, topicId, partitions])
    })
  )

/** Empty if the leader is another client or an older one, whose user data may be anything. */
export const decode = (userData: Uint8Array): StartCounts => {
  try {
    const { startCounts } = JSON.parse(new TextDecoder().decode(userData)) as { readonly startCounts: unknown }
    if (!Array.isArray(startCounts)) return none
    return new Map(
      startCounts.flatMap(([topic, topicId, partitions]: Array<unknown>) =>
        typeof topic === "string" && typeof topicId === "string" && typeof partitions === "number"
          ? [[topic, { topicId, partitions }] as const]
          : []
      )
    )
  } catch {
    return none
  }
}
