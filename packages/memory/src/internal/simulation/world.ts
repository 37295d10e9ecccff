/**
 * Plays a scenario: a cluster in memory, members and producers as processes of a virtual world, and an oracle to which
 * every event is reported.
 */
import type { TopicPartition } from "@spillway/transport/Consumer"
import * as Diagnosis from "@spillway/transport/runtime/Diagnosis"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { make as makeBroker } from "../../MemoryBroker.js"
import * as Dice from "../dice.js"
import * as VirtualTime from "../virtualTime.js"
import * as Controls from "./controls.js"
import * as DeadLetters from "./deadLetters.js"
import * as Members from "./members.js"
import * as Network from "./network.js"
import * as Oracle from "./oracle.js"
import * as Producers from "./producers.js"
import type { Packed } from "./rare.js"
import * as Results from "./results.js"
import type { Scenario } from "./scenario.js"
import type { Stage } from "./stage.js"
import type { Step } from "./steps.js"
import type { Subject } from "./subject.js"
import { nameOf } from "./truth.js"

/** The outcomes of the acknowledged records. Each record counts once. */
export interface Account {
  /** Records that the broker acknowledged to their producers. */
  readonly acknowledged: number
  /** Records whose handler succeeded. */
  readonly handled: number
  /** Records whose dead letter is in its topic. */
  readonly deadLettered: number
  /** Skipped, because the consumer is configured to skip failed records. */
  readonly discarded: number
  /** Deleted by retention before they had an outcome. */
  readonly expired: number
  /** Without an outcome, because a seek has skipped them. */
  readonly skipped: number
  /** Without an outcome, because a consumer is configured to stop at them. */
  readonly unsettled: number
  /** Records that had an outcome more than once. */
  readonly repeated: number
}

export interface Played {
  readonly violation: Oracle.Violation | undefined
  readonly account: Account
  readonly virtualMillis: number
  readonly trace: ReadonlyArray<string>
}

/** How long the rest may take to be handled after the last fault, in milliseconds. */
const recoveryMs = 4 * 60_000

/** Records that are unpacked at once are added to the buffer's limit. */
const maxUnpacked = (packed: Packed | undefined): number =>
  packed === undefined ? Number.POSITIVE_INFINITY : (2 * packed.maxBufferedBytes + 128 * 1_024) / packed.value + 2

/** The number of the first member that is started where none is left to handle the rest. */
const firstSubstitute = 1_000

