/**
 * A consumer's topics: given by name, or every existing topic whose name matches a pattern.
 */

import * as Effect from "effect/Effect"
import type { TopicMetadata } from "../../Protocol.js"
import type { WireError } from "../../Wire.js"
import type { Cluster } from "../cluster/cluster.js"
import type { ConsumerSettings } from "../settings/consumerSettings.js"

export interface Subscription {
  /** The named topics, or those that matched in the last metadata. */
  readonly topics: () => ReadonlyArray<string>
  /** Whether a topic of that name would be read if it exists. */
  readonly includes: (topic: string) => boolean
  /** Refreshes the matching topics; sends no request if topics are named. */
  readonly refresh: Effect.Effect<ReadonlyArray<string>, WireError>
}

/**
 * The matching topics, by name. Kafka's internal topics are excluded, and so are the dead letter topics of matching
 * topics: a consumer that reads its own dead letters would never finish.
 */
export const matching = (
  pattern: RegExp,
  topics: ReadonlyArray<Pick<TopicMetadata, "errorCode" | "isInternal" | "topic">>,
  deadLetterTopicOf: (topic: string) => string | undefined
): ReadonlyArray<string> => {
  const matched = topics
    .filter(({ errorCode, isInternal, topic }) => errorCode === 0 && !isInternal && pattern.test(topic))
    .map(({ topic }) => topic)
    .sort()
  const deadLetters = new Set(matched.map(deadLetterTopicOf))
  return matched.filter((topic) => !deadLetters.has(topic))
}

export const make = (options: {
  readonly cluster: Cluster
  readonly settings: Pick<ConsumerSettings, "topicPattern" | "topics">
  readonly deadLetterTopicOf: (topic: string) => string | undefined
}): Subscription => {
  const { topicPattern: pattern, topics: named } = options.settings
  if (pattern === undefined) {
    return { topics: () => named, includes: (topic) => named.includes(topic), refresh: Effect.succeed(named) }
  }
  let matched: ReadonlyArray<string> = []
  return {
    topics: () => matched,
    includes: (topic) => pattern.test(topic),
    refresh: Effect.map(options.cluster.refresh(null), (topics) => {
      matched = matching(pattern, topics, options.deadLetterTopicOf)
      return matched
    })
  }
}
