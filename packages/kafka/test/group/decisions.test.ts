import { assert, describe, it } from "@effect/vitest"
import type { RebalanceProtocol } from "../../src/internal/assignors/assignor.js"
import * as Decisions from "../../src/internal/group/decisions.js"
import { KafkaErrorCode, type KafkaErrorName } from "../../src/KafkaErrorCode.js"

const ok: Decisions.Reaction = { _tag: "Ok" }
const retry: Decisions.Reaction = { _tag: "Retry" }
const findCoordinator: Decisions.Reaction = { _tag: "FindCoordinator" }
const rejoin: Decisions.Reaction = { _tag: "Rejoin" }
const lostWithId: Decisions.Reaction = { _tag: "Lost", memberIdKept: false }
const lost: Decisions.Reaction = { _tag: "Lost", memberIdKept: true }
const fatal = (reason: Extract<Decisions.Reaction, { _tag: "Fatal" }>["reason"]): Decisions.Reaction => ({
  _tag: "Fatal",
  reason
})

type Table = Partial<Record<KafkaErrorName, Decisions.Reaction>>

/** The reaction of every API to a code; other codes are retried. */
const always: Table = {
  NONE: ok,
  NOT_COORDINATOR: findCoordinator,
  COORDINATOR_NOT_AVAILABLE: findCoordinator,
  UNKNOWN_MEMBER_ID: lostWithId,
  ILLEGAL_GENERATION: lost,
  REBALANCE_IN_PROGRESS: rejoin,
  FENCED_INSTANCE_ID: fatal("FencedInstance"),
  GROUP_AUTHORIZATION_FAILED: fatal("Authorization"),
  TOPIC_AUTHORIZATION_FAILED: fatal("Authorization"),
  CLUSTER_AUTHORIZATION_FAILED: fatal("Authorization"),
  INVALID_GROUP_ID: fatal("Refused"),
  INVALID_SESSION_TIMEOUT: fatal("Refused"),
  INCONSISTENT_GROUP_PROTOCOL: fatal("Refused"),
  GROUP_MAX_SIZE_REACHED: fatal("Refused"),
  INVALID_REQUEST: fatal("Refused"),
  OFFSET_METADATA_TOO_LARGE: fatal("Refused"),
  INVALID_COMMIT_OFFSET_SIZE: fatal("Refused"),
  UNSUPPORTED_VERSION: fatal("UnsupportedBroker")
}

/** A commit is repeated while the partition stays assigned, which the heartbeat decides. */
const commits: Table = {
  ...always,
  ILLEGAL_GENERATION: retry,
  REBALANCE_IN_PROGRESS: retry,
  REQUEST_TIMED_OUT: findCoordinator
}

const apis: ReadonlyArray<readonly [string, (code: number) => Decisions.Reaction, Table]> = [
  // A JoinGroup refused because of a rebalance is repeated after a delay; no partition is owned that could be revoked.
  [
    "JoinGroup",
    Decisions.onJoinGroup,
    { ...always, MEMBER_ID_REQUIRED: { _tag: "UseMemberId" }, REBALANCE_IN_PROGRESS: retry }
  ],
  ["SyncGroup", (code) => Decisions.onSyncGroup(code), always],
  ["SyncGroup that is repeated", (code) => Decisions.onSyncGroup(code, true), { ...always, ILLEGAL_GENERATION: retry }],
  [
    "SyncGroup that keeps ownership",
    (code) => Decisions.onSyncGroup(code, false, true),
    { ...always, ILLEGAL_GENERATION: retry }
  ],
  [
    "Heartbeat that keeps ownership",
    (code) => Decisions.onHeartbeat(code, "Stable", true, true),
    { ...always, ILLEGAL_GENERATION: rejoin }
  ],
  [
    "Heartbeat that keeps ownership, while JoinGroup is pending",
    (code) => Decisions.onHeartbeat(code, "Joining", true, true),
    { ...always, REBALANCE_IN_PROGRESS: ok, ILLEGAL_GENERATION: retry }
  ],
  ["Heartbeat", (code) => Decisions.onHeartbeat(code, "Stable", true), always],
  [
    "Heartbeat while JoinGroup is pending",
    (code) => Decisions.onHeartbeat(code, "Joining", true),
    { ...always, REBALANCE_IN_PROGRESS: ok, ILLEGAL_GENERATION: retry }
  ],
  [
    "Heartbeat of an earlier generation",
    (code) => Decisions.onHeartbeat(code, "Stable", false),
    {
      ...always,
      REBALANCE_IN_PROGRESS: ok,
      ILLEGAL_GENERATION: retry,
      UNKNOWN_MEMBER_ID: retry,
      FENCED_INSTANCE_ID: retry
    }
  ],
  ["FindCoordinator", Decisions.onFindCoordinator, always],
  ["OffsetCommit", (code) => Decisions.onOffsetCommit(code), commits],
  [
    "OffsetCommit of an earlier generation",
    (code) => Decisions.onOffsetCommit(code, false),
    { ...commits, UNKNOWN_MEMBER_ID: retry, FENCED_INSTANCE_ID: retry }
  ],
  ["OffsetFetch", Decisions.onOffsetFetch, commits]
]

describe("decisions", () => {
  it.each(apis)("%s reacts to every error code", (_api, react, table) => {
    const actual = Object.entries(KafkaErrorCode).map(([name, code]) => [name, react(code)])
    const expected = (Object.keys(KafkaErrorCode) as Array<KafkaErrorName>).map((name) => [name, table[name] ?? retry])
    assert.deepStrictEqual(Object.fromEntries(actual), Object.fromEntries(expected))
  })

  it.each(apis)("%s is retried on an unknown code", (_api, react) => {
    assert.deepStrictEqual(react(12_345), retry)
  })

  it("allows commits if the coordinator accepts them", () => {
    const phases: ReadonlyArray<Decisions.Phase> = ["Unjoined", "Joining", "Syncing", "Stable"]
    const truth = (protocol: RebalanceProtocol) => phases.map((phase) => Decisions.mayCommit(protocol, phase))
    assert.deepStrictEqual(truth("eager"), [false, false, false, true])
    assert.deepStrictEqual(truth("cooperative"), [false, true, false, true])
  })

  it("revokes all partitions before an eager rejoin, and the moving ones before a cooperative one", () => {
    assert.deepStrictEqual(Decisions.revokedBeforeJoin("eager", [1, 2], []), [1, 2])
    assert.deepStrictEqual(Decisions.revokedBeforeJoin("cooperative", [1, 2], [2]), [2])
  })

  it("recognizes the group's leader by the id that it had before it restarted", () => {
    assert.isTrue(Decisions.isFormerLeader("one", "one-2", "one-1"))
    assert.isFalse(Decisions.isFormerLeader("one", "one-2", "one-2"))
    assert.isFalse(Decisions.isFormerLeader("one", "one-2", "two-1"))
    assert.isFalse(Decisions.isFormerLeader(null, "one-2", "one-1"))
  })

  it("detects that a static member has missed a generation", () => {
    const missed = (isStatic: boolean) =>
      [
        [-1, 7],
        [3, 4],
        [3, 5]
      ].map(([before, now]) => Decisions.missedGeneration(isStatic, before!, now!))
    assert.deepStrictEqual(missed(true), [false, false, true])
    assert.deepStrictEqual(missed(false), [false, false, false])
  })
})
