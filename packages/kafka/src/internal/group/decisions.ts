/**
 * What a group member does on each answer of its coordinator, and when it may commit: pure, for the eager and the
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
  /** Ask again, with a delay. */
  | { readonly _tag: "Retry" }
  /** The coordinator has moved: look it up, then ask again, with a delay. */
  | { readonly _tag: "FindCoordinator" }
  /** Join with the member id that the answer gave. */
  | { readonly _tag: "UseMemberId" }
  /** A rebalance is on: give up what the protocol demands, then join again. */
  | { readonly _tag: "Rejoin" }
  /** The ownership has ended without us: commit nothing, join again, as a new member if the id is gone. */
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

/** What every group request has in common. */
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
      return fatal("Configuration")
    case Code.UNSUPPORTED_VERSION:
      return fatal("UnsupportedBroker")
    default:
      return retry
  }
}

/**
 * An answer to what the member was before says nothing of what it is now. Its own instance id, too, is fenced for a
 * request of the member id that it had before its session expired.
 */
const ofEarlier = (reaction: Reaction): Reaction =>
  reaction._tag === "Lost" || (reaction._tag === "Fatal" && reaction.reason === "FencedInstance") ? retry : reaction

/** A join refused because of a rebalance is repeated after a delay: nothing is owned that could be given up. */
export const onJoinGroup = (code: number): Reaction => {
  if (code === Code.MEMBER_ID_REQUIRED) return { _tag: "UseMemberId" }
  return code === Code.REBALANCE_IN_PROGRESS ? retry : onAny(code)
}

/**
 * Whether partitions stay owned through a generation that the member hasn't joined, as long as its id is known. In a
 * group with members of the new protocol (KIP-848) the broker assigns, and names no leader: it gives nobody a partition
 * that another member holds. When the last of them leaves, the group becomes classic with a generation of its own.
 */
export const keepsOwnership = (protocol: RebalanceProtocol, isStatic: boolean, leader: string): boolean =>
  protocol === "cooperative" && !isStatic && leader === ""

/**
 * A repeat may come to a coordinator that has taken over since, and knows the generation before at most: JoinGroup's
 * answer says what has become of the member.
 */
export const onSyncGroup = (code: number, isRepeated = false, keepsOwnership = false): Reaction =>
  (isRepeated || keepsOwnership) && code === Code.ILLEGAL_GENERATION ? retry : onAny(code)

/**
 * While the member joins, JoinGroup's answer says what becomes of it, except that a member that is unknown has lost all
 * already. An answer to a generation that has ended meanwhile says nothing of the present one.
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
 * A commit refused because of a rebalance, or of a generation that has ended, is repeated while the ownership stands:
 * the heartbeat decides when it doesn't. One that timed out may have come to a coordinator that is none any more.
 */
export const onOffsetCommit = (code: number, isCurrent = true): Reaction => {
  if (code === Code.REQUEST_TIMED_OUT) return findCoordinator
  const reaction = isCurrent ? onAny(code) : ofEarlier(onAny(code))
  return reaction._tag === "Rejoin" || (reaction._tag === "Lost" && reaction.memberIdKept) ? retry : reaction
}

export const onOffsetFetch = (code: number): Reaction => onOffsetCommit(code)

/**
 * Whether a commit can be accepted now. Eagerly, nothing is owned between JoinGroup and SyncGroup. Cooperatively,
 * retained partitions go on running: commits in the old generation are good until JoinGroup is answered, and wait from
 * there to the answer of SyncGroup.
 */
export const mayCommit = (protocol: RebalanceProtocol, phase: Phase): boolean =>
  phase === "Stable" || (protocol === "cooperative" && phase === "Joining")

/** What to give up before the next JoinGroup: all, or what the assignment has given to others. */
export const revokedBeforeJoin = <A>(
  protocol: RebalanceProtocol,
  owned: ReadonlyArray<A>,
  moving: ReadonlyArray<A>
): ReadonlyArray<A> => (protocol === "eager" ? owned : moving)

/**
 * Whether the group went through a generation without this member, which it then knows nothing of: only a static member
 * is not removed for that. A dynamic one may be two generations on because the answer to its JoinGroup was lost.
 */
export const missedGeneration = (isStatic: boolean, before: number, now: number): boolean =>
  isStatic && before >= 0 && now > before + 1
