/**
 * Reads the content of a cluster: a topic's records and a group's committed offsets.
 */
import type { CommittedOffset } from "@spillway/transport/Consumer"
import type { ConsumedRecord } from "@spillway/transport/Envelope"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Cluster from "../../packages/kafka/src/internal/cluster/cluster.js"
import * as KafkaReader from "../../packages/kafka/src/KafkaReader.js"
import type { IsolationLevel } from "../../packages/kafka/src/Protocol.js"

/** Passes on all records of a topic, in order within each partition. Optionally ends at the last stable offset. */
export const forEachRecord = (
  topic: string,
  onRecord: (record: ConsumedRecord) => void,
  isolationLevel: IsolationLevel = "read_uncommitted"
) =>
  Stream.runForEachChunk(KafkaReader.read({ topic, isolationLevel }), (records) =>
    Effect.sync(() => {
      for (const record of records) onRecord(record)
    })
  )

/** All records of a topic, partition by partition. */
export const readTopic = (topic: string) =>
  Effect.suspend(() => {
    const found: Array<ConsumedRecord> = []
    return Effect.map(
      forEachRecord(topic, (record) => void found.push(record)),
      () => found.sort((one, other) => one.partition - other.partition)
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
