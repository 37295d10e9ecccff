/**
 * Puts a consumer together and runs it from its start to its end: join, handle, drain, leave.
 */

import { type Consumer, ConsumerError, type ConsumerReport, ConsumerSupervisor } from "@spillway/transport/Consumer"
import * as CircuitBreaker from "@spillway/transport/runtime/CircuitBreaker"
import type { ConsumerSnapshot } from "@spillway/transport/runtime/ConsumerSnapshot"
import * as Diagnosis from "@spillway/transport/runtime/Diagnosis"
import { failureOf } from "@spillway/transport/runtime/Failure"
import * as Logging from "@spillway/transport/runtime/Logging"
import type { Outcome, Processor } from "@spillway/transport/runtime/Processor"
import { TransportMetrics } from "@spillway/transport/TransportMetrics"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import type { Wire } from "../../Wire.js"
import * as Cluster from "../cluster/cluster.js"
import * as RunUntil from "../concurrency/runUntil.js"
import * as Signal from "../concurrency/signal.js"
import * as Fetcher from "../fetcher/fetcher.js"
import * as Member from "../group/member.js"
import * as Membership from "../group/membership.js"
import * as OffsetCommits from "../group/offsetCommits.js"
import * as Subscription from "../group/subscription.js"
import * as AssignedPartitions from "../lane/assignedPartitions.js"
import * as Gate from "../lane/gate.js"
import * as HandlerTimeout from "../lane/handlerTimeout.js"
import type { PartitionContext } from "../lane/partition.js"
import * as Queue from "../lane/queue.js"
import * as Turn from "../lane/turn.js"
import type { ConsumerSettings } from "../settings/consumerSettings.js"
import { byPlace, keyOf, placeOf } from "../topicPartition.js"
import type { Commits, CommittingConsumer } from "../transaction/commits.js"
import * as Assignment from "./assignment.js"
import * as Committer from "./committer.js"
import * as Control from "./control.js"
import type { ConsumerHealth } from "./health.js"
import * as Lifecycle from "./lifecycle.js"
import * as Pauses from "./pauses.js"
import * as UnhandledFailure from "./unhandledFailure.js"

/** The minimum time for which a drain retries its last commit, in milliseconds, even beyond `drainTimeout`. */
const finalCommitMs = 5_000

