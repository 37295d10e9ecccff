import { assert, describe, it } from "@effect/vitest"
import type { TopicPartition } from "@spillway/transport/Consumer"
import * as FastCheck from "fast-check"
import * as CooperativeSticky from "../../src/internal/assignors/cooperativeSticky.js"
import { keyOf } from "../../src/internal/topicPartition.js"

type Member = CooperativeSticky.StickyMember
type Assignment = ReturnType<typeof CooperativeSticky.assign>

const parse = (text: string): ReadonlyArray<TopicPartition> =>
  text === "" ? [] : text.split(" ").map((one) => ({ topic: one[0]!, partition: Number(one.slice(1)) }))

const member = (memberId: string, topics: string, owned = "", generationId = 1): Member => ({
  memberId,
  groupInstanceId: null,
  topics: topics === "" ? [] : topics.split(" "),
  ownedPartitions: parse(owned),
  generationId
})

const show = (assignment: Assignment) =>
  Object.fromEntries(
    Array.from(assignment, ([id, partitions]) => [
      id,
      partitions.map((one) => `${one.topic}${one.partition}`).join(" ")
    ])
  )

const countsOf = (counts: Readonly<Record<string, number>>) => new Map(Object.entries(counts))

const topics = ["t", "u", "v"] as const

const counts = FastCheck.record({ t: FastCheck.nat(12), u: FastCheck.nat(12), v: FastCheck.nat(12) }).map(countsOf)

/** Members with owned partitions, some of which may be deleted, and none owned twice. */
const group = (subscription: FastCheck.Arbitrary<ReadonlyArray<string>>) =>
  FastCheck.record({
    size: FastCheck.integer({ min: 1, max: 8 }),
    subscriptions: FastCheck.array(subscription, { minLength: 8, maxLength: 8 }),
    owners: FastCheck.array(FastCheck.nat(9), { minLength: 36, maxLength: 36 })
  }).map(({ owners, size, subscriptions }) =>
    Array.from(
      { length: size },
      (_, index): Member => ({
        memberId: `m${index}`,
        groupInstanceId: null,
        topics: subscriptions[index]!,
        ownedPartitions: owners.flatMap((owner, at) =>
          owner === index ? [{ topic: topics[Math.floor(at / 12)]!, partition: at % 12 }] : []
        ),
        generationId: 1
      })
    )
  )

const equal = group(FastCheck.constant([...topics]))
const unequal = group(FastCheck.subarray([...topics]))

/** Each member's partitions after it revokes the ones that it was not assigned. */
const next = (members: ReadonlyArray<Member>, assignment: Assignment): ReadonlyArray<Member> =>
  members.map((one) => ({ ...one, ownedPartitions: assignment.get(one.memberId)!, generationId: one.generationId + 1 }))

const keys = (partitions: ReadonlyArray<TopicPartition>) => partitions.map(keyOf)

const sizes = (assignment: Assignment) => Array.from(assignment.values(), (partitions) => partitions.length)

