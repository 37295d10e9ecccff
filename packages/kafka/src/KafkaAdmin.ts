/**
 * Administration of a cluster: topics, their settings and records, groups and their offsets. One client serves the whole program.
 */
import type { TopicPartition } from "@spillway/transport/Consumer"
import type { InvalidOptions } from "@spillway/transport/InvalidOptions"
import type { Position } from "@spillway/transport/Position"
import type { Config } from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as AdminSettings from "./internal/admin/adminSettings.js"
import * as Arguments from "./internal/admin/arguments.js"
import * as Client from "./internal/admin/client.js"
import * as Configs from "./internal/admin/configs.js"
import * as GroupOffsets from "./internal/admin/groupOffsets.js"
import * as Groups from "./internal/admin/groups.js"
import type {
  GroupDescription,
  GroupListing,
  GroupMemberDescription,
  GroupOffset,
  OffsetReset,
  PartitionLag
} from "./internal/admin/groupTypes.js"
import * as Lag from "./internal/admin/lag.js"
import * as Offsets from "./internal/admin/offsets.js"
import * as Partitions from "./internal/admin/partitions.js"
import * as Records from "./internal/admin/records.js"
import * as Topics from "./internal/admin/topics.js"
import {
  type AdminFailure,
  type AdminOptions,
  type ConfigChanges,
  type ConfigSource,
  type DeletedRecords,
  KafkaAdminError,
  type KafkaAdminErrorReason,
  type ListOffsetsOptions,
  type NewPartitions,
  type NewTopic,
  type PartitionDescription,
  type PartitionOffset,
  type RecordsToDelete,
  type TopicConfig,
  type TopicConfigs,
  type TopicDescription,
  type TopicListing
} from "./internal/admin/types.js"
import type { Wire } from "./Wire.js"

export {
  type AdminFailure,
  type AdminOptions,
  type ConfigChanges,
  type ConfigSource,
  type DeletedRecords,
  type GroupDescription,
  type GroupListing,
  type GroupMemberDescription,
  type GroupOffset,
  KafkaAdminError,
  type KafkaAdminErrorReason,
  type ListOffsetsOptions,
  type NewPartitions,
  type NewTopic,
  type OffsetReset,
  type PartitionDescription,
  type PartitionLag,
  type PartitionOffset,
  type RecordsToDelete,
  type TopicConfig,
  type TopicConfigs,
  type TopicDescription,
  type TopicListing
}

/**
 * Operations on a cluster. An operation on several items attempts all of them. If any fails, the operation fails with
 * one error that lists every failed item (`failures`); the others were carried out. Nothing is sent if an argument can't
 * be used (`InvalidArgument`), or if there are no items. Results are in the order of the arguments.
 *
 * Each operation retries until its `timeout` while a controller, leader or coordinator moves or loads, or a broker
 * can't be reached.
 */
