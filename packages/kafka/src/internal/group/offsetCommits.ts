/**
 * Passes commits from the committer to the group's coordinator: in the member's current generation, as an OffsetCommit
 * or in a transaction.
 */
import * as Effect from "effect/Effect"
import type { OffsetCommitRequest, OffsetCommitResponse } from "../../Protocol.js"
import type { GroupMember } from "../../Transaction.js"
import type { Cluster } from "../cluster/cluster.js"
import type { CommitError } from "./commitError.js"
import * as Decisions from "./decisions.js"
import type { Member } from "./member.js"

type Topics = OffsetCommitRequest["topics"]

export interface OffsetCommits {
  /** Called before the offsets of the next commit are collected. */
  readonly begin: () => void
  /** Commits offsets in the member's current generation; `undefined` if its phase doesn't allow a commit. */
  readonly commit: (topics: Topics) => Effect.Effect<OffsetCommitResponse | undefined, CommitError>
  /** Acts on a partition's error code in the last response, and returns its meaning. */
  readonly onError: (code: number) => Effect.Effect<Decisions.Reaction>
}

export interface InTransactions {
  readonly begin: () => void
  /** Commits offsets as the member of a generation. */
  readonly commit: (member: GroupMember, topics: Topics) => Effect.Effect<OffsetCommitResponse, CommitError>
}

export const make = (options: {
  readonly cluster: Cluster
  readonly member: Member
  /** Replaces OffsetCommit. */
  readonly inTransactions?: InTransactions | undefined
}): OffsetCommits => {
  const { cluster, member } = options
  const { begin, commit }: InTransactions = options.inTransactions ?? {
    begin: () => {},
    commit: (of, topics) => member.toCoordinator("group", "OffsetCommit", { ...of, topics })
  }
  /** The member identity of the commit in flight. */
  let committing = member.identity()

  return {
    begin,
    commit: (topics) =>
      Effect.suspend(() => {
        if (!Decisions.mayCommit(member.protocol, member.phase)) return Effect.succeed(undefined)
        committing = member.identity()
        return commit(committing, topics)
      }),
    onError: (code) =>
      Effect.suspend((): Effect.Effect<Decisions.Reaction> => {
        const { generationId, groupId, memberId } = committing
        const isCurrent = generationId === member.generationId && memberId === member.memberId
        const reaction = Decisions.onOffsetCommit(code, isCurrent)
        if (reaction._tag === "FindCoordinator") cluster.forgetCoordinator(groupId)
        if (reaction._tag === "Lost") member.lose(reaction.memberIdKept)
        return reaction._tag === "Fatal"
          ? Effect.as(member.fail(member.refused(reaction, "OffsetCommit", code)), reaction)
          : Effect.succeed(reaction)
      })
  }
}
