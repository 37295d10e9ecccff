/**
 * The topic metadata that a client keeps: the last response, unless it is older than what is already known, as from a
 * broker that lags behind the others.
 */
import { KafkaErrorCode } from "../../KafkaErrorCode.js"
import type { TopicMetadata } from "../../Protocol.js"

export interface KnownTopics {
  readonly get: (topic: string) => TopicMetadata | undefined
  /** Takes a response in; `now` in milliseconds. True if it is outdated: another broker may know better. */
  readonly learn: (answer: TopicMetadata, now: number) => boolean
  /** The response lists every topic of the cluster: others no longer exist. */
  readonly retain: (topics: ReadonlyArray<TopicMetadata>) => void
  /** Whether another topic had that name before. */
  readonly isRecreated: (topic: string) => boolean
  /** The next response about the partition is accepted with any leader epoch. */
  readonly doubt: (topic: string, partition: number) => void
  /** Forgets a topic. */
  readonly forget: (topic: string) => void
  /** Forgets everything. */
  readonly clear: () => void
}

/**
 * How long responses that look outdated are ignored, in milliseconds, if none between them is current: a broker catches
 * up with the others within its session. An older state can also be real: the cluster was restored, or another topic
 * has the name.
 */
export const doubtMs = 30_000

/** How many earlier ids are remembered per topic. */
const maxRetiredIds = 8

/** For how many deleted topics the ids are remembered. */
const maxGoneTopics = 1_000

export const make = (): KnownTopics => {
  const topics = new Map<string, TopicMetadata>()
  /** The ids of topics by name, the current one last; a deleted topic's id may return. */
  const ids = new Map<string, ReadonlyArray<string>>()
  /** Since when every response about a topic is outdated. */
  const doubtedSince = new Map<string, number>()
  /** Partitions whose known leader has refused them. */
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

  /** The response, with the known state of partitions whose leader epoch is later than the response's. */
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
