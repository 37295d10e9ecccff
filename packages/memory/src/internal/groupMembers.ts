/**
 * Members that join, leave and return, and the rebalances that follow.
 */
import { KafkaErrorCode } from "@spillway/kafka/KafkaErrorCode"
import type { JoinGroupRequest, JoinGroupResponse } from "@spillway/kafka/Protocol"
import { selectProtocol } from "./groupProtocol.js"
import { type Draft, joinError, type Member, noBytes } from "./groupState.js"

/** A new member that is never answered is removed after this long, because its client has surely stopped. */
const newMemberTimeoutMs = 5 * 60_000

/** A parked member waits for the broker, so only a new one, whose client may have stopped unnoticed, expires. */
export const canExpire = (member: Member): boolean =>
  member.isNew || (member.join === undefined && member.sync === undefined)

export const update = (draft: Draft, id: string, change: Partial<Member>): void => {
  const member = draft.members.get(id)
  if (member !== undefined) draft.members.set(id, { ...member, ...change })
}

export const restartSession = (draft: Draft, id: string): void => {
  const member = draft.members.get(id)
  if (member !== undefined) update(draft, id, { expiresAt: draft.now + member.sessionTimeoutMs })
}

export const staticMember = (draft: Draft, instanceId: string): Member | undefined => {
  for (const member of draft.members.values()) if (member.instanceId === instanceId) return member
  return undefined
}

export const validateMember = (draft: Draft, memberId: string, instanceId: string | null): number => {
  if (instanceId !== null) {
    const existing = staticMember(draft, instanceId)
    if (existing === undefined) return KafkaErrorCode.UNKNOWN_MEMBER_ID
    if (existing.id !== memberId) return KafkaErrorCode.FENCED_INSTANCE_ID
  }
  return draft.members.has(memberId) ? KafkaErrorCode.NONE : KafkaErrorCode.UNKNOWN_MEMBER_ID
}

export const validateGeneration = (
  draft: Draft,
  memberId: string,
  instanceId: string | null,
  generation: number
): number => {
  const invalid = validateMember(draft, memberId, instanceId)
  if (invalid !== KafkaErrorCode.NONE) return invalid
  return generation === draft.generation ? KafkaErrorCode.NONE : KafkaErrorCode.ILLEGAL_GENERATION
}

/** A JoinGroup request that waits for its answer. */
export interface Joining {
  readonly token: number
  readonly request: JoinGroupRequest
  /** The name of the client that sends it. */
  readonly clientId: string
}

const memberOf = (draft: Draft, id: string, { clientId, request, token }: Joining): Member => ({
  id,
  clientId,
  instanceId: request.groupInstanceId,
  sessionTimeoutMs: request.sessionTimeoutMs,
  rebalanceTimeoutMs: request.rebalanceTimeoutMs,
  protocols: request.protocols.map(({ metadata, name }) => ({ name, metadata: metadata.slice() })),
  assignment: noBytes,
  isNew: true,
  expiresAt: draft.now + newMemberTimeoutMs,
  join: token,
  sync: undefined
})

export const addMember = (draft: Draft, id: string, joining: Joining): void => {
  draft.pendingMembers.delete(id)
  if (draft.members.size === 0) draft.protocolType = joining.request.protocolType
  draft.members.set(id, memberOf(draft, id, joining))
  draft.leader ??= id
  if (draft.initial !== undefined) draft.initial = { ...draft.initial, joined: true }
  rebalanceOrCompleteJoin(draft)
}

/** Parks a JoinGroup of a known member. An earlier parked one is forgotten, because its connection has closed. */
export const park = (draft: Draft, member: Member, joining: Joining): void => {
  const { assignment, expiresAt, isNew, sync } = member
  draft.members.set(member.id, { ...memberOf(draft, member.id, joining), assignment, expiresAt, isNew, sync })
}

/** A static member that returns replaces its earlier instance, which is fenced. */
export const replaceMember = (draft: Draft, old: Member, id: string, joining: Joining): void => {
  const formerLeader = draft.leader
  if (old.join !== undefined) {
    draft.joins.push({ token: old.join, response: joinError(KafkaErrorCode.FENCED_INSTANCE_ID, old.id) })
  }
  answerSync(draft, old.id, KafkaErrorCode.FENCED_INSTANCE_ID)
  const { assignment } = old
  draft.members.delete(old.id)
  draft.members.set(id, { ...memberOf(draft, id, joining), assignment, isNew: false })
  restartSession(draft, id)
  if (draft.pendingSync.delete(old.id)) draft.pendingSync.add(id)
  if (formerLeader === old.id) draft.leader = id
  if (draft.phase === "Stable" && selectProtocol(draft) === draft.protocol) {
    update(draft, id, { join: undefined })
    // Up to JoinGroup v8 a returning leader gets its old id, so that it doesn't compute a new assignment.
    draft.joins.push({
      token: joining.token,
      response: { ...joined(draft, id), leader: formerLeader ?? "", members: [] }
    })
    persist(draft)
    return
  }
  rebalanceOrCompleteJoin(draft)
}

export const expel = (draft: Draft, member: Member): void => {
  remove(draft, member.id, KafkaErrorCode.UNKNOWN_MEMBER_ID)
  if (draft.phase === "Stable" || draft.phase === "CompletingRebalance") prepareRebalance(draft)
  else completeJoinIfAllJoined(draft)
}

