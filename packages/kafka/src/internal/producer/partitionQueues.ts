/**
 * The lanes of a producer, and which of them a record goes to.
 */
import * as Diagnosis from "@spillway/transport/Diagnosis"
import type { TopicMetadata } from "../../Protocol.js"
import type { Cluster } from "../cluster/cluster.js"
import type { ProducerSettings } from "../settings/producerSettings.js"
import type { Failure } from "./decisions.js"
import * as Partitioner from "./partitioner.js"
import * as Lane from "./partitionQueue.js"
import type { Entry } from "./pendingSend.js"

export interface Lanes {
  /**
   * The partition of an entry: the one it names, the one your partitioner or its key chooses, or -1 for the one that is
   * sticky when it is sent. Or why it can go to none.
   */
  readonly partitionOf: (entry: Entry, metadata: TopicMetadata) => number | Failure
  /** The lane of an entry; chooses the sticky partition where none is chosen yet. */
  readonly of: (entry: Entry) => Lane.Lane
  /** Tells that a batch takes no more records: the next records without a key go to another partition. */
  readonly spend: (lane: Lane.Lane) => void
  readonly all: () => ReadonlyArray<Lane.Lane>
  /** Forgets the lanes of a topic that hold nothing, where `mayForget` agrees; true when none is left. */
  readonly release: (topic: string, mayForget: (lane: Lane.Lane) => boolean) => boolean
}

interface Sticky {
  readonly partition: number
  /** A batch of the partition was full or has left since it was chosen. */
  spent: boolean
}

export interface Options {
  readonly cluster: Cluster
  readonly settings: ProducerSettings
  /** The next random number in [0, 1). */
  readonly random: () => number
}

export const make = ({ cluster, random, settings }: Options): Lanes => {
  /** By topic and partition. */
  const lanes = new Map<string, Array<Lane.Lane | undefined>>()
  const stickies = new Map<string, Sticky>()

  const stickyOf = (topic: string): number => {
    const current = stickies.get(topic)
    if (current !== undefined && !current.spent && cluster.leader(topic, current.partition) !== undefined) {
      return current.partition
    }
    const partitions = cluster.topic(topic)?.partitions ?? []
    const led = partitions.filter(({ leader }) => leader >= 0)
    const available = (led.length > 0 ? led : partitions).map(({ partition }) => partition)
    const partition = Partitioner.nextSticky(current?.partition, available, random()) ?? 0
    stickies.set(topic, { partition, spent: false })
    return partition
  }

  const ask = ({ record, topic }: Entry, partitions: number): number | undefined | Failure => {
    let answer: unknown
    try {
      const { headers, key, value } = record
      answer = settings.partitioner?.({ topic, key, value, headers, partitions })
    } catch (cause) {
      return { reason: "InvalidRecord", description: "the partitioner threw", cause: Diagnosis.carried(cause) }
    }
    if (answer === undefined) return undefined
    const issue = Partitioner.issueOf(answer, partitions)
    if (issue === undefined) return answer as number
    // It is refused whatever becomes of it, which would go unhandled.
    if (answer instanceof Promise) answer.catch(() => {})
    return { reason: "InvalidRecord", description: `the partitioner must answer with undefined or ${issue}` }
  }

  return {
    partitionOf: (entry, metadata) => {
      const { length: partitions } = metadata.partitions
      if (entry.partition >= 0) {
        const issue = Partitioner.issueOf(entry.partition, partitions)
        return issue === undefined
          ? entry.partition
          : { reason: "InvalidRecord", description: `its partition must be ${issue}` }
      }
      const { key } = entry.record
      return ask(entry, partitions) ?? (key === null ? -1 : Partitioner.partitionOfKey(key, partitions))
    },
    of: (entry) => {
      const { topic } = entry
      if (entry.partition < 0) entry.partition = stickyOf(topic)
      const { partition } = entry
      let known = lanes.get(topic)
      if (known === undefined) {
        known = []
        lanes.set(topic, known)
      }
      const lane = known[partition] ?? Lane.make(topic, partition, settings.maxBatchBytes)
      known[partition] = lane
      return lane
    },
    all: () => Array.from(lanes.values()).flatMap((known) => known.filter((lane) => lane !== undefined)),
    release: (topic, mayForget) => {
      const kept = lanes.get(topic)?.map((lane) => (lane && Lane.isIdle(lane) && mayForget(lane) ? undefined : lane))
      if (kept?.some((lane) => lane !== undefined)) {
        lanes.set(topic, kept)
        return false
      }
      lanes.delete(topic)
      stickies.delete(topic)
      return true
    },
    spend: ({ partition, topic }) => {
      const sticky = stickies.get(topic)
      if (sticky?.partition === partition) sticky.spent = true
    }
  }
}
