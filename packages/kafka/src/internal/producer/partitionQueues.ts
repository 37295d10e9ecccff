/**
 * The queues of a producer, and the choice of a record's queue.
 */
import * as Diagnosis from "@spillway/transport/runtime/Diagnosis"
import type { TopicMetadata } from "../../Protocol.js"
import type { Cluster } from "../cluster/cluster.js"
import type { ProducerSettings } from "../settings/producerSettings.js"
import type { Failure } from "./decisions.js"
import * as Partitioner from "./partitioner.js"
import * as PartitionQueue from "./partitionQueue.js"
import * as PendingSend from "./pendingSend.js"
import type { Entry } from "./types.js"

export interface PartitionQueues {
  /**
   * The partition of an entry: the one it names, the one that the partitioner or its key chooses, or -1 for the one
   * that is sticky when it is sent. Or why it has none.
   */
  readonly partitionOf: (entry: Entry, metadata: TopicMetadata) => number | Failure
  /** The queue of an entry; chooses the sticky partition if none is chosen yet. */
  readonly of: (entry: Entry) => PartitionQueue.PartitionQueue
  /** A batch of the queue takes no more records: the next records without a key go to another partition. */
  readonly leaveSticky: (queue: PartitionQueue.PartitionQueue) => void
  readonly all: () => ReadonlyArray<PartitionQueue.PartitionQueue>
  /** Forgets a topic's empty queues for which `mayForget` is true; true when none is left. */
  readonly release: (topic: string, mayForget: (queue: PartitionQueue.PartitionQueue) => boolean) => boolean
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

export const make = ({ cluster, random, settings }: Options): PartitionQueues => {
  /** By topic and partition. */
  const queues = new Map<string, Array<PartitionQueue.PartitionQueue | undefined>>()
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
    // The Promise is refused in any case; its rejection would otherwise be unhandled.
    if (Partitioner.isPromise(answer)) answer.catch(() => {})
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
      if (entry.partition < 0) PendingSend.choosePartition(entry, stickyOf(topic))
      const { partition } = entry
      let known = queues.get(topic)
      if (known === undefined) {
        known = []
        queues.set(topic, known)
      }
      const queue = known[partition] ?? PartitionQueue.make(topic, partition, settings.maxBatchBytes)
      known[partition] = queue
      return queue
    },
    all: () => Array.from(queues.values()).flatMap((known) => known.filter((queue) => queue !== undefined)),
    release: (topic, mayForget) => {
      const kept = queues
        .get(topic)
        ?.map((queue) => (queue && PartitionQueue.isIdle(queue) && mayForget(queue) ? undefined : queue))
      if (kept?.some((queue) => queue !== undefined)) {
        queues.set(topic, kept)
        return false
      }
      queues.delete(topic)
      stickies.delete(topic)
      return true
    },
    leaveSticky: ({ partition, topic }) => {
      const sticky = stickies.get(topic)
      if (sticky?.partition === partition) sticky.spent = true
    }
  }
}
