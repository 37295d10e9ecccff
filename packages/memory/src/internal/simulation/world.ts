/**
 * Plays a scenario: a cluster in memory, members and producers as processes of a virtual world, and an oracle that is
 * told what happens.
 */
import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import { Wire } from "@spillway/kafka/Wire"
import { type Consumer, ConsumerError, type TopicPartition } from "@spillway/transport/Consumer"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import type { Envelope } from "@spillway/transport/Envelope"
import type { Headers } from "@spillway/transport/Headers"
import { Producer, ProducerError } from "@spillway/transport/Producer"
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import type { FaultRule } from "../../Faults.js"
import { type MemoryClient, make as makeBroker } from "../../MemoryBroker.js"
import * as Dice from "../dice.js"
import * as FaultRules from "../faultRules.js"
import * as FaultyConnection from "../faultyConnection.js"
import * as VirtualTime from "../virtualTime.js"
import * as Observed from "./observed.js"
import * as Oracle from "./oracle.js"
import * as Protocol from "./protocol.js"
import type { Scenario, Step, Whom } from "./scenario.js"

/** What is simulated: a consumer as its program would make it, and the records it is to handle. */
export interface SimulatedRecord {
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers: Headers
}

export interface Subject<A, E, R, RD> {
  readonly consumer: KafkaConsumer.KafkaConsumerOptions<A, E, R, RD> & { readonly topics: ReadonlyArray<string> }
  /** Its handlers are faster than a rebalance, so that in a calm scenario nothing settles twice. */
  readonly isFast: boolean
  readonly record: (index: number, dice: Dice.Dice) => SimulatedRecord
  readonly context: Context.Context<Exclude<R | RD, Producer | Wire>>
}