export class KafkaAdmin extends Context.Tag("@spillway/kafka/KafkaAdmin")<
  KafkaAdmin,
  {
    /** Every topic of the cluster that may be seen, internal ones too, by name. */
    readonly listTopics: (
      options?: AdminOptions | undefined
    ) => Effect.Effect<ReadonlyArray<TopicListing>, KafkaAdminError>

    /** Topics with their partitions, leaders and replicas. */
    readonly describeTopics: (
      topics: ReadonlyArray<string>,
      options?: AdminOptions | undefined
    ) => Effect.Effect<ReadonlyArray<TopicDescription>, KafkaAdminError>

    /** Creates topics and waits until every partition has a leader. */
    readonly createTopics: (
      topics: ReadonlyArray<NewTopic>,
      options?: AdminOptions | undefined
    ) => Effect.Effect<void, KafkaAdminError>

    /** `createTopics` that leaves existing topics unchanged. */
    readonly ensureTopics: (
      topics: ReadonlyArray<NewTopic>,
      options?: AdminOptions | undefined
    ) => Effect.Effect<void, KafkaAdminError>

    /** Deletes topics and waits until a broker no longer knows them. */
    readonly deleteTopics: (
      topics: ReadonlyArray<string>,
      options?: AdminOptions | undefined
    ) => Effect.Effect<void, KafkaAdminError>

    /**
     * Adds partitions to topics, and waits until each has a leader. Keys may map to other partitions afterwards. Fails
     * with `InvalidConfiguration` for a topic that has as many or more.
     */
    readonly createPartitions: (
      topics: ReadonlyArray<NewPartitions>,
      options?: AdminOptions | undefined
    ) => Effect.Effect<void, KafkaAdminError>

    /** Every setting of topics, with its value and source. */
    readonly describeConfigs: (
      topics: ReadonlyArray<string>,
      options?: AdminOptions | undefined
    ) => Effect.Effect<ReadonlyArray<TopicConfigs>, KafkaAdminError>

    /** Changes settings of topics. Brokers apply them, and describe them, a moment later. */
    readonly alterConfigs: (
      changes: ReadonlyArray<ConfigChanges>,
      options?: AdminOptions | undefined
    ) => Effect.Effect<void, KafkaAdminError>

    /**
     * The offsets of partitions at a position: the offset of the first record there, or of the next one to be written.
     * Fails with `OffsetOutOfRange` for an offset that isn't between the start and the end of the log.
     */
    readonly listOffsets: (
      partitions: ReadonlyArray<TopicPartition>,
      position: Position,
      options?: ListOffsetsOptions | undefined
    ) => Effect.Effect<ReadonlyArray<PartitionOffset>, KafkaAdminError>

    /**
     * Deletes the records of partitions before a position, for good. Every position is looked up first: if one can't be
     * resolved, nothing is deleted. Fails with `InvalidConfiguration` for a topic that is only compacted.
     */
    readonly deleteRecords: (
      records: ReadonlyArray<RecordsToDelete>,
      options?: AdminOptions | undefined
    ) => Effect.Effect<ReadonlyArray<DeletedRecords>, KafkaAdminError>

    /** Every group of the cluster that may be seen, by id. Every broker is asked. */
    readonly listGroups: (
      options?: AdminOptions | undefined
    ) => Effect.Effect<ReadonlyArray<GroupListing>, KafkaAdminError>

    /**
     * Groups of the classic protocol with their members. Fails with `UnknownGroup` for a group that doesn't exist or
     * has members of the consumer protocol of Kafka 4 (KIP-848).
     */
    readonly describeGroups: (
      groupIds: ReadonlyArray<string>,
      options?: AdminOptions | undefined
    ) => Effect.Effect<ReadonlyArray<GroupDescription>, KafkaAdminError>

    /** Deletes groups without members, with their offsets. Fails with `GroupNotEmpty` for a group that has members. */
    readonly deleteGroups: (
      groupIds: ReadonlyArray<string>,
      options?: AdminOptions | undefined
    ) => Effect.Effect<void, KafkaAdminError>

    /** The committed offsets of a group, by topic and partition; none for a group that doesn't exist. */
    readonly groupOffsets: (
      groupId: string,
      options?: AdminOptions | undefined
    ) => Effect.Effect<ReadonlyArray<GroupOffset>, KafkaAdminError>

    /**
     * Commits new offsets for a group without members, and returns them; creates the group if it doesn't exist. Every
     * position is looked up first: if one can't be resolved, nothing is committed. Fails with `OffsetOutOfRange` for an
     * offset outside of the log, and with `GroupNotEmpty` for a group that has members.
     */
    readonly resetOffsets: (
      groupId: string,
      resets: ReadonlyArray<OffsetReset>,
      options?: ListOffsetsOptions | undefined
    ) => Effect.Effect<ReadonlyArray<PartitionOffset>, KafkaAdminError>

    /**
     * Deletes committed offsets of a group. Partitions without one succeed. Fails with `GroupSubscribed` for a topic to
     * which a member subscribes.
     */
    readonly deleteOffsets: (
      groupId: string,
      partitions: ReadonlyArray<TopicPartition>,
      options?: AdminOptions | undefined
    ) => Effect.Effect<void, KafkaAdminError>

    /**
     * A group's lag on every partition of the topics for which it has committed offsets or assigned partitions, by
     * topic and partition. Partitions without a committed offset are included; those of deleted topics are not.
     */
    readonly groupLag: (
      groupId: string,
      options?: ListOffsetsOptions | undefined
    ) => Effect.Effect<ReadonlyArray<PartitionLag>, KafkaAdminError>
  }
