/**
 * The state of Kafka's classic coordinator for one consumer group, as plain data, and the frame of its transitions. A
 * transition takes the group and the time and returns the next group with the parked requests it answers. Deadlines are
 * part of the group, so the only timer a group needs is one that calls `tick` at `nextDeadline`.
 */
import type { JoinGroupRequest, JoinGroupResponse, SyncGroupResponse } from "@spillway/kafka/Protocol"

export type Phase = "Empty" | "PreparingRebalance" | "CompletingRebalance" | "Stable"

export interface Member {
  readonly id: string
  readonly instanceId: string | null
  readonly clientId: string
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
  readonly protocols: JoinGroupRequest["protocols"]
  readonly assignment: Uint8Array
  /** Joining for the first time and not answered yet: the only parked member that may expire. */
  readonly isNew: boolean
  readonly expiresAt: number
  /** The parked JoinGroup. */
  readonly join: number | undefined
  /** The parked SyncGroup. */
  readonly sync: number | undefined
}

/** The state that a broker writes to its log and loads when it restarts. */
interface Persisted {
  readonly generation: number
  readonly protocolType: string
  readonly protocol: string
  readonly leader: string | undefined
  readonly members: ReadonlyMap<string, Member>
}

export interface Group extends Persisted {
  readonly phase: Phase
  /** Member ids that were issued but not used to join yet, and when each is forgotten. */
  readonly pendingMembers: ReadonlyMap<string, number>
  readonly pendingSync: ReadonlySet<string>
  /** When the join phase ends without the members that haven't rejoined. */
  readonly joinDeadline: number | undefined
  /** When members that haven't synced are removed. */
  readonly syncDeadline: number | undefined
  /**
   * Set while an empty group waits for its first members: the time that remains, and whether a member joined meanwhile.
   */
  readonly initial: { readonly remainingMs: number; readonly joined: boolean } | undefined
  readonly persisted: Persisted
}

export interface Limits {
  readonly minSessionTimeoutMs: number
  readonly maxSessionTimeoutMs: number
  readonly initialRebalanceDelayMs: number
}

export interface Step {
  readonly group: Group
  /** JoinGroup requests to answer, by token. */
  readonly joins: ReadonlyArray<{ readonly token: number; readonly response: JoinGroupResponse }>
  /** SyncGroup requests to answer, by token. */
  readonly syncs: ReadonlyArray<{ readonly token: number; readonly response: SyncGroupResponse }>
  /** The answer to a request that is never parked. */
  readonly errorCode: number
}

export type Transition = (group: Group, now: number) => Step

const noMembers: Persisted = { generation: 0, protocolType: "", protocol: "", leader: undefined, members: new Map() }

export const empty: Group = {
  ...noMembers,
  phase: "Empty",
  pendingMembers: new Map(),
  pendingSync: new Set(),
  joinDeadline: undefined,
  syncDeadline: undefined,
  initial: undefined,
  persisted: noMembers
}

export const noBytes: Uint8Array = new Uint8Array(0)

/** The group while a transition works on it: a copy, so a transition never changes its input. */
export interface Draft extends Mutable<Omit<Group, "members" | "pendingMembers" | "pendingSync">> {
  readonly now: number
  readonly limits: Limits
  readonly members: Map<string, Member>
  readonly pendingMembers: Map<string, number>
  readonly pendingSync: Set<string>
  readonly joins: Array<Step["joins"][number]>
  readonly syncs: Array<Step["syncs"][number]>
}

type Mutable<A> = { -readonly [K in keyof A]: A[K] }

export const transition =
  (limits: Limits, change: (draft: Draft) => number): Transition =>
  (group, now) => {
    // Field by field: spreading an object with this many fields takes longer than the rest of a request.
    const draft: Draft = {
      generation: group.generation,
      protocolType: group.protocolType,
      protocol: group.protocol,
      leader: group.leader,
      members: new Map(group.members),
      phase: group.phase,
      pendingMembers: new Map(group.pendingMembers),
      pendingSync: new Set(group.pendingSync),
      joinDeadline: group.joinDeadline,
      syncDeadline: group.syncDeadline,
      initial: group.initial,
      persisted: group.persisted,
      now,
      limits,
      joins: [],
      syncs: []
    }
    const errorCode = change(draft)
    return { group: groupOf(draft), joins: draft.joins, syncs: draft.syncs, errorCode }
  }

const groupOf = (draft: Draft): Group => ({
  generation: draft.generation,
  protocolType: draft.protocolType,
  protocol: draft.protocol,
  leader: draft.leader,
  members: draft.members,
  phase: draft.phase,
  pendingMembers: draft.pendingMembers,
  pendingSync: draft.pendingSync,
  joinDeadline: draft.joinDeadline,
  syncDeadline: draft.syncDeadline,
  initial: draft.initial,
  persisted: draft.persisted
})

export const joinError = (errorCode: number, memberId: string): JoinGroupResponse => ({
  errorCode,
  generationId: -1,
  protocolName: "",
  leader: "",
  memberId,
  members: []
})
