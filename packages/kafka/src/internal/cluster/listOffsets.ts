/**
 * Asks a partition's leader for an offset by timestamp, and retries until a leader answers.
 */
import type { TopicPartition } from "@spillway/transport/Consumer"
import * as Effect from "effect/Effect"
import { KafkaErrorCode as Code, nameOf } from "../../KafkaErrorCode.js"
import type { IsolationLevel } from "../../Protocol.js"
import * as Backoff from "../concurrency/backoff.js"
import { type Cluster, ResponseError } from "./cluster.js"

/** The offset for a timestamp (milliseconds), `earliestTimestamp` or `latestTimestamp`; fails only if not authorized. */
export const listOffset = (
  cluster: Cluster,
  { topic, partition }: TopicPartition,
  timestamp: number,
  isolationLevel?: IsolationLevel | undefined
): Effect.Effect<number, ResponseError> => {
  /** The offset, or why there is none yet. */
  const ask = Effect.gen(function* () {
    if (cluster.leader(topic, partition) === undefined) yield* cluster.refresh([topic])
    const leader = cluster.leader(topic, partition)
    if (leader === undefined) return "the partition has no leader"
    const response = yield* cluster.request(leader.leader, "data", "ListOffsets", {
      isolationLevel,
      topics: [{ topic, partitions: [{ partition, timestamp }] }]
    })
    const answer = response.topics[0]?.partitions[0]
    if (answer?.errorCode === Code.NONE) return answer.offset
    if (answer?.errorCode === Code.TOPIC_AUTHORIZATION_FAILED) {
      return yield* Effect.fail(new ResponseError({ api: "ListOffsets", code: answer.errorCode }))
    }
    yield* cluster.refresh([topic])
    return answer === undefined
      ? "ListOffsets left the partition out"
      : `ListOffsets answered ${nameOf(answer.errorCode)}`
  }).pipe(Effect.catchTag("WireError", ({ message }) => Effect.as(Effect.ignore(cluster.refresh([topic])), message)))

  return cluster.retries.during(
    "ListOffsets",
    `${topic}-${partition}`,
    Effect.fnUntraced(function* (retry) {
      const backoff = Backoff.make()
      while (true) {
        const answer = yield* ask
        if (typeof answer === "number") return answer
        yield* retry.failed(answer)
        yield* backoff.next
      }
    })
  )
}
