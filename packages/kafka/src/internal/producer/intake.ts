/**
 * Takes in a send's records: checks them, looks up their topics, chooses their partitions and adds them to their
 * queues.
 */
import type * as Clock from "effect/Clock"
import type { TopicMetadata } from "../../Protocol.js"
import type { Cluster } from "../cluster/cluster.js"
import type { ProducerSettings } from "../settings/producerSettings.js"
import type { Accumulator } from "./accumulator.js"
import * as Closing from "./closing.js"
import type { Failure } from "./decisions.js"
import type { PartitionQueues } from "./partitionQueues.js"
import * as PendingSend from "./pendingSend.js"
import * as Record from "./record.js"
import type { Sends } from "./sends.js"
import type { Topics } from "./topics.js"

/** Fails a record that was found invalid before it was sent: alone, or with its whole send. */
export type Refuse = (send: PendingSend.PendingSend, index: number, failure: Failure) => void

export interface Options {
  readonly settings: ProducerSettings
  readonly clock: Clock.Clock
  readonly cluster: Cluster
  readonly topics: Topics
  readonly queues: PartitionQueues
  readonly closing: Closing.Closing
  readonly sends: Sends
  readonly accumulator: Accumulator
}

/** Takes a send in; records that are found invalid are refused. */
export type Intake = (send: PendingSend.PendingSend, refuse: Refuse) => void

export const make = (options: Options): Intake => {
  const { accumulator, clock, closing, cluster, queues, sends, settings, topics } = options

  /** Makes the send's entries, with their fields as bytes. */
  const prepare = (send: PendingSend.PendingSend, refuse: Refuse): void => {
    const { records } = send
    const timestamp = Math.floor(clock.unsafeCurrentTimeMillis())
    for (let index = 0; index < records.length && !send.over; index++) {
      const given = records[index]!
      const record = Record.prepare(given, timestamp)
      const size = "reason" in record ? record : Record.sizeOf(record, settings.maxBatchBytes)
      if ("reason" in record || typeof size === "object") refuse(send, index, size as Failure)
      else {
        const { partition, topic } = given
        PendingSend.addEntry(send, index, topic, partition ?? -1, record, size)
      }
    }
  }

  /** The topics that must be looked up. */
  const missingOf = (send: PendingSend.PendingSend): ReadonlySet<string> | undefined => {
    let missing: Set<string> | undefined
    let last: string | undefined
    let known: TopicMetadata | undefined
    for (const { partition, topic } of send.entries) {
      if (topic !== last) known = topics.isAwaited(topic) ? undefined : topics.known(topic)
      last = topic
      // An unknown partition may have been added since.
      if (known === undefined || partition >= known.partitions.length) {
        missing ??= new Set()
        missing.add(topic)
      }
    }
    return missing
  }

  const lookUp = (send: PendingSend.PendingSend, missing: ReadonlySet<string>, refuse: Refuse): void => {
    let left = missing.size
    for (const topic of missing) {
      topics.await(topic, {
        isOver: () => send.over,
        onRetry: (failure) => PendingSend.retrying(send, failure),
        onEnd: (failure) => {
          if (failure !== undefined) refuseTopic(send, topic, refuse, failure)
          if (--left === 0) resume(send, refuse)
        }
      })
    }
  }

  const refuseTopic = (send: PendingSend.PendingSend, topic: string, refuse: Refuse, failure: Failure): void => {
    for (const entry of send.entries) {
      if (entry.topic !== topic || entry.settled || send.over) continue
      PendingSend.drop(entry)
      refuse(send, entry.index, failure)
    }
  }

  /** Other topics may have been forgotten while it waited for one. */
  const resume = (send: PendingSend.PendingSend, refuse: Refuse): void => {
    const forgotten = new Set<string>()
    for (const { settled, topic } of send.entries) {
      if (!settled && cluster.topic(topic) === undefined) forgotten.add(topic)
    }
    if (send.over || forgotten.size === 0) enqueue(send, refuse)
    else lookUp(send, forgotten, refuse)
  }

  /** Chooses the partitions, then adds all records to their queues. */
  const enqueue = (send: PendingSend.PendingSend, refuse: Refuse): void => {
    let last: string | undefined
    let metadata: TopicMetadata | undefined
    for (const entry of send.entries) {
      if (send.over) return
      if (entry.settled) continue
      if (entry.topic !== last) metadata = cluster.topic(entry.topic)
      last = entry.topic
      const partition: number | Failure =
        metadata === undefined
          ? { reason: "UnknownTopic", description: "the topic is no longer known" }
          : queues.partitionOf(entry, metadata)
      if (typeof partition === "number") PendingSend.choosePartition(entry, partition)
      else {
        PendingSend.drop(entry)
        refuse(send, entry.index, partition)
      }
    }
    if (!send.over) accumulator.place(send)
  }

  return (send, refuse) => {
    if (closing.hasBegun()) {
      for (let index = 0; index < send.records.length && !send.over; index++) refuse(send, index, Closing.closed)
    } else prepare(send, refuse)
    if (send.over) return
    sends.accept(send)
    const missing = missingOf(send)
    if (missing === undefined) enqueue(send, refuse)
    else lookUp(send, missing, refuse)
  }
}
