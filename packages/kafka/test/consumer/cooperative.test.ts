import { assert, describe, it } from "@effect/vitest"
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import type { Api, OffsetCommitRequest } from "@spillway/kafka/Protocol"
import { Wire } from "@spillway/kafka/Wire"
import { MemoryBroker } from "@spillway/memory/MemoryBroker"
import type { Consumer } from "@spillway/transport/Consumer"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import { committed, group, makeCalls, observed, onBroker, options, quiet, topic } from "../support/consumerTesting.js"
import * as GroupMember from "../support/groupMember.js"
import { logged } from "../support/logged.js"

const topics = { [topic]: 4 }

const partitions = (consumer: Consumer) =>
  Effect.map(consumer.assignment, (all) => all.map(({ partition }) => partition))

const onEachPartition = (count: number) =>
  Array.from({ length: count }, (_, i) =>
    [0, 1, 2, 3].map((partition) => ({ value: `${partition}/${i}`, partition }))
  ).flat()

/** Closes a consumer while the test clock advances. */
const end = (consumer: Consumer) => Effect.zipRight(Effect.fork(consumer.close), TestClock.adjust("2 seconds"))

/** A consumer whose requests are recorded. */
const watched = Effect.gen(function* () {
  const broker = yield* MemoryBroker
  const client = yield* broker.client("watched")
  const sent: Array<Api> = []
  const commits: Array<OffsetCommitRequest> = []
  const wire = observed(client.wire, (api, request) =>
    Effect.sync(() => {
      sent.push(api)
      if (api === "OffsetCommit") commits.push(request as OffsetCommitRequest)
    })
  )
  return { client, sent, commits, onWire: Effect.provideService(Wire, wire) }
})

