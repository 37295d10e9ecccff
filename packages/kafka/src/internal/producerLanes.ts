/**
 * The lanes of a producer, and which of them a record goes to.
 */
import type { ProducerError } from "@spillway/transport/Producer"
import * as Either from "effect/Either"
import type { TopicMetadata } from "../Protocol.js"
import type { Cluster } from "./cluster.js"
import * as Partitioner from "./partitioner.js"
import * as Call from "./producerCall.js"
import * as Lane from "./producerLane.js"
import type { Prepared } from "./producerRecord.js"

export interface Lanes {
  readonly of: (at: { readonly topic: string; readonly partition: number }) => Lane.Lane
  /** Chooses the partition of every record, or fails with the first that can go to none. */
  readonly assign: (
    call: Call.Call,
    records: ReadonlyArray<Prepared>,
    random: number
  ) => Either.Either<ReadonlyArray<Call.Entry>, ProducerError>
  /** Tells that a batch is on its way: the next records without a key go to another partition. */
  readonly onTake: (lane: Lane.Lane) => void
}

interface Sticky {
  readonly partition: number
  /** A batch of the partition was sent since it was chosen. */
  spent: boolean
}

export const make = (options: { readonly cluster: Cluster; readonly maxBatchBytes: number }): Lanes => {
  const { cluster, maxBatchBytes } = options
  /** By topic and partition. */
  const lanes = new Map<string, Array<Lane.Lane | undefined>>()
  const stickies = new Map<string, Sticky>()

  const of: Lanes["of"] = ({ partition, topic }) => {
    const known = lanes.get(topic) ?? []
    if (known.length === 0) lanes.set(topic, known)
    const lane = known[partition] ?? Lane.make(topic, partition, maxBatchBytes)
    known[partition] = lane
    return lane
  }

  const stickyOf = ({ partitions, topic }: TopicMetadata, random: number): number => {
    const current = stickies.get(topic)
    if (current !== undefined && !current.spent && cluster.leader(topic, current.partition) !== undefined) {
      return current.partition
    }
    const led = partitions.filter(({ leader }) => leader >= 0)
    const available = (led.length > 0 ? led : partitions).map(({ partition }) => partition)
    const partition = Partitioner.nextSticky(current?.partition, available, random) ?? 0
    stickies.set(topic, { partition, spent: false })
    return partition
  }

  const assign: Lanes["assign"] = (call, records, random) => {
    const chosen = new Map<string, number>()
    const entries: Array<Call.Entry> = []
    for (let index = 0; index < records.length; index++) {
      const { partition: named, record, size, topic } = records[index]!
      const metadata = cluster.topic(topic)
      if (metadata === undefined) {
        const description = "the topic is no longer known"
        return Either.left(Call.errorOf(call, index, { topic }, { reason: "UnknownTopic", description }))
      }
      let sticky = chosen.get(topic)
      if (sticky === undefined && named === undefined && record.key === null) {
        sticky = stickyOf(metadata, random)
        chosen.set(topic, sticky)
      }
      const { length: count } = metadata.partitions
      const partition = Partitioner.choose({ key: record.key, partition: named }, count, sticky ?? 0)
      if (partition === undefined) {
        const description = `the topic has ${count} partitions only`
        const at = { topic, partition: named }
        return Either.left(Call.errorOf(call, index, at, { reason: "InvalidRecord", description }))
      }
      entries.push({ call, index, topic, partition, record, size, settled: false })
    }
    return Either.right(entries)
  }

  return {
    of,
    assign,
    onTake: ({ partition, topic }) => {
      const sticky = stickies.get(topic)
      if (sticky?.partition === partition) sticky.spent = true
    }
  }
}