export const play = <A, E, R, RD>(scenario: Scenario, subject: Subject<A, E, R, RD>, tracing: boolean): Played => {
  const { seed, settings } = scenario
  const time = VirtualTime.make({ dice: Dice.make(seed, "order"), maxOpsBeforeYield: scenario.maxOpsBeforeYield })
  const layout = new Map(
    subject.consumer.topics
      .slice(0, scenario.steps.some((step) => step._tag === "CreateTopic") ? 1 : undefined)
      .map((topic) => [topic, scenario.partitions] as const)
  )
  const sinceStart = () => time.now() - VirtualTime.epoch
  const trace: Array<string> = []
  const note = (event: string): void => {
    if (tracing) trace.push(`${sinceStart().toFixed(3).padStart(11)} ${event}`)
  }
  const { groupId, topics } = subject.consumer
  const losesTails = scenario.steps.some((step) => step._tag === "Produce" && step.acks === "leader")
  const fork: Stage["fork"] = (process, effect, ...part) => time.fork(process, effect, Dice.random(seed, ...part))

  const result = {
    acknowledged: 0,
    handled: 0,
    deadLettered: 0,
    discarded: 0,
    expired: 0,
    skipped: 0,
    unsettled: 0,
    repeated: 0
  }
  let oracle!: Oracle.Oracle

  const onFailure = (cause: Cause.Cause<unknown>): void =>
    oracle.broken("no record is lost", `the simulation failed: ${Diagnosis.describe(cause)}`)

  const main = Effect.gen(function* () {
    const deadLetters = yield* DeadLetters.make(subject)
    const { destination } = deadLetters
    const clusterScope = yield* Scope.make()
    const broker = yield* Scope.extend(
      makeBroker({
        nodes: scenario.nodes,
        topics: [
          ...Array.from(layout, ([name, partitions]) => ({ name, partitions })),
          ...deadLetters.topics.map((name) => ({ name, partitions: scenario.deadLetterPartitions })),
          { name: Results.topicOf(groupId), partitions: scenario.partitions }
        ],
        replicationDelay: scenario.replicationDelay,
        transactionCompletionDelay: scenario.transactions?.completionDelay
      }),
      clusterScope
    )
    /**
     * Partitions that were added after the group started: the group must handle all of their records. For a topic that
     * is read by name, the group knows that it is new only if its leader was there before: these are such leaders.
     */
    const later = new Map<string, "always" | ReadonlySet<string>>()
    const mayBeginAtEnd = (at: TopicPartition): boolean => {
      const before = later.get(nameOf(at))
      if (!scenario.rare.latest || before === "always") return false
      return before === undefined || !before.has(Effect.runSync(broker.group(groupId)).leader ?? "")
    }
    const recordsOf = (names: ReadonlyArray<string>) =>
      Effect.map(Effect.forEach(names, broker.records), (all) => all.flat())
    /** If so, batches don't show how much of them is unpacked. */
    const isPacked = scenario.rare.packed !== undefined
    // Otherwise an undecodable record leaves no trace when it is done.
    const showsDeadLetters = destination._tag === "Topic" && scenario.transactions === undefined
    oracle = Oracle.make({
      now: sinceStart,
      calm: scenario.calm && subject.isFast,
      noticesWithinMs: 20 * scenario.rare.computes,
      keepsMembership: scenario.rare.keepsMembership && subject.isFast,
      losesTails,
      mayBeginAtEnd,
      skips: destination._tag === "None" && destination.otherwise === "skip",
      outcomesAreDeferred: scenario.transactions !== undefined,
      // A member fetches from several nodes at once.
      maxBytesToAsk: scenario.nodes === 1 && showsDeadLetters && !isPacked ? settings.maxBufferedBytes : undefined,
      maxBytes: (largestBatch) =>
        isPacked
          ? Number.POSITIVE_INFINITY
          : scenario.nodes * (settings.maxBufferedBytes + (showsDeadLetters ? largestBatch : 1_024 * 1_024)),
      maxUnpacked: maxUnpacked(scenario.rare.packed),
      newDeadLetters: () => deadLetters.findNew(Effect.runSync(recordsOf(deadLetters.topics))),
      onEvent: note
    })
    const faulty = Network.make({
      scenario,
      deadLetterTopics: deadLetters.topics,
      runtime: yield* Effect.runtime<never>(),
      clock: yield* Effect.clock,
      note: tracing ? note : undefined
    })
    const stage: Stage = { scenario, layout, time, broker, oracle, note, fork, faulty }
    const producers = yield* Producers.make(stage, { topics: Array.from(layout.keys()), record: subject.record })
    const members = Members.make(stage, subject, destination)
    const controls = Controls.make(stage, members, subject.consumer)

    const reportFailure = (cause: Cause.Cause<unknown>) => Effect.sync(() => onFailure(cause))

    const schedule = (millis: number, effect: Effect.Effect<void>) =>
      Effect.sync(() => {
        fork(rootProcess, Effect.tapErrorCause(Effect.zipRight(Effect.sleep(millis), effect), reportFailure), "later")
      })

    const retain = Effect.fnUntraced(function* (partition: number, count: number) {
      const at = { topic: topics[0]!, partition }
      const records = (yield* broker.records(at.topic)).filter((record) => record.partition === partition)
      const startOffset = Math.max(0, (records.at(-1)?.offset ?? -1) + 1 - count)
      yield* Effect.ignore(broker.truncateBefore(at.topic, partition, startOffset))
      oracle.expired(at, startOffset)
    })

    const grow = Effect.fnUntraced(function* (topic: string, records: number) {
      const partition = layout.get(topic) ?? 0
      layout.set(topic, partition + 1)
      const committed = yield* broker.committed(groupId)
      const { members, state } = yield* broker.group(groupId)
      // A group without commits may start after it.
      if (partition > 0 && committed.some((one) => one.topic === topic))
        later.set(nameOf({ topic, partition }), "always")
      else if (partition === 0 && state === "Stable") {
        later.set(nameOf({ topic, partition }), new Set(members.map(({ memberId }) => memberId)))
      }
      yield* Effect.orDie(partition === 0 ? broker.createTopic(topic, 1) : broker.addPartitions(topic, partition + 1))
      yield* producers.write({ topic, partition }, records)
    })

    const perform = (step: Step): Effect.Effect<void> => {
      if (tracing) note(JSON.stringify(step))
      switch (step._tag) {
        case "Produce":
          return producers.produce(step.count, step.acks)
        case "Start":
          return members.start(step.member, step.instance)
        case "Stop":
          return members.stop(step.member)
        case "Kill":
          return members.kill(step.member)
        case "FreezeMember": {
          const found = members.running.get(step.member)
          if (found === undefined) return Effect.void
          const { member, process } = found
          process.freeze()
          const thaw = Effect.sync(() => {
            process.thaw()
            oracle.thaws(member)
          })
          return schedule(step.millis, thaw)
        }
        case "JumpClock":
          return Effect.sync(() => members.running.get(step.member)?.process.jump(step.millis))
        case "MoveLeader":
          return Effect.forEach(topics, (topic) => broker.moveLeader(topic, step.partition, step.node), {
            discard: true
          })
        case "MoveCoordinator":
          return broker.moveCoordinator(groupId, step.node)
        case "StopNode":
          return Effect.zipRight(
            broker.stopNode(step.node, { electAfter: step.electAfter, tail: step.tail }),
            schedule(step.millis, broker.startNode(step.node))
          )
        case "Retain":
          return retain(step.partition, step.last)
        case "AddPartition":
          return grow(topics[0]!, step.records)
        case "CreateTopic":
          return grow(topics.at(-1)!, step.records)
        case "Pause":
          return schedule(0, controls.pause(step))
        case "Seek":
          return schedule(0, controls.seek(step))
        case "Fault":
        case "Outage":
          return Effect.void
      }
    }

    const isBroken = Effect.suspend(() =>
      oracle.violation() === undefined ? Effect.void : Effect.fail("broken" as const)
    )

    const everythingIsDone = Effect.gen(function* () {
      if (producers.isSending()) return false
      const committed = yield* broker.committed(groupId)
      const ends = new Map<string, number>()
      for (const at of yield* recordsOf(topics)) ends.set(nameOf(at), at.offset + 1)
      for (const at of committed) if (at.offset >= (ends.get(nameOf(at)) ?? 0)) ends.delete(nameOf(at))
      return ends.size === 0
    })

    /** Waits until rebalances have ended and every partition has an owner. */
    const awaitAssignment = Effect.fnUntraced(function* (deadline: number) {
      while (members.running.size > 0 && !members.haveStoppedAtRecord()) {
        yield* isBroken
        const unassigned = yield* members.unassigned
        if (unassigned?.length === 0) return
        if (time.now() >= deadline) {
          const description = unassigned === undefined ? "the group" : unassigned.map(nameOf).join(" ")
          return oracle.broken(
            "every rebalance ends",
            `${description} not assigned after ${recoveryMs / 60_000} minutes`
          )
        }
        yield* Effect.sleep(500)
      }
    })

    const recover = Effect.gen(function* () {
      note("all faults are over")
      let substitute = firstSubstitute
      const deadline = time.now() + recoveryMs
      while (!(members.haveStoppedAtRecord() || (yield* everythingIsDone))) {
        yield* isBroken
        // A member with a shared transactional id may learn only now that another member has it.
        if (Array.from(members.running.values()).every(({ stopping }) => stopping))
          yield* members.start(substitute, substitute++)
        if (time.now() >= deadline) {
          const committed = yield* broker.committed(groupId)
          const description = committed.map((at) => `${nameOf(at)}@${at.offset}`).join(" ")
          oracle.broken(
            "every record is handled in the end",
            `committed after ${recoveryMs / 60_000} minutes: ${description}`
          )
          return
        }
        yield* Effect.sleep(500)
      }
      yield* awaitAssignment(deadline)
      // Stopping all of them would cost more than it would find.
      const partings = Dice.make(seed, "partings")
      for (const number of [...members.running.keys()]) {
        yield* partings.chance(0.3) ? members.stop(number) : members.kill(number)
      }
      const lastly = time.now() + recoveryMs
      while (members.running.size > 0 && time.now() < lastly) {
        yield* isBroken
        yield* Effect.sleep(500)
      }
      if (members.running.size > 0) oracle.broken("every record is handled in the end", "a member never stopped")
    })

    const account = Effect.gen(function* () {
      producers.check(yield* recordsOf(topics))
      const acknowledged = producers.acknowledged()
      if (scenario.transactions !== undefined && !losesTails) {
        // Open transactions of killed members hide records committed behind them.
        yield* Effect.sleep(scenario.transactions.timeout + 1_000)
        oracle.findDeadLetters()
        Results.check(oracle, acknowledged, yield* broker.records(Results.topicOf(groupId)), deadLetters.found())
      }
      for (const { offset, ...at } of acknowledged) {
        const outcome = oracle.outcome(at, offset)
        result[outcome]++
        if (outcome === "unsettled" && !members.haveStoppedAtRecord()) {
          oracle.broken("no record is lost", `${nameOf(at)}@${offset} was acknowledged and never settled`)
        }
      }
      result.acknowledged = acknowledged.length
      result.repeated = oracle.repeated()
    })

    const playing = Effect.gen(function* () {
      for (const step of scenario.steps) {
        const wait = step.at - sinceStart()
        if (wait > 0) yield* Effect.sleep(wait)
        yield* isBroken
        yield* perform(step)
      }
      const wait = scenario.end - sinceStart()
      if (wait > 0) yield* Effect.sleep(wait + 1)
      yield* recover
      yield* isBroken
      yield* account
    })
    yield* Effect.ignore(playing)
    yield* producers.close
    yield* Scope.close(clusterScope, Exit.void)
  })

  const rootProcess = time.process()
  const exit = time.run(fork(rootProcess, main, "root"), () => oracle?.violation() !== undefined)
  if (exit === undefined && oracle.violation() === undefined) {
    oracle.broken("every record is handled in the end", "nothing is left to run, or time stands still")
  } else if (exit !== undefined && Exit.isFailure(exit)) {
    onFailure(exit.cause)
  }
  return { violation: oracle.violation(), account: result, virtualMillis: sinceStart(), trace }
}