describe("a cooperative rebalance", () => {
  it.effect("moves only the necessary partitions to a joining member, and back when it leaves", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const consuming = { ...options, handler: calls.handler(() => Effect.void) }
      const first = yield* KafkaConsumer.make(consuming)
      assert.deepStrictEqual(yield* partitions(first), [0, 1, 2, 3])
      const scope = yield* Scope.make()
      const joining = yield* Effect.fork(Scope.extend(KafkaConsumer.make(consuming), scope))
      yield* TestClock.adjust("3 seconds")
      const second = yield* Fiber.join(joining)
      assert.strictEqual((yield* broker.group(group)).protocol, "cooperative-sticky")
      assert.deepStrictEqual(yield* partitions(first), [0, 1])
      // Revoked partitions are assigned in the next rebalance, which a heartbeat reports.
      assert.deepStrictEqual(yield* partitions(second), [])
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(yield* partitions(second), [2, 3])
      yield* broker.produce(topic, onEachPartition(1))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual([(yield* first.report).handled, (yield* second.report).handled], [2, 2])
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(yield* partitions(first), [0, 1, 2, 3])
      yield* broker.produce(topic, onEachPartition(1))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual([(yield* first.report).handled, calls.all.length], [6, 8])
      assert.deepStrictEqual(yield* committed, { 0: 2, 1: 2, 2: 2, 3: 2 })
    }).pipe(onBroker({ topics }))
  )

  it.effect("keeps running the retained partitions while the revoked ones settle, and settles no record twice", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const settled: Array<string> = []
      const handler = calls.handler(({ partition, value }) =>
        Effect.zipRight(
          Effect.sleep(partition < 2 ? "500 millis" : "12 seconds"),
          Effect.sync(() => settled.push(value))
        )
      )
      const consuming = { ...options, handler }
      const first = yield* KafkaConsumer.make(consuming)
      yield* broker.produce(topic, [
        ...onEachPartition(2),
        ...onEachPartition(40).filter(({ partition, value }) => partition < 2 && !/[/][01]$/.test(value))
      ])
      yield* TestClock.adjust("1 second")
      const second = yield* Effect.fork(KafkaConsumer.make(consuming)).pipe(
        Effect.zipLeft(TestClock.adjust("3 seconds")),
        Effect.flatMap(Fiber.join)
      )
      // The heartbeat at 3 s reports that 2 and 3 are revoked; their handlers run until 12 s.
      yield* TestClock.adjust("7900 millis")
      assert.deepStrictEqual(yield* partitions(first), [0, 1, 2, 3])
      assert.deepStrictEqual(yield* partitions(second), [])
      const stayed = calls.all.filter(({ partition }) => partition === 0).map(({ at }) => at)
      assert.deepStrictEqual(
        stayed.slice(1).map((at, i) => at - stayed[i]!),
        stayed.slice(1).map(() => 500)
      )
      assert.strictEqual(stayed.length, 24)
      yield* TestClock.adjust("200 millis")
      assert.deepStrictEqual(yield* partitions(first), [0, 1])
      assert.deepInclude(yield* committed, { 2: 1, 3: 1 })
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(yield* partitions(second), [2, 3])
      yield* TestClock.adjust("14 seconds")
      assert.strictEqual(settled.length, 84)
      assert.strictEqual(new Set(settled).size, 84)
      assert.strictEqual(calls.all.length, 84)
      assert.deepStrictEqual(yield* committed, { 0: 40, 1: 40, 2: 2, 3: 2 })
    }).pipe(onBroker({ topics }))
  )

  it.effect("interrupts handlers that exceed revokeTimeout on revoked partitions only", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const interrupted: Array<number> = []
      const first = yield* KafkaConsumer.make({
        ...options,
        revokeTimeout: "5 seconds",
        rebalanceTimeout: "20 seconds",
        drainTimeout: "1 second",
        handler: calls.handler(({ partition }) =>
          Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted.push(partition)))
        )
      })
      yield* broker.produce(topic, onEachPartition(1))
      yield* TestClock.adjust("1 second")
      const joining = yield* Effect.fork(KafkaConsumer.make({ ...options, handler: calls.handler(() => Effect.void) }))
      // Heartbeat at 3 s, deadline at 8 s.
      yield* TestClock.adjust("6900 millis")
      assert.deepStrictEqual(interrupted, [])
      yield* TestClock.adjust("200 millis")
      assert.sameMembers(interrupted, [2, 3])
      const second = yield* Fiber.join(joining)
      yield* TestClock.adjust("4 seconds")
      assert.deepStrictEqual(yield* partitions(second), [2, 3])
      assert.sameDeepMembers(
        calls.all.filter(({ at }) => at > 1_000).map(({ attempt, partition }) => [partition, attempt]),
        [
          [2, 1],
          [3, 1]
        ]
      )
      assert.strictEqual((yield* second.report).handled, 2)
      assert.deepStrictEqual(yield* partitions(first), [0, 1])
      yield* end(first)
    }).pipe(onBroker({ topics }))
  )

  it.effect("commits in the old generation until JoinGroup is answered, and then waits for the assignment", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const { commits, onWire } = yield* watched
      const leader = yield* GroupMember.make("cooperative-sticky")
      yield* leader.join
      yield* leader.sync()
      const calls = makeCalls()
      const handler = calls.handler(() => Effect.sleep("300 millis"))
      const joining = yield* Effect.fork(onWire(KafkaConsumer.make({ ...options, handler })))
      yield* quiet
      const [, follower] = (yield* leader.join).members
      yield* leader.sync({ [follower!.memberId]: [0, 1, 2, 3] })
      const consumer = yield* Fiber.join(joining)
      yield* broker.produce(topic, onEachPartition(100))
      yield* TestClock.adjust("1100 millis")
      const generations = () => commits.map(({ generationId }) => generationId)
      assert.deepStrictEqual(new Set(generations()), new Set([2]))
      // The leader asks for a rebalance: the consumer joins at its next heartbeat, while a third one delays all members.
      const third = yield* GroupMember.make("cooperative-sticky")
      const thirdJoins = yield* Effect.fork(third.join)
      yield* TestClock.adjust("3 seconds")
      const before = commits.length
      yield* TestClock.adjust("2 seconds")
      assert.isAbove(commits.length, before)
      assert.deepStrictEqual(new Set(generations()), new Set([2]))
      const acknowledged = yield* committed
      const joined = yield* leader.join
      yield* Fiber.join(thirdJoins)
      const held = commits.length
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(commits.length, held)
      assert.deepStrictEqual(yield* committed, acknowledged)
      // Handling never stopped: a record every 300 ms.
      const stayed = calls.all.filter(({ partition }) => partition === 0).map(({ at }) => at)
      assert.isAbove(stayed.length, 30)
      for (const [i, at] of stayed.slice(1).entries()) assert.strictEqual(at - stayed[i]!, 300)
      const watchedId = joined.members.find(({ memberId }) => memberId.startsWith("watched"))!.memberId
      yield* leader.sync({ [watchedId]: [0, 1, 2, 3] })
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(new Set(generations()), new Set([2, 3]))
      assert.isAbove((yield* committed)[0]!, acknowledged[0]! + 10)
      assert.strictEqual(yield* consumer.status, "Running")
      yield* end(consumer)
    }).pipe(onBroker({ topics }))
  )

  it.effect("that restarts before the assignment arrives keeps every partition running", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const { onWire } = yield* watched
      const leader = yield* GroupMember.make("cooperative-sticky")
      yield* leader.join
      yield* leader.sync()
      const joining = yield* Effect.fork(
        onWire(KafkaConsumer.make({ ...options, handler: calls.handler(() => Effect.sleep("500 millis")) }))
      )
      yield* quiet
      const [, follower] = (yield* leader.join).members
      yield* leader.sync({ [follower!.memberId]: [0, 1, 2, 3] })
      const consumer = yield* Fiber.join(joining)
      yield* broker.produce(topic, onEachPartition(20))
      const rejoining = yield* Effect.fork(leader.join)
      yield* TestClock.adjust("3 seconds")
      yield* Fiber.join(rejoining)
      // SyncGroup is parked; another member joins, so it is answered REBALANCE_IN_PROGRESS.
      const third = yield* GroupMember.make("cooperative-sticky")
      const thirdJoins = yield* Effect.fork(third.join)
      yield* quiet
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* partitions(consumer), [0, 1, 2, 3])
      // Commits are accepted again in this generation: it never completed.
      assert.isAbove((yield* committed)[0]!, 5)
      yield* leader.join
      yield* Fiber.join(thirdJoins)
      yield* leader.sync({ [follower!.memberId]: [0, 1], [third.id()]: [2, 3] })
      yield* TestClock.adjust("20 seconds")
      assert.deepStrictEqual(yield* partitions(consumer), [0, 1])
      const ofFirst = calls.all.filter(({ partition }) => partition === 0)
      assert.strictEqual(ofFirst.length, 20)
      assert.strictEqual(ofFirst.at(-1)!.at - ofFirst[0]!.at, 19 * 500)
      yield* end(consumer)
    }).pipe(onBroker({ topics }))
  )

  it.effect("ends without a commit at a member that the group has removed meanwhile", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const { client, commits, onWire } = yield* watched
      const calls = makeCalls()
      const interrupted: Array<number> = []
      const consumer = yield* onWire(
        KafkaConsumer.make({
          ...options,
          sessionTimeout: "10 seconds",
          drainTimeout: "1 second",
          handler: calls.handler(({ partition }) =>
            Effect.onInterrupt(Effect.sleep("1 hour"), () => Effect.sync(() => interrupted.push(partition)))
          )
        })
      )
      yield* broker.produce(topic, onEachPartition(1))
      yield* TestClock.adjust("1 second")
      const first = commits.length
      yield* client.cut
      yield* TestClock.adjust("15 seconds")
      yield* client.restore
      yield* TestClock.adjust("3 seconds")
      assert.sameMembers(interrupted, [0, 1, 2, 3])
      assert.strictEqual(commits.length, first)
      // Back as a new member, it owns every partition again, from the committed offsets.
      assert.deepStrictEqual(yield* partitions(consumer), [0, 1, 2, 3])
      assert.strictEqual(calls.all.length, 8)
      yield* end(consumer)
    }).pipe(onBroker({ topics }))
  )

  for (const [name, order] of [
    ["before the others have joined", ["handler", "join", "sync"]],
    ["when the others have joined", ["join", "handler", "sync"]],
    ["when the assignment is there", ["join", "sync", "handler"]]
  ] as const) {
    it.effect(`commits and leaves without joining again, if drained while it joins: settled ${name}`, () =>
      logged((lines) =>
        Effect.gen(function* () {
          const broker = yield* MemoryBroker
          const { onWire, sent } = yield* watched
          const latch = yield* Effect.makeLatch(false)
          const leader = yield* GroupMember.make("cooperative-sticky")
          yield* leader.join
          yield* leader.sync()
          const joining = yield* Effect.fork(
            onWire(KafkaConsumer.make({ ...options, commitInterval: "1 hour", handler: () => latch.await }))
          )
          yield* quiet
          const [, follower] = (yield* leader.join).members
          yield* leader.sync({ [follower!.memberId]: [0, 1, 2, 3] })
          const consumer = yield* Fiber.join(joining)
          yield* broker.produce(topic, onEachPartition(2))
          const third = yield* GroupMember.make("cooperative-sticky")
          yield* Effect.fork(third.join)
          yield* TestClock.adjust("3 seconds")
          const joins = sent.filter((api) => api === "JoinGroup").length
          const closing = yield* Effect.fork(consumer.close)
          yield* TestClock.adjust("1 second")
          const steps = {
            handler: latch.open,
            join: leader.join,
            sync: leader.sync({ [follower!.memberId]: [0, 1, 2, 3] })
          }
          for (const step of order) {
            yield* steps[step]
            yield* TestClock.adjust("1 second")
          }
          const report = yield* Fiber.join(closing)
          assert.strictEqual(report.handled, 4)
          assert.deepStrictEqual(yield* committed, { 0: 1, 1: 1, 2: 1, 3: 1 })
          // The parked request is sent once more, in case it was lost.
          assert.isAtMost(sent.filter((api) => api === "JoinGroup").length, joins + 1)
          assert.notInclude(
            (yield* broker.group(group)).members.map(({ memberId }) => memberId),
            follower!.memberId
          )
          assert.notInclude(
            lines.map(({ message }) => message),
            "The membership was lost: dropping the partitions"
          )
        })
      ).pipe(onBroker({ topics }))
    )
  }
})

