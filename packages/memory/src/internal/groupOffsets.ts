/**
 * The offsets of one group: the committed ones, and those pending in open transactions.
 */
import { KafkaErrorCode } from "@spillway/kafka/KafkaErrorCode"
import type { OffsetFetchRequest, OffsetFetchResponse } from "@spillway/kafka/Protocol"

export interface Committed {
  readonly offset: number
  readonly leaderEpoch: number
  readonly metadata: string | null
}

type ByPartition = Map<string, Map<number, Committed>>

/** Changed only by the functions of this file. */
export interface GroupOffsets {
  readonly committed: ByPartition
  /** By producer id. */
  readonly pending: Map<bigint, ByPartition>
}

export interface Placed extends Committed {
  readonly topic: string
  readonly partition: number
}

/** `offset.metadata.max.bytes` */
const maxMetadataBytes = 4096

export const make = (): GroupOffsets => ({ committed: new Map(), pending: new Map() })

const put = (offsets: ByPartition, { leaderEpoch, metadata, offset, partition, topic }: Placed): void => {
  const partitions = offsets.get(topic) ?? new Map<number, Committed>()
  offsets.set(topic, partitions.set(partition, { offset, leaderEpoch, metadata }))
}

/** Stores an offset, pending in the producer's transaction if one is given. Returns the error code, or 0. */
export const store = ({ committed, pending }: GroupOffsets, placed: Placed, producerId?: bigint): number => {
  if ((placed.metadata?.length ?? 0) > maxMetadataBytes) return KafkaErrorCode.OFFSET_METADATA_TOO_LARGE
  if (producerId === undefined) put(committed, placed)
  else {
    const own: ByPartition = pending.get(producerId) ?? new Map()
    pending.set(producerId, own)
    put(own, placed)
  }
  return KafkaErrorCode.NONE
}

/** Ends a producer's transaction: its offsets are committed or dropped. */
export const end = ({ committed, pending }: GroupOffsets, producerId: bigint, isCommit: boolean): void => {
  const own = pending.get(producerId)
  pending.delete(producerId)
  if (own === undefined || !isCommit) return
  for (const [topic, partitions] of own) {
    for (const [partition, one] of partitions) put(committed, { topic, partition, ...one })
  }
}

export const forgetTopic = ({ committed, pending }: GroupOffsets, topic: string): void => {
  committed.delete(topic)
  for (const own of pending.values()) own.delete(topic)
}

export const remove = ({ committed, pending }: GroupOffsets, topic: string, partition: number): void => {
  for (const offsets of [committed, ...pending.values()]) {
    const partitions = offsets.get(topic)
    if (partitions?.delete(partition) === true && partitions.size === 0) offsets.delete(topic)
  }
}

export const offset = ({ committed }: GroupOffsets, topic: string, partition: number): number | undefined =>
  committed.get(topic)?.get(partition)?.offset

const isPending = ({ pending }: GroupOffsets, topic: string, partition: number): boolean =>
  Array.from(pending.values()).some((own) => own.get(topic)?.has(partition) === true)

const nothing: Committed = { offset: -1, leaderEpoch: -1, metadata: "" }

/** The committed offsets of the requested partitions, or of all. */
export const list = (
  offsets: GroupOffsets,
  topics: OffsetFetchRequest["topics"],
  requireStable: boolean
): OffsetFetchResponse["topics"] => {
  const { committed } = offsets
  const asked =
    topics ?? Array.from(committed, ([topic, partitions]) => ({ topic, partitions: [...partitions.keys()] }))
  return asked.map(({ partitions, topic }) => ({
    topic,
    partitions: partitions.map((partition) =>
      requireStable && isPending(offsets, topic, partition)
        ? { partition, errorCode: KafkaErrorCode.UNSTABLE_OFFSET_COMMIT, ...nothing }
        : { partition, errorCode: KafkaErrorCode.NONE, ...(committed.get(topic)?.get(partition) ?? nothing) }
    )
  }))
}