>() {}

const serve = (client: Client.Client): Context.Tag.Service<KafkaAdmin> => ({
  listTopics: Topics.list(client),
  describeTopics: Arguments.listed("topics", 0, Topics.describe(client)),
  createTopics: Arguments.listed("topics", 0, Topics.create(client)),
  ensureTopics: Arguments.listed("topics", 0, Topics.ensure(client)),
  deleteTopics: Arguments.listed("topics", 0, Topics.remove(client)),
  createPartitions: Arguments.listed("topics", 0, Partitions.create(client)),
  describeConfigs: Arguments.listed("topics", 0, Configs.describe(client)),
  alterConfigs: Arguments.listed("changes", 0, Configs.alter(client)),
  listOffsets: Arguments.listed("partitions", 0, Offsets.list(client)),
  deleteRecords: Arguments.listed("records", 0, Records.remove(client)),
  listGroups: Groups.list(client),
  describeGroups: Arguments.listed("groupIds", 0, Groups.describe(client)),
  deleteGroups: Arguments.listed("groupIds", 0, Groups.remove(client)),
  groupOffsets: GroupOffsets.list(client),
  resetOffsets: Arguments.listed("resets", 1, GroupOffsets.reset(client)),
  deleteOffsets: Arguments.listed("partitions", 1, GroupOffsets.remove(client)),
  groupLag: Lag.measure(client)
})

/** A client whose connections open when they are needed and close with the scope. `options`: for every operation. */
export const make = (
  options?: AdminOptions | undefined
): Effect.Effect<Context.Tag.Service<KafkaAdmin>, InvalidOptions, Wire | Scope.Scope> =>
  Effect.map(Effect.flatMap(AdminSettings.decode(options), Client.make), serve)

/** `make` as a Layer. */
export const layer = (options?: AdminOptions | undefined): Layer.Layer<KafkaAdmin, InvalidOptions, Wire> =>
  Layer.scoped(KafkaAdmin, make(options))

/** `KAFKA_ADMIN_TIMEOUT`, optional; within a namespace `A`, `A_KAFKA_ADMIN_TIMEOUT`. */
export const config: (defaults?: AdminOptions | undefined, namespace?: string | undefined) => Config<AdminOptions> =
  AdminSettings.config

/** `layer` with the options from the environment; see `config`. */
export const layerConfig = (
  defaults?: AdminOptions | undefined,
  namespace?: string | undefined
): Layer.Layer<KafkaAdmin, InvalidOptions | ConfigError, Wire> =>
  Layer.scoped(KafkaAdmin, Effect.flatMap(config(defaults, namespace), make))

/** Runs an effect with its own client, which closes with it: for scripts. */
export const once = <A, E, R>(
  run: (admin: Context.Tag.Service<KafkaAdmin>) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R | Wire> =>
  Effect.scoped(Effect.flatMap(Client.make(AdminSettings.defaults), (client) => run(serve(client))))

/**
 * Creates the topics that are missing, before the layers that it is provided to start. Existing topics stay unchanged.
 */
export const ensureTopics = (
  topics: ReadonlyArray<NewTopic>,
  options?: AdminOptions | undefined
): Layer.Layer<never, KafkaAdminError, Wire> =>
  Layer.effectDiscard(once((admin) => admin.ensureTopics(topics, options)))