describe("a change of the assignor", () => {
  it.effect("from range to cooperative-sticky in two rounds keeps the group running", () =>
    Effect.gen(function* () {
      const broker = yield* MemoryBroker
      const calls = makeCalls()
      const start = (...assignors: ReadonlyArray<"cooperative-sticky" | "range">) =>
        Effect.gen(function* () {
          const scope = yield* Scope.make()
          const joining = yield* Effect.fork(
            Scope.extend(
              KafkaConsumer.make({ ...options, assignors, handler: calls.handler(() => Effect.sleep("1 second")) }),
              scope
            )
          )
          yield* TestClock.adjust("7 seconds")
          yield* Fiber.join(joining)
          return scope
        })
      const stop = (scope: Scope.CloseableScope) =>
        Effect.zipRight(Effect.fork(Scope.close(scope, Exit.void)), TestClock.adjust("7 seconds"))
      const protocol = Effect.map(broker.group(group), (found) => found.protocol)

      const old = [yield* start("range"), yield* start("range")]
      yield* broker.produce(topic, onEachPartition(50))
      const between: Array<Scope.CloseableScope> = []
      for (const member of old) {
        yield* stop(member)
        between.push(yield* start("cooperative-sticky", "range"))
      }
      assert.strictEqual(yield* protocol, "cooperative-sticky")
      const last: Array<Scope.CloseableScope> = []
      for (const member of between) {
        yield* stop(member)
        last.push(yield* start("cooperative-sticky"))
      }
      assert.strictEqual(yield* protocol, "cooperative-sticky")
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(calls.all.length, 200)
      assert.strictEqual(new Set(calls.values()).size, 200)
      for (const member of last) yield* stop(member)
      assert.deepStrictEqual(yield* committed, { 0: 50, 1: 50, 2: 50, 3: 50 })
    }).pipe(onBroker({ topics }))
  )
})
