/**
 * A queue of a partition's records and the worker that handles them, one at a time, in order, until the lane is closed.
 */

import type { ConsumerError, TopicPartition } from "@spillway/transport/Consumer"
import type { ConsumedRecord } from "@spillway/transport/Envelope"
import type { CircuitBreakerRuntime } from "@spillway/transport/runtime/CircuitBreaker"
import * as Concurrency from "@spillway/transport/runtime/Concurrency"
import type { PartitionSnapshot } from "@spillway/transport/runtime/ConsumerSnapshot"
import { failureOf } from "@spillway/transport/runtime/Failure"
import type { ConsumerMetrics } from "@spillway/transport/runtime/Metrics"
import * as Monotonic from "@spillway/transport/runtime/Monotonic"
import {
  awaited,
  type FailedAttempt,
  type Outcome,
  type Processor,
  type Retry
} from "@spillway/transport/runtime/Processor"
import * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import { forkQuietly } from "../concurrency/forkQuietly.js"
import * as Signal from "../concurrency/signal.js"
import * as Admission from "./admission.js"
import { CurrentHandler } from "./currentHandler.js"
import type { Gate } from "./gate.js"
import * as HandlerTimeout from "./handlerTimeout.js"
import * as Queue from "./queue.js"
import { LaneRecord } from "./record.js"
import * as RetryWait from "./retryWait.js"
import type { Settlement } from "./settlement.js"
import type { Turn } from "./turn.js"
import { inTurns } from "./turnScheduler.js"

/** The shared context of one consumer's lanes. */
export interface LaneContext<R> {
  readonly processor: Processor<R>
  readonly handlerTimeout: Duration.Duration
  /** While closed, no lane starts a record; opening it wakes the lanes. */
  readonly gate: Gate
  /** Absent when the consumer has none; it wakes the lanes when it lets records through. */
  readonly breaker?: CircuitBreakerRuntime | undefined
  readonly turn: Turn
  /** Notified when an attempt begins. */
  readonly attemptBegun: Signal.Signal
  /** Called before each attempt after a record's first. */
  readonly onRetry: () => void
  readonly onFailure: (error: ConsumerError | Cause.Cause<never>) => Effect.Effect<void>
}

export interface Lane
  extends HandlerTimeout.Watched,
    Pick<Admission.Admission, "isPaused" | "setPaused" | "hold" | "release"> {
  readonly isOpen: () => boolean
  /** Checks the queue and the gate again. */
  readonly wake: () => void
  /** Ends when a held lane has nothing in flight, or is closed. */
  readonly atRest: Effect.Effect<void>
  /** Drops the queue. The record in flight isn't retried any more; its attempt decides its outcome. */
  readonly clear: () => void
  /** Drops the queue, starts no further record and ends a wait for a retry. The attempt in flight continues. */
  readonly close: () => void
  /** Ends when the lane is closed and has nothing in flight. */
  readonly ended: Effect.Effect<void>
  /** Whether the lane is closed and has nothing in flight. */
  readonly hasEnded: () => boolean
  /** Closes the lane and interrupts the record in flight; nothing settles any more. */
  readonly abort: Effect.Effect<void>
  /** The record that has started and has no outcome. */
  readonly inFlight: () => ConsumedRecord | undefined
  /** The record in flight, and since when. */
  readonly snapshot: () => Pick<PartitionSnapshot, "activity" | "inFlight" | "oldestFetchedAt" | "steps">
}

/** `Closed` lanes start no further record; `Aborted` lanes settle nothing any more. */
type Life = "Open" | "Closed" | "Aborted"

/**
 * - `Idle`: no record is in flight
 * - `Attempting`: an attempt at a record runs
 * - `Recovering`: the last attempt failed; the record waits for its retry or its dead letter
 */
type Activity = "Idle" | "Attempting" | "Recovering"

