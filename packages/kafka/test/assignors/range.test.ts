import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "fast-check"
import type { Member } from "../../src/internal/assignors/members.js"
import * as Range from "../../src/internal/assignors/range.js"

const member = (memberId: string, topics: ReadonlyArray<string>, groupInstanceId: string | null = null) => ({
  memberId,
  groupInstanceId,
  topics
})

const assign = (members: ReadonlyArray<Member>, counts: Readonly<Record<string, number>>) =>
  Object.fromEntries(
    Array.from(Range.assign(members, new Map(Object.entries(counts))), ([id, partitions]) => [
      id,
      partitions.map(({ partition, topic }) => `${topic}${partition}`).join(" ")
    ])
  )

const byMember = (assignment: ReturnType<typeof Range.assign>) =>
  Array.from(assignment).sort(([a], [b]) => (a < b ? -1 : 1))

const memberId = FastCheck.stringMatching(/^[a-e][0-9]$/)
const topics = ["t", "u", "v"] as const

const members: FastCheck.Arbitrary<ReadonlyArray<Member>> = FastCheck.uniqueArray(
  FastCheck.record({
    memberId,
    groupInstanceId: FastCheck.option(FastCheck.stringMatching(/^i[0-9]$/)),
    topics: FastCheck.subarray([...topics])
  }),
  { selector: (one) => one.memberId, maxLength: 8 }
).map((all) => {
  const taken = new Set<string>()
  return all.map((one) => {
    if (one.groupInstanceId === null || taken.has(one.groupInstanceId)) return { ...one, groupInstanceId: null }
    taken.add(one.groupInstanceId)
    return one
  })
})

const counts = FastCheck.record({
  t: FastCheck.nat(12),
  u: FastCheck.nat(12),
  v: FastCheck.nat(12)
}).map((record) => new Map(Object.entries(record)))

describe("range assignor", () => {
  // The cases of Kafka's RangeAssignorTest.
  it.each([
    ["one member, no topic", [member("a", [])], { t: 3 }, { a: "" }],
    ["one member, a topic that doesn't exist", [member("a", ["t"])], {}, { a: "" }],
    ["one member, one topic", [member("a", ["t"])], { t: 3 }, { a: "t0 t1 t2" }],
    ["only subscribed topics", [member("a", ["t"])], { t: 3, u: 3 }, { a: "t0 t1 t2" }],
    ["one member, two topics", [member("a", ["t", "u"])], { t: 1, u: 2 }, { a: "t0 u0 u1" }],
    ["more members than partitions", [member("a", ["t"]), member("b", ["t"])], { t: 1 }, { a: "t0", b: "" }],
    ["as many members as partitions", [member("a", ["t"]), member("b", ["t"])], { t: 2 }, { a: "t0", b: "t1" }],
    [
      "mixed subscriptions",
      [member("a", ["t"]), member("b", ["t", "u"]), member("c", ["t"])],
      { t: 3, u: 2 },
      { a: "t0", b: "t1 u0 u1", c: "t2" }
    ],
    [
      "two members, two topics, three partitions each",
      [member("a", ["t", "u"]), member("b", ["t", "u"])],
      { t: 3, u: 3 },
      { a: "t0 t1 u0 u1", b: "t2 u2" }
    ],
    [
      "static members sort by their instance id, before the others",
      [member("z", ["t"], "1"), member("y", ["t"], "2"), member("a", ["t"])],
      { t: 4 },
      { z: "t0 t1", y: "t2", a: "t3" }
    ],
    [
      "ids sort by code units",
      [member("ä", ["t"]), member("z", ["t"]), member("Z", ["t"])],
      { t: 3 },
      { Z: "t0", z: "t1", ä: "t2" }
    ]
  ])("%s", (_name, members, counts, expected) => {
    assert.deepStrictEqual(assign(members, counts), expected)
  })

  it("gives every partition of a subscribed topic to exactly one subscriber", () => {
    FastCheck.assert(
      FastCheck.property(members, counts, (members, counts) => {
        const assignment = Range.assign(members, counts)
        assert.sameMembers(
          Array.from(assignment.keys()),
          members.map((one) => one.memberId)
        )
        const given = Array.from(assignment).flatMap(([id, partitions]) =>
          partitions.map(({ partition, topic }) => {
            assert.isTrue(members.some((one) => one.memberId === id && one.topics.includes(topic)))
            return `${topic}-${partition}`
          })
        )
        const wanted = Array.from(counts)
          .filter(([topic]) => members.some((one) => one.topics.includes(topic)))
          .flatMap(([topic, count]) => Array.from({ length: count }, (_, partition) => `${topic}-${partition}`))
        assert.strictEqual(new Set(given).size, given.length)
        assert.sameMembers(given, wanted)
      })
    )
  })

  it("balances each topic to within one partition, the first members getting more", () => {
    FastCheck.assert(
      FastCheck.property(members, counts, (members, counts) => {
        const assignment = Range.assign(members, counts)
        const order = (one: Member) => (one.groupInstanceId === null ? `2${one.memberId}` : `1${one.groupInstanceId}`)
        for (const [topic] of counts) {
          const shares = members
            .filter((one) => one.topics.includes(topic))
            .sort((a, b) => (order(a) < order(b) ? -1 : 1))
            .map((one) => assignment.get(one.memberId)!.filter((owned) => owned.topic === topic))
          for (const [index, share] of shares.entries()) {
            if (index > 0) assert.include([0, 1], shares[index - 1]!.length - share.length)
            for (let i = 1; i < share.length; i++) assert.strictEqual(share[i]!.partition, share[i - 1]!.partition + 1)
          }
          assert.isAtMost((shares[0]?.length ?? 0) - (shares.at(-1)?.length ?? 0), 1)
        }
      })
    )
  })

  it("doesn't depend on the order of the members", () => {
    const shuffled = members.chain((all) =>
      FastCheck.tuple(FastCheck.constant(all), FastCheck.shuffledSubarray([...all], { minLength: all.length }))
    )
    FastCheck.assert(
      FastCheck.property(shuffled, counts, ([members, others], counts) => {
        assert.deepStrictEqual(byMember(Range.assign(members, counts)), byMember(Range.assign(others, counts)))
      })
    )
  })

  it("returns a static member's partitions to it under another member id", () => {
    FastCheck.assert(
      FastCheck.property(members, counts, (members, counts) => {
        const returned = members.map((one) =>
          one.groupInstanceId === null ? one : { ...one, memberId: `restarted-${one.memberId}` }
        )
        const before = Range.assign(members, counts)
        const after = Range.assign(returned, counts)
        for (const [index, one] of members.entries()) {
          assert.deepStrictEqual(after.get(returned[index]!.memberId), before.get(one.memberId))
        }
      })
    )
  })
})
