/**
 * A Kafka broker in memory that answers `Wire` by Kafka's rules: partitioned logs of encoded batches, consumer groups
 * with generations and session timeouts, committed offsets, transactions and long polls. It runs on Effect's Clock.
 * Under `TestClock`, the consumers and producers that talk to Kafka in production run in a unit test without waiting.
 *
 * A member that joins a group waits for the other members' next heartbeats. If a test does nothing for half a second of
 * real time meanwhile, such as one that awaits a second `KafkaConsumer.make`, the broker advances the `TestClock`, timer
 * by timer, until the group has rebalanced.
 */
import { KafkaErrorCode, nameOf } from "@spillway/kafka/KafkaErrorCode"
import type { IsolationLevel } from "@spillway/kafka/Protocol"
import * as RecordBatch from "@spillway/kafka/RecordBatch"
import { Wire } from "@spillway/kafka/Wire"
import type { CommittedOffset } from "@spillway/transport/Consumer"
import type { ConsumedRecord } from "@spillway/transport/Envelope"
import * as Headers from "@spillway/transport/Headers"
import type { InvalidOptions, OptionIssue } from "@spillway/transport/InvalidOptions"
import * as Settings from "@spillway/transport/runtime/Settings"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Broker from "./internal/broker.js"
import { settings } from "./internal/brokerSettings.js"
import * as Connections from "./internal/connections.js"
import * as Coordinator from "./internal/coordinator.js"
import * as Log from "./internal/log.js"
import type { MemoryNodeStop } from "./internal/nodes.js"
import * as Nodes from "./internal/nodes.js"
import * as Placement from "./internal/placement.js"
import * as Signal from "./internal/signal.js"
import * as TestClock from "./internal/testClock.js"
import * as Timers from "./internal/timers.js"
import * as TopicConfigs from "./internal/topicConfigs.js"
import * as Topics from "./internal/topics.js"
import * as Transactions from "./internal/transactions.js"

export type { MemoryNodeStop }

/** A topic that the broker has from the start, or creates. */
export interface MemoryTopic {
  /** The topic's name; must be legal in Kafka. */
  readonly name: string
  /** The number of partitions. Default: 1. */
  readonly partitions?: number | undefined
  /** The largest batch that may be written, in bytes. Default: 1,048,588, as in Kafka. */
  readonly maxMessageBytes?: number | undefined
  /**
   * Topic settings, with Kafka's names, defaults and checks. They are kept and described; only `max.message.bytes` and
   * `cleanup.policy` have an effect. Default: none.
   */
  readonly configs?: Readonly<Record<string, string>> | undefined
}

/** The options of the cluster; all have defaults. */
export interface MemoryBrokerOptions {
  /** The cluster id that the brokers report. Default: an id that is unique in this process. */
  readonly clusterId?: string | undefined
  /** The number of brokers in the cluster. Their node ids start at 1. Default: 1. */
  readonly nodes?: number | undefined
  /**
   * The rack of each node, in node order. A leader then sends a consumer in another rack (`rackId`) to a node in the
   * consumer's rack, as `RackAwareReplicaSelector` does (KIP-392). Every node has a replica of every partition.
   * Default: none.
   */
  readonly racks?: ReadonlyArray<string> | undefined
  /** The topics that exist from the start: a map from name to number of partitions, or a list. Default: none. */
  readonly topics?: Readonly<Record<string, number>> | ReadonlyArray<MemoryTopic> | undefined
  /** A member that asks for a shorter session timeout is refused. Default: 6 seconds. */
  readonly minSessionTimeout?: Duration.DurationInput | undefined
  /** A member that asks for a longer session timeout is refused. Default: 30 minutes. */
  readonly maxSessionTimeout?: Duration.DurationInput | undefined
  /** How long an empty group waits for more members before its first generation. Default: 0; Kafka's is 3 seconds. */
  readonly initialRebalanceDelay?: Duration.DurationInput | undefined
  /** How long replicas lag behind a write with acks=1. Default: 0. */
  readonly replicationDelay?: Duration.DurationInput | undefined
  /** A producer that asks for a longer transaction timeout is refused. Default: 15 minutes. */
  readonly maxTransactionTimeout?: Duration.DurationInput | undefined
  /**
   * How long after a transaction's end is decided its records and offsets are committed or aborted. Until then the next
   * transaction is refused with CONCURRENT_TRANSACTIONS, as brokers do for some milliseconds. Default: 0.
   */
  readonly transactionCompletionDelay?: Duration.DurationInput | undefined
  /** The client id of the default client, which is also the prefix of its member ids. Default: `"memory"`. */
  readonly clientId?: string | undefined
}