/** A consumer that has joined its group; closing the scope drains it. */
export const make = Effect.fnUntraced(function* <R>(
  settings: ConsumerSettings,
  processor: Processor<R>,
  health: ConsumerHealth,
  transactions?: Commits | undefined
): Effect.fn.Return<Consumer, ConsumerError, R | Wire | Scope.Scope> {
  const { groupId } = settings
  const scope = yield* Effect.scope
  const supervisor = yield* ConsumerSupervisor
  const metrics = yield* TransportMetrics
  const clock = yield* Effect.clock
  const lifecycle = yield* Lifecycle.make
  const counts = { handled: 0, retried: 0, deadLettered: 0, discarded: 0 }
  const joined = yield* Deferred.make<unknown, ConsumerError>()
  /** Succeeds to request a drain, fails to end the consumer with an error. */
  const stopping = yield* Deferred.make<void, ConsumerError>()
  const ended = yield* Deferred.make<ConsumerReport, ConsumerError>()
  // Closed before the drain ends only if the start is interrupted.
  const runtime = yield* Effect.acquireRelease(Scope.make(), Scope.close)
  const fail = (error: ConsumerError): Effect.Effect<void> => Effect.asVoid(Deferred.fail(stopping, error))
  const unexpected = (cause: Cause.Cause<unknown>): ConsumerError =>
    new ConsumerError({
      reason: "HandlingFailed",
      groupId,
      description: Diagnosis.describe(cause),
      cause: Diagnosis.carried(failureOf(cause, 1).error)
    })

  for (const topic of settings.topics) metrics.consumer({ topic, groupId })

  const partitions = AssignedPartitions.make()
  const pauses = { current: Pauses.none }
  const breaker =
    settings.circuitBreaker === undefined
      ? undefined
      : yield* Effect.annotateLogs(
          Scope.extend(CircuitBreaker.make(settings.circuitBreaker, partitions.wake), runtime),
          { groupId }
        )
  const context: PartitionContext<R> = {
    processor,
    handlerTimeout: Duration.millis(settings.handlerTimeoutMs),
    maxRecords: settings.maxLaneRecords,
    gate: Gate.make(transactions?.isFull ?? (() => false)),
    breaker,
    buffer: Queue.makeBuffer(settings.maxBufferedBytes),
    maxRecordBytes: settings.maxRecordBytes,
    turn: Turn.of(clock),
    attemptBegun: Signal.make(),
    isPaused: (partition) => Pauses.isPaused(pauses.current, partition),
    onOutcome: (outcome: Outcome, record) => {
      counts[outcome]++
      transactions?.settled(record)
    },
    onRetry: () => {
      counts.retried++
    },
    onFailure: (error) => fail(Cause.isCause(error) ? unexpected(error) : error)
  }

  yield* Scope.extend(metrics.activeConsumer, runtime)
  const cluster = yield* Scope.extend(Cluster.makeFor({ groupId }), runtime)
  const subscription = Subscription.make({ cluster, settings, deadLetterTopicOf: processor.deadLetterTopicOf })
  const member = Member.make(cluster, settings)
  const committing: CommittingConsumer = {
    fetchOffsets: (request) => member.toCoordinator("data", "OffsetFetch", request),
    repeat: (record) => {
      // Also for a partition that is being revoked: its next owner continues from there.
      for (const assigned of partitions.all) if (keyOf(assigned) === keyOf(record)) assigned.repeat(record)
    },
    wakeLanes: partitions.wake,
    fail
  }
  const offsetCommits = OffsetCommits.make({
    cluster,
    member,
    inTransactions: transactions && {
      begin: transactions.begin,
      commit: (of, topics) => transactions.commit(of, topics, committing)
    }
  })
  const committer = Committer.make({
    partitions,
    commits: offsetCommits,
    isStale: (assigned) => fetcher.isGone(assigned),
    isGone: (topic) =>
      Effect.match(cluster.refresh([topic]), {
        onFailure: () => false,
        onSuccess: () => cluster.topic(topic) === undefined
      }),
    metrics: metrics.group({ groupId }),
    retry: cluster.retries.of("OffsetCommit")
  })
  const fetcher: Fetcher.Fetcher = yield* Scope.extend(
    Fetcher.make({
      cluster,
      settings,
      partitions,
      buffer: context.buffer,
      fail,
      metrics: (topic) => metrics.consumer({ topic, groupId }),
      betweenCommits: committer.between
    }),
    runtime
  )
  const assignment = yield* Scope.extend(
    Assignment.make({
      cluster,
      settings,
      subscription,
      context,
      metrics,
      committer,
      partitions,
      fail,
      toCoordinator: member.toCoordinator,
      requireStable: transactions !== undefined || settings.isolationLevel === "read_committed",
      onReassigned: (partition) => transactions?.forget(partition)
    }),
    runtime
  )
  const control = Control.make({
    settings,
    subscription,
    cluster,
    assignment,
    partitions,
    committer,
    lifecycle,
    context,
    pauses
  })
  const onJoined = control.follow.pipe(
    Effect.zipRight(Deferred.succeed(joined, undefined)),
    Effect.zipRight(health.onJoined)
  )
  const membership = yield* Scope.extend(
    Membership.make({
      cluster,
      settings,
      subscription,
      checkTopics: processor.checkTopics,
      member,
      assignment,
      fail,
      onJoined
    }),
    runtime
  )

  const snapshot = (): ConsumerSnapshot => ({
    status: lifecycle.now(),
    circuitBreaker: breaker?.now(),
    partitions: Array.from(partitions.all, (assigned) => assigned.snapshot())
  })
  let failure: ConsumerError | undefined
  /** Whether the program has the failure: from the start, or from `wait` or `close`. */
  let isHandled = false
  yield* metrics.observeConsumer({ groupId, topics: settings.topics }, snapshot)
  yield* health.watch({
    cluster,
    subscription,
    snapshot,
    membership: () => {
      const { isStable, ...view } = membership.view()
      return { ...view, isStable: isStable && assignment.isComplete(), isAlive: context.gate.isOpen }
    },
    failure: () => failure
  })

  const report = Effect.sync((): ConsumerReport => ({ ...counts, committed: committer.committed() }))

  const interval = Effect.sleep(settings.commitIntervalMs)
  /** After a failed commit, the next one isn't due before the interval is over, even if the outbox is full. */
  const due = (isComplete: boolean) => {
    if (transactions === undefined) return interval
    return isComplete && transactions.isFull()
      ? Effect.void
      : RunUntil.notified(transactions.filled, settings.commitIntervalMs)
  }
  const commitWhenDue = Effect.gen(function* () {
    let isComplete = true
    while (true) {
      yield* due(isComplete)
      isComplete = yield* committer.once
    }
  })

  const background = <E>(effect: Effect.Effect<never, E>) => Effect.forkIn(effect, runtime)

  const main = Effect.gen(function* () {
    yield* background(commitWhenDue)
    yield* background(
      HandlerTimeout.watch({
        all: partitions.all,
        timeoutMs: settings.handlerTimeoutMs,
        attemptBegun: context.attemptBegun
      })
    )
    yield* background(
      Effect.catchAllCause(membership.run, (cause) =>
        Cause.isInterruptedOnly(cause)
          ? Effect.failCause(cause)
          : Effect.zipRight(Deferred.failCause(stopping, cause), Effect.never)
      )
    )
    const asked = yield* Effect.exit(Deferred.await(stopping))
    yield* lifecycle.to("Draining")
    yield* Logging.log(LogLevel.Info, "Draining", { groupId })
    yield* membership.stop
    yield* fetcher.stop
    yield* assignment.drain(settings.drainTimeoutMs, (settledInMs) =>
      // The consumer's error may also keep it from committing.
      Exit.isFailure(asked) ? finalCommitMs : Math.max(finalCommitMs, settings.drainTimeoutMs - settledInMs)
    )
    yield* membership.leave
    yield* Scope.close(runtime, Exit.void)
    const done = yield* report
    yield* Logging.log(LogLevel.Info, "Consumer stopped", {
      groupId,
      handled: done.handled,
      retried: done.retried,
      deadLettered: done.deadLettered,
      discarded: done.discarded,
      committed: done.committed.map(({ offset, partition, topic }) => `${topic}-${partition}@${offset}`).join(" ")
    })
    if (Exit.isSuccess(asked)) {
      yield* lifecycle.to("Stopped")
      yield* Deferred.succeed(joined, undefined)
      yield* Deferred.succeed(ended, done)
      return
    }
    const failed = Option.getOrElse(Cause.failureOption(asked.cause), () => unexpected(asked.cause))
    failure = failed
    yield* Logging.log(LogLevel.Error, "The consumer failed", {
      groupId,
      reason: failed.reason,
      error: failed.description
    })
    yield* lifecycle.to("Failed")
    isHandled = yield* Deferred.fail(joined, failed)
    yield* Deferred.fail(ended, failed)
    yield* supervisor === undefined
      ? Effect.forkIn(Effect.interruptible(UnhandledFailure.logUntil(failed, () => isHandled)), scope)
      : supervisor.failed(failed)
  })

  const stop = Effect.asVoid(Deferred.succeed(stopping, undefined))
  const wait = Effect.tapError(Deferred.await(ended), () =>
    Effect.sync(() => {
      isHandled = true
    })
  )
  const consumer: Consumer = {
    groupId,
    stop,
    wait,
    close: Effect.zipRight(stop, wait),
    status: lifecycle.status,
    changes: lifecycle.changes,
    assignment: Effect.sync(() => byPlace(partitions.all).map(placeOf)),
    pause: control.pause,
    resume: control.resume,
    paused: control.paused,
    seek: control.seek,
    breaker,
    report
  }
  yield* Effect.acquireRelease(Effect.forkDaemon(Effect.interruptible(main)), () => Effect.ignore(consumer.close))
  yield* Deferred.await(joined)
  return consumer
})
