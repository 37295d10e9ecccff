/**
 * A queue of a partition's records and the worker that handles them, one at a time, in order, until the lane is closed.
 */

import type { CircuitBreakerRuntime } from "@spillway/transport/CircuitBreaker"
import type { ConsumerError, TopicPartition } from "@spillway/transport/Consumer"
import type { LaneSnapshot } from "@spillway/transport/ConsumerSnapshot"
import type { ConsumedRecord } from "@spillway/transport/Envelope"
import { HandlerTimeout } from "@spillway/transport/HandlerError"
import { awaited, type Outcome, type Processor, type RecoveryStep } from "@spillway/transport/Processor"
import * as Concurrency from "@spillway/transport/runtime/Concurrency"
import type { ConsumerMetrics } from "@spillway/transport/TransportMetrics"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { forkQuietly } from "../concurrency/forkQuietly.js"
import * as Monotonic from "../concurrency/monotonic.js"
import * as Signal from "../concurrency/signal.js"
import * as Admission from "./admission.js"
import { Handling } from "./currentHandler.js"
import type { Gate } from "./gate.js"
import * as Queue from "./queue.js"
import { LaneRecord } from "./record.js"
import * as Waiting from "./retryWait.js"
import type { Settlement } from "./settlement.js"
import type { Turn } from "./turn.js"
import * as Watchdog from "./watchdog.js"

/** What the lanes of one consumer share. */
export interface LaneContext<R> {
  readonly processor: Processor<R>
  readonly handlerTimeout: Duration.Duration
  /** While closed, no lane starts a record; opening it wakes the lanes. */
  readonly gate: Gate
  /** Absent when the consumer has none; it wakes the lanes when it lets records through. */
  readonly breaker?: CircuitBreakerRuntime | undefined
  readonly turn: Turn
  /** Notified when an attempt begins. */
  readonly handling: Signal.Signal
  readonly onFailure: (error: ConsumerError | Cause.Cause<never>) => Effect.Effect<void>
}

export interface Lane extends Pick<Admission.Admission, "isPaused" | "setPaused" | "hold" | "release"> {
  readonly isOpen: () => boolean
  /** Looks at the queue and the gate again. */
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
  /** Whether an attempt is running. */
  readonly isHandling: () => boolean
  /** Interrupts a handler that has been running for `handlerTimeout`. The watchdog calls it at intervals. */
  readonly watch: (now: number) => Effect.Effect<void>
  /** The record in flight, and since when. */
  readonly snapshot: () => Pick<LaneSnapshot, "activity" | "inFlight" | "oldestFetchedAt" | "steps">
}

/** `Closed` lanes start no further record; `Aborted` lanes settle nothing any more. */
type Life = "Open" | "Closed" | "Aborted"

