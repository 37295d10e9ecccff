/**
 * How a group member reacts to each of its coordinator's responses, and when it may commit. Pure, for the eager and the
 * cooperative protocol.
 */
import type { ConsumerErrorReason } from "@spillway/transport/Consumer"
import { KafkaErrorCode as Code } from "../../KafkaErrorCode.js"
import type { RebalanceProtocol } from "../assignors/assignor.js"

/**
 * - `Unjoined`: no generation
 * - `Joining`: JoinGroup sent, not answered
 * - `Syncing`: JoinGroup answered, SyncGroup not
 * - `Stable`: the assignment is known; also while the broker prepares the next rebalance
 */
export type Phase = "Unjoined" | "Joining" | "Syncing" | "Stable"

export type Reaction =
  | { readonly _tag: "Ok" }
  /** Retry after a delay. */
  | { readonly _tag: "Retry" }
  /** The coordinator has moved: look it up, then retry after a delay. */
  | { readonly _tag: "FindCoordinator" }
  /** Join with the member id from the response. */
  | { readonly _tag: "UseMemberId" }
  /** A rebalance is in progress: revoke what the protocol demands, then join again. */
  | { readonly _tag: "Rejoin" }
  /** The partitions are lost: commit nothing and join again, as a new member if the member id is unknown. */
  | { readonly _tag: "Lost"; readonly memberIdKept: boolean }
  | Fatal

export interface Fatal {
  readonly _tag: "Fatal"
  readonly reason: ConsumerErrorReason
}

const ok: Reaction = { _tag: "Ok" }
export const retry: Reaction = { _tag: "Retry" }
const findCoordinator: Reaction = { _tag: "FindCoordinator" }
const rejoin: Reaction = { _tag: "Rejoin" }
const lost = (memberIdKept: boolean): Reaction => ({ _tag: "Lost", memberIdKept })
const fatal = (reason: ConsumerErrorReason): Reaction => ({ _tag: "Fatal", reason })

/** The reaction to error codes that every group request can return. */
const onAny = (code: number): Reaction => {
  switch (code) {
    case Code.NONE:
      return ok
    case Code.NOT_COORDINATOR:
    case Code.COORDINATOR_NOT_AVAILABLE:
      return findCoordinator
    case Code.UNKNOWN_MEMBER_ID:
      return lost(false)
    case Code.ILLEGAL_GENERATION:
      return lost(true)
    case Code.REBALANCE_IN_PROGRESS:
      return rejoin
    case Code.FENCED_INSTANCE_ID:
      return fatal("FencedInstance")
    case Code.GROUP_AUTHORIZATION_FAILED:
    case Code.TOPIC_AUTHORIZATION_FAILED:
    case Code.CLUSTER_AUTHORIZATION_FAILED:
      return fatal("Authorization")
    case Code.INVALID_GROUP_ID:
    case Code.INVALID_SESSION_TIMEOUT:
    case Code.INCONSISTENT_GROUP_PROTOCOL:
    case Code.GROUP_MAX_SIZE_REACHED:
    case Code.INVALID_REQUEST:
    case Code.OFFSET_METADATA_TOO_LARGE:
    case Code.INVALID_COMMIT_OFFSET_SIZE:
      return fatal("Refused")
    case Code.UNSUPPORTED_VERSION:
      return fatal("UnsupportedBroker")
    default:
      return retry
  }
}

/**
 * A response to an earlier identity of the member says nothing about the current one. Its own instance id also looks
 * fenced to a request with the member id from before its session expired.
 */
const ofEarlier = (reaction: Reaction): Reaction =>
  reaction._tag === "Lost" || (reaction._tag === "Fatal" && reaction.reason === "FencedInstance") ? retry : reaction