/** The broker refuses a test's operation, with the error code that a client would get. */
export class MemoryBrokerError extends Data.TaggedError("MemoryBrokerError")<{
  /** The name of Kafka's error code, such as `TOPIC_ALREADY_EXISTS`. */
  readonly reason: string
  /** The topic that the operation concerns. */
  readonly topic: string
  /** The partition that the operation concerns, if it is only one. */
  readonly partition?: number | undefined
}> {
  override get message(): string {
    return this.partition === undefined
      ? `${this.reason}: ${this.topic}`
      : `${this.reason}: ${this.topic}-${this.partition}`
  }
}

/** A client of the broker: the connections of a program, or of one of its instances. */
export interface MemoryClient {
  /** The client's id, which is also the prefix of its member ids. */
  readonly clientId: string
  /** The client's connections to the cluster. */
  readonly wire: Context.Tag.Service<Wire>
  /** Destroys the client's connections and refuses new ones until `restore`. The broker hears nothing more from it. */
  readonly cut: Effect.Effect<void>
  /** Allows new connections after `cut`. */
  readonly restore: Effect.Effect<void>
}

/** A record for `produce`. */
export interface MemoryRecord {
  /** Text is encoded as UTF-8. Default: null, no key. */
  readonly key?: string | Uint8Array | null | undefined
  /** Text is encoded as UTF-8; null is a tombstone. */
  readonly value: string | Uint8Array | null
  /** An object, a `Map`, or another re-readable iterable of name-value pairs. Default: none. */
  readonly headers?: Headers.HeadersInput | undefined
  /** The partition to write to. Default: 0. The broker doesn't choose partitions by key. */
  readonly partition?: number | undefined
  /** Milliseconds since the epoch. Default: now, by Effect's Clock. */
  readonly timestamp?: number | undefined
}

/** A member of a consumer group. */
export interface GroupMember {
  /** The id that the coordinator gave to the member. */
  readonly memberId: string
  /** The id of a static member (KIP-345); null for a dynamic one. */
  readonly groupInstanceId: string | null
  /** The assignment as the leader encoded it; empty before the first one. */
  readonly assignment: Uint8Array
}

/** The state of a consumer group. */
export interface GroupDescription {
  /** The group's id. */
  readonly groupId: string
  /** The group's state, with Kafka's name. `Dead` is a group that no client has used yet. */
  readonly state: "Dead" | "Empty" | "PreparingRebalance" | "CompletingRebalance" | "Stable"
  /** The group's generation; 0 before the first one. */
  readonly generation: number
  /** The assignor that the members agreed on. Empty before the first generation. */
  readonly protocol: string
  /** The leader's member id. */
  readonly leader: string | undefined
  /** The members, in the order they joined. */
  readonly members: ReadonlyArray<GroupMember>
}

