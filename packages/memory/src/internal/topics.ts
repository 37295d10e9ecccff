/**
 * The topics of a broker: their logs, settings and metadata.
 */
import { createHash } from "node:crypto"
import { KafkaErrorCode } from "@spillway/kafka/KafkaErrorCode"
import type { MetadataRequest, MetadataResponse, PartitionMetadata, TopicMetadata } from "@spillway/kafka/Protocol"
import * as Log from "./log.js"
import type { Placement } from "./placement.js"
import * as Signal from "./signal.js"
import * as TopicConfigs from "./topicConfigs.js"

export interface Topic {
  readonly name: string
  /** As Kafka prints it. A topic that is deleted and created again gets a new one. */
  readonly id: string
  /** Increases when partitions are added. */
  readonly partitions: Array<Log.Log>
  /** Changed only by `configure`. */
  configs: TopicConfigs.Configs
  /** The largest batch, of `configs`. */
  maxMessageBytes: number
  /** Notified whenever a log of the topic changes, and when the topic is deleted. */
  readonly changed: Signal.Signal
}

/** Kafka's internal topics, which a pattern doesn't match. */
const internalTopics = new Set(["__consumer_offsets", "__transaction_state"])

export interface TopicSettings {
  readonly name: string
  readonly partitions: number
  /** Checked. */
  readonly configs: TopicConfigs.Configs
}

type Tail<A extends ReadonlyArray<unknown>> = A extends readonly [unknown, ...infer Rest] ? Rest : never

export interface Topics {
  readonly get: (name: string) => Topic | undefined
  readonly log: (name: string, partition: number) => Log.Log | undefined
  /** Returns the error code of the refusal, or 0. */
  readonly create: (settings: TopicSettings) => number
  /** Returns the error code of the refusal, or 0. */
  readonly delete: (name: string) => number
  /** Raises a topic's number of partitions to `count`. Returns the error code of the refusal, or 0. */
  readonly addPartitions: (name: string, count: number) => number
  /** `all`: replicated before it is acknowledged. `leader`: some time after. */
  readonly append: (topic: string, partition: number, batch: Uint8Array, acks: "all" | "leader") => Log.Appended
  /** Writes the marker that ends a transaction, replicated at once. */
  readonly appendMarker: (
    topic: string,
    partition: number,
    ...marker: Tail<Parameters<typeof Log.appendMarker>>
  ) => void
  /** Makes another node the leader of a partition; -1 means no leader. */
  readonly elect: (topic: string, partition: number, leader: number, tail: "kept" | "lost" | number) => void
  /** Lists every partition that a node leads. */
  readonly ledBy: (nodeId: number) => ReadonlyArray<{ readonly topic: string; readonly partition: number }>
  /** Deletes the records before an offset. Returns the error code of the refusal, or 0. */
  readonly truncateBefore: (topic: string, partition: number, offset: number) => number
  readonly metadata: (request: MetadataRequest) => MetadataResponse
  /** Replaces the settings of a topic that exists. */
  readonly configure: (name: string, configs: TopicConfigs.Configs) => void
  /** Notified whenever any topic changes. */
  readonly changed: Signal.Signal
}

/** Different ids in each cluster, but not random, so that a replay is identical. */
const idOf = (clusterId: string, number: number): string =>
  createHash("sha256").update(`${clusterId}/${number}`).digest().subarray(0, 16).toString("base64url")

export const isValidName = (name: string): boolean =>
  /^[a-zA-Z0-9._-]{1,249}$/.test(name) && name !== "." && name !== ".."

const invalid = (settings: TopicSettings): number => {
  if (!isValidName(settings.name)) return KafkaErrorCode.INVALID_TOPIC_EXCEPTION
  if (!(Number.isInteger(settings.partitions) && settings.partitions > 0)) return KafkaErrorCode.INVALID_PARTITIONS
  return KafkaErrorCode.NONE
}

const maxMessageBytesOf = (configs: TopicConfigs.Configs): number =>
  Number(TopicConfigs.valueOf(configs, TopicConfigs.maxMessageBytes))

export interface Options {
  readonly clusterId: string
  readonly placement: Placement
  readonly onDeleted: (name: string) => void
  /** Calls back after the replication delay. Absent when replicas don't lag. */
  readonly afterReplicationDelay?: ((replicate: () => void) => void) | undefined
}

