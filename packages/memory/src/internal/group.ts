/**
 * The requests of the group protocol and the passing of time, as transitions of a group's state. They make the
 * decisions of Kafka's classic coordinator, without fibers or connections.
 */
import { KafkaErrorCode } from "@spillway/kafka/KafkaErrorCode"
import type {
  HeartbeatRequest,
  LeaveGroupRequest,
  OffsetCommitRequest,
  SyncGroupRequest
} from "@spillway/kafka/Protocol"
import {
  addMember,
  answerSync,
  canExpire,
  completeJoinIfAllJoined,
  endJoinPhase,
  expel,
  type Joining,
  joined,
  park,
  persist,
  prepareRebalance,
  rebalanceOrCompleteJoin,
  remove,
  replaceMember,
  restartSession,
  staticMember,
  synced,
  update,
  validateGeneration,
  validateMember
} from "./groupMembers.js"
import { sameProtocols, supports } from "./groupProtocol.js"
import {
  type Draft,
  empty,
  type Group,
  joinError,
  type Limits,
  noBytes,
  type Transition,
  transition
} from "./groupState.js"

export interface JoinOptions extends Joining {
  /** The id for a member that joins without one. */
  readonly newMemberId: string
}

export const join = (limits: Limits, joining: JoinOptions): Transition =>
  transition(limits, (draft) => {
    const { newMemberId, request, token } = joining
    const fail = (errorCode: number, memberId = request.memberId) => {
      draft.joins.push({ token, response: joinError(errorCode, memberId) })
      return errorCode
    }
    const { groupInstanceId, memberId, sessionTimeoutMs } = request
    if (sessionTimeoutMs < limits.minSessionTimeoutMs || sessionTimeoutMs > limits.maxSessionTimeoutMs) {
      return fail(KafkaErrorCode.INVALID_SESSION_TIMEOUT)
    }
    if (memberId === "") {
      if (!supports(draft, request)) return fail(KafkaErrorCode.INCONSISTENT_GROUP_PROTOCOL)
      if (groupInstanceId === null) {
        draft.pendingMembers.set(newMemberId, draft.now + sessionTimeoutMs)
        return fail(KafkaErrorCode.MEMBER_ID_REQUIRED, newMemberId)
      }
      const existing = staticMember(draft, groupInstanceId)
      if (existing === undefined) addMember(draft, newMemberId, joining)
      else replaceMember(draft, existing, newMemberId, joining)
      return KafkaErrorCode.NONE
    }
    if (draft.pendingMembers.has(memberId)) {
      if (!supports(draft, request)) return fail(KafkaErrorCode.INCONSISTENT_GROUP_PROTOCOL)
      addMember(draft, memberId, joining)
      return KafkaErrorCode.NONE
    }
    const invalid = validateMember(draft, memberId, groupInstanceId)
    if (invalid !== KafkaErrorCode.NONE) return fail(invalid)
    if (!supports(draft, request)) return fail(KafkaErrorCode.INCONSISTENT_GROUP_PROTOCOL)
    const member = draft.members.get(memberId)!
    // A repeated JoinGroup of the current generation gets the same answer, unless the leader sends it, which starts a
    // rebalance.
    const repeats =
      sameProtocols(member.protocols, request.protocols) &&
      (draft.phase === "CompletingRebalance" || (draft.phase === "Stable" && draft.leader !== memberId))
    if (repeats) {
      restartSession(draft, memberId)
      draft.joins.push({ token, response: joined(draft, memberId) })
      return KafkaErrorCode.NONE
    }
    park(draft, member, joining)
    rebalanceOrCompleteJoin(draft)
    return KafkaErrorCode.NONE
  })

export const sync = (limits: Limits, token: number, request: SyncGroupRequest): Transition =>
  transition(limits, (draft) => {
    const answer = (errorCode: number, assignment = noBytes) => {
      draft.syncs.push({ token, response: { errorCode, assignment } })
      return errorCode
    }
    const { memberId } = request
    const invalid = validateGeneration(draft, memberId, request.groupInstanceId, request.generationId)
    if (invalid !== KafkaErrorCode.NONE) return answer(invalid)
    if (draft.phase === "PreparingRebalance") return answer(KafkaErrorCode.REBALANCE_IN_PROGRESS)
    synced(draft, memberId)
    restartSession(draft, memberId)
    if (draft.phase === "Stable") return answer(KafkaErrorCode.NONE, draft.members.get(memberId)!.assignment)
    update(draft, memberId, { sync: token })
    if (draft.leader !== memberId) return KafkaErrorCode.NONE
    const assignments = new Map(request.assignments.map((one) => [one.memberId, one.assignment.slice()]))
    for (const id of draft.members.keys()) {
      update(draft, id, { assignment: assignments.get(id) ?? noBytes })
      answerSync(draft, id, KafkaErrorCode.NONE)
    }
    draft.phase = "Stable"
    persist(draft)
    return KafkaErrorCode.NONE
  })