export const make = Effect.fnUntraced(function* <R>(
  context: LaneContext<R>,
  {
    metrics,
    partition,
    queue,
    settlement,
    timed,
    topic
  }: TopicPartition & {
    readonly queue: Queue.Queue
    readonly settlement: Settlement
    readonly metrics: ConsumerMetrics
    /** Whether attempts are timed for the metrics. */
    readonly timed: boolean
  }
): Effect.fn.Return<Lane, never, R> {
  const { gate, processor, turn } = context
  const caller = context.breaker?.caller()
  const clock = yield* Effect.clock
  const wake = Signal.make()
  const rests = Signal.make()
  const admission = Admission.make(gate, turn, caller, wake.notify)
  const watchdog = HandlerTimeout.make(context.handlerTimeout)

  let life: Life = "Open"
  let activity: Activity = "Idle"
  /** The record in flight and the chunk that it was taken from, unless the lane is idle. */
  let current: ConsumedRecord | undefined
  let currentChunk: Queue.Chunk | undefined
  /** The attempt that failed, while the lane recovers. */
  let failure: FailedAttempt | undefined
  /** The attempt at the record, after the first. */
  let retry: Retry | undefined
  /** The queue was cleared since the current record started: it isn't retried. */
  let isCleared = false
  let step: PartitionSnapshot["activity"] = "handling"
  let recoverySteps = 0
  let startedAt = 0

  const settle = (outcome: Outcome) => {
    if (life === "Aborted") return
    const record = current!
    current = undefined
    activity = "Idle"
    settlement.settled(record, outcome, currentChunk!)
  }

  /** Leaves the current record without an outcome. If the lane still owns it, it is taken again. */
  const giveBack = () => {
    caller?.ignored()
    current = undefined
    retry = undefined
    activity = "Idle"
    Queue.putBack(queue, currentChunk!)
  }

  const begin = () => {
    HandlerTimeout.begin(watchdog)
    activity = "Attempting"
    context.attemptBegun.notify()
  }

  const start = () => {
    const chunk = Queue.take(queue)
    current = new LaneRecord(topic, partition, chunk.records[chunk.next - 1]!)
    currentChunk = chunk
    isCleared = false
    begin()
    return processor.attempt(current)
  }

  // A record starts when the previous one ends, so each record costs one reading of the clock.
  const attemptEnded = () => {
    if (!timed) return
    const now = Monotonic.millis(clock)
    metrics.processingDuration((now - startedAt) / 1e3)
    startedAt = now
    turn.look(now)
  }

  const succeeded = (result: unknown) => {
    // Throws, which makes a defect: an Effect for it would cost as much as a short handler.
    if (result !== undefined) awaited(result)
    attemptEnded()
    caller?.succeeded()
    metrics.processed("success", 1)
    settle("handled")
  }

  const failed = (cause: Cause.Cause<unknown>) => {
    attemptEnded()
    failure = { cause, retry }
    activity = "Recovering"
  }

  /** Called right after a reading of the clock: by `work`, or at the end of an attempt. */
  const turnIsOver = timed ? turn.wasOver : turn.isOver

  const handleQueued = Effect.whileLoop({
    while: () => life === "Open" && !Queue.isEmpty(queue) && !turnIsOver() && admission.admit(),
    body: start,
    step: succeeded
  }).pipe(Effect.catchAllCause((cause) => Effect.sync(() => failed(cause))))

  const handleInOrder = Effect.suspend(() => {
    if (timed) startedAt = Monotonic.millis(clock)
    return handleQueued
  })

  const handleAgain = Effect.suspend(() => {
    metrics.retried(1)
    context.onRetry()
    if (timed) startedAt = Monotonic.millis(clock)
    begin()
    return processor.attempt(current!, retry)
  }).pipe(
    Effect.flatMap((result) =>
      Effect.sync(() => {
        succeeded(result)
        retry = undefined
      })
    ),
    Effect.catchAllCause((cause) => Effect.sync(() => failed(cause)))
  )

  const wait = RetryWait.make({
    admission,
    gate,
    turn,
    wake,
    isCut: () => life !== "Open" || admission.isHeld() || isCleared
  })

  const onStep = (begun: typeof step) => {
    step = begun
    recoverySteps++
  }

  const recover = (record: ConsumedRecord, failed: FailedAttempt) =>
    Effect.map(processor.recover(record, failed, { wait, onStep, caller }), (recovery) => {
      failure = undefined
      step = "handling"
      retry = recovery._tag === "Retry" ? recovery : undefined
      if (recovery._tag === "Settled") settle(recovery.outcome)
      else if (recovery._tag === "Unsettled") giveBack()
    })

  const work = Effect.gen(function* () {
    while (true) {
      if (failure !== undefined) yield* recover(current!, failure)
      else if (retry !== undefined) yield* handleAgain
      else if (life !== "Open") return
      else if (!admission.admits() || Queue.isEmpty(queue)) {
        rests.notify()
        yield* wake.wait()
      } else if (turn.isOver()) yield* turn.next
      else yield* handleInOrder
    }
  })

  // The work has its own fiber, so the watchdog can interrupt a handler without ending the lane.
  let fiber: Fiber.RuntimeFiber<void, ConsumerError> | undefined
  const drive = Effect.gen(function* () {
    while (true) {
      fiber = yield* forkQuietly(inTurns(turn)(Effect.provideService(work, CurrentHandler, context)))
      const exit = yield* Fiber.await(fiber)
      if (Exit.isSuccess(exit)) return
      // Only an interruption ends the work while a handler runs, even if the handler's finalizers add to the cause.
      if (life === "Aborted" || !(activity === "Attempting" || Cause.isInterruptedOnly(exit.cause))) return yield* exit
      const cause = HandlerTimeout.causeOf(watchdog, exit.cause)
      if (activity === "Attempting") failed(cause)
    }
  })

  const driver = yield* drive.pipe(
    Effect.catchAllCause((cause) => {
      if (Cause.isInterruptedOnly(cause)) return Effect.void
      return context.onFailure(Option.getOrElse(Cause.failureOption(cause), () => cause as Cause.Cause<never>))
    }),
    Effect.ensuring(Effect.sync(() => caller?.ignored())),
    Effect.interruptible,
    // Not in a scope: closing it would wait for a handler that can't be interrupted.
    Effect.forkDaemon
  )

  const hasEnded = () => driver.unsafePoll() !== null

  const endAs = (next: Exclude<Life, "Open">) => {
    const wasOpen = life === "Open"
    life = next
    if (!wasOpen) return
    Queue.clear(queue)
    wake.notify()
    rests.notify()
  }

  const atRest: Effect.Effect<void> = Effect.suspend(() =>
    current === undefined || life !== "Open" ? Effect.void : Effect.zipRight(rests.wait(), atRest)
  )

  return {
    isOpen: () => life === "Open",
    wake: wake.notify,
    isPaused: admission.isPaused,
    setPaused: admission.setPaused,
    hold: admission.hold,
    release: admission.release,
    atRest,
    clear: () => {
      Queue.clear(queue)
      isCleared = true
      wake.notify()
    },
    close: () => {
      if (life === "Open") endAs("Closed")
    },
    ended: Effect.asVoid(Fiber.await(driver)),
    hasEnded,
    abort: Effect.suspend(() => {
      endAs("Aborted")
      if (hasEnded()) return Effect.void
      return Effect.asVoid(Concurrency.timeoutOption(Effect.interruptible(Fiber.interrupt(driver)), "1 second"))
    }),
    inFlight: () => current,
    isHandling: () => activity === "Attempting",
    watch: (now) => {
      if (activity !== "Attempting" || !HandlerTimeout.look(watchdog, now)) return
      fiber?.unsafeInterruptAsFork(FiberId.none)
      // The handler may not be interruptible: its call ends here for the breaker, which other lanes wait for.
      caller?.failed(failureOf(HandlerTimeout.timedOut(watchdog), retry?.attempt ?? 1))
    },
    snapshot: () => {
      const steps = watchdog.attempts + recoverySteps
      if (current !== undefined) return { activity: step, inFlight: 1, oldestFetchedAt: currentChunk!.fetchedAt, steps }
      const oldestFetchedAt = Queue.oldestFetchedAt(queue)
      return { activity: oldestFetchedAt === undefined ? "idle" : "queued", inFlight: 0, oldestFetchedAt, steps }
    }
  }
})
