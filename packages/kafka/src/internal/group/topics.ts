/**
 * The topics that a member subscribes to, and how they changed since the group last assigned their partitions.
 */

import type { ConsumerError } from "@spillway/transport/Consumer"
import * as Logging from "@spillway/transport/runtime/Logging"
import * as Monotonic from "@spillway/transport/runtime/Monotonic"
import * as Effect from "effect/Effect"
import * as LogLevel from "effect/LogLevel"
import { KafkaErrorCode as Code, nameOf } from "../../KafkaErrorCode.js"
import type { WireError } from "../../Wire.js"
import type { Cluster } from "../cluster/cluster.js"
import * as Backoff from "../concurrency/backoff.js"
import { howToCreate } from "../howToCreate.js"
import type { ConsumerSettings } from "../settings/consumerSettings.js"
import type { Generation } from "./join.js"
import type { Member } from "./member.js"
import type { Subscription } from "./subscription.js"

export interface Topics {
  /** The number of partitions of each existing topic. */
  readonly countPartitions: (
    topics: ReadonlyArray<string>
  ) => Effect.Effect<ReadonlyMap<string, number>, ConsumerError | WireError>
  /** Whether the topic was missing in the last metadata. */
  readonly isMissing: (topic: string) => boolean
  /** Requests metadata once, so that missing topics are logged and forbidden ones fail before the member joins. */
  readonly check: Effect.Effect<void, ConsumerError>
  /** Ends when the group should rebalance. */
  readonly watch: (generation: Generation) => Effect.Effect<void, ConsumerError>
}

export const make = (options: {
  readonly cluster: Cluster
  readonly member: Member
  readonly settings: ConsumerSettings
  readonly subscription: Subscription
  readonly checkTopics: (topics: ReadonlyArray<string>) => Effect.Effect<void, ConsumerError>
}): Topics => {
  const { cluster, member, settings, subscription } = options
  const pattern = settings.topicPattern

  const missing = new Set<string>()
  cluster.onMove(() => missing.clear())

  const countPartitions = Effect.fnUntraced(function* (topics: ReadonlyArray<string>) {
    const counts = new Map<string, number>()
    for (const topic of yield* cluster.refresh(topics)) {
      if (topic.errorCode === Code.TOPIC_AUTHORIZATION_FAILED) {
        return yield* Effect.fail(member.error("Authorization", `topic ${topic.topic}: ${nameOf(topic.errorCode)}`))
      }
      if (topic.errorCode === Code.NONE) counts.set(topic.topic, topic.partitions.length)
    }
    for (const topic of topics) {
      if (counts.has(topic)) missing.delete(topic)
      else missing.add(topic)
    }
    return counts
  })

  const log = (message: string, topic: string, more: Readonly<Record<string, string>> = {}) =>
    Logging.log(LogLevel.Warning, message, { groupId: settings.groupId, topic, ...more })

  const look = Effect.gen(function* () {
    const topics = yield* subscription.refresh
    return { topics, counts: yield* countPartitions(topics) }
  })

  const lookFirst = cluster.retries.during(
    "Metadata",
    "",
    Effect.fnUntraced(function* (retry) {
      const backoff = Backoff.make()
      while (true) {
        const found = yield* Effect.either(look)
        if (found._tag === "Right") return found.right
        if (found.left._tag === "ConsumerError") return yield* Effect.fail(found.left)
        yield* member.rejectFatal(found.left)
        yield* retry.failed(found.left)
        yield* backoff.next
      }
    })
  )

  const check = Effect.gen(function* () {
    const { counts, topics } = yield* lookFirst
    for (const topic of topics) {
      if (counts.has(topic)) continue
      yield* log("The topic does not exist: waiting for it", topic, { remedy: howToCreate(topic) })
    }
    if (pattern === undefined) return
    if (topics.length === 0) yield* log("No topic matches the pattern: waiting for one", String(pattern))
    yield* options.checkTopics(topics)
  })

  /** Whether the group assigned topics or partitions that differ from the current ones. */
  const isStale = Effect.fnUntraced(function* (generation: Generation) {
    const subscribed = yield* subscription.refresh
    if (subscribed.join() !== generation.topics.join()) return true
    if (!generation.watchesTopics) {
      if (pattern === undefined) yield* cluster.refresh(subscribed)
      return false
    }
    const topics = Array.from(new Set([...generation.partitionCounts.keys(), ...subscribed]))
    const counts = yield* countPartitions(topics)
    return topics.some((topic) => counts.get(topic) !== generation.partitionCounts.get(topic))
  })

  /**
   * The leader looks for new and deleted topics and partitions, and a member with a pattern for its own topics; a
   * rejoin of any other member would not change the assignment. Every member has to detect recreated topics.
   */
  const watch = Effect.fnUntraced(function* (generation: Generation) {
    const retry = cluster.retries.of("Metadata")
    const isMissing = generation.topics.some((topic) => !generation.partitionCounts.has(topic))
    const isUrgent = generation.watchesTopics && isMissing
    while (true) {
      yield* Effect.sleep(isUrgent ? Math.min(1_000, settings.metadataMaxAgeMs) : settings.metadataMaxAgeMs)
      const askedAt = yield* Monotonic.now
      const found = yield* Effect.either(isStale(generation))
      if (found._tag === "Right") {
        yield* retry.succeeded
        if (found.right) return
      } else if (found.left._tag === "WireError") yield* retry.failed(found.left, askedAt)
      else return yield* Effect.fail(found.left)
    }
  })

  return { countPartitions, isMissing: (topic) => missing.has(topic), check, watch }
}