/**
 * - `Idle`: no record is in flight
 * - `Attempting`: the first attempt at a record runs
 * - `Recovering`: the first attempt failed; the record is retried, dead-lettered, or waits for either
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
  const timeoutMillis = Duration.toMillis(context.handlerTimeout)
  const wake = Signal.make()
  const rests = Signal.make()
  const admission = Admission.make(gate, turn, caller, wake.notify)
  const watchdog = Watchdog.make()

  let life: Life = "Open"
  let activity: Activity = "Idle"
  /** The record in flight and the chunk that it was taken from, unless the lane is idle. */
  let current: ConsumedRecord | undefined
  let currentChunk: Queue.Chunk | undefined
  /** Why the first attempt failed, while the lane recovers. */
  let failure: Cause.Cause<unknown> | undefined
  /** The queue was cleared since the current record started: it isn't retried. */
  let isCleared = false
  let step: RecoveryStep = "handling"
  let recoverySteps = 0
  /** Counts first attempts, so that the watchdog distinguishes a long one from many short ones. */
  let attempts = 0
  let startedAt = 0

  const settle = (outcome: Outcome) => {
    if (life === "Aborted") return
    const record = current!
    current = undefined
    activity = "Idle"
    settlement.settled(record, outcome, currentChunk!)
  }

  /** Leaves the current record without an outcome. If it is still this lane's, it is taken again. */
  const giveBack = () => {
    caller?.ignored()
    current = undefined
    activity = "Idle"
    Queue.putBack(queue, currentChunk!)
  }

  const failed = (cause: Cause.Cause<unknown>) => {
    failure = cause
    activity = "Recovering"
  }

  const start = () => {
    const chunk = Queue.take(queue)
    current = new LaneRecord(topic, partition, chunk.records[chunk.next - 1]!)
    currentChunk = chunk
    isCleared = false
    attempts++
    activity = "Attempting"
    context.handling.notify()
    return processor.attempt(current)
  }

  // One record starts when the one before ends, so that a record costs one look at the clock.
  const attempted = () => {
    if (!timed) return
    const now = Monotonic.millis(clock)
    metrics.processingDuration((now - startedAt) / 1e3)
    startedAt = now
    turn.look(now)
  }

  /** Asked right after a look: by `work`, or as an attempt ended. */
  const turnIsOver = timed ? turn.wasOver : turn.isOver

  const handleQueued = Effect.whileLoop({
    while: () => life === "Open" && !Queue.isEmpty(queue) && !turnIsOver() && admission.admit(),
    body: start,
    step: (result) => {
      // Throws, which makes a defect: an Effect for it would cost as much as a short handler.
      if (result !== undefined) awaited(result)
      attempted()
      caller?.succeeded()
      metrics.processed("success", 1)
      settle("handled")
    }
  }).pipe(
    Effect.catchAllCause((cause) =>
      Effect.sync(() => {
        attempted()
        failed(cause)
      })
    )
  )

  const handleInOrder = Effect.suspend(() => {
    if (timed) startedAt = Monotonic.millis(clock)
    return handleQueued
  })

  const wait = Waiting.make({
    admission,
    gate,
    turn,
    wake,
    isCut: () => life !== "Open" || admission.isHeld() || isCleared
  })

  const onStep = (begun: RecoveryStep) => {
    step = begun
    recoverySteps++
  }

  const recover = (record: ConsumedRecord, cause: Cause.Cause<unknown>) =>
    Effect.map(processor.recover(record, cause, { wait, onStep, caller }), (outcome) => {
      failure = undefined
      step = "handling"
      if (Option.isSome(outcome)) settle(outcome.value)
      else giveBack()
    })

  const work = Effect.gen(function* () {
    while (true) {
      if (failure !== undefined) yield* recover(current!, failure)
      else if (life !== "Open") return
      else if (!admission.admits() || Queue.isEmpty(queue)) {
        rests.notify()
        yield* wake.wait()
      } else if (turn.isOver()) yield* turn.next
      else yield* handleInOrder
    }
  })

  // The work has a fiber of its own, so that the watchdog can interrupt a handler without ending the lane.
  let fiber: Fiber.RuntimeFiber<void, ConsumerError> | undefined
  const drive = Effect.gen(function* () {
    while (true) {
      fiber = yield* forkQuietly(Effect.provideService(work, Handling, context))
      const exit = yield* Fiber.await(fiber)
      if (Exit.isSuccess(exit)) return
      // Only an interruption ends the work while a handler runs, even if the handler's finalizers add to the cause.
      if (life === "Aborted" || !(activity === "Attempting" || Cause.isInterruptedOnly(exit.cause))) return yield* exit
      const interrupted = watchdog.over
      watchdog.over = -1
      if (activity !== "Attempting") continue
      attempted()
      if (interrupted === attempts) failed(Cause.fail(new HandlerTimeout({ timeout: context.handlerTimeout })))
      else if (interrupted === -1) failed(exit.cause)
      // The watchdog's interruption came after the handler had ended, and hit the next record.
      else giveBack()
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
    isHandling: () => activity === "Attempting",
    watch: (now) =>
      activity === "Attempting" && fiber !== undefined && Watchdog.look(watchdog, attempts, now, timeoutMillis)
        ? Fiber.interruptFork(fiber)
        : Effect.void,
    snapshot: () => {
      const steps = attempts + recoverySteps
      if (current !== undefined) return { activity: step, inFlight: 1, oldestFetchedAt: currentChunk!.fetchedAt, steps }
      const oldestFetchedAt = Queue.oldestFetchedAt(queue)
      return { activity: oldestFetchedAt === undefined ? "idle" : "queued", inFlight: 0, oldestFetchedAt, steps }
    }
  }
})
