/**
 * The members of the group in a simulated world: processes that run the consumer, start, stop and are killed.
 */

import * as KafkaConsumer from "@spillway/kafka/KafkaConsumer"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import { Wire } from "@spillway/kafka/Wire"
import type { ControlError } from "@spillway/transport/Consumer"
import { type Consumer, ConsumerError, type TopicPartition } from "@spillway/transport/Consumer"
import type { Destination } from "@spillway/transport/DeadLetter"
import type { Envelope } from "@spillway/transport/Envelope"
import type { InvalidOptions } from "@spillway/transport/InvalidOptions"
import { Producer } from "@spillway/transport/Producer"
import type { ConsumerSnapshot } from "@spillway/transport/runtime/ConsumerSnapshot"
import * as Diagnosis from "@spillway/transport/runtime/Diagnosis"
import { off } from "@spillway/transport/runtime/MetricsRegistry"
import { TransportMetrics } from "@spillway/transport/TransportMetrics"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import type { MemoryClient } from "../../MemoryBroker.js"
import * as Dice from "../dice.js"
import type * as VirtualTime from "../virtualTime.js"
import * as Observed from "./observed.js"
import type * as Oracle from "./oracle.js"
import * as Protocol from "./protocol.js"
import * as Results from "./results.js"
import type { Stage } from "./stage.js"
import type { Subject } from "./subject.js"
import { nameOf } from "./truth.js"

interface Running {
  readonly process: VirtualTime.Process
  readonly client: MemoryClient
  readonly member: Oracle.Member
  readonly scope: Scope.CloseableScope
  /** Of static members. */
  readonly instance: number
  /** The program's requests to it that haven't been answered. */
  readonly controls: Set<Fiber.RuntimeFiber<unknown, unknown>>
  consumer: Consumer | undefined
  /** Its current state, if it is observed. */
  snapshot: (() => ConsumerSnapshot) | undefined
  stopping: boolean
}

export interface Members {
  /** The running members, by number. */
  readonly running: ReadonlyMap<number, Pick<Running, "process" | "member" | "stopping">>
  /** A static member takes over the instance id of the member it replaces. */
  readonly start: (number: number, instance: number) => Effect.Effect<void>
  /** Asks a member to stop. A member that doesn't run its consumer yet is killed. */
  readonly stop: (number: number) => Effect.Effect<void>
  readonly kill: (number: number) => Effect.Effect<void>
  /**
   * Has a member's program make a request to its consumer, in its own process, if it has a consumer that isn't
   * stopping. Ends when the request has been answered.
   */
  readonly control: (
    number: number,
    ask: (consumer: Consumer, member: Oracle.Member) => Effect.Effect<void, ControlError>
  ) => Effect.Effect<void>
  /** Partitions that the group assigns to no member, while it is stable; undefined while it isn't. */
  readonly unassigned: Effect.Effect<ReadonlyArray<TopicPartition> | undefined>
  /** Whether a consumer has stopped at a record that it can't handle, as configured. */
  readonly haveStoppedAtRecord: () => boolean
}