export const heartbeat = (limits: Limits, request: HeartbeatRequest): Transition =>
  transition(limits, (draft) => {
    const invalid = validateGeneration(draft, request.memberId, request.groupInstanceId, request.generationId)
    if (invalid !== KafkaErrorCode.NONE) return invalid
    restartSession(draft, request.memberId)
    return draft.phase === "PreparingRebalance" ? KafkaErrorCode.REBALANCE_IN_PROGRESS : KafkaErrorCode.NONE
  })

/** Checks that the member may commit now. The offsets themselves aren't part of the group. */
export const commit = (limits: Limits, request: OffsetCommitRequest): Transition =>
  transition(limits, (draft) => {
    const { generationId, groupInstanceId, memberId } = request
    if (generationId < 0 && draft.phase === "Empty") return KafkaErrorCode.NONE
    if (generationId < 0 && memberId === "" && groupInstanceId === null) return KafkaErrorCode.UNKNOWN_MEMBER_ID
    const invalid = validateGeneration(draft, memberId, groupInstanceId, generationId)
    if (invalid !== KafkaErrorCode.NONE) return invalid
    if (draft.phase === "CompletingRebalance") return KafkaErrorCode.REBALANCE_IN_PROGRESS
    restartSession(draft, memberId)
    return KafkaErrorCode.NONE
  })

/**
 * The same check for a commit in a transaction, which needs no membership and is allowed during a rebalance (KIP-447).
 */
export const commitInTransaction = (limits: Limits, request: OffsetCommitRequest): Transition =>
  transition(limits, (draft) => {
    const { generationId, groupInstanceId, memberId } = request
    if (generationId < 0 && (draft.phase === "Empty" || (memberId === "" && groupInstanceId === null))) {
      return KafkaErrorCode.NONE
    }
    const invalid = validateGeneration(draft, memberId, groupInstanceId, generationId)
    if (invalid === KafkaErrorCode.NONE) restartSession(draft, memberId)
    return invalid
  })

/** Answers the first error of the leaving members; the others leave anyway. */
export const leave = (limits: Limits, request: LeaveGroupRequest): Transition =>
  transition(limits, (draft) => {
    let errorCode: number = KafkaErrorCode.NONE
    for (const { groupInstanceId, memberId } of request.members) {
      const left = leaveOne(draft, memberId, groupInstanceId)
      if (errorCode === KafkaErrorCode.NONE) errorCode = left
    }
    return errorCode
  })

/** Carries out every action that is due. */
export const tick = (limits: Limits): Transition =>
  transition(limits, (draft) => {
    for (const [id, forgottenAt] of draft.pendingMembers) {
      if (forgottenAt > draft.now) continue
      draft.pendingMembers.delete(id)
      completeJoinIfAllJoined(draft)
    }
    for (const { id } of draft.members.values()) {
      const member = draft.members.get(id)
      if (member !== undefined && canExpire(member) && member.expiresAt <= draft.now) expel(draft, member)
    }
    if (draft.syncDeadline !== undefined && draft.syncDeadline <= draft.now) {
      const late = [...draft.pendingSync]
      draft.syncDeadline = undefined
      if (late.length > 0) {
        for (const id of late) remove(draft, id, KafkaErrorCode.UNKNOWN_MEMBER_ID)
        prepareRebalance(draft)
      }
    }
    if (draft.joinDeadline !== undefined && draft.joinDeadline <= draft.now) endJoinPhase(draft)
    return KafkaErrorCode.NONE
  })

/** The group as a restarted broker loads it: its last stable generation, with every session started again. */
export const restart: Transition = ({ persisted }, now) => {
  const members = new Map(
    Array.from(persisted.members, ([id, member]) => [id, { ...member, expiresAt: now + member.sessionTimeoutMs }])
  )
  const phase = members.size === 0 ? "Empty" : "Stable"
  return { group: { ...empty, ...persisted, members, phase, persisted }, joins: [], syncs: [], errorCode: 0 }
}

/** When `tick` next has work to do; undefined when only a request can change the group. */
export const nextDeadline = (group: Group): number | undefined => {
  let next = Number.POSITIVE_INFINITY
  for (const member of group.members.values()) if (canExpire(member)) next = Math.min(next, member.expiresAt)
  for (const forgottenAt of group.pendingMembers.values()) next = Math.min(next, forgottenAt)
  next = Math.min(next, group.joinDeadline ?? next, group.syncDeadline ?? next)
  return next === Number.POSITIVE_INFINITY ? undefined : next
}

const leaveOne = (draft: Draft, memberId: string, instanceId: string | null): number => {
  if (draft.pendingMembers.delete(memberId)) {
    completeJoinIfAllJoined(draft)
    return KafkaErrorCode.NONE
  }
  // An instance id alone evicts its current member.
  const evicted = memberId === "" && instanceId !== null ? staticMember(draft, instanceId) : undefined
  const id = evicted?.id ?? memberId
  const invalid = validateMember(draft, id, instanceId)
  if (invalid === KafkaErrorCode.NONE) expel(draft, draft.members.get(id)!)
  return invalid
}