export const remove = (draft: Draft, id: string, errorCode: number): void => {
  const token = draft.members.get(id)?.join
  if (token !== undefined) draft.joins.push({ token, response: joinError(errorCode, id) })
  answerSync(draft, id, errorCode)
  draft.members.delete(id)
  synced(draft, id)
  if (draft.leader === id) draft.leader = draft.members.keys().next().value
}

const rebalanceTimeout = (draft: Draft): number =>
  Math.max(0, ...Array.from(draft.members.values(), (member) => member.rebalanceTimeoutMs))

const allJoined = (draft: Draft): boolean =>
  draft.pendingMembers.size === 0 && [...draft.members.values()].every((member) => member.join !== undefined)

export const rebalanceOrCompleteJoin = (draft: Draft): void => {
  if (draft.phase === "PreparingRebalance") completeJoinIfAllJoined(draft)
  else prepareRebalance(draft)
}

export const prepareRebalance = (draft: Draft): void => {
  if (draft.phase === "CompletingRebalance") {
    for (const id of draft.members.keys()) {
      update(draft, id, { assignment: noBytes })
      answerSync(draft, id, KafkaErrorCode.REBALANCE_IN_PROGRESS)
    }
  }
  draft.pendingSync.clear()
  draft.syncDeadline = undefined
  const delayMs = draft.limits.initialRebalanceDelayMs
  const isInitial = draft.phase === "Empty"
  draft.phase = "PreparingRebalance"
  if (isInitial && delayMs > 0) {
    draft.initial = { remainingMs: Math.max(rebalanceTimeout(draft) - delayMs, 0), joined: false }
    draft.joinDeadline = draft.now + delayMs
  } else if (isInitial || allJoined(draft)) completeJoin(draft)
  else draft.joinDeadline = draft.now + rebalanceTimeout(draft)
}

export const completeJoinIfAllJoined = (draft: Draft): void => {
  if (draft.phase === "PreparingRebalance" && draft.initial === undefined && allJoined(draft)) completeJoin(draft)
}

/** Ends the join phase, unless the group is new and members are still joining. */
export const endJoinPhase = (draft: Draft): void => {
  const { initial } = draft
  if (initial?.joined === true && initial.remainingMs > 0) {
    const delayMs = Math.min(draft.limits.initialRebalanceDelayMs, initial.remainingMs)
    draft.initial = { remainingMs: Math.max(initial.remainingMs - delayMs, 0), joined: false }
    draft.joinDeadline = draft.now + delayMs
  } else completeJoin(draft)
}

const completeJoin = (draft: Draft): void => {
  draft.initial = undefined
  draft.joinDeadline = undefined
  for (const member of [...draft.members.values()]) {
    if (member.join === undefined && member.instanceId === null) {
      remove(draft, member.id, KafkaErrorCode.UNKNOWN_MEMBER_ID)
    }
  }
  if (draft.members.size > 0 && !electLeader(draft)) {
    // Only static members are left and none has returned: their sessions decide.
    draft.joinDeadline = draft.now + rebalanceTimeout(draft)
    return
  }
  draft.generation += 1
  draft.pendingSync.clear()
  if (draft.members.size === 0) {
    draft.protocol = ""
    draft.phase = "Empty"
    persist(draft)
    return
  }
  draft.protocol = selectProtocol(draft)
  draft.phase = "CompletingRebalance"
  draft.syncDeadline = draft.now + rebalanceTimeout(draft)
  for (const member of draft.members.values()) {
    draft.pendingSync.add(member.id)
    if (member.join !== undefined) draft.joins.push({ token: member.join, response: joined(draft, member.id) })
  }
  for (const id of draft.pendingSync) {
    update(draft, id, { join: undefined, isNew: false })
    restartSession(draft, id)
  }
}

/** Whether a joined member leads. */
const electLeader = (draft: Draft): boolean => {
  const hasJoined = (id: string | undefined) => id !== undefined && draft.members.get(id)?.join !== undefined
  if (!hasJoined(draft.leader)) {
    const candidate = [...draft.members.keys()].find(hasJoined)
    if (candidate === undefined) return false
    draft.leader = candidate
  }
  return true
}

export const synced = (draft: Draft, id: string): void => {
  if (draft.pendingSync.delete(id) && draft.pendingSync.size === 0) draft.syncDeadline = undefined
}

export const answerSync = (draft: Draft, id: string, errorCode: number): void => {
  const member = draft.members.get(id)
  if (member?.sync === undefined) return
  const assignment = errorCode === KafkaErrorCode.NONE ? member.assignment : noBytes
  draft.syncs.push({ token: member.sync, response: { errorCode, assignment } })
  update(draft, id, { sync: undefined })
  restartSession(draft, id)
}

export const joined = (draft: Draft, memberId: string): JoinGroupResponse => ({
  errorCode: KafkaErrorCode.NONE,
  generationId: draft.generation,
  protocolName: draft.protocol,
  leader: draft.leader ?? "",
  memberId,
  members:
    draft.leader !== memberId
      ? []
      : Array.from(draft.members.values(), (member) => ({
          memberId: member.id,
          groupInstanceId: member.instanceId,
          metadata: member.protocols.find(({ name }) => name === draft.protocol)?.metadata ?? noBytes
        }))
})

export const persist = (draft: Draft): void => {
  const { generation, leader, protocol, protocolType } = draft
  draft.persisted = { generation, leader, protocol, protocolType, members: new Map(draft.members) }
}
