/**
 * The range to read: the partitions of a topic, each with its first offset and the offset before which it ends.
 */
import type { TopicPartition } from "@spillway/transport/Consumer"
import type { Position } from "@spillway/transport/Position"
import * as Monotonic from "@spillway/transport/runtime/Monotonic"
import * as Effect from "effect/Effect"
import { KafkaErrorCode as Code, nameOf } from "../../KafkaErrorCode.js"
import { earliestTimestamp, type IsolationLevel, latestTimestamp, type TopicMetadata } from "../../Protocol.js"
import type { WireError } from "../../Wire.js"
import type { Cluster } from "../cluster/cluster.js"
import { listOffset } from "../cluster/listOffsets.js"
import * as Backoff from "../concurrency/backoff.js"
import * as Parallel from "../concurrency/parallel.js"
import { howToCreate } from "../howToCreate.js"
import type { ReadSettings } from "./readSettings.js"
import { KafkaReaderError } from "./types.js"

export interface Range extends TopicPartition {
  readonly start: number
  /** `Infinity` to read forever. */
  readonly end: number
}

/** The error for a failure that a retry can't fix. */
export const fatal = (topic: string, cause: WireError): KafkaReaderError | undefined => {
  if (cause.reason !== "Authentication" && cause.reason !== "UnsupportedVersion") return undefined
  const reason = cause.reason === "Authentication" ? "Authorization" : "UnsupportedBroker"
  return new KafkaReaderError({ reason, topic, description: cause.message, cause })
}

export const unknownTopic = (topic: string, timeoutMs: number): KafkaReaderError =>
  new KafkaReaderError({
    reason: "UnknownTopic",
    topic,
    description: `the cluster has not known it for unknownTopicTimeout (${timeoutMs} ms): ${howToCreate(topic)}`
  })

/** Retries until the topic is known. */
const lookUp = (
  cluster: Cluster,
  { topic, unknownTopicTimeoutMs }: ReadSettings
): Effect.Effect<TopicMetadata, KafkaReaderError> =>
  cluster.retries.during(
    "Metadata",
    topic,
    Effect.fnUntraced(function* (retry) {
      const backoff = Backoff.make()
      let unknownSince: number | undefined
      while (true) {
        const answered = yield* Effect.either(cluster.refresh([topic]))
        if (answered._tag === "Left") {
          const error = fatal(topic, answered.left)
          if (error !== undefined) return yield* error
          yield* retry.failed(answered.left)
        } else {
          const metadata = answered.right[0]
          const code = metadata?.errorCode ?? Code.UNKNOWN_TOPIC_OR_PARTITION
          if (code === Code.NONE && metadata!.partitions.length > 0) return metadata!
          if (code === Code.TOPIC_AUTHORIZATION_FAILED || code === Code.INVALID_TOPIC_EXCEPTION) {
            const reason = code === Code.INVALID_TOPIC_EXCEPTION ? "UnknownTopic" : "Authorization"
            return yield* new KafkaReaderError({ reason, topic, description: `Metadata answered ${nameOf(code)}` })
          }
          const now = yield* Monotonic.now
          unknownSince ??= now
          if (code === Code.UNKNOWN_TOPIC_OR_PARTITION && now - unknownSince >= unknownTopicTimeoutMs) {
            return yield* unknownTopic(topic, unknownTopicTimeoutMs)
          }
          yield* retry.failed(`Metadata answered ${nameOf(code)}`)
        }
        yield* backoff.next
      }
    })
  )

/** The offset of a partition at a timestamp; see `listOffset`. */
export const offsetAt = (
  cluster: Cluster,
  place: TopicPartition,
  timestamp: number,
  isolationLevel?: IsolationLevel
): Effect.Effect<number, KafkaReaderError> =>
  Effect.mapError(
    listOffset(cluster, place, timestamp, isolationLevel),
    (cause) => new KafkaReaderError({ ...place, reason: "Authorization", description: cause.message, cause })
  )

const resolve = Effect.fnUntraced(function* (
  cluster: Cluster,
  { isolationLevel }: ReadSettings,
  place: TopicPartition,
  position: Position
) {
  const end = offsetAt(cluster, place, latestTimestamp, isolationLevel)
  switch (position._tag) {
    case "Beginning":
      return yield* offsetAt(cluster, place, earliestTimestamp)
    case "End":
      return yield* end
    case "Timestamp": {
      const offset = yield* offsetAt(cluster, place, position.timestamp)
      return offset >= 0 ? offset : yield* end
    }
    case "Offset":
      return position.offset
  }
})

const checkStart = Effect.fnUntraced(function* (cluster: Cluster, place: TopicPartition, offset: number) {
  const start = yield* offsetAt(cluster, place, earliestTimestamp)
  const end = yield* offsetAt(cluster, place, latestTimestamp)
  if (offset >= start && offset <= end) return
  const description = `the log starts at ${start} and ends at ${end}`
  return yield* new KafkaReaderError({ ...place, reason: "OffsetOutOfRange", offset, description })
})

export interface Found {
  readonly topicId: string
  readonly ranges: ReadonlyArray<Range>
}

/** Looks the topic up and finds each partition's range. */
export const find = (cluster: Cluster, settings: ReadSettings): Effect.Effect<Found, KafkaReaderError> =>
  Effect.gen(function* () {
    const { from, to, topic } = settings
    const metadata = yield* lookUp(cluster, settings)
    const known = metadata.partitions.map(({ partition }) => partition).sort((one, other) => one - other)
    const partitions = settings.partitions ?? known
    const missing = partitions.find((partition) => !known.includes(partition))
    if (missing !== undefined) {
      const description = `the topic has ${known.length} partitions`
      return yield* new KafkaReaderError({ reason: "UnknownPartition", topic, partition: missing, description })
    }
    const ranges = yield* Parallel.forEach(
      partitions,
      Effect.fnUntraced(function* (partition) {
        const place = { topic, partition }
        // The end first: records that are written meanwhile come after it.
        const end = to === "forever" ? Number.POSITIVE_INFINITY : yield* resolve(cluster, settings, place, to)
        if (from._tag === "Offset") yield* checkStart(cluster, place, from.offset)
        return { ...place, start: yield* resolve(cluster, settings, place, from), end }
      })
    )
    return { topicId: metadata.topicId, ranges }
  })
