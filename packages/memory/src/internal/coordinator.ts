/**
 * The groups of a broker. It passes requests to the group, answers parked ones when the group answers, and wakes each
 * group at its next deadline with one timer.
 */
import { KafkaErrorCode } from "@spillway/kafka/KafkaErrorCode"
import type {
  HeartbeatRequest,
  JoinGroupRequest,
  JoinGroupResponse,
  LeaveGroupRequest,
  OffsetCommitRequest,
  OffsetCommitResponse,
  OffsetFetchRequest,
  OffsetFetchResponse,
  SyncGroupRequest,
  SyncGroupResponse,
  TxnOffsetCommitRequest
} from "@spillway/kafka/Protocol"
import type { CommittedOffset } from "@spillway/transport/Consumer"
import type { Answer, Parked } from "./connections.js"
import * as Group from "./group.js"
import * as GroupOffsets from "./groupOffsets.js"
import * as GroupState from "./groupState.js"
import * as Signal from "./signal.js"
import type { Timers } from "./timers.js"

/** A group with the parts outside its membership: committed offsets and a timer. */
interface Entry {
  readonly groupId: string
  group: GroupState.Group
  readonly offsets: GroupOffsets.GroupOffsets
  alarm: { readonly at: number; readonly cancel: () => void } | undefined
}

export interface Options {
  readonly timers: Timers
  readonly limits: GroupState.Limits
  readonly partitionExists: (topic: string, partition: number) => boolean
}

export interface Coordinator {
  readonly join: (clientId: string, request: JoinGroupRequest) => Answer<JoinGroupResponse>
  readonly sync: (request: SyncGroupRequest) => Parked<SyncGroupResponse>
  /** The error code. */
  readonly heartbeat: (request: HeartbeatRequest) => number
  /** The error code. */
  readonly leave: (request: LeaveGroupRequest) => number
  readonly commit: (request: OffsetCommitRequest) => OffsetCommitResponse
  /** Stores offsets that wait for the end of their transaction. */
  readonly commitInTransaction: (request: TxnOffsetCommitRequest) => OffsetCommitResponse
  /** Ends a producer's transaction for a group's offsets. */
  readonly endTransaction: (groupId: string, producerId: bigint, isCommit: boolean) => void
  readonly fetchOffsets: (request: OffsetFetchRequest) => OffsetFetchResponse
  readonly groupIds: () => ReadonlyArray<string>
  /** Removes a group with its offsets. */
  readonly remove: (groupId: string) => void
  /** Removes a committed offset, if there is one. */
  readonly removeOffset: (groupId: string, topic: string, partition: number) => void
  /** The group; undefined if no client has used it. */
  readonly group: (groupId: string) => GroupState.Group | undefined
  readonly offset: (groupId: string, topic: string, partition: number) => number | undefined
  /** By topic and partition. */
  readonly committed: (groupId: string) => ReadonlyArray<CommittedOffset>
  /**
   * Moves the group to another coordinator. Parked requests are refused, the new coordinator loads the group from its
   * log, and every session starts again.
   */
  readonly handOver: (groupId: string) => void
  /** Removes a deleted topic's offsets. */
  readonly forgetTopic: (topic: string) => void
  /** Stops the timers, because the broker's process has ended. */
  readonly stop: () => void
  /** Starts again with each group as a broker loads it from its log. */
  readonly start: () => void
  /** Notified whenever a group or its offsets change. */
  readonly changed: Signal.Signal
}

