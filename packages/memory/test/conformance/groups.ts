/**
 * The group protocol: joins, assignments, removals, and the answers to a commit and a heartbeat in each phase.
 */
import { assert } from "@effect/vitest"
import { KafkaErrorCode } from "@spillway/kafka/KafkaErrorCode"
import type { JoinGroupResponse } from "@spillway/kafka/Protocol"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import {
  createTopic,
  gather,
  type Harness,
  hearsOfRebalance,
  type Member,
  member,
  openSession,
  protocolsOf,
  type Suite,
  stablePair
} from "./harness.js"

const { ILLEGAL_GENERATION, NONE, REBALANCE_IN_PROGRESS, UNKNOWN_MEMBER_ID } = KafkaErrorCode

const memberIds = ({ members }: JoinGroupResponse) => members.map(({ memberId }) => memberId)

/** The answers to a member's commit and heartbeat. */
const asked = (member: Member, generation: number, topic: string) =>
  Effect.all([member.commit(generation, topic, 1), member.heartbeat(generation)])

interface Pair {
  readonly leader: Member
  readonly follower: Member
  readonly generation: number
  readonly topic: string
  readonly groupId: string
}

/** A stable group of two. */
const pair = (harness: Harness, options?: Parameters<typeof member>[2]) =>
  Effect.gen(function* () {
    const topic = yield* createTopic(harness, yield* openSession(harness))
    const groupId = harness.unique("group")
    const leader = yield* member(harness, groupId, options)
    const follower = yield* member(harness, groupId, options)
    const generation = yield* stablePair(leader, follower)
    const pair: Pair = { leader, follower, generation, topic, groupId }
    return pair
  })

