/**
 * Asks the coordinator for the group's committed offsets. Each is passed on as soon as it is known: a partition whose
 * offset is part of an open transaction, or has an error, doesn't hold up the others.
 */
import { ConsumerError, type TopicPartition } from "@spillway/transport/Consumer"
import * as Effect from "effect/Effect"
import { nameOf } from "../../KafkaErrorCode.js"
import type { OffsetFetchResponse } from "../../Protocol.js"
import type { Cluster } from "../cluster/cluster.js"
import * as Backoff from "../concurrency/backoff.js"
import type { Failure } from "../concurrency/retries.js"
import * as Decisions from "../group/decisions.js"
import type { Member } from "../group/member.js"
import { byTopic, keyOf } from "../topicPartition.js"

/** `offset` is -1 if nothing is committed. */
export type Committed = OffsetFetchResponse["topics"][number]["partitions"][number]

/** Ends once every partition is found or no longer wanted; fails if the coordinator refuses permanently. */
export const find = (options: {
  readonly cluster: Cluster
  readonly groupId: string
  /** Whether to wait for open transactions that may still commit higher offsets (KIP-447). */
  readonly requireStable: boolean
  readonly toCoordinator: Member["toCoordinator"]
  readonly partitions: ReadonlyArray<TopicPartition>
  readonly isWanted: (partition: TopicPartition) => boolean
  readonly onFound: (partition: TopicPartition, committed: Committed) => void
}): Effect.Effect<void, ConsumerError> => {
  const { cluster, groupId, isWanted, onFound, requireStable, toCoordinator } = options
  let left = options.partitions

  const refused = Effect.fnUntraced(function* (code: number, what: string) {
    const reaction = Decisions.onOffsetFetch(code)
    const description = `OffsetFetch answered ${nameOf(code)}${what}`
    if (reaction._tag === "Fatal") {
      return yield* Effect.fail(new ConsumerError({ reason: reaction.reason, groupId, description }))
    }
    if (reaction._tag === "FindCoordinator") cluster.forgetCoordinator(groupId)
    return description
  })

  /** Removes the found partitions from `left`; returns why some may remain. */
  const receive = Effect.fnUntraced(function* (response: OffsetFetchResponse) {
    if (response.errorCode !== 0) return yield* refused(response.errorCode, "")
    const answers = new Map(
      response.topics.flatMap(({ topic, partitions }) =>
        partitions.map((one) => [keyOf({ topic, partition: one.partition }), one])
      )
    )
    let failure: Failure = ""
    const again: Array<TopicPartition> = []
    for (const partition of left) {
      const key = keyOf(partition)
      const found = answers.get(key)
      if (found?.errorCode === 0) onFound(partition, found)
      else {
        again.push(partition)
        failure = found === undefined ? `OffsetFetch left ${key} out` : yield* refused(found.errorCode, ` for ${key}`)
      }
    }
    left = again
    return failure
  })

  return cluster.retries.during(
    "OffsetFetch",
    "",
    Effect.fnUntraced(function* (retry) {
      const backoff = Backoff.make()
      while (true) {
        left = left.filter(isWanted)
        if (left.length === 0) return
        const topics = Array.from(byTopic(left), ([topic, partitions]) => ({ topic, partitions }))
        const failure: Failure = yield* toCoordinator("data", "OffsetFetch", { groupId, topics, requireStable }).pipe(
          Effect.matchEffect({ onFailure: (error) => Effect.succeed<Failure>(error), onSuccess: receive })
        )
        if (left.length === 0) return
        yield* retry.failed(failure)
        yield* backoff.next
      }
    })
  )
}
