/**
 * What a client knows of topics: the metadata that was answered last, unless an answer is older than what is known
 * already, as that of a broker that lags behind the others.
 */
import { KafkaErrorCode } from "../../KafkaErrorCode.js"
import type { TopicMetadata } from "../../Protocol.js"

export interface KnownTopics {
  readonly get: (topic: string) => TopicMetadata | undefined
  /** Takes an answer in; `now` in milliseconds. True when it is outdated: another broker may know better. */
  readonly learn: (answer: TopicMetadata, now: number) => boolean
  /** The answer names every topic of the cluster: others don't exist any more. */
  readonly retain: (topics: ReadonlyArray<TopicMetadata>) => void
  /** Whether another topic of that name was there before. */
  readonly isRecreated: (topic: string) => boolean
  /** The next answer about the partition is believed whatever its leader epoch is. */
  readonly doubt: (topic: string, partition: number) => void
  /** Drops what is known of a topic. */
  readonly forget: (topic: string) => void
  /** Forgets everything. */
  readonly clear: () => void
}

/**
 * How long answers that look outdated are not believed, in milliseconds, where none comes between them that doesn't: a
 * broker learns what the others know within its session. A topic may also be as it was before: its cluster was restored,
 * or another one that has its name.
 */
export const doubtMs = 30_000

/** How many earlier ids of a topic are remembered. */
const maxRetiredIds = 8

/** Of how many topics that are gone the ids are remembered. */
const maxGoneTopics = 1_000

export const make = (): KnownTopics => {
  const topics = new Map<string, TopicMetadata>()
  /** The ids of topics by name, the present one last; a topic that was deleted may come again. */
  const ids = new Map<string, ReadonlyArray<string>>()
  /** Since when every answer of a topic was outdated. */
  const doubtedSince = new Map<string, number>()
  /** Partitions whose leader isn't the one that is known. */
  const doubted = new Map<string, Set<number>>()

  const remember = ({ topic, topicId }: TopicMetadata): void => {
    const known = ids.get(topic) ?? []
    if (topicId === "" || known.at(-1) === topicId) return
    ids.delete(topic)
    ids.set(topic, [...known.filter((id) => id !== topicId), topicId].slice(-1 - maxRetiredIds))
    if (ids.size <= topics.size + maxGoneTopics) return
    for (const name of ids.keys()) {
      if (topics.has(name) || name === topic) continue
      ids.delete(name)
      return
    }
  }

  const isRetired = ({ topic, topicId }: TopicMetadata): boolean =>
    topicId !== "" && ids.get(topic)?.slice(0, -1).includes(topicId) === true

  /** The answer, with what is known of the partitions whose leader has a later epoch than it says. */
  const merged = (answer: TopicMetadata): TopicMetadata => {
    const known = topics.get(answer.topic)
    if (known?.topicId !== answer.topicId) return answer
    const before = new Map(known.partitions.map((partition) => [partition.partition, partition]))
    return {
      ...answer,
      partitions: answer.partitions.map((partition) => {
        const earlier = before.get(partition.partition)
        if (earlier === undefined || doubted.get(answer.topic)?.has(partition.partition) === true) return partition
        return earlier.leaderEpoch > partition.leaderEpoch ? earlier : partition
      })
    }
  }

  const isBelieved = (topic: string, now: number): boolean => {
    const since = doubtedSince.get(topic) ?? now
    doubtedSince.set(topic, since)
    return now - since >= doubtMs
  }

  const keep = (answer: TopicMetadata): void => {
    topics.set(answer.topic, answer)
    remember(answer)
  }

  return {
    get: (topic) => topics.get(topic),
    learn: (answer, now) => {
      const { topic } = answer
      if (answer.errorCode !== KafkaErrorCode.NONE) {
        doubted.delete(topic)
        if (answer.errorCode === KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION) topics.delete(topic)
        return false
      }
      const retired = isRetired(answer)
      const kept = retired ? answer : merged(answer)
      if (!retired) doubted.delete(topic)
      const isOutdated = retired || kept.partitions.some((partition, index) => partition !== answer.partitions[index])
      if (isOutdated && !isBelieved(topic, now)) {
        if (!retired) keep(kept)
        return true
      }
      doubtedSince.delete(topic)
      keep(answer)
      return false
    },
    retain: (all) => {
      const names = new Set(all.map(({ topic }) => topic))
      for (const name of topics.keys()) if (!names.has(name)) topics.delete(name)
    },
    isRecreated: (topic) => (ids.get(topic)?.length ?? 0) > 1,
    doubt: (topic, partition) => {
      doubted.set(topic, (doubted.get(topic) ?? new Set()).add(partition))
    },
    forget: (topic) => {
      topics.delete(topic)
      doubted.delete(topic)
    },
    clear: () => {
      topics.clear()
      ids.clear()
      doubtedSince.clear()
      doubted.clear()
    }
  }
}