/** A join that a rebalance refused is retried after a delay: there are no partitions to revoke. */
export const onJoinGroup = (code: number): Reaction => {
  if (code === Code.MEMBER_ID_REQUIRED) return { _tag: "UseMemberId" }
  return code === Code.REBALANCE_IN_PROGRESS ? retry : onAny(code)
}

/**
 * Whether the member keeps its partitions through a generation that it hasn't joined, as long as its member id is
 * known. In a group with members of the new protocol (KIP-848) the broker assigns and names no leader, and it assigns
 * no partition that another member holds. When the last such member leaves, the group becomes classic in a new
 * generation.
 */
export const keepsOwnership = (protocol: RebalanceProtocol, isStatic: boolean, leader: string): boolean =>
  protocol === "cooperative" && !isStatic && leader === ""

/**
 * Whether the leader's id is one that this static member had before. Brokers name it so in JoinGroup up to v8 when the
 * leader restarts, so that it doesn't assign again. Ids of static members begin with their instance id.
 */
export const isFormerLeader = (groupInstanceId: string | null, memberId: string, leader: string): boolean =>
  groupInstanceId !== null && leader !== memberId && leader.startsWith(`${groupInstanceId}-`)

/**
 * A retry may reach a new coordinator, which may know only the previous generation: JoinGroup's response reports the
 * member's state.
 */
export const onSyncGroup = (code: number, isRepeated = false, keepsOwnership = false): Reaction =>
  (isRepeated || keepsOwnership) && code === Code.ILLEGAL_GENERATION ? retry : onAny(code)

/**
 * While the member joins, JoinGroup's response decides, except that an unknown member has already lost everything. A
 * response about a generation that has ended says nothing about the current one.
 */
export const onHeartbeat = (code: number, phase: Phase, isCurrent: boolean, keepsOwnership = false): Reaction => {
  const reaction = onAny(code)
  const isJoining = phase === "Joining"
  if (reaction._tag === "Rejoin") return isCurrent && !isJoining ? reaction : ok
  if (!isCurrent) return ofEarlier(reaction)
  if (code === Code.ILLEGAL_GENERATION && keepsOwnership && !isJoining) return rejoin
  return reaction._tag === "Lost" && isJoining && reaction.memberIdKept ? retry : reaction
}

export const onFindCoordinator = onAny

/**
 * A commit refused because of a rebalance or an ended generation is retried while the partitions stay assigned: the
 * heartbeat decides when they are lost. A commit that timed out may have reached a former coordinator.
 */
export const onOffsetCommit = (code: number, isCurrent = true): Reaction => {
  if (code === Code.REQUEST_TIMED_OUT) return findCoordinator
  const reaction = isCurrent ? onAny(code) : ofEarlier(onAny(code))
  return reaction._tag === "Rejoin" || (reaction._tag === "Lost" && reaction.memberIdKept) ? retry : reaction
}

export const onOffsetFetch = (code: number): Reaction => onOffsetCommit(code)

/**
 * Whether a commit can be accepted now. Eager: nothing is owned between JoinGroup and SyncGroup. Cooperative: retained
 * partitions keep running; commits in the old generation are accepted until JoinGroup is answered, then wait for the
 * response to SyncGroup.
 */
export const mayCommit = (protocol: RebalanceProtocol, phase: Phase): boolean =>
  phase === "Stable" || (protocol === "cooperative" && phase === "Joining")

/** The partitions to revoke before the next JoinGroup: all, or those that the assignment gave to other members. */
export const revokedBeforeJoin = <A>(
  protocol: RebalanceProtocol,
  owned: ReadonlyArray<A>,
  moving: ReadonlyArray<A>
): ReadonlyArray<A> => (protocol === "eager" ? owned : moving)

/**
 * Whether the group went through a generation without this member. Only a static member stays in the group through one.
 * A dynamic member may be two generations ahead because the response to its JoinGroup was lost.
 */
export const missedGeneration = (isStatic: boolean, before: number, now: number): boolean =>
  isStatic && before >= 0 && now > before + 1