/** What became of the records that producers got acknowledged; each counts once. */
export interface Account {
  readonly acknowledged: number
  readonly handled: number
  readonly deadLettered: number
  /** Given up, as the consumer is told to where it has no dead letters. */
  readonly discarded: number
  /** Deleted by retention before they had an outcome. */
  readonly expired: number
  /** Without an outcome, as a consumer is told to stop at them. */
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

interface Running {
  readonly process: VirtualTime.Process
  readonly client: MemoryClient
  readonly member: Oracle.Member
  readonly scope: Scope.CloseableScope
  consumer: Consumer | undefined
  stopping: boolean
}

/** How long everything may take to be handled once nothing goes wrong any more, in milliseconds. */
const recoveryMs = 4 * 60_000

/** A request that gets no answer fails after this long, in milliseconds. */
const requestTimeoutMs = 5_000

export const play = <A, E, R, RD>(scenario: Scenario, subject: Subject<A, E, R, RD>, tracing: boolean): Played => {
  const { seed, settings } = scenario
  const time = VirtualTime.make({ dice: Dice.make(seed, "order"), maxOpsBeforeYield: scenario.maxOpsBeforeYield })
  const sinceStart = () => time.now() - VirtualTime.epoch
  const trace: Array<string> = []
  const note = (event: string): void => {
    if (tracing) trace.push(`${sinceStart().toFixed(3).padStart(11)} ${event}`)
  }
  const { groupId, topics } = subject.consumer
  const quietly = <A, E, R>(effect: Effect.Effect<A, E, R>, ...part: ReadonlyArray<string | number>) =>
    Effect.withRandom(Logger.withMinimumLogLevel(effect, LogLevel.None), Dice.random(seed, ...part))

  const result = { acknowledged: 0, handled: 0, deadLettered: 0, discarded: 0, expired: 0, unsettled: 0, repeated: 0 }
  let oracle!: Oracle.Oracle

  const main = Effect.gen(function* () {
    const destination = yield* Effect.provideService(subject.consumer.deadLetter.destination, Producer, nobody).pipe(
      Effect.provide(subject.context)
    ) as Effect.Effect<DeadLetter.Destination>
    const deadLetterTopics =
      destination._tag === "Topic" ? Array.from(new Set(topics.map((topic) => destination.topicOf(topic)))) : []
    const letterHeaders = destination._tag === "Topic" ? { headers: destination.headers } : {}
    const clusterScope = yield* Scope.make()
    const broker = yield* Scope.extend(
      makeBroker({
        nodes: scenario.nodes,
        topics: [
          ...topics.map((name) => ({ name, partitions: scenario.partitions })),
          ...deadLetterTopics.map((name) => ({ name, partitions: scenario.deadLetterPartitions }))
        ],
        replicationDelay: scenario.replicationDelay
      }),
      clusterScope
    )
    const clock = yield* Effect.clock
    const runtime = yield* Effect.runtime<never>()
    const fork = <A, E>(process: VirtualTime.Process, effect: Effect.Effect<A, E>) => time.fork(process, effect)

    const deadLettersSeen = new Map<string, number>()
    const findDeadLetters = () => {
      for (const name of deadLetterTopics) {
        const letters = Effect.runSync(broker.records(name))
        const seen = deadLettersSeen.get(name) ?? 0
        if (letters.length === seen) continue
        deadLettersSeen.set(name, letters.length)
        for (const letter of letters) {
          const place = `${name}-${letter.partition}@${letter.offset}`
          if (deadLettersSeen.has(place)) continue
          deadLettersSeen.set(place, 1)
          const { offset, partition, topic } = Option.getOrThrow(DeadLetter.metadata(letter, letterHeaders))
          oracle.deadLettered({ topic: topic!, partition: partition! }, offset!)
        }
      }
    }
    oracle = Oracle.make({
      now: sinceStart,
      calm: scenario.calm && subject.isFast,
      skips: destination._tag === "None" && destination.otherwise === "skip",
      maxBytes: scenario.nodes * (settings.maxBufferedBytes + 1_024 * 1_024),
      findDeadLetters,
      onEvent: note
    })

    const rulesFor = (whom: Whom): ReadonlyArray<FaultRule> =>
      scenario.steps.flatMap((step) => {
        if (step._tag !== "Fault" || (step.whom !== "all" && step.whom !== whom)) return []
        return {
          fault: step.fault,
          apis: step.apis,
          ports: step.node === undefined ? undefined : [9091 + step.node],
          topics: step.deadLetters ? deadLetterTopics : undefined,
          probability: step.probability,
          from: step.at,
          until: step.at + step.millis
        }
      })

    const faulty = (wire: Context.Tag.Service<Wire>, whom: Whom) => {
      const onFault = tracing
        ? (event: { readonly endpoint: string; readonly api: unknown; readonly fault: object }) =>
            note(`network of ${whom}: ${event.api ?? "connect"} to ${event.endpoint}: ${JSON.stringify(event.fault)}`)
        : () => {}
      return FaultyConnection.wrap(wire, {
        runtime,
        clock,
        rules: FaultRules.make(
          { seed: Dice.make(seed, "faults", whom).below(2 ** 31), rules: rulesFor(whom) },
          VirtualTime.epoch
        ),
        requestTimeoutMs,
        connectTimeoutMs: requestTimeoutMs,
        onFault
      })
    }

    // Producers

    const producing = time.process()
    const producerScope = yield* Scope.make()
    const producerClient = yield* broker.client("producers")
    const recordDice = Dice.make(seed, "records")
    const acknowledged: Array<TopicPartition & { readonly offset: number; readonly value: Uint8Array | null }> = []
    let sending = 0
    let index = 0

    const producer = yield* Fiber.join(
      fork(
        producing,
        quietly(
          Scope.extend(KafkaProducer.make({ deliveryTimeout: "10 minutes" }), producerScope).pipe(
            Effect.provideService(Wire, faulty(producerClient.wire, "producers"))
          ),
          "producer"
        )
      )
    )

    const produce = (count: number, acks: "all" | "leader") =>
      Effect.suspend(() => {
        const records = Array.from({ length: count }, () => ({
          ...subject.record(index++, recordDice),
          topic: topics.length === 1 ? topics[0]! : recordDice.pick(topics),
          partition: recordDice.below(scenario.partitions)
        }))
        if (acks === "leader") {
          return Effect.forEach(
            records,
            ({ key, headers, partition, topic, value }) =>
              broker.produce(topic, [{ key, value, headers, partition }], { acks }),
            { discard: true }
          )
        }
        sending++
        fork(
          producing,
          quietly(
            Effect.map(producer.sendAllEither(records), (results) => {
              sending--
              for (const [i, result] of results.entries()) {
                if (Either.isLeft(result)) {
                  note(`sending failed: ${result.left.message}`)
                  continue
                }
                const { offset, partition, topic } = result.right
                acknowledged.push({ topic, partition, offset, value: records[i]!.value })
                oracle.produced({ topic, partition }, offset)
              }
            }),
            "send",
            index
          )
        )
        return Effect.void
      })

    // Members

    const running = new Map<number, Running>()

    const isAnothers = (at: TopicPartition, generation: number, memberId: string): boolean => {
      const group = Effect.runSync(broker.group(groupId))
      return (
        group.generation === generation &&
        group.members.some(
          (other) =>
            other.memberId !== memberId &&
            Protocol.assigned(other.assignment).some(
              ({ partition, topic }) => topic === at.topic && partition === at.partition
            )
        )
      )
    }

    /** A consumer without dead letters that is told to stop at a record it can't handle. */
    const isAskedFor = (failure: unknown): boolean =>
      destination._tag === "None" &&
      destination.otherwise === "stop" &&
      failure instanceof ConsumerError &&
      failure.reason === "HandlingFailed"
    let stoppedAtRecord = false

    const observedHandler =
      (member: Oracle.Member) =>
      (envelope: Envelope<A>): Effect.Effect<unknown, E, R> =>
        Effect.suspend(() => {
          const { attempt, offset } = envelope
          oracle.started(member, envelope, offset, attempt)
          return Effect.onExit(subject.consumer.handler(envelope), (exit) =>
            Effect.sync(() => {
              const outcome = Exit.isSuccess(exit) ? "handled" : Exit.isInterrupted(exit) ? "interrupted" : "failed"
              oracle.ended(member, envelope, offset, outcome)
            })
          )
        })

    const start = (number: number) =>
      Effect.gen(function* () {
        const process = time.process()
        const client = yield* broker.client(`member-${number}`)
        const member = oracle.member(number)
        const scope = yield* Scope.make()
        const wire = Observed.client(
          faulty(Observed.cluster(client.wire, member, oracle, isAnothers), number),
          member,
          oracle,
          note
        )
        const state: Running = { process, client, member, scope, consumer: undefined, stopping: false }
        running.set(number, state)
        note(`member ${number} starts`)
        const made = Effect.gen(function* () {
          const producer = yield* KafkaProducer.make({ deliveryTimeout: "30 seconds" })
          const consumer = yield* KafkaConsumer.make<A, E, R, RD>({
            ...settings,
            ...subject.consumer,
            handler: observedHandler(member)
          }).pipe(Effect.provideService(Producer, producer), Effect.provide(subject.context)) as Effect.Effect<
            Consumer,
            ConsumerError,
            Wire | Scope.Scope
          >
          state.consumer = consumer
          yield* consumer.wait
        }).pipe(
          Effect.provideService(Wire, wire),
          (effect) => Scope.extend(effect, scope),
          Effect.tapErrorCause((cause) =>
            Effect.sync(() => {
              if (Cause.isInterruptedOnly(cause)) return
              const failure = Option.getOrUndefined(Cause.failureOption(cause))
              if (isAskedFor(failure)) {
                note(`member ${number} stops at a record, as it is told to`)
                stoppedAtRecord = true
                return
              }
              oracle.broken("transient faults fail no consumer", `member ${number} failed: ${Cause.pretty(cause)}`)
            })
          )
        )
        fork(process, quietly(Effect.exit(made), "member", number))
      })

    const kill = (number: number) =>
      Effect.suspend(() => {
        const found = running.get(number)
        if (found === undefined) return Effect.void
        running.delete(number)
        note(`member ${number} is killed`)
        found.process.kill()
        return found.client.cut
      })

    const stop = (number: number) =>
      Effect.suspend(() => {
        const found = running.get(number)
        if (found === undefined || found.stopping) return Effect.void
        found.stopping = true
        const { client, consumer, member, process, scope } = found
        if (consumer === undefined) return kill(number)
        note(`member ${number} stops`)
        const { troubles } = member
        const startedAt = time.now()
        const settledBefore = new Set(member.owned.keys())
        const stopped = Effect.sync(() => {
          const tookMs = time.now() - startedAt
          note(`member ${number} has stopped in ${tookMs} ms`)
          if (member.troubles > troubles || member.connecting > 0 || tookMs >= settings.drainTimeout) return
          const committed = new Map(
            Effect.runSync(broker.committed(groupId)).map((at) => [Oracle.nameOf(at), at.offset] as const)
          )
          for (const { name, offset } of oracle.settledBy(member)) {
            if (!settledBefore.has(name) || offset < (committed.get(name) ?? 0)) continue
            oracle.broken(
              "a clean drain commits all that settled",
              `member ${number} settled ${name}@${offset}, but the group has committed ${committed.get(name) ?? 0}`
            )
          }
        })
        return Effect.asVoid(
          Effect.forkDaemon(
            Effect.gen(function* () {
              yield* Fiber.await(fork(process, quietly(consumer.close, "stop", number)))
              yield* stopped
              yield* Fiber.await(fork(process, quietly(Scope.close(scope, Exit.void), "close", number)))
              yield* client.cut
              // What was interrupted has its last turn.
              yield* Effect.sleep(1)
              if (process.pending() > 0) {
                oracle.broken(
                  "nothing outlives a closed consumer",
                  `member ${number} left ${process.pending()} tasks or timers`
                )
              }
              process.kill()
              running.delete(number)
            })
          )
        )
      })

    // Steps

    const onEach = (number: number, act: (running: Running) => void) =>
      Effect.sync(() => {
        const found = running.get(number)
        if (found !== undefined) act(found)
      })

    const perform = (step: Step): Effect.Effect<void> => {
      note(JSON.stringify(step))
      switch (step._tag) {
        case "Produce":
          return Effect.orDie(produce(step.count, step.acks))
        case "Start":
          return start(step.member)
        case "Stop":
          return stop(step.member)
        case "Kill":
          return kill(step.member)
        case "FreezeMember":
          return onEach(step.member, ({ process }) => {
            process.freeze()
            fork(rootProcess, Effect.zipRight(Effect.sleep(step.millis), Effect.sync(process.thaw)))
          })
        case "JumpClock":
          return onEach(step.member, ({ process }) => process.jump(step.millis))
        case "MoveLeader":
          return Effect.forEach(topics, (topic) => broker.moveLeader(topic, step.partition, step.node), {
            discard: true
          })
        case "MoveCoordinator":
          return broker.moveCoordinator(groupId, step.node)
        case "StopNode":
          return Effect.zipRight(
            broker.stopNode(step.node, { electAfter: step.electAfter, tail: step.tail }),
            Effect.sync(() => {
              fork(rootProcess, Effect.zipRight(Effect.sleep(step.millis), broker.startNode(step.node)))
            })
          )
        case "Retain": {
          const at = { topic: topics[0]!, partition: step.partition }
          return Effect.gen(function* () {
            const records = yield* broker.records(at.topic)
            const last = Math.max(-1, ...records.filter((r) => r.partition === step.partition).map((r) => r.offset))
            const startOffset = Math.max(0, last + 1 - step.last)
            yield* Effect.ignore(broker.truncateBefore(at.topic, step.partition, startOffset))
            oracle.expired(at, startOffset)
          })
        }
        case "Fault":
          return Effect.void
      }
    }

    const isBroken = Effect.suspend(() =>
      oracle.violation() === undefined ? Effect.void : Effect.fail("broken" as const)
    )

    const recordsOfAll = Effect.map(Effect.forEach(topics, broker.records), (all) => all.flat())

    const everythingIsDone = Effect.gen(function* () {
      if (sending > 0) return false
      const committed = yield* broker.committed(groupId)
      const ends = new Map<string, number>()
      for (const at of yield* recordsOfAll) ends.set(Oracle.nameOf(at), at.offset + 1)
      for (const at of committed) if (at.offset >= (ends.get(Oracle.nameOf(at)) ?? 0)) ends.delete(Oracle.nameOf(at))
      return ends.size === 0
    })

    const recover = Effect.gen(function* () {
      note("everything is mended")
      if (Array.from(running.values()).every(({ stopping }) => stopping)) yield* start(1_000)
      const deadline = time.now() + recoveryMs
      while (!(stoppedAtRecord || (yield* everythingIsDone))) {
        yield* isBroken
        if (time.now() >= deadline) {
          const committed = yield* broker.committed(groupId)
          const description = committed.map((at) => `${Oracle.nameOf(at)}@${at.offset}`).join(" ")
          oracle.broken(
            "everything is handled in the end",
            `committed after ${recoveryMs / 60_000} minutes: ${description}`
          )
          return
        }
        yield* Effect.sleep(500)
      }
      for (const number of [...running.keys()]) yield* stop(number)
      const lastly = time.now() + recoveryMs
      while (running.size > 0 && time.now() < lastly) {
        yield* isBroken
        yield* Effect.sleep(500)
      }
      if (running.size > 0) oracle.broken("everything is handled in the end", "a member never stopped")
    })

    const account = Effect.gen(function* () {
      const log = new Map(
        (yield* recordsOfAll).map((record) => [`${Oracle.nameOf(record)}@${record.offset}`, record.value] as const)
      )
      findDeadLetters()
      for (const { offset, partition, topic, value } of acknowledged) {
        const at = { topic, partition }
        const stored = log.get(`${Oracle.nameOf(at)}@${offset}`)
        if (stored !== undefined && Buffer.compare(stored ?? nothing, value ?? nothing) !== 0) {
          oracle.broken(
            "no record is lost",
            `${Oracle.nameOf(at)}@${offset} is another record than the one acknowledged`
          )
        }
        const outcome = oracle.outcome(at, offset)
        result[outcome]++
        if (outcome === "unsettled" && !stoppedAtRecord) {
          oracle.broken("no record is lost", `${Oracle.nameOf(at)}@${offset} was acknowledged and never settled`)
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
    yield* Scope.close(producerScope, Exit.void)
    yield* Scope.close(clusterScope, Exit.void)
  })

  const rootProcess = time.process()
  const exit = time.run(time.fork(rootProcess, quietly(main, "root")), () => oracle?.violation() !== undefined)
  if (exit === undefined && oracle.violation() === undefined) {
    oracle.broken("everything is handled in the end", "nothing is left that could go on, or time stands still")
  } else if (exit !== undefined && Exit.isFailure(exit)) {
    oracle.broken("no record is lost", `the simulation failed: ${Cause.pretty(exit.cause)}`)
  }
  return { violation: oracle.violation(), account: result, virtualMillis: sinceStart(), trace }
}

const nothing = new Uint8Array(0)

/** Stands in where only a dead letter policy's topics are wanted. */
const nobody = Producer.of({
  send: ({ topic }) => Effect.fail(new ProducerError({ reason: "Closed", topic, description: "nobody" })),
  sendAll: () => Effect.succeed([]),
  sendAllEither: () => Effect.succeed([]),
  partitions: (topic) => Effect.fail(new ProducerError({ reason: "Closed", topic, description: "nobody" }))
})
