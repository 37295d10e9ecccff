/**
 * Reads the content of a cluster: a topic's records and a group's committed offsets.
 */
import type { CommittedOffset } from "@spillway/transport/Consumer"
import type { ConsumedRecord } from "@spillway/transport/Envelope"
import * as Effect from "effect/Effect"
import * as Cluster from "../../packages/kafka/src/internal/cluster/cluster.js"
import { nameOf } from "../../packages/kafka/src/KafkaErrorCode.js"
import type { IsolationLevel } from "../../packages/kafka/src/Protocol.js"
import * as RecordBatch from "../../packages/kafka/src/RecordBatch.js"

/**
 * Passes on all records of a topic, partition by partition, read from the leaders. Optionally ends at the last stable
 * offset.
 */
export const forEachRecord = (
  topic: string,
  onRecord: (record: ConsumedRecord) => void,
  isolationLevel: IsolationLevel = "read_uncommitted"
) =>
  Effect.scoped(
    Effect.gen(function* () {
      const cluster = yield* Cluster.make
      const [metadata] = yield* cluster.refresh([topic])
      for (const { leader, partition } of metadata!.partitions) {
        let fetchOffset = 0
        let end = 1
        while (fetchOffset < end) {
          const response = yield* cluster.request(leader, "fetch", "Fetch", {
            maxWaitMs: 100,
            minBytes: 1,
            maxBytes: 10_000_000,
            isolationLevel,
            rackId: "",
            topics: [{ topic, partitions: [{ partition, currentLeaderEpoch: -1, fetchOffset, maxBytes: 10_000_000 }] }]
          })
          const { abortedTransactions, errorCode, highWatermark, records } = response.topics[0]!.partitions[0]!
          if (errorCode !== 0) return yield* Effect.fail(new Error(`Fetch answered ${nameOf(errorCode)}`))
          end = highWatermark
          for (const batch of RecordBatch.decode(records, { abortedTransactions }).batches) {
            for (const { headers, key, offset, timestamp, value } of batch.records) {
              onRecord({ topic, partition, offset, timestamp, key, value, headers })
            }
            fetchOffset = batch.nextOffset
          }
        }
      }
    })
  )

/** All records of a topic. */
export const readTopic = (topic: string) =>
  Effect.suspend(() => {
    const found: Array<ConsumedRecord> = []
    return Effect.as(
      forEachRecord(topic, (record) => void found.push(record)),
      found
    )
  })

/** The coordinator's committed offsets of the group, in a sorted form. */
export const committedOffsets = (groupId: string) =>
  Effect.scoped(
    Effect.gen(function* () {
      const cluster = yield* Cluster.make
      const coordinator = yield* cluster.coordinator(groupId)
      const response = yield* cluster.request(coordinator, "group", "OffsetFetch", { groupId, topics: null })
      return response.topics
        .flatMap(({ partitions, topic }) =>
          partitions.map(({ offset, partition }): CommittedOffset => ({ topic, partition, offset }))
        )
        .sort((a, b) => (a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1))
    })
  )

/** The node id of the coordinator of a group or of a transactional id. */
export const coordinatorOf = (key: string, keyType: "group" | "transaction" = "group") =>
  Effect.scoped(Effect.flatMap(Cluster.make, ({ coordinator }) => coordinator(key, keyType)))
