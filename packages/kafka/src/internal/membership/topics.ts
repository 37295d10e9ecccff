/**
 * The topics a member subscribes to, and what has become of them since the group last assigned their partitions.
 */
import type { ConsumerError } from "@spillway/transport/Consumer"
import * as Effect from "effect/Effect"
import { KafkaErrorCode as Code, nameOf } from "../../KafkaErrorCode.js"
import type { WireError } from "../../Wire.js"
import * as Backoff from "../backoff.js"
import type { Cluster } from "../cluster.js"
import type { ConsumerSettings } from "../consumerSettings.js"
import type { Generation } from "./join.js"
import type { Member } from "./member.js"

export interface Topics {
  /** How many partitions each topic has, of those that exist. */
  readonly countPartitions: (
    topics: ReadonlyArray<string>
  ) => Effect.Effect<ReadonlyMap<string, number>, ConsumerError | WireError>
  /** Asks once, so that missing topics are logged and forbidden ones fail before anything is joined. */
  readonly check: Effect.Effect<void, ConsumerError>
  /** Ends when the group should assign anew. */
  readonly watch: (generation: Generation) => Effect.Effect<void, ConsumerError>
}

export const make = (options: {
  readonly cluster: Cluster
  readonly member: Member
  readonly settings: ConsumerSettings
}): Topics => {
  const { cluster, member, settings } = options

  const countPartitions = Effect.fnUntraced(function* (topics: ReadonlyArray<string>) {
    const counts = new Map<string, number>()
    for (const topic of yield* cluster.refresh(topics)) {
      if (topic.errorCode === Code.TOPIC_AUTHORIZATION_FAILED) {
        return yield* Effect.fail(member.error("Authorization", `topic ${topic.topic}: ${nameOf(topic.errorCode)}`))
      }
      if (topic.errorCode === Code.NONE) counts.set(topic.topic, topic.partitions.length)
    }
    return counts
  })

  const check = Effect.gen(function* () {
    const backoff = Backoff.make()
    while (true) {
      const counts = yield* Effect.catchTag(countPartitions(settings.topics), "WireError", (cause) =>
        Effect.as(Effect.zipRight(member.rejectFatal(cause), backoff.next), undefined)
      )
      if (counts === undefined) continue
      for (const topic of settings.topics) {
        if (counts.has(topic)) continue
        yield* Effect.annotateLogs(Effect.logWarning("The topic does not exist: waiting for it"), {
          groupId: settings.groupId,
          topic
        })
      }
      return
    }
  })

  /** The leader looks for topics and partitions that came or went; nobody else's rejoin would change the assignment. */
  const watch = Effect.fnUntraced(function* (generation: Generation) {
    if (!generation.isLeader) return yield* Effect.never
    const topics = Array.from(new Set([...generation.partitionCounts.keys(), ...settings.topics]))
    while (true) {
      const missing = topics.some((topic) => !generation.partitionCounts.has(topic))
      yield* Effect.sleep(missing ? Math.min(1_000, settings.metadataIntervalMs) : settings.metadataIntervalMs)
      const counts = yield* Effect.catchTag(countPartitions(topics), "WireError", () => Effect.succeed(undefined))
      if (counts === undefined) continue
      if (topics.some((topic) => counts.get(topic) !== generation.partitionCounts.get(topic))) return
    }
  })

  return { countPartitions, check, watch }
}
