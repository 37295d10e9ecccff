import { assert, describe, it } from "@effect/vitest"
import { KafkaErrorCode } from "@spillway/kafka/KafkaErrorCode"
import * as fc from "fast-check"
import * as Group from "../../src/internal/group.js"
import { empty, type Group as GroupState, type Limits, type Step } from "../../src/internal/groupState.js"

type Command =
  | { readonly _tag: "Join"; readonly member: number; readonly protocols: ReadonlyArray<string> }
  | { readonly _tag: "Sync" | "Heartbeat" | "Leave" | "Commit"; readonly member: number; readonly stale: boolean }
  | { readonly _tag: "Wait"; readonly ms: number }
  | { readonly _tag: "Restart" }

const protocols = fc.constantFrom(["range"], ["range", "sticky"], ["sticky", "range"])
const member = fc.nat(4)

const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ _tag: fc.constant("Join" as const), member, protocols }) },
  {
    weight: 6,
    arbitrary: fc.record({
      _tag: fc.constantFrom("Sync" as const, "Heartbeat" as const, "Leave" as const, "Commit" as const),
      member,
      stale: fc.boolean()
    })
  },
  { weight: 3, arbitrary: fc.record({ _tag: fc.constant("Wait" as const), ms: fc.integer({ min: 1, max: 8_000 }) }) },
  { weight: 1, arbitrary: fc.constant({ _tag: "Restart" as const }) }
)

/** One client: its view of its membership, and whether its join connection is held up. Two have an instance id. */
interface Client {
  readonly instanceId: string | null
  memberId: string
  generation: number
  parked: number | undefined
}

const run = (limits: Limits, commands: ReadonlyArray<Command>) => {
  const clients: ReadonlyArray<Client> = [null, null, null, "one", "two"].map((instanceId) => ({
    instanceId,
    memberId: "",
    generation: 0,
    parked: undefined
  }))
  let group: GroupState = empty
  let now = 0
  let tokens = 0

  const answered = (token: number, apply: (client: Client) => void) => {
    const client = clients.find(({ parked }) => parked === token)
    assert.isDefined(client, "a request that isn't parked was answered")
    client!.parked = undefined
    apply(client!)
  }

  const apply = (transition: (group: GroupState, now: number) => Step) => {
    const before = JSON.stringify([...group.members.keys(), group.generation, group.phase])
    const step = transition(group, now)
    assert.strictEqual(JSON.stringify([...group.members.keys(), group.generation, group.phase]), before)
    const generations = step.joins.filter(({ response }) => response.errorCode === 0 && response.members.length > 0)
    assert.isAtMost(generations.length, 1, "one leader assigns")
    group = step.group
    for (const { response, token } of step.joins) {
      answered(token, (client) => {
        if (response.errorCode === 0) {
          assert.strictEqual(response.generationId, group.generation)
          assert.strictEqual(response.protocolName, group.protocol)
          client.generation = response.generationId
        }
        if (response.errorCode === 0 || response.errorCode === KafkaErrorCode.MEMBER_ID_REQUIRED) {
          client.memberId = response.memberId
        } else client.memberId = ""
      })
    }
    for (const { token } of step.syncs) answered(token, () => {})
    invariants(group)
    return step
  }

  const wait = (until: number) => {
    for (let due = Group.nextDeadline(group); due !== undefined && due <= until; due = Group.nextDeadline(group)) {
      now = Math.max(now, due)
      apply(Group.tick(limits))
      const next = Group.nextDeadline(group)
      assert.isTrue(next === undefined || next > now || next > due, "a tick leaves nothing due")
    }
    now = until
  }

  const send = (client: Client, command: Exclude<Command, { readonly _tag: "Wait" | "Restart" }>) => {
    const { instanceId: groupInstanceId, memberId } = client
    const groupId = "group"
    const token = ++tokens
    if (command._tag === "Join") {
      client.parked = token
      apply(
        Group.join(limits, {
          token,
          clientId: "client",
          newMemberId: `member-${token}`,
          request: {
            groupId,
            memberId,
            groupInstanceId,
            sessionTimeoutMs: 6_000,
            rebalanceTimeoutMs: 3_000,
            protocolType: "consumer",
            protocols: command.protocols.map((name) => ({ name, metadata: Uint8Array.of(1) }))
          }
        })
      )
      return
    }
    const generationId = command.stale ? client.generation - 1 : client.generation
    const before = group
    const request = { groupId, generationId, memberId, groupInstanceId }
    if (command._tag === "Sync") {
      client.parked = token
      apply(Group.sync(limits, token, { ...request, assignments: [] }))
    } else if (command._tag === "Heartbeat") apply(Group.heartbeat(limits, request))
    else if (command._tag === "Leave") apply(Group.leave(limits, { groupId, members: [{ memberId, groupInstanceId }] }))
    else {
      const { errorCode } = apply(Group.commit(limits, { ...request, topics: [] }))
      const simple = before.phase === "Empty" && generationId < 0
      const mayCommit = before.members.has(memberId) && generationId === before.generation
      if (errorCode === 0) assert.isTrue(simple || (mayCommit && before.phase !== "CompletingRebalance"))
    }
  }

  for (const command of commands) {
    const before = group
    if (command._tag === "Wait") wait(now + command.ms)
    else if (command._tag === "Restart") {
      for (const client of clients) client.parked = undefined
      apply(Group.restart)
      continue
    } else {
      const client = clients[command.member]!
      const usesJoinConnection = command._tag === "Join" || command._tag === "Sync"
      if (usesJoinConnection && client.parked !== undefined) continue
      send(client, command)
    }
    assert.isAtLeast(group.generation, before.generation)
  }
  return { clients, group: () => group, wait, now: () => now }
}

