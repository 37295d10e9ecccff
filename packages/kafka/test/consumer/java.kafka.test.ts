import { afterAll, assert, beforeAll, it } from "@effect/vitest"
import * as Codec from "@spillway/transport/Codec"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { describeKafka, uniqueName } from "../../../../scripts/kafka/testing.js"
import * as Signal from "../../src/internal/concurrency/signal.js"
import * as KafkaConsumer from "../../src/KafkaConsumer.js"
import * as Fixture from "../support/fixture.js"
import * as JavaMembers from "../support/javaMembers.js"

const partitions = 6

interface Handled {
  readonly partition: number
  readonly offset: number
}

interface Member {
  readonly handled: () => ReadonlyArray<Handled>
  readonly owns: (count: number) => Effect.Effect<unknown, Error>
  readonly handles: (count: number) => Effect.Effect<unknown, Error>
  readonly stop: Effect.Effect<unknown, Error>
}

type Assignor = "cooperative-sticky" | "range"

const spillway = (groupId: string, topic: string, assignor: Assignor) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
    const handled: Array<Handled> = []
    const changed = Signal.make()
    const consumer = yield* KafkaConsumer.make({
      groupId,
      topics: [topic],
      assignors: [assignor],
      heartbeatInterval: "300 millis",
      value: Codec.text,
      handler: ({ offset, partition }) =>
        Effect.map(Effect.sleep("1 millis"), () => {
          handled.push({ partition, offset })
          changed.notify()
        }),
      deadLetter: DeadLetter.none("stop")
    }).pipe(Scope.extend(scope))
    const until = (what: string, holds: Effect.Effect<boolean>) =>
      Effect.repeat(
        Effect.tap(holds, (held) => (held ? Effect.void : Effect.race(changed.wait(), Effect.sleep("50 millis")))),
        { until: (holds) => holds }
      ).pipe(Fixture.within(what, "40 seconds"))
    const member: Member = {
      handled: () => handled,
      owns: (count) =>
        until(
          `Spillway owns ${count}`,
          Effect.map(consumer.assignment, (all) => all.length === count)
        ),
      handles: (count) =>
        until(
          `Spillway handles ${count}`,
          Effect.sync(() => handled.length >= count)
        ),
      stop: Effect.orDie(consumer.close)
    }
    return member
  })

const java = (members: JavaMembers.JavaMembers) => (groupId: string, topic: string, assignor: Assignor) =>
  Effect.map(members.start(groupId, topic, assignor), (member): Member => {
    const { handled, owned, stop, until } = member
    return {
      handled,
      owns: (count) => until(`Java owns ${count}`, () => owned().length === count),
      handles: (count) => until(`Java handles ${count}`, () => handled().length >= count),
      stop
    }
  })

describeKafka("A group of Java's consumer and Spillway's", (brokers) => {
  const scope = Effect.runSync(Scope.make())
  let members: JavaMembers.JavaMembers
  beforeAll(async () => {
    members = await Effect.runPromise(Scope.extend(JavaMembers.make(brokers), scope))
  })
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

  for (const assignor of ["cooperative-sticky", "range"] as const) {
    for (const leads of ["Java", "Spillway"] as const) {
      it.scopedLive(
        `shares partitions both ways, and handles each record once (${assignor}, ${leads} leads)`,
        () =>
          Fixture.run(brokers, (journal) =>
            Effect.gen(function* () {
              const groupId = uniqueName("group")
              const [round, rounds] = [900, 3]
              const topic = yield* Fixture.createTopic(partitions)
              const starts = { Java: java(members), Spillway: spillway }
              const other = leads === "Java" ? "Spillway" : "Java"
              const produce = (number: number) => Fixture.produce(topic, partitions, round, number * round)

              yield* produce(0)
              const leader = yield* starts[leads](groupId, topic, assignor)
              yield* leader.owns(partitions)
              yield* leader.handles(100)
              // From the leader to the follower, while both are at work.
              const follower = yield* starts[other](groupId, topic, assignor)
              yield* Effect.all([leader.owns(3), follower.owns(3)], { concurrency: "unbounded" })
              yield* produce(1)
              yield* follower.handles(100)
              yield* leader.handles(round / 2)
              // And back, when it leaves in the middle of its work.
              yield* produce(2)
              yield* follower.stop
              yield* leader.owns(partitions)
              yield* leader.handles(round * rounds - follower.handled().length)
              yield* leader.stop

              const all = [...leader.handled(), ...follower.handled()].map(
                ({ offset, partition }) => `${partition}-${offset}`
              )
              assert.strictEqual(new Set(all).size, round * rounds, "nothing is lost")
              assert.strictEqual(all.length, round * rounds, "nothing is handled twice")
              assert.deepStrictEqual(
                yield* Fixture.committedOffsets(groupId),
                Fixture.endOf(topic, partitions, round * rounds)
              )
              const joins = yield* journal.logged("Joined the group")
              assert.deepStrictEqual(
                new Set(joins.map(({ annotations }) => annotations["leader"])),
                new Set([leads === "Spillway"])
              )
            })
          ),
        90_000
      )
    }
  }
})
