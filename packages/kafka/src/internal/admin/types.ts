/**
 * The options, results and error of `KafkaAdmin`.
 */
import type { TopicPartition } from "@spillway/transport/Consumer"
import type { Position } from "@spillway/transport/Position"
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import type { IsolationLevel } from "../../Protocol.js"

/** The options of every operation, and of the service for all of its operations. */
export interface AdminOptions {
  /**
   * How long an operation may take, retries included; above zero, up to 24 days. Default: the timeout of the service's
   * options, or 30 seconds.
   */
  readonly timeout?: Duration.DurationInput | undefined
}

/** Why an operation failed for an item. */
export type KafkaAdminErrorReason =
  /** An argument that no cluster accepts; nothing was sent. `field` names it. */
  | "InvalidArgument"
  /** A topic with the name exists; `ensureTopics` accepts that. */
  | "TopicAlreadyExists"
  /** The cluster has no such topic. */
  | "UnknownTopic"
  /** The topic has no such partition. */
  | "UnknownPartition"
  /** A topic's name is not legal. */
  | "InvalidTopic"
  /** The cluster refuses a topic setting, partition count, replication factor, or the operation by its policy. */
  | "InvalidConfiguration"
  /** The log doesn't hold the offset: it starts later, or ends earlier. */
  | "OffsetOutOfRange"
  /** The cluster has no such group. */
  | "UnknownGroup"
  /** The group has members; stop them first. */
  | "GroupNotEmpty"
  /** A member of the group subscribes to the topic. */
  | "GroupSubscribed"
  /** The credentials were refused, or the operation isn't permitted. */
  | "Authorization"
  /** Not done within the timeout. A change may have been made, or may still be. */
  | "Timeout"
  /** The connection ended before the response arrived: the change may have been made. */
  | "Disconnected"
  /** The broker supports no version of a request that Spillway supports. */
  | "UnsupportedBroker"
  /** Any other error code; the description has its name. */
  | "Broker"

/** One item of an operation that failed, and the reason. */
export interface AdminFailure {
  /** The kind of failure, and with it whether a change may have been made. */
  readonly reason: KafkaAdminErrorReason
  /** The topic of the item, if it has one. */
  readonly topic?: string | undefined
  /** The partition of `topic`, if the item is one. */
  readonly partition?: number | undefined
  /** The group of the item, if it has one. */
  readonly groupId?: string | undefined
  /** The argument or option that can't be used. */
  readonly field?: string | undefined
  /** The failure in words, with the broker's message or error code. */
  readonly description: string
  /** The `WireError`, if the connection failed. */
  readonly cause?: unknown
}

const show = ({ description, field, groupId, partition, reason, topic }: AdminFailure): string => {
  const group = groupId === undefined ? undefined : `group ${groupId}`
  const place = partition === undefined ? topic : `${topic}-${partition}`
  return [reason, group, place, field, description].filter((part) => part !== undefined).join(": ")
}

/** The most failures that a message shows. */
const shown = 10

/**
 * An operation that failed for one item or more. Its fields are those of the first failure, in the order of the
 * arguments.
 */
export class KafkaAdminError extends Data.TaggedError("KafkaAdminError")<
  AdminFailure & {
    /** Every item that failed, in the order of the arguments. */
    readonly failures: readonly [AdminFailure, ...ReadonlyArray<AdminFailure>]
  }
> {
  override get message(): string {
    const more = this.failures.length - shown
    return this.failures.slice(0, shown).map(show).join("; ") + (more > 0 ? `; and ${more} more` : "")
  }
}

/** A topic to create. */
export interface NewTopic {
  /** Its name: letters, digits, dots, underscores and dashes, 249 at most. */
  readonly topic: string
  /** Default: 1. */
  readonly partitions?: number | undefined
  /** Default: the broker's. */
  readonly replicationFactor?: number | undefined
  /** Topic settings such as `cleanup.policy`. Default: the broker's. */
  readonly configs?: Readonly<Record<string, string>> | undefined
}

/** A topic of the cluster. */
export interface TopicListing {
  /** The topic's name. */
  readonly topic: string
  /** As Kafka prints it; empty before Kafka 2.8. A topic that is deleted and created again gets a new one. */
  readonly topicId: string
  /** Whether it is one of Kafka's own topics, such as `__consumer_offsets`. */
  readonly isInternal: boolean
}

/** A partition and its replicas. */
export interface PartitionDescription {
  /** The partition's number, from 0. */
  readonly partition: number
  /** The leader's node id; absent while there is none. */
  readonly leader: number | undefined
  /** The number of the leader's term; -1 if the broker doesn't report it. */
  readonly leaderEpoch: number
  /** The node ids of the replicas, the preferred leader first. */
  readonly replicas: ReadonlyArray<number>
  /** The node ids of the replicas that are in sync. */
  readonly isr: ReadonlyArray<number>
}

/** A topic and its partitions. */
export interface TopicDescription extends TopicListing {
  /** In the order of their numbers. */
  readonly partitions: ReadonlyArray<PartitionDescription>
}

/** Where a topic's setting has its value from. */
export type ConfigSource =
  /** Set on the topic. */
  | "topic"
  /** Set on a broker at run time, as the default of its topics. */
  | "broker"
  /** Set for all brokers at run time. */
  | "cluster"
  /** Set in a broker's file. */
  | "file"
  /** Set nowhere: Kafka's default. */
  | "default"
  /** A source that Spillway doesn't know. */
  | "other"

/** A setting of a topic. */
export interface TopicConfig {
  /** null for a sensitive setting. */
  readonly value: string | null
  /** Where the value was set. */
  readonly source: ConfigSource
  /** Whether it is Kafka's default, not set anywhere. */
  readonly isDefault: boolean
  /** Whether brokers keep the value secret, such as a password. */
  readonly isSensitive: boolean
  /** Whether it can't be changed while brokers run. */
  readonly isReadOnly: boolean
}

/** The settings of a topic. */
export interface TopicConfigs {
  /** The topic's name. */
  readonly topic: string
  /** By name, such as `retention.ms`. */
  readonly configs: Readonly<Record<string, TopicConfig>>
}

/** Changes of a topic's settings: all take effect, or none. Other settings stay. */
export interface ConfigChanges {
  /** The topic's name. */
  readonly topic: string
  /** New values by name. */
  readonly set?: Readonly<Record<string, string>> | undefined
  /** Names of settings to reset to the broker's value. */
  readonly remove?: ReadonlyArray<string> | undefined
}

/** A topic to enlarge. */
export interface NewPartitions {
  /** The topic's name. */
  readonly topic: string
  /** The total number of partitions afterwards, more than the topic has. */
  readonly partitions: number
}

/** The options of operations that look offsets up. */
export interface ListOffsetsOptions extends AdminOptions {
  /**
   * With `read_committed`, `Position.end` is before the first open transaction. Kafka's `isolation.level`. Default:
   * `"read_committed"`.
   */
  readonly isolationLevel?: IsolationLevel | undefined
}

/** An offset of a partition. */
export interface PartitionOffset extends TopicPartition {
  /** From 0 to the end of the log. */
  readonly offset: number
}

/** The first records of a partition. */
export interface RecordsToDelete extends TopicPartition {
  /** Records before it are deleted; `Position.end` deletes all that are replicated. */
  readonly before: Position
}

/** A partition after its first records were deleted. */
export interface DeletedRecords extends TopicPartition {
  /** The first offset that is left. */
  readonly startOffset: number
}