export const make = ({ afterReplicationDelay, clusterId, onDeleted, placement }: Options): Topics => {
  const topics = new Map<string, Topic>()
  let created = 0
  const changed = Signal.make()

  const create = (settings: TopicSettings): number => {
    const errorCode = invalid(settings)
    if (errorCode !== KafkaErrorCode.NONE) return errorCode
    if (topics.has(settings.name)) return KafkaErrorCode.TOPIC_ALREADY_EXISTS
    topics.set(settings.name, {
      name: settings.name,
      id: idOf(clusterId, ++created),
      configs: settings.configs,
      maxMessageBytes: maxMessageBytesOf(settings.configs),
      partitions: Array.from({ length: settings.partitions }, (_, partition) =>
        Log.make(placement.successor(partition))
      ),
      changed: Signal.make()
    })
    Signal.notify(changed)
    return KafkaErrorCode.NONE
  }

  const notify = (topic: Topic): void => {
    Signal.notify(topic.changed)
    Signal.notify(changed)
  }

  const remove = (name: string): number => {
    const topic = topics.get(name)
    if (topic === undefined) return KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    topics.delete(name)
    onDeleted(name)
    notify(topic)
    return KafkaErrorCode.NONE
  }

  const addPartitions = (name: string, count: number): number => {
    const topic = topics.get(name)
    if (topic === undefined) return KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    const { partitions } = topic
    if (!Number.isInteger(count) || count <= partitions.length) return KafkaErrorCode.INVALID_PARTITIONS
    while (partitions.length < count) partitions.push(Log.make(placement.successor(partitions.length)))
    notify(topic)
    return KafkaErrorCode.NONE
  }

  const replicasOf = (leader: number): Pick<PartitionMetadata, "replicas" | "isr"> => {
    const ordered = [...placement.nodes].sort(
      (one, other) => Number(other.nodeId === leader) - Number(one.nodeId === leader)
    )
    const replicas = ordered.map(({ nodeId }) => nodeId)
    return { replicas, isr: replicas.filter(placement.isLive) }
  }

  const describe = (name: string, withReplicas: boolean): TopicMetadata => {
    const topic = topics.get(name)
    if (topic === undefined) {
      const errorCode = isValidName(name)
        ? KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        : KafkaErrorCode.INVALID_TOPIC_EXCEPTION
      return { errorCode, topic: name, topicId: "", isInternal: false, partitions: [] }
    }
    const partitions = topic.partitions.map(({ leader, leaderEpoch }, partition) => ({
      errorCode: leader === -1 ? KafkaErrorCode.LEADER_NOT_AVAILABLE : KafkaErrorCode.NONE,
      partition,
      leader,
      leaderEpoch,
      ...(withReplicas ? replicasOf(leader) : {})
    }))
    return {
      errorCode: KafkaErrorCode.NONE,
      topic: name,
      topicId: topic.id,
      isInternal: internalTopics.has(name),
      partitions
    }
  }

  return {
    get: (name) => topics.get(name),
    log: (name, partition) => topics.get(name)?.partitions[partition],
    create,
    delete: remove,
    addPartitions,
    append: (name, partition, batch, acks) => {
      const topic = topics.get(name)
      const log = topic?.partitions[partition]
      if (topic === undefined || log === undefined) {
        return { errorCode: KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION, baseOffset: -1 }
      }
      const appended = Log.append(log, batch, topic.maxMessageBytes)
      if (appended.errorCode !== KafkaErrorCode.NONE) return appended
      const { leaderEpoch } = log
      const replicate = () => {
        if (log.leaderEpoch !== leaderEpoch) return
        Log.replicate(log)
        notify(topic)
      }
      if (acks === "all" || afterReplicationDelay === undefined) replicate()
      else afterReplicationDelay(replicate)
      return appended
    },
    appendMarker: (name, partition, ...marker) => {
      const topic = topics.get(name)
      const log = topic?.partitions[partition]
      if (topic === undefined || log === undefined) return
      Log.appendMarker(log, ...marker)
      Log.replicate(log)
      notify(topic)
    },
    elect: (name, partition, leader, tail) => {
      const topic = topics.get(name)
      const log = topic?.partitions[partition]
      if (topic === undefined || log === undefined) return
      Log.elect(log, leader, tail)
      notify(topic)
    },
    ledBy: (nodeId) =>
      Array.from(topics.values()).flatMap(({ name, partitions }) =>
        partitions.flatMap(({ leader }, partition) => (leader === nodeId ? { topic: name, partition } : []))
      ),
    truncateBefore: (name, partition, offset) => {
      const topic = topics.get(name)
      const log = topic?.partitions[partition]
      if (topic === undefined || log === undefined) return KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION
      if (offset > log.endOffset) return KafkaErrorCode.OFFSET_OUT_OF_RANGE
      Log.truncateBefore(log, offset)
      notify(topic)
      return KafkaErrorCode.NONE
    },
    metadata: (request) => ({
      clusterId,
      brokers: placement.live(),
      controllerId: placement.controllerId(),
      topics: (request.topics ?? [...topics.keys()]).map((topic) => describe(topic, request.withReplicas === true))
    }),
    configure: (name, configs) => {
      const topic = topics.get(name)
      if (topic === undefined) return
      topic.configs = configs
      topic.maxMessageBytes = maxMessageBytesOf(configs)
    },
    changed
  }
}