/** The cluster as a test sees it. */
export class MemoryBroker extends Context.Tag("@spillway/memory/MemoryBroker")<
  MemoryBroker,
  {
    /** The default client's wire, the one that `layer` provides. */
    readonly wire: Context.Tag.Service<Wire>
    /** Adds a client. Default name: `client-<n>`. */
    readonly client: (clientId?: string | undefined) => Effect.Effect<MemoryClient>
    /** Stops every node as if its machine failed: every connection ends, new ones are refused, no session expires. */
    readonly stop: Effect.Effect<void>
    /**
     * Starts every node again with its topics and offsets and each group's last stable state; every session starts
     * again.
     */
    readonly start: Effect.Effect<void>

    /** Stops one node. The other nodes, if any, take over its partitions, groups and transactional ids. */
    readonly stopNode: (nodeId: number, options?: MemoryNodeStop | undefined) => Effect.Effect<void>
    /** Starts a node again. It leads and coordinates only what no other node does. */
    readonly startNode: (nodeId: number) => Effect.Effect<void>
    /**
     * Makes a node the leader of a partition, as a reassignment does. The leader epoch increases. With `truncateTo` its
     * log ends at that offset, as after an unclean election of a replica with fewer records: records beyond it are
     * lost.
     */
    readonly moveLeader: (
      topic: string,
      partition: number,
      nodeId: number,
      options?: { readonly truncateTo?: number | undefined } | undefined
    ) => Effect.Effect<void>
    /** Makes a node the coordinator of a group: parked requests are refused, every session starts again. */
    readonly moveCoordinator: (groupId: string, nodeId: number) => Effect.Effect<void>
    /** The node id of a partition's leader, or -1 if the partition has no leader or doesn't exist. */
    readonly leader: (topic: string, partition: number) => Effect.Effect<number>
    /** The node id of a group's coordinator, or -1 if it has none. */
    readonly coordinator: (groupId: string) => Effect.Effect<number>

    /**
     * Creates a topic with a number of partitions, or with settings. Fails with `TOPIC_ALREADY_EXISTS`, or with the
     * code of the name or setting that Kafka would refuse.
     */
    readonly createTopic: (
      name: string,
      options?: number | Omit<MemoryTopic, "name"> | undefined
    ) => Effect.Effect<void, MemoryBrokerError>
    /**
     * Raises a topic's number of partitions to `count`, as `kafka-topics --alter` does. Fails with `INVALID_PARTITIONS`
     * when the topic has as many or more.
     */
    readonly addPartitions: (topic: string, count: number) => Effect.Effect<void, MemoryBrokerError>
    /** Deletes a topic with its records and committed offsets. Fails with `UNKNOWN_TOPIC_OR_PARTITION`. */
    readonly deleteTopic: (name: string) => Effect.Effect<void, MemoryBrokerError>
    /** Deletes a partition's records before an offset, as retention does. */
    readonly truncateBefore: (
      topic: string,
      partition: number,
      offset: number
    ) => Effect.Effect<void, MemoryBrokerError>

    /**
     * Writes records as a producer would, each to its own partition, and returns their coordinates in the same order.
     * With `acks: "leader"` they are replicated after `replicationDelay`. Default: `"all"`.
     */
    readonly produce: (
      topic: string,
      records: ReadonlyArray<MemoryRecord>,
      options?: { readonly acks?: "all" | "leader" | undefined } | undefined
    ) => Effect.Effect<ReadonlyArray<{ readonly partition: number; readonly offset: number }>, MemoryBrokerError>
    /**
     * A topic's records by partition and offset; none when the topic doesn't exist. Includes the records of committed
     * transactions, up to the first open transaction.
     */
    readonly records: (topic: string) => Effect.Effect<ReadonlyArray<ConsumedRecord>>
    /** The same, including the records of open and aborted transactions. */
    readonly uncommittedRecords: (topic: string) => Effect.Effect<ReadonlyArray<ConsumedRecord>>
    /** Waits until a topic, which may not exist yet, holds at least `count` such records, and returns all of them. */
    readonly awaitRecords: (topic: string, count: number) => Effect.Effect<ReadonlyArray<ConsumedRecord>>

    /** A group's committed offsets, by topic and partition. */
    readonly committed: (groupId: string) => Effect.Effect<ReadonlyArray<CommittedOffset>>
    /** Waits until a group has committed this offset or a higher one. */
    readonly awaitCommitted: (groupId: string, topic: string, partition: number, offset: number) => Effect.Effect<void>
    /** A group's current state. */
    readonly group: (groupId: string) => Effect.Effect<GroupDescription>
    /** Waits until the predicate holds for a group, and returns the group. */
    readonly awaitGroup: (
      groupId: string,
      predicate: (group: GroupDescription) => boolean
    ) => Effect.Effect<GroupDescription>
  }
>() {}

let clusters = 0