export const make = ({ limits, partitionExists, timers }: Options): Coordinator => {
  const groups = new Map<string, Entry>()
  const changed = Signal.make()
  const joins = new Map<number, (response: JoinGroupResponse) => void>()
  const syncs = new Map<number, (response: SyncGroupResponse) => void>()
  let tokens = 0
  let memberIds = 0
  let isRunning = true

  const answer = <A>(parked: Map<number, (response: A) => void>, token: number, response: A): void => {
    const respond = parked.get(token)
    parked.delete(token)
    respond?.(response)
  }

  /** The error code. */
  const apply = (entry: Entry, transition: GroupState.Transition): number => {
    const step = transition(entry.group, timers.now())
    entry.group = step.group
    if (step.group.members.size + step.group.pendingMembers.size > 0) groups.set(entry.groupId, entry)
    for (const { response, token } of step.joins) answer(joins, token, response)
    for (const { response, token } of step.syncs) answer(syncs, token, response)
    Signal.notify(changed)
    arm(entry)
    return step.errorCode
  }

  const disarm = (entry: Entry): void => {
    const { alarm } = entry
    entry.alarm = undefined
    alarm?.cancel()
  }

  /** An alarm that rings early is set again, so only an earlier deadline replaces it. */
  const arm = (entry: Entry): void => {
    const at = Group.nextDeadline(entry.group)
    if (!isRunning || at === undefined || (entry.alarm !== undefined && entry.alarm.at <= at)) return
    disarm(entry)
    const cancel = timers.after(at - timers.now(), () => {
      entry.alarm = undefined
      apply(entry, Group.tick(limits))
    })
    entry.alarm = { at, cancel }
  }

  /** A group is created with its first member or offset. */
  const entryOf = (groupId: string): Entry =>
    groups.get(groupId) ?? { groupId, group: GroupState.empty, offsets: GroupOffsets.make(), alarm: undefined }

  /** Parks a request until its group answers it. An abandoned request doesn't change the group. */
  const park =
    <A>(
      parked: Map<number, (response: A) => void>,
      groupId: string,
      transition: (token: number) => GroupState.Transition
    ): Parked<A> =>
    (respond) => {
      const token = ++tokens
      parked.set(token, respond)
      apply(entryOf(groupId), transition(token))
      return () => parked.delete(token)
    }

  const decide = (groupId: string, transition: GroupState.Transition): number => {
    const entry = groups.get(groupId)
    return entry === undefined ? KafkaErrorCode.UNKNOWN_MEMBER_ID : apply(entry, transition)
  }

  /** Partitions that don't exist are answered without asking the group, and come first in the response. */
  const commit = (
    request: OffsetCommitRequest,
    transition: GroupState.Transition,
    producerId?: bigint
  ): OffsetCommitResponse => {
    const answers: Array<CommitAnswer> = []
    const commits: Array<GroupOffsets.Placed> = []
    for (const { partitions, topic } of request.topics) {
      for (const { leaderEpoch = -1, metadata, offset, partition } of partitions) {
        if (partitionExists(topic, partition)) commits.push({ topic, partition, offset, leaderEpoch, metadata })
        else answers.push({ topic, partition, errorCode: KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION })
      }
    }
    if (commits.length === 0) return responseOf(answers)
    const entry = entryOf(request.groupId)
    const refusal =
      request.generationId >= 0 && !groups.has(request.groupId)
        ? KafkaErrorCode.ILLEGAL_GENERATION
        : apply(entry, transition)
    for (const placed of commits) {
      const { partition, topic } = placed
      const errorCode =
        refusal === KafkaErrorCode.NONE ? GroupOffsets.store(entry.offsets, placed, producerId) : refusal
      answers.push({ topic, partition, errorCode })
    }
    if (refusal === KafkaErrorCode.NONE) {
      groups.set(entry.groupId, entry)
      Signal.notify(changed)
    }
    return responseOf(answers)
  }

  const offsets = (
    groupId: string,
    topics: OffsetFetchRequest["topics"] = null,
    requireStable = false
  ): OffsetFetchResponse["topics"] =>
    GroupOffsets.list(groups.get(groupId)?.offsets ?? GroupOffsets.make(), topics, requireStable)

  return {
    changed,
    join: (clientId, request) =>
      request.groupId === ""
        ? GroupState.joinError(KafkaErrorCode.INVALID_GROUP_ID, request.memberId)
        : park(joins, request.groupId, (token) =>
            Group.join(limits, {
              token,
              request,
              clientId,
              newMemberId:
                request.memberId === "" ? `${request.groupInstanceId ?? clientId}-${++memberIds}` : request.memberId
            })
          ),
    sync: (request) => park(syncs, request.groupId, (token) => Group.sync(limits, token, request)),
    heartbeat: (request) => decide(request.groupId, Group.heartbeat(limits, request)),
    leave: (request) => decide(request.groupId, Group.leave(limits, request)),
    commit: (request) => commit(request, Group.commit(limits, request)),
    commitInTransaction: (request) => commit(request, Group.commitInTransaction(limits, request), request.producerId),
    endTransaction: (groupId, producerId, isCommit) => {
      const entry = groups.get(groupId)
      if (entry === undefined) return
      GroupOffsets.end(entry.offsets, producerId, isCommit)
      Signal.notify(changed)
    },
    fetchOffsets: ({ groupId, requireStable, topics }) => ({
      errorCode: KafkaErrorCode.NONE,
      topics: offsets(groupId, topics, requireStable)
    }),
    groupIds: () => [...groups.keys()],
    remove: (groupId) => {
      const entry = groups.get(groupId)
      if (entry === undefined) return
      disarm(entry)
      groups.delete(groupId)
      Signal.notify(changed)
    },
    removeOffset: (groupId, topic, partition) => {
      const entry = groups.get(groupId)
      if (entry === undefined) return
      GroupOffsets.remove(entry.offsets, topic, partition)
      Signal.notify(changed)
    },
    group: (groupId) => groups.get(groupId)?.group,
    offset: (groupId, topic, partition) => {
      const entry = groups.get(groupId)
      return entry && GroupOffsets.offset(entry.offsets, topic, partition)
    },
    committed: (groupId) =>
      offsets(groupId)
        .flatMap(({ partitions, topic }) => partitions.map(({ offset, partition }) => ({ topic, partition, offset })))
        .sort((one, other) => compare(one.topic, other.topic) || one.partition - other.partition),
    handOver: (groupId) => {
      const entry = groups.get(groupId)
      if (entry === undefined) return
      for (const { id, join, sync } of entry.group.members.values()) {
        if (join !== undefined) answer(joins, join, GroupState.joinError(KafkaErrorCode.NOT_COORDINATOR, id))
        if (sync !== undefined) {
          answer(syncs, sync, { errorCode: KafkaErrorCode.NOT_COORDINATOR, assignment: GroupState.noBytes })
        }
      }
      apply(entry, Group.restart)
    },
    forgetTopic: (topic) => {
      for (const { offsets } of groups.values()) GroupOffsets.forgetTopic(offsets, topic)
      Signal.notify(changed)
    },
    stop: () => {
      isRunning = false
      groups.forEach(disarm)
    },
    start: () => {
      if (isRunning) return
      isRunning = true
      for (const entry of groups.values()) apply(entry, Group.restart)
    }
  }
}

const compare = (one: string, other: string): number => (one < other ? -1 : one > other ? 1 : 0)

interface CommitAnswer {
  readonly topic: string
  readonly partition: number
  readonly errorCode: number
}

const responseOf = (answers: ReadonlyArray<CommitAnswer>): OffsetCommitResponse => {
  const topics = new Map<string, Array<Omit<CommitAnswer, "topic">>>()
  for (const { errorCode, partition, topic } of answers) {
    const partitions = topics.get(topic) ?? []
    partitions.push({ partition, errorCode })
    topics.set(topic, partitions)
  }
  return { topics: Array.from(topics, ([topic, partitions]) => ({ topic, partitions })) }
}
