/**
 * What a consumer reads: topics by name, or every topic whose name matches a pattern, as far as there are any.
 */

import * as Effect from "effect/Effect"
import type { TopicMetadata } from "../../Protocol.js"
import type { WireError } from "../../Wire.js"
import type { Cluster } from "../cluster/cluster.js"
import type { ConsumerSettings } from "../settings/consumerSettings.js"

export interface Subscription {
  /** Those that are named, or those that matched when last looked for. */
  readonly topics: () => ReadonlyArray<string>
  /** Whether a topic of that name would be read, if there is one. */
  readonly includes: (topic: string) => boolean
  /** Looks which topics there are; asks for nothing where they are named. */
  readonly refresh: Effect.Effect<ReadonlyArray<string>, WireError>
}

/**
 * The topics that match, by name. Kafka's own are none of them, nor are those to which the dead letters of others go: a
 * consumer that reads its dead letters would never be done.
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