/** A broker that runs until the scope closes. */
export const make = (
  options?: MemoryBrokerOptions | undefined
): Effect.Effect<Context.Tag.Service<MemoryBroker>, InvalidOptions, Scope.Scope> =>
  Effect.gen(function* () {
    const given = yield* Settings.decode(settings, options)
    const runtime = yield* Effect.runtime<never>()
    const clock = yield* Effect.clock
    TestClock.quicken(clock)
    const timers = Timers.make(clock, runtime)
    const limits = {
      minSessionTimeoutMs: given.minSessionTimeout,
      maxSessionTimeoutMs: given.maxSessionTimeout,
      initialRebalanceDelayMs: given.initialRebalanceDelay
    }
    const placement = Placement.make(given.nodes, given.racks)
    const replicationDelayMs = given.replicationDelay
    const topics = Topics.make({
      clusterId: given.clusterId ?? `memory-${++clusters}`,
      placement,
      onDeleted: (name) => coordinator.forgetTopic(name),
      afterReplicationDelay:
        replicationDelayMs === 0 ? undefined : (replicate) => timers.after(replicationDelayMs, replicate)
    })
    const coordinator = Coordinator.make({
      timers,
      limits,
      partitionExists: (topic, partition) => topics.log(topic, partition) !== undefined
    })
    const transactions = Transactions.make({
      timers,
      topics,
      maxTimeoutMs: given.maxTransactionTimeout,
      completionDelayMs: given.transactionCompletionDelay,
      endOffsets: coordinator.endTransaction
    })
    const serve = Broker.make({ timers, placement, topics, coordinator, transactions })
    const connections = Connections.make({
      timers,
      nodes: placement.nodes,
      serve,
      standstill: TestClock.make(clock, runtime),
      runtime
    })
    const nodes = Nodes.make({ timers, placement, topics, coordinator, connections })
    const everyNode = placement.nodes.map(({ nodeId }) => nodeId)
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        connections.stop(everyNode)
        timers.stop()
      })
    )
    let clients = 0

    const refuseWith = (
      errorCode: number,
      topic: string,
      partition?: number
    ): Effect.Effect<void, MemoryBrokerError> =>
      errorCode === KafkaErrorCode.NONE ? Effect.void : Effect.fail(refusal(errorCode, topic, partition))

    const createTopic = (
      name: string,
      settings?: number | Omit<MemoryTopic, "name"> | undefined
    ): Effect.Effect<void, MemoryBrokerError> =>
      Effect.suspend(() => {
        const {
          configs = {},
          maxMessageBytes,
          partitions
        } = typeof settings === "number" ? { partitions: settings } : (settings ?? {})
        const changes = Object.entries(configs).map(([name, value]) => ({ name, value }))
        if (maxMessageBytes !== undefined) {
          changes.push({ name: TopicConfigs.maxMessageBytes, value: String(maxMessageBytes) })
        }
        const checked = TopicConfigs.change(new Map(), changes)
        const errorCode = TopicConfigs.isRefusal(checked)
          ? checked.errorCode
          : topics.create({ name, partitions: partitions ?? 1, configs: checked })
        return refuseWith(errorCode, name)
      })

    const issues: Array<OptionIssue> = []
    for (const [index, topic] of topicsOf(options?.topics).entries()) {
      const created = yield* Effect.either(createTopic(topic.name, topic))
      if (Either.isLeft(created)) {
        const field = Array.isArray(options?.topics) ? `topics[${index}]` : "topics"
        issues.push({ field, value: topic, description: `must be a topic that Kafka accepts (${created.left.reason})` })
      }
    }
    yield* Settings.refuse(settings.module, issues)

    const records = (topic: string, isolationLevel: IsolationLevel = "read_committed"): ReadonlyArray<ConsumedRecord> =>
      (topics.get(topic)?.partitions ?? []).flatMap((log, partition) =>
        Log.records(log, isolationLevel).map(({ headers, key, offset, timestamp, value }) => ({
          topic,
          partition,
          offset,
          timestamp,
          key,
          value,
          headers
        }))
      )

    const count = (topic: string): number =>
      (topics.get(topic)?.partitions ?? []).reduce((sum, log) => sum + Log.count(log), 0)

    const describe = (groupId: string): GroupDescription => {
      const group = coordinator.group(groupId)
      return {
        groupId,
        state: group?.phase ?? "Dead",
        generation: group?.generation ?? 0,
        protocol: group?.protocol ?? "",
        leader: group?.leader,
        members: Array.from(group?.members.values() ?? [], ({ assignment, id, instanceId }) => ({
          memberId: id,
          groupInstanceId: instanceId,
          assignment
        }))
      }
    }

    return {
      wire: connections.client(given.clientId).wire,
      client: (clientId) =>
        Effect.sync(() => {
          const name = clientId ?? `client-${++clients}`
          const { cut, restore, wire } = connections.client(name)
          return { clientId: name, wire, cut: Effect.sync(cut), restore: Effect.sync(restore) }
        }),
      stop: Effect.sync(() => {
        connections.stop(everyNode)
        coordinator.stop()
        transactions.stop()
      }),
      start: Effect.sync(() => {
        coordinator.start()
        transactions.start()
        connections.start(everyNode)
      }),
      stopNode: (nodeId, options) => Effect.sync(() => nodes.stop(nodeId, options)),
      startNode: (nodeId) => Effect.sync(() => nodes.start(nodeId)),
      moveLeader: (topic, partition, nodeId, options) =>
        Effect.sync(() => topics.elect(topic, partition, nodeId, options?.truncateTo ?? "kept")),
      moveCoordinator: (groupId, nodeId) => Effect.sync(() => nodes.moveCoordinator(groupId, nodeId)),
      leader: (topic, partition) => Effect.sync(() => topics.log(topic, partition)?.leader ?? -1),
      coordinator: (groupId) => Effect.sync(() => placement.coordinator(groupId)?.nodeId ?? -1),
      createTopic,
      addPartitions: (topic, count) => Effect.suspend(() => refuseWith(topics.addPartitions(topic, count), topic)),
      deleteTopic: (name) => Effect.suspend(() => refuseWith(topics.delete(name), name)),
      truncateBefore: (topic, partition, offset) =>
        Effect.suspend(() => refuseWith(topics.truncateBefore(topic, partition, offset), topic, partition)),
      produce: (topic, records, options) =>
        Effect.suspend(() => {
          const now = timers.wallClock()
          return Effect.forEach(records, (record) => {
            const partition = record.partition ?? 0
            const bytes = RecordBatch.encode([encodable(record, now)])
            const { baseOffset, errorCode } = topics.append(topic, partition, bytes, options?.acks ?? "all")
            return Effect.as(refuseWith(errorCode, topic, partition), { partition, offset: baseOffset })
          })
        }),
      records: (topic) => Effect.sync(() => records(topic)),
      uncommittedRecords: (topic) => Effect.sync(() => records(topic, "read_uncommitted")),
      awaitRecords: (topic, wanted) =>
        Signal.until([topics.changed], () => (count(topic) >= wanted ? records(topic) : undefined)),
      committed: (groupId) => Effect.sync(() => coordinator.committed(groupId)),
      awaitCommitted: (groupId, topic, partition, offset) =>
        Effect.asVoid(
          Signal.until([coordinator.changed], () =>
            (coordinator.offset(groupId, topic, partition) ?? -1) >= offset ? true : undefined
          )
        ),
      group: (groupId) => Effect.sync(() => describe(groupId)),
      awaitGroup: (groupId, predicate) =>
        Signal.until([coordinator.changed], () => {
          const group = describe(groupId)
          return predicate(group) ? group : undefined
        })
    }
  })

