/**
 * Handles what a lane's queue holds, one record at a time, in order, until the lane is closed.
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
import * as Ledger from "./ledger.js"
import * as Queue from "./queue.js"
import { LaneRecord } from "./record.js"
import * as Waiting from "./retryWait.js"
import type { Turn } from "./turn.js"
import * as Watchdog from "./watchdog.js"

/** What the workers of one consumer share. */
export interface WorkerContext<R> {
  readonly processor: Processor<R>
  readonly handlerTimeout: Duration.Duration
  /** While closed no lane starts a record; whoever opens it nudges the lanes. */
  readonly gate: Gate
  /** Absent when the consumer has none; nudges the lanes when it lets records through. */
  readonly breaker?: CircuitBreakerRuntime | undefined
  readonly turn: Turn
  /** Notified when an attempt begins. */
  readonly handling: Signal.Signal
  readonly onOutcome: (outcome: Outcome, record: ConsumedRecord) => void
  readonly onFailure: (error: ConsumerError | Cause.Cause<never>) => Effect.Effect<void>
}

export interface Worker extends Pick<Admission.Admission, "isPaused" | "setPaused" | "hold" | "release"> {
  readonly isOpen: () => boolean
  /** Looks at the queue and the gate again. */
  readonly nudge: () => void
  /** Ends when a held worker has nothing in flight, or is closed. */
  readonly still: Effect.Effect<void>
  /** Drops the queue; what is in flight isn't retried any more, and has the outcome that its attempt gives it. */
  readonly drop: () => void
  /** Drops the queue, starts no further record and ends a wait for a retry; the record in flight goes on. */
  readonly close: () => void
  /** Ends when it is closed and has nothing in flight. */
  readonly idle: Effect.Effect<void>
  /** Whether it is closed and has nothing in flight. */
  readonly isIdle: () => boolean
  /** Closes it and interrupts what is in flight; nothing settles any more. */
  readonly end: Effect.Effect<void>
  /** Whether an attempt is running. */
  readonly isHandling: () => boolean
  /** Interrupts a handler that has been running for `handlerTimeout`; called at intervals by the watchdog, and run at once. */
  readonly watch: (now: number) => Effect.Effect<void>
  /** What is in flight, and since when. */
  readonly snapshot: () => Pick<LaneSnapshot, "activity" | "inFlight" | "oldestFetchedAt" | "steps">
}

export const make = Effect.fnUntraced(function* <R>(
  context: WorkerContext<R>,
  {
    metrics,
    partition,
    queue,
    timed,
    topic
  }: TopicPartition & {
    readonly queue: Queue.Queue
    readonly metrics: ConsumerMetrics
    /** Whether attempts are timed for the metrics. */
    readonly timed: boolean
  }
): Effect.fn.Return<Worker, never, R> {
  const { gate, processor, turn } = context
  const caller = context.breaker?.caller()
  const clock = yield* Effect.clock
  const timeoutMillis = Duration.toMillis(context.handlerTimeout)
  const wake = Signal.make()
  const rests = Signal.make()
  const admission = Admission.make(gate, turn, caller, wake.notify)
  const watchdog = Watchdog.make()

  let open = true
  let ended = false
  let current: ConsumedRecord | undefined
  let currentChunk: Queue.Chunk | undefined
  /** The current record was dropped: it isn't retried. */
  let dropped = false
  let step: RecoveryStep = "handling"
  let recoverySteps = 0
  let failure: Cause.Cause<unknown> | undefined
  /** Counts first attempts, so that the watchdog can tell a long one from many short ones. */
  let attempts = 0
  let attempting = false
  let startedAt = 0

  const settle = (outcome: Outcome) => {
    if (ended) return
    const record = current!
    Ledger.settle(currentChunk!.ledger, record.offset)
    current = undefined
    context.onOutcome(outcome, record)
  }

  /** Leaves the current record without an outcome: if it is still this lane's, it is taken again. */
  const giveBack = () => {
    caller?.ignored()
    current = undefined
    Queue.putBack(queue, currentChunk!)
  }

  const start = () => {
    const chunk = Queue.take(queue)
    current = new LaneRecord(topic, partition, chunk.records[chunk.next - 1]!)
    currentChunk = chunk
    dropped = false
    attempts++
    attempting = true
    context.handling.notify()
    return processor.attempt(current)
  }

  // One record starts when the one before ends, so that a record costs one look at the clock.
  const attempted = () => {
    attempting = false
    if (!timed) return
    const now = Monotonic.millis(clock)
    metrics.processingDuration((now - startedAt) / 1e3)
    startedAt = now
    turn.look(now)
  }

  /** Asked right after a look: by `work`, or as an attempt ended. */
  const turnIsOver = timed ? turn.wasOver : turn.isOver

  const handleQueued = Effect.whileLoop({
    while: () => open && !Queue.isEmpty(queue) && !turnIsOver() && admission.admit(),
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
        failure = cause
      })
    )
  )

  const handleInOrder = Effect.suspend(() => {
    if (timed) startedAt = Monotonic.millis(clock)
    return handleQueued
  })

  const wait = Waiting.make({ admission, gate, turn, wake, isCut: () => !open || admission.isHeld() || dropped })

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
      else if (!open) return
      else if (!admission.admits() || Queue.isEmpty(queue)) {
        rests.notify()
        yield* wake.wait()
      } else if (turn.isOver()) yield* turn.next
      else yield* handleInOrder
    }
  })

  // The worker is a fibre of its own so that the watchdog can interrupt a handler without ending the lane.
  let fiber: Fiber.RuntimeFiber<void, ConsumerError> | undefined
  const drive = Effect.gen(function* () {
    while (true) {
      fiber = yield* forkQuietly(Effect.provideService(work, Handling, context))
      const exit = yield* Fiber.await(fiber)
      if (Exit.isSuccess(exit)) return
      // Nothing but an interruption ends the worker while a handler runs, whatever the handler's finalizers add to it.
      if (ended || !(attempting || Cause.isInterruptedOnly(exit.cause))) return yield* exit
      const interrupted = watchdog.over
      watchdog.over = -1
      if (!attempting) continue
      attempted()
      if (interrupted === attempts) failure = Cause.fail(new HandlerTimeout({ timeout: context.handlerTimeout }))
      else if (interrupted === -1) failure = exit.cause
      else {
        // The watchdog's interruption came when the handler had ended: it hit the next record, which is not to blame.
        giveBack()
      }
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

  const isIdle = () => driver.unsafePoll() !== null

  const close = () => {
    if (!open) return
    open = false
    Queue.clear(queue)
    wake.notify()
    rests.notify()
  }

  const still: Effect.Effect<void> = Effect.suspend(() =>
    current === undefined || !open ? Effect.void : Effect.zipRight(rests.wait(), still)
  )

  return {
    isOpen: () => open,
    nudge: wake.notify,
    isPaused: admission.isPaused,
    setPaused: admission.setPaused,
    hold: admission.hold,
    release: admission.release,
    still,
    drop: () => {
      Queue.clear(queue)
      dropped = true
      wake.notify()
    },
    close,
    idle: Effect.asVoid(Fiber.await(driver)),
    isIdle,
    end: Effect.suspend(() => {
      ended = true
      close()
      if (isIdle()) return Effect.void
      return Effect.asVoid(Concurrency.timeoutOption(Effect.interruptible(Fiber.interrupt(driver)), "1 second"))
    }),
    isHandling: () => attempting,
    watch: (now) =>
      attempting && fiber !== undefined && Watchdog.look(watchdog, attempts, now, timeoutMillis)
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
