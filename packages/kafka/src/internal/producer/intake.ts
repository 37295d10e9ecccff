/**
 * What becomes of a call's records until they are in their lanes: checked, their topics looked up, their partitions chosen.
 */
import type * as Clock from "effect/Clock"
import type { TopicMetadata } from "../../Protocol.js"
import type { Cluster } from "../cluster/cluster.js"
import type { ProducerSettings } from "../settings/producerSettings.js"
import type { Failure } from "./decisions.js"
import type { Lanes } from "./partitionQueues.js"
import type * as Call from "./pendingSend.js"
import * as Record from "./record.js"
import type { Topics } from "./topics.js"

/** Fails a record that was found invalid before it was sent: alone, or all of its call with it. */
export type Refuse = (call: Call.Call, index: number, failure: Failure) => void

export interface Options {
  readonly settings: ProducerSettings
  readonly clock: Clock.Clock
  readonly cluster: Cluster
  readonly topics: Topics
  readonly lanes: Lanes
  readonly isClosing: () => boolean
  readonly closed: Failure
  /** The call's records are valid: it waits for their results from now on. */
  readonly accept: (call: Call.Call) => void
  /** Adds the call's records to their lanes. */
  readonly place: (call: Call.Call) => void
}

export const make = ({
  accept,
  clock,
  closed,
  cluster,
  isClosing,
  lanes,
  place,
  settings,
  topics
}: Options): ((call: Call.Call, refuse: Refuse) => void) => {
  /** Makes the call's entries, with their fields as bytes. */
  const prepare = (call: Call.Call, refuse: Refuse): void => {
    const { records } = call
    const timestamp = Math.floor(clock.unsafeCurrentTimeMillis())
    for (let index = 0; index < records.length && !call.over; index++) {
      const given = records[index]!
      const record = Record.prepare(given, timestamp)
      const size = "reason" in record ? record : Record.sizeOf(record, settings.maxBatchBytes)
      if ("reason" in record || typeof size === "object") refuse(call, index, size as Failure)
      else {
        const { partition, topic } = given
        call.entries.push({
          call,
          index,
          topic,
          partition: partition ?? -1,
          record,
          size,
          batch: undefined,
          settled: false
        })
      }
    }
  }

  /** The topics that too little is known of. */
  const missingOf = (call: Call.Call): ReadonlySet<string> | undefined => {
    let missing: Set<string> | undefined
    let last: string | undefined
    let known: TopicMetadata | undefined
    for (const { partition, topic } of call.entries) {
      if (topic !== last) known = topics.isAwaited(topic) ? undefined : topics.known(topic)
      last = topic
      // A partition that isn't known may have been added since.
      if (known === undefined || partition >= known.partitions.length) {
        missing ??= new Set()
        missing.add(topic)
      }
    }
    return missing
  }

  const lookUp = (call: Call.Call, missing: ReadonlySet<string>, refuse: Refuse): void => {
    let left = missing.size
    for (const topic of missing) {
      topics.await(topic, {
        isOver: () => call.over,
        onTrouble: (trouble) => {
          call.trouble = trouble
        },
        onEnd: (failure) => {
          if (failure !== undefined) refuseTopic(call, topic, refuse, failure)
          if (--left === 0) resume(call, refuse)
        }
      })
    }
  }

  const refuseTopic = (call: Call.Call, topic: string, refuse: Refuse, failure: Failure): void => {
    for (const entry of call.entries) {
      if (entry.topic !== topic || entry.settled || call.over) continue
      entry.settled = true
      refuse(call, entry.index, failure)
    }
  }

  /** While it waited for a topic, others may have been forgotten. */
  const resume = (call: Call.Call, refuse: Refuse): void => {
    const forgotten = new Set<string>()
    for (const { settled, topic } of call.entries) {
      if (!settled && cluster.topic(topic) === undefined) forgotten.add(topic)
    }
    if (call.over || forgotten.size === 0) enqueue(call, refuse)
    else lookUp(call, forgotten, refuse)
  }

  /** Chooses the partitions, then adds all records to their lanes. */
  const enqueue = (call: Call.Call, refuse: Refuse): void => {
    let last: string | undefined
    let metadata: TopicMetadata | undefined
    for (const entry of call.entries) {
      if (call.over) return
      if (entry.settled) continue
      if (entry.topic !== last) metadata = cluster.topic(entry.topic)
      last = entry.topic
      const partition: number | Failure =
        metadata === undefined
          ? { reason: "UnknownTopic", description: "the topic is no longer known" }
          : lanes.partitionOf(entry, metadata)
      if (typeof partition === "number") entry.partition = partition
      else {
        entry.settled = true
        refuse(call, entry.index, partition)
      }
    }
    if (!call.over) place(call)
  }

  return (call, refuse) => {
    if (isClosing()) {
      for (let index = 0; index < call.records.length && !call.over; index++) refuse(call, index, closed)
    } else prepare(call, refuse)
    if (call.over) return
    accept(call)
    const missing = missingOf(call)
    if (missing === undefined) enqueue(call, refuse)
    else lookUp(call, missing, refuse)
  }
}