const invariants = (group: GroupState) => {
  const members = [...group.members.values()]
  const ids = members.map(({ id }) => id)
  // A group that waits for more members may have lost all of its members.
  const awaitsMore = group.initial !== undefined || group.pendingMembers.size > 0
  if (!awaitsMore) assert.strictEqual(group.phase === "Empty", members.length === 0)
  if (members.length === 0) assert.include(["Empty", "PreparingRebalance"], group.phase)
  assert.strictEqual(group.leader === undefined, members.length === 0)
  if (group.leader !== undefined) assert.include(ids, group.leader)
  if (group.phase !== "PreparingRebalance") {
    assert.isTrue(members.every(({ join }) => join === undefined))
    assert.isUndefined(group.joinDeadline)
  } else assert.isDefined(group.joinDeadline)
  if (group.phase !== "CompletingRebalance") assert.isTrue(members.every(({ sync }) => sync === undefined))
  for (const id of group.pendingSync) assert.include(ids, id)
  assert.strictEqual(group.pendingSync.size > 0, group.syncDeadline !== undefined)
  const instances = members.flatMap(({ instanceId }) => instanceId ?? [])
  assert.strictEqual(new Set(instances).size, instances.length)
  for (const { protocols } of members) {
    if (group.phase === "Stable" || group.phase === "CompletingRebalance") {
      assert.include(
        protocols.map(({ name }) => name),
        group.protocol
      )
    }
  }
}

const limits = (initialRebalanceDelayMs: number): Limits => ({
  minSessionTimeoutMs: 6_000,
  maxSessionTimeoutMs: 1_800_000,
  initialRebalanceDelayMs
})

describe("group", () => {
  for (const delay of [0, 1_000]) {
    it(`keeps its invariants under any requests, with an initial delay of ${delay} ms`, () => {
      fc.assert(
        fc.property(fc.array(command, { maxLength: 60 }), (commands) => {
          run(limits(delay), commands)
        }),
        { numRuns: 1_000 }
      )
    })

    it(`answers every parked request and removes silent members, with an initial delay of ${delay} ms`, () => {
      fc.assert(
        fc.property(fc.array(command, { maxLength: 60 }), (commands) => {
          const { clients, group, now, wait } = run(limits(delay), commands)
          wait(now() + 10 * 60_000)
          assert.strictEqual(group().phase, "Empty")
          assert.deepStrictEqual(
            clients.filter(({ parked }) => parked !== undefined),
            []
          )
          assert.isUndefined(Group.nextDeadline(group()))
        }),
        { numRuns: 1_000 }
      )
    })
  }
})