describe("cooperative-sticky assignor", () => {
  it.each([
    ["one member, no topic", [member("a", "")], { t: 3 }, { a: "" }],
    ["one member, a topic that doesn't exist", [member("a", "t")], {}, { a: "" }],
    ["one member, two topics", [member("a", "t u")], { t: 1, u: 2 }, { a: "t0 u0 u1" }],
    [
      "a first assignment spreads each topic",
      [member("a", "t u"), member("b", "t u")],
      { t: 2, u: 2 },
      { a: "t0 u0", b: "t1 u1" }
    ],
    ["more members than partitions", [member("a", "t"), member("b", "t")], { t: 1 }, { a: "t0", b: "" }],
    [
      "a moving partition is withheld until its owner revokes it",
      [member("a", "t", "t0 t1 t2 t3"), member("b", "t")],
      { t: 4 },
      { a: "t0 t1", b: "" }
    ],
    [
      "then it is assigned",
      [member("a", "t", "t0 t1", 2), member("b", "t", "", 2)],
      { t: 4 },
      { a: "t0 t1", b: "t2 t3" }
    ],
    [
      "partitions without an owner are assigned at once",
      [member("a", "t", "t0 t1"), member("b", "t", "t2")],
      { t: 6 },
      { a: "t0 t1 t4", b: "t2 t3 t5" }
    ],
    [
      "the partitions of a topic that its owner unsubscribes from move",
      [member("a", "u", "t0"), member("b", "t")],
      { t: 1, u: 1 },
      { a: "u0", b: "" }
    ],
    [
      "of two claims the later generation's wins",
      [member("a", "t", "t0 t1", 3), member("b", "t", "t1", 2)],
      { t: 2 },
      { a: "t0", b: "" }
    ],
    [
      "an old claim counts without a newer one",
      [member("a", "t", "t0", 3), member("b", "t", "t1", 2)],
      { t: 2 },
      { a: "t0", b: "t1" }
    ],
    [
      "two claims of one generation: neither keeps it",
      [member("a", "t", "t0 t1"), member("b", "t", "t1 t2")],
      { t: 3 },
      { a: "t0", b: "t2" }
    ],
    [
      "different subscriptions: a member with one topic gets its share of that topic",
      [member("a", "t u"), member("b", "t")],
      { t: 2, u: 2 },
      { a: "u0 u1", b: "t0 t1" }
    ]
  ] as const)("%s", (_name, members, partitions, expected) => {
    assert.deepStrictEqual(show(CooperativeSticky.assign(members, countsOf(partitions))), expected)
  })

  it("finally assigns each partition of a subscribed topic to one subscriber", () => {
    FastCheck.assert(
      FastCheck.property(unequal, counts, (members, partitions) => {
        const assignment = CooperativeSticky.balance(members, partitions)
        const expected = Array.from(partitions)
          .filter(([topic]) => members.some((one) => one.topics.includes(topic)))
          .flatMap(([topic, count]) => Array.from({ length: count }, (_, partition) => keyOf({ topic, partition })))
        assert.sameMembers(keys([...assignment.values()].flat()), expected)
        for (const one of members) {
          for (const { topic } of assignment.get(one.memberId)!) assert.include(one.topics, topic)
        }
      })
    )
  })

  it("balances members with equal subscriptions to within one partition", () => {
    FastCheck.assert(
      FastCheck.property(equal, counts, (members, partitions) => {
        const all = sizes(CooperativeSticky.balance(members, partitions))
        assert.isAtMost(Math.max(...all) - Math.min(...all), 1)
      })
    )
  })

  it("leaves no member two partitions ahead of a member that could take one, for any subscriptions", () => {
    FastCheck.assert(
      FastCheck.property(unequal, counts, (members, partitions) => {
        const assignment = CooperativeSticky.balance(members, partitions)
        for (const one of members) {
          const few = assignment.get(one.memberId)!.length
          for (const other of assignment.values()) {
            if (other.length >= few + 2) for (const { topic } of other) assert.notInclude(one.topics, topic)
          }
        }
      })
    )
  })

  it("moves as little as balance allows", () => {
    FastCheck.assert(
      FastCheck.property(equal, counts, (members, partitions) => {
        const exists = ({ partition, topic }: TopicPartition) => partition < partitions.get(topic)!
        const owned = members.map((one) => one.ownedPartitions.filter(exists).length).sort((a, b) => b - a)
        const total = [...partitions.values()].reduce((sum, count) => sum + count, 0)
        const each = Math.floor(total / members.length)
        const extras = total % members.length
        const most = owned.reduce((sum, count, index) => sum + Math.min(count, index < extras ? each + 1 : each), 0)
        const assignment = CooperativeSticky.balance(members, partitions)
        const kept = members.flatMap((one) => {
          const given = new Set(keys(assignment.get(one.memberId)!))
          return keys(one.ownedPartitions).filter((key) => given.has(key))
        })
        assert.strictEqual(kept.length, most)
      })
    )
  })

  it("assigns no partition that another member owns, and reaches balance", () => {
    FastCheck.assert(
      FastCheck.property(unequal, counts, (members, partitions) => {
        let present: ReadonlyArray<Member> = members
        let rebalances = 0
        while (true) {
          const assignment = CooperativeSticky.assign(present, partitions)
          for (const one of present) {
            const others = new Set(keys(present.filter((it) => it !== one).flatMap((it) => it.ownedPartitions)))
            for (const key of keys(assignment.get(one.memberId)!)) assert.isFalse(others.has(key))
          }
          const after = next(present, assignment)
          const isSame = after.every((one, index) => {
            const before = keys(present[index]!.ownedPartitions)
            return (
              one.ownedPartitions.length === before.length && keys(one.ownedPartitions).every((k) => before.includes(k))
            )
          })
          if (isSame) break
          present = after
          assert.isAtMost(++rebalances, 4)
        }
        assert.deepStrictEqual(
          show(CooperativeSticky.assign(present, partitions)),
          show(CooperativeSticky.balance(present, partitions))
        )
      })
    )
  })

  it("is the same for every leader", () => {
    FastCheck.assert(
      FastCheck.property(unequal, counts, FastCheck.infiniteStream(FastCheck.nat()), (members, partitions, random) => {
        const shuffled = members
          .map((one) => [random.next().value as number, one] as const)
          .sort(([a], [b]) => a - b)
          .map(([, one]) => one)
        assert.deepStrictEqual(
          show(CooperativeSticky.assign(shuffled, partitions)),
          show(CooperativeSticky.assign(members, partitions))
        )
      })
    )
  })
})