export const groups = ({ test }: Suite): void => {
  test("a member needs an id, then forms a group of its own", (harness) =>
    Effect.gen(function* () {
      const one = yield* member(harness, harness.unique("group"))
      const required = yield* one.joinOnce()
      assert.strictEqual(required.errorCode, KafkaErrorCode.MEMBER_ID_REQUIRED)
      assert.notStrictEqual(required.memberId, "")
      const joined = yield* one.joinOnce({ memberId: required.memberId })
      assert.deepStrictEqual(
        { ...joined, members: joined.members.map((found) => ({ ...found, metadata: [...found.metadata] })) },
        {
          errorCode: NONE,
          generationId: 1,
          protocolName: "range",
          leader: required.memberId,
          memberId: required.memberId,
          members: [{ memberId: required.memberId, groupInstanceId: null, metadata: [1] }]
        }
      )
    }))

  test("the join barrier holds all members until each has joined; only the leader learns the members", (harness) =>
    Effect.gen(function* () {
      const groupId = harness.unique("group")
      const leader = yield* member(harness, groupId, { protocols: { range: 1 } })
      const follower = yield* member(harness, groupId, { protocols: { range: 2 } })
      const [alone] = yield* gather([], 0, [leader])
      assert.strictEqual(alone!.generationId, 1)
      assert.deepStrictEqual(yield* leader.sync(1, { [leader.id()]: 7 }), { errorCode: NONE, assignment: [7] })
      const [first, second] = yield* gather([leader], 1, [follower])
      assert.strictEqual(first!.generationId, 2)
      assert.strictEqual(second!.generationId, 2)
      assert.strictEqual(first!.leader, leader.id())
      assert.strictEqual(second!.leader, leader.id())
      assert.sameMembers([...memberIds(first!)], [leader.id(), follower.id()])
      assert.deepStrictEqual(
        new Map(first!.members.map(({ memberId, metadata }) => [memberId, [...metadata]])),
        new Map([
          [leader.id(), [1]],
          [follower.id(), [2]]
        ])
      )
      assert.deepStrictEqual(second!.members, [])
      const order: Array<string> = []
      const parked = yield* Effect.fork(Effect.tap(follower.sync(2), () => Effect.sync(() => order.push("follower"))))
      // The follower's heartbeat is answered, so its SyncGroup could have been answered too.
      assert.strictEqual(yield* follower.heartbeat(2), NONE)
      order.push("leader")
      const [led, followed] = yield* Effect.all(
        [leader.sync(2, { [leader.id()]: 1, [follower.id()]: 2 }), Fiber.join(parked)],
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(order, ["leader", "follower"])
      assert.deepStrictEqual(led.assignment, [1])
      assert.deepStrictEqual(followed, { errorCode: NONE, assignment: [2] })
      assert.deepStrictEqual((yield* follower.sync(2)).assignment, [2])
    }))

  test("the members agree on a protocol that all support", (harness) =>
    Effect.gen(function* () {
      const groupId = harness.unique("group")
      const one = yield* member(harness, groupId, { protocols: { sticky: 1, range: 2 } })
      const two = yield* member(harness, groupId, { protocols: { roundrobin: 3, range: 4 } })
      const other = yield* member(harness, groupId, { protocols: { unheard: 5 } })
      const [alone] = yield* gather([], 0, [one])
      assert.strictEqual(alone!.protocolName, "sticky")
      assert.strictEqual((yield* other.joinOnce()).errorCode, KafkaErrorCode.INCONSISTENT_GROUP_PROTOCOL)
      const wrongType = yield* two.joinOnce({ protocolType: "connect" })
      assert.strictEqual(wrongType.errorCode, KafkaErrorCode.INCONSISTENT_GROUP_PROTOCOL)
      yield* one.sync(1)
      const [first] = yield* gather([one], 1, [two])
      assert.strictEqual(first!.protocolName, "range")
      assert.sameDeepMembers(
        first!.members.map(({ metadata }) => [...metadata]),
        [[2], [4]]
      )
    }))

  test("refuses sessions out of bounds and members it doesn't know", (harness) =>
    Effect.gen(function* () {
      const groupId = harness.unique("group")
      const one = yield* member(harness, groupId)
      const codeOf = (overrides: Parameters<Member["joinOnce"]>[0]) =>
        Effect.map(one.joinOnce(overrides), ({ errorCode }) => errorCode)
      assert.strictEqual(yield* codeOf({ sessionTimeoutMs: 5_999 }), KafkaErrorCode.INVALID_SESSION_TIMEOUT)
      assert.strictEqual(yield* codeOf({ sessionTimeoutMs: 1_800_001 }), KafkaErrorCode.INVALID_SESSION_TIMEOUT)
      assert.strictEqual(yield* codeOf({ groupId: "" }), KafkaErrorCode.INVALID_GROUP_ID)
      assert.strictEqual(yield* codeOf({ memberId: "unknown" }), UNKNOWN_MEMBER_ID)
      const topic = yield* createTopic(harness, yield* openSession(harness))
      const answers = (other: Member) =>
        Effect.all([
          other.heartbeat(1),
          other.commit(1, topic, 1),
          Effect.map(other.sync(1), ({ errorCode }) => errorCode),
          other.leave
        ])
      const refused = yield* answers(one)
      assert.deepStrictEqual(refused, [UNKNOWN_MEMBER_ID, ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID, UNKNOWN_MEMBER_ID])
      const joined = yield* one.join
      assert.strictEqual(joined.errorCode, NONE)
      const stranger = yield* member(harness, groupId)
      assert.deepStrictEqual(yield* answers(stranger), [
        UNKNOWN_MEMBER_ID,
        UNKNOWN_MEMBER_ID,
        UNKNOWN_MEMBER_ID,
        UNKNOWN_MEMBER_ID
      ])
    }))

  test("phase: Stable", (harness) =>
    Effect.gen(function* () {
      const { follower, generation, leader, topic } = yield* pair(harness)
      for (const one of [leader, follower]) assert.deepStrictEqual(yield* asked(one, generation, topic), [NONE, NONE])
    }))

  test("phase: PreparingRebalance, own JoinGroup not sent, then sent", (harness) =>
    Effect.gen(function* () {
      const { follower, generation, groupId, leader, topic } = yield* pair(harness)
      const third = yield* member(harness, groupId)
      const joining = yield* Effect.fork(third.join)
      yield* hearsOfRebalance(follower, generation)
      assert.deepStrictEqual(yield* asked(follower, generation, topic), [NONE, REBALANCE_IN_PROGRESS])
      assert.strictEqual((yield* follower.sync(generation)).errorCode, REBALANCE_IN_PROGRESS)
      const rejoining = yield* Effect.fork(follower.join)
      yield* Effect.yieldNow()
      assert.deepStrictEqual(yield* asked(follower, generation, topic), [NONE, REBALANCE_IN_PROGRESS])
      assert.deepStrictEqual(yield* asked(leader, generation, topic), [NONE, REBALANCE_IN_PROGRESS])
      yield* leader.join
      const joined = yield* Fiber.join(Fiber.zip(joining, rejoining))
      for (const { generationId } of joined) assert.strictEqual(generationId, generation + 1)
    }))

  test("phase: CompletingRebalance, old and new generation", (harness) =>
    Effect.gen(function* () {
      const { follower, generation, groupId, leader, topic } = yield* pair(harness)
      const third = yield* member(harness, groupId)
      yield* gather([leader, follower], generation, [third])
      for (const one of [leader, follower]) {
        assert.deepStrictEqual(yield* asked(one, generation, topic), [ILLEGAL_GENERATION, ILLEGAL_GENERATION])
        assert.deepStrictEqual(yield* asked(one, generation + 1, topic), [REBALANCE_IN_PROGRESS, NONE])
      }
      assert.strictEqual((yield* follower.sync(generation)).errorCode, ILLEGAL_GENERATION)
    }))

  test("phase: Stable, old generation", (harness) =>
    Effect.gen(function* () {
      const { follower, generation, groupId, leader, topic } = yield* pair(harness)
      const third = yield* member(harness, groupId)
      yield* gather([leader, follower], generation, [third])
      yield* leader.sync(generation + 1)
      for (const one of [leader, follower]) {
        assert.deepStrictEqual(yield* asked(one, generation, topic), [ILLEGAL_GENERATION, ILLEGAL_GENERATION])
        assert.deepStrictEqual(yield* asked(one, generation + 1, topic), [NONE, NONE])
      }
      assert.deepStrictEqual((yield* follower.sync(generation + 1)).assignment, [])
    }))

  test("a repeated JoinGroup gets the same answer; the leader's starts a rebalance", (harness) =>
    Effect.gen(function* () {
      const { follower, generation, leader } = yield* pair(harness)
      const again = yield* follower.join
      assert.deepStrictEqual([again.errorCode, again.generationId, again.leader], [NONE, generation, leader.id()])
      assert.strictEqual(yield* leader.heartbeat(generation), NONE)
      const rejoining = yield* Effect.fork(leader.join)
      yield* hearsOfRebalance(follower, generation)
      yield* follower.join
      assert.strictEqual((yield* Fiber.join(rejoining)).generationId, generation + 1)
      // It completes the rebalance now: both may join again.
      assert.strictEqual((yield* leader.join).generationId, generation + 1)
      assert.strictEqual((yield* follower.join).generationId, generation + 1)
      // Changed metadata starts a rebalance.
      const changed = yield* Effect.fork(follower.joinOnce({ protocols: protocolsOf({ range: 9 }) }))
      yield* hearsOfRebalance(leader, generation + 1)
      const joined = yield* leader.join
      assert.strictEqual(joined.generationId, generation + 2)
      assert.sameDeepMembers(
        joined.members.map(({ metadata }) => [...metadata]),
        [[1], [9]]
      )
      yield* Fiber.join(changed)
    }))

  test("a rebalance cancels the SyncGroup that is parked", (harness) =>
    Effect.gen(function* () {
      const { follower, generation, groupId, leader } = yield* pair(harness)
      const third = yield* member(harness, groupId)
      yield* gather([leader, follower], generation, [third])
      const parked = yield* Effect.fork(follower.sync(generation + 1))
      assert.strictEqual(yield* follower.heartbeat(generation + 1), NONE)
      yield* third.leave
      assert.strictEqual((yield* Fiber.join(parked)).errorCode, REBALANCE_IN_PROGRESS)
    }))

  test("a member that doesn't rejoin within the rebalance timeout is removed", (harness) =>
    Effect.gen(function* () {
      const options = { rebalanceTimeoutMs: 3_000 }
      const { follower, generation, groupId, leader, topic } = yield* pair(harness, options)
      const third = yield* member(harness, groupId, options)
      const joining = yield* Effect.fork(third.join)
      yield* hearsOfRebalance(leader, generation)
      const rejoining = yield* Effect.fork(leader.join)
      assert.deepStrictEqual(yield* asked(follower, generation, topic), [NONE, REBALANCE_IN_PROGRESS])
      yield* harness.elapse(3_000)
      const rejoined = yield* Fiber.join(rejoining)
      assert.strictEqual(rejoined.generationId, generation + 1)
      yield* Fiber.join(joining)
      assert.sameMembers([...memberIds(rejoined)], [leader.id(), third.id()])
      assert.deepStrictEqual(yield* asked(follower, generation, topic), [UNKNOWN_MEMBER_ID, UNKNOWN_MEMBER_ID])
      assert.strictEqual((yield* follower.joinOnce()).errorCode, UNKNOWN_MEMBER_ID)
    }))

  test("a member that doesn't sync within the rebalance timeout is removed", (harness) =>
    Effect.gen(function* () {
      const { follower, generation, groupId, leader } = yield* pair(harness, { rebalanceTimeoutMs: 3_000 })
      const third = yield* member(harness, groupId, { rebalanceTimeoutMs: 3_000 })
      yield* gather([leader, follower], generation, [third])
      yield* Effect.all([leader.sync(generation + 1), third.sync(generation + 1)], { concurrency: "unbounded" })
      assert.strictEqual(yield* leader.heartbeat(generation + 1), NONE)
      yield* harness.elapse(3_000)
      yield* hearsOfRebalance(leader, generation + 1)
      assert.strictEqual(yield* follower.heartbeat(generation + 1), UNKNOWN_MEMBER_ID)
    }))

  test("a session that expires removes its member from the group", (harness) =>
    Effect.gen(function* () {
      const groupId = harness.unique("group")
      const leader = yield* member(harness, groupId)
      const follower = yield* member(harness, groupId, { sessionTimeoutMs: 6_000 })
      const generation = yield* stablePair(leader, follower)
      yield* follower.client.cut
      const rejoining = yield* Effect.fork(leader.join)
      yield* harness.elapse(6_000)
      const rejoined = yield* Fiber.join(rejoining)
      assert.strictEqual(rejoined.generationId, generation + 1)
      assert.deepStrictEqual(memberIds(rejoined), [leader.id()])
    }))

  test("a session that expires in a stable group starts a rebalance", (harness) =>
    Effect.gen(function* () {
      const groupId = harness.unique("group")
      const leader = yield* member(harness, groupId)
      const follower = yield* member(harness, groupId, { sessionTimeoutMs: 6_000 })
      const generation = yield* stablePair(leader, follower)
      const topic = yield* createTopic(harness, yield* openSession(harness))
      // Heartbeats and commits keep it alive.
      for (const alive of [follower.heartbeat(generation), follower.commit(generation, topic, 1)]) {
        yield* harness.elapse(4_000)
        assert.strictEqual(yield* leader.heartbeat(generation), NONE)
        assert.strictEqual(yield* alive, NONE)
      }
      yield* harness.elapse(4_000)
      assert.strictEqual(yield* leader.heartbeat(generation), NONE)
      yield* harness.elapse(2_000)
      yield* hearsOfRebalance(leader, generation)
      assert.strictEqual(yield* follower.heartbeat(generation), UNKNOWN_MEMBER_ID)
      const rejoined = yield* leader.join
      assert.strictEqual(rejoined.generationId, generation + 1)
      assert.deepStrictEqual(memberIds(rejoined), [leader.id()])
    }))

  test("a member that leaves starts a rebalance; the last one leaves an empty group", (harness) =>
    Effect.gen(function* () {
      const { follower, generation, groupId, leader, topic } = yield* pair(harness)
      assert.strictEqual(yield* leader.leave, NONE)
      assert.strictEqual(yield* leader.leave, UNKNOWN_MEMBER_ID)
      assert.deepStrictEqual(yield* asked(follower, generation, topic), [NONE, REBALANCE_IN_PROGRESS])
      const joined = yield* follower.join
      assert.strictEqual(joined.generationId, generation + 1)
      assert.strictEqual(joined.leader, follower.id())
      assert.strictEqual(yield* follower.leave, NONE)
      const next = yield* member(harness, groupId)
      // The empty group was a generation too.
      assert.strictEqual((yield* next.join).generationId, generation + 3)
    }))

  test("a parked JoinGroup holds up only its own connection", (harness) =>
    Effect.gen(function* () {
      const { follower, generation, leader } = yield* pair(harness)
      const order: Array<string> = []
      const note = (name: string) => Effect.sync(() => order.push(name))
      const parked = yield* Effect.fork(Effect.zipLeft(leader.join, note("join")))
      yield* hearsOfRebalance(follower, generation)
      const behind = yield* Effect.fork(Effect.zipLeft(leader.sync(generation), note("behind")))
      assert.strictEqual(yield* leader.heartbeat(generation), REBALANCE_IN_PROGRESS)
      yield* note("beside")
      yield* follower.join
      assert.strictEqual((yield* Fiber.join(parked)).generationId, generation + 1)
      assert.strictEqual((yield* Fiber.join(behind)).errorCode, ILLEGAL_GENERATION)
      assert.deepStrictEqual(order, ["beside", "join", "behind"])
    }))

  test("a member whose client is cut off while parked stays until its session expires", (harness) =>
    Effect.gen(function* () {
      const groupId = harness.unique("group")
      const leader = yield* member(harness, groupId)
      const follower = yield* member(harness, groupId, { sessionTimeoutMs: 6_000 })
      const generation = yield* stablePair(leader, follower)
      // Its metadata has changed, so the leader's rebalance shows that the request is parked.
      const parked = yield* Effect.fork(Effect.flip(follower.joinOnce({ protocols: protocolsOf({ range: 9 }) })))
      yield* hearsOfRebalance(leader, generation)
      yield* follower.client.cut
      assert.strictEqual((yield* Fiber.join(parked)).reason, "Disconnected")
      const joined = yield* leader.join
      assert.strictEqual(joined.generationId, generation + 1)
      assert.sameMembers([...memberIds(joined)], [leader.id(), follower.id()])
      yield* leader.sync(generation + 1)
      yield* harness.elapse(6_000)
      yield* hearsOfRebalance(leader, generation + 1)
    }))

  test("a static member that restarts keeps its place and fences its earlier instance", (harness) =>
    Effect.gen(function* () {
      const topic = yield* createTopic(harness, yield* openSession(harness))
      const groupId = harness.unique("group")
      const leader = yield* member(harness, groupId)
      const before = yield* member(harness, groupId, { groupInstanceId: "instance" })
      const generation = yield* stablePair(leader, before)
      const after = yield* member(harness, groupId, { groupInstanceId: "instance" })
      const joined = yield* after.join
      assert.deepStrictEqual([joined.errorCode, joined.generationId, joined.leader], [NONE, generation, leader.id()])
      assert.notStrictEqual(after.id(), before.id())
      assert.deepStrictEqual(yield* after.sync(generation), { errorCode: NONE, assignment: [2] })
      assert.strictEqual(yield* leader.heartbeat(generation), NONE)
      const fenced = KafkaErrorCode.FENCED_INSTANCE_ID
      assert.deepStrictEqual(yield* asked(before, generation, topic), [fenced, fenced])
      assert.strictEqual((yield* before.sync(generation)).errorCode, fenced)
      assert.strictEqual((yield* before.joinOnce()).errorCode, fenced)
      assert.strictEqual(yield* before.leave, fenced)
      assert.deepStrictEqual(yield* asked(after, generation, topic), [NONE, NONE])
      assert.strictEqual(yield* after.leave, NONE)
      yield* hearsOfRebalance(leader, generation)
    }))

  test("a static leader that restarts isn't asked to assign", (harness) =>
    Effect.gen(function* () {
      const groupId = harness.unique("group")
      const before = yield* member(harness, groupId, { groupInstanceId: "leader" })
      const follower = yield* member(harness, groupId)
      const generation = yield* stablePair(before, follower)
      const after = yield* member(harness, groupId, { groupInstanceId: "leader" })
      const joined = yield* after.join
      assert.deepStrictEqual([joined.errorCode, joined.generationId, joined.members], [NONE, generation, []])
      assert.notStrictEqual(joined.leader, after.id())
      assert.deepStrictEqual(yield* after.sync(generation), { errorCode: NONE, assignment: [1] })
      // It is still the leader: joining again starts a rebalance.
      const again = yield* Effect.fork(after.join)
      yield* hearsOfRebalance(follower, generation)
      yield* follower.join
      assert.strictEqual((yield* Fiber.join(again)).leader, after.id())
    }))
}