export const make = <A, E, R, RD>(
  { broker, faulty, fork, layout, note, oracle, scenario, time }: Stage,
  subject: Subject<A, E, R, RD>,
  destination: Destination
): Members => {
  const { groupId } = subject.consumer
  const { rare, seed, settings, transactions } = scenario
  const running = new Map<number, Running>()
  /** How many members have started with each instance id. */
  const instances = new Map<number, number>()
  let stoppedAtRecord = false

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

  const unassigned = Effect.gen(function* () {
    const { members, state } = yield* broker.group(groupId)
    if (state !== "Stable") return undefined
    const given = new Set(members.flatMap(({ assignment }) => Protocol.assigned(assignment).map(nameOf)))
    return subject.consumer.topics.flatMap((topic) =>
      Array.from({ length: layout.get(topic) ?? 0 }, (_, partition) => ({ topic, partition })).filter(
        (at) => !given.has(nameOf(at))
      )
    )
  })

  /** A consumer without dead letters that is configured to stop at a record it can't handle. */
  const isAskedFor = (failure: unknown): boolean =>
    destination._tag === "None" &&
    destination.otherwise === "stop" &&
    failure instanceof ConsumerError &&
    failure.reason === "HandlingFailed"

  /** A consumer whose transactional id another consumer, or an earlier request of its own, has taken over. */
  const isFenced = (number: number, failure: unknown): boolean =>
    ((transactions?.sharedIds ?? 0) > 0 || running.get(number)?.member.mayFenceItself === true) &&
    failure instanceof ConsumerError &&
    failure.reason === "FencedProducer"

  /** A static member that another one has replaced. When two start, either may join first. */
  const isReplaced = (number: number, failure: unknown): boolean => {
    const found = running.get(number)
    return (
      rare.isStatic &&
      failure instanceof ConsumerError &&
      failure.reason === "FencedInstance" &&
      found !== undefined &&
      instances.get(found.instance)! > 1
    )
  }

  const onFailure = (number: number, cause: Cause.Cause<unknown>): Effect.Effect<void> => {
    const failure = Option.getOrUndefined(Cause.failureOption(cause))
    if (Cause.isInterruptedOnly(cause)) return Effect.void
    if (isFenced(number, failure) || isReplaced(number, failure)) return kill(number)
    return Effect.sync(() => {
      if (isAskedFor(failure)) {
        note(`member ${number} stops at a record, as configured`)
        stoppedAtRecord = true
      } else oracle.broken("transient faults fail no consumer", `member ${number} failed: ${Diagnosis.describe(cause)}`)
    })
  }

  const handlerTimeoutMs = Duration.toMillis(subject.consumer.handlerTimeout ?? settings.handlerTimeout)

  const outcomeOf = (exit: Exit.Exit<unknown, unknown>, isLate: boolean): Parameters<Oracle.Oracle["ended"]>[3] => {
    if (Exit.isSuccess(exit)) return isLate ? "late" : "handled"
    return Exit.isInterrupted(exit) ? "interrupted" : "failed"
  }

  const lookAtBuffer = (member: Oracle.Member): void => {
    const { snapshot } = running.get(member.number) ?? {}
    if (snapshot === undefined) return
    oracle.holds(
      member,
      snapshot().partitions.reduce((sum, { bufferedRecords }) => sum + bufferedRecords, 0)
    )
  }

  /** Metrics that only show what the consumer does. */
  const showing = (state: Running) => ({
    ...off,
    observeConsumer: (_: unknown, snapshot: () => ConsumerSnapshot) =>
      Effect.sync(() => {
        state.snapshot = snapshot
      })
  })

  const observedHandler =
    (member: Oracle.Member) =>
    (envelope: Envelope<A>): Effect.Effect<unknown, E, R> =>
      Effect.suspend(() => {
        const { attempt, offset } = envelope
        oracle.started(member, envelope, offset, attempt)
        lookAtBuffer(member)
        // A timer may be early.
        const lateAt = time.now() + handlerTimeoutMs - 1
        return Effect.onExit(subject.consumer.handler(envelope), (exit) =>
          Effect.sync(() => {
            oracle.ended(member, envelope, offset, outcomeOf(exit, time.now() >= lateAt))
          })
        )
      })

  const make = Effect.fnUntraced(function* (member: Oracle.Member, instance: number) {
    const { deliveryTimeout, ...tuning } = settings
    const options = {
      ...tuning,
      initialOffset: rare.latest ? ("latest" as const) : undefined,
      groupInstanceId: rare.isStatic ? `instance-${instance}` : undefined,
      ...subject.consumer,
      handler: observedHandler(member)
    }
    if (transactions === undefined) {
      const producer = yield* KafkaProducer.make({ deliveryTimeout })
      return yield* Effect.provideService(KafkaConsumer.make(options), Producer, producer)
    }
    const { sharedIds, timeout } = transactions
    return yield* KafkaConsumer.makeTransactional({
      ...options,
      transactionalId: `${groupId}-${sharedIds === 0 ? member.number : member.number % sharedIds}`,
      transactionTimeout: timeout,
      producer: { deliveryTimeout },
      handler: (envelope) => Effect.as(options.handler(envelope), [Results.of(groupId, envelope)])
    })
  })

  const start = Effect.fnUntraced(function* (number: number, instance: number) {
    const process = time.process({ early: rare.early ? Dice.make(seed, "timers", number).next : undefined })
    const client = yield* broker.client(`member-${number}`)
    const member = oracle.member(number)
    const scope = yield* Scope.make()
    const wire = Observed.client(
      faulty(Observed.cluster(client.wire, member, oracle, isAnothers), number),
      member,
      oracle,
      (subject.consumer.assignors ?? settings.assignors).every((assignor) => assignor === "range"),
      note
    )
    const state: Running = {
      process,
      client,
      member,
      scope,
      instance,
      controls: new Set(),
      consumer: undefined,
      snapshot: undefined,
      stopping: false
    }
    instances.set(instance, (instances.get(instance) ?? 0) + 1)
    running.set(number, state)
    note(`member ${number} starts`)
    const metrics = rare.packed === undefined ? off : showing(state)
    const context = Context.add(Context.add(subject.context, Wire, wire), Scope.Scope, scope).pipe(
      Context.add(TransportMetrics, metrics)
    )
    const made = Effect.provide(make(member, instance), context) as Effect.Effect<
      Consumer,
      ConsumerError | InvalidOptions
    >
    const consumed = Effect.flatMap(made, (consumer) => {
      state.consumer = consumer
      return consumer.wait
    })
    fork(
      process,
      Effect.catchAllCause(consumed, (cause) => onFailure(number, cause)),
      "member",
      number
    )
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
      return found.consumer === undefined ? kill(number) : Effect.asVoid(Effect.forkDaemon(drain(number, found)))
    })

  const control: Members["control"] = (number, ask) =>
    Effect.suspend(() => {
      const found = running.get(number)
      if (found === undefined || found.stopping || found.consumer === undefined) return Effect.void
      const { consumer, controls, member, process } = found
      const fiber = fork(process, Effect.ignore(Effect.suspend(() => ask(consumer, member))), "control", number)
      controls.add(fiber)
      fiber.addObserver(() => controls.delete(fiber))
      return Effect.asVoid(Fiber.await(fiber))
    })

  const drain = Effect.fnUntraced(function* (number: number, found: Running) {
    const { client, controls, member, process, scope } = found
    note(`member ${number} stops`)
    const { failures } = member
    const startedAt = time.now()
    const ownedBefore = new Set(member.owned.keys())
    const close = Effect.zipRight(
      Effect.sync(() => oracle.drains(member)),
      found.consumer!.close
    )
    const closed = yield* Fiber.await(fork(process, close, "stop", number))
    const tookMs = time.now() - startedAt
    note(`member ${number} has stopped in ${tookMs} ms`)
    const isClean =
      Exit.isSuccess(closed) &&
      (transactions?.sharedIds ?? 0) === 0 &&
      member.failures === failures &&
      member.connecting === 0 &&
      tookMs < settings.drainTimeout - 1
    if (isClean) {
      if (transactions !== undefined) yield* Effect.sleep(transactions.completionDelay)
      yield* checkCommitted(member, ownedBefore)
    }
    yield* Fiber.await(fork(process, Scope.close(scope, Exit.void), "close", number))
    yield* Fiber.await(fork(process, Fiber.interruptAll(controls), "controls", number))
    yield* client.cut
    // Interrupted fibers get their last turn.
    yield* Effect.sleep(1)
    if (process.pending() > 0) {
      oracle.broken("nothing outlives a closed consumer", `member ${number} left ${process.pending()} tasks or timers`)
    }
    process.kill()
    running.delete(number)
  })

  const checkCommitted = (member: Oracle.Member, ownedBefore: ReadonlySet<string>) =>
    Effect.map(broker.committed(groupId), (committed) => {
      const offsets = new Map(committed.map((at) => [nameOf(at), at.offset]))
      for (const { name, offset } of oracle.settledBy(member)) {
        if (!ownedBefore.has(name) || offset < (offsets.get(name) ?? 0)) continue
        oracle.broken(
          "a clean drain commits every settled record",
          `member ${member.number} settled ${name}@${offset}, but the group has committed ${offsets.get(name) ?? 0}`
        )
      }
    })

  return { running, start, stop, kill, control, unassigned, haveStoppedAtRecord: () => stoppedAtRecord }
}