/** A broker, and a `Wire` to it as the default client. Replaces `KafkaJsWire.layer` in a test. */
export const layer = (options?: MemoryBrokerOptions | undefined): Layer.Layer<MemoryBroker | Wire, InvalidOptions> =>
  Layer.scopedContext(
    Effect.map(make(options), (broker) =>
      Context.make(MemoryBroker, MemoryBroker.of(broker)).pipe(Context.add(Wire, broker.wire))
    )
  )

const refusal = (errorCode: number, topic: string, partition: number | undefined): MemoryBrokerError =>
  new MemoryBrokerError({ reason: nameOf(errorCode), topic, partition })

const topicsOf = (topics: MemoryBrokerOptions["topics"]): ReadonlyArray<MemoryTopic> =>
  isList(topics) ? topics : Object.entries(topics ?? {}).map(([name, partitions]) => ({ name, partitions }))

const isList = (topics: MemoryBrokerOptions["topics"]): topics is ReadonlyArray<MemoryTopic> => Array.isArray(topics)

const encoder = new TextEncoder()

const encodable = (record: MemoryRecord, now: number): RecordBatch.EncodableRecord => ({
  key: bytesOf(record.key ?? null),
  value: bytesOf(record.value),
  headers: Headers.fromInput(record.headers),
  timestamp: record.timestamp ?? now
})

const bytesOf = (value: string | Uint8Array | null): Uint8Array | null =>
  typeof value === "string" ? encoder.encode(value) : value
