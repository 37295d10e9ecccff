/**
 * The ordered queue and worker of one owned partition: records are handled one at a time, in order, and settled in the
 * ledger. A lane lives as long as its ownership.
 */
import type { ConsumerError, TopicPartition } from "@spillway/transport/Consumer"
import type { ConsumedRecord } from "@spillway/transport/Envelope"
import { HandlerTimeout } from "@spillway/transport/HandlerError"
import type { Headers } from "@spillway/transport/Headers"
import type { Outcome, Processor } from "@spillway/transport/Processor"
import type { ConsumerMetrics } from "@spillway/transport/TransportMetrics"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type { DecodedBatch, DecodedRecord } from "../RecordBatch.js"
import * as Ledger from "./ledger.js"
import * as Signal from "./signal.js"

/** What the lanes of one consumer share. */
export interface LaneContext<R> {
  readonly processor: Processor<R>
  readonly handlerTimeout: Duration.Duration
  /** Lanes under this many records are fetched for. */
  readonly maxRecords: number
  /** While closed no lane starts a record; whoever opens it nudges the lanes. */
  readonly gate: { open: boolean }
  /** Bytes of fetched batches that are not yet handled, and the signal that a lane has room again. */
  readonly buffer: { bytes: number; readonly room: Signal.Signal }
  /** When, in milliseconds, the lanes next let timers and sockets have their turn. */
  readonly turn: { endsAt: number }
  readonly onOutcome: (outcome: Outcome) => void
  readonly onFailure: (error: ConsumerError | Cause.Cause<never>) => Effect.Effect<void>
}

export interface Lane extends TopicPartition {
  /** The offset up to which everything is settled. */
  readonly settledTo: () => number
  /** The offset to fetch next. */
  position: number
  /** The last acknowledged commit; -1 before the first. */
  committed: number
  readonly isOpen: () => boolean
  /** Whether it may be fetched for: it holds less than `maxRecords` and than this many bytes. */
  readonly hasRoom: (maxBytes: number) => boolean
  /** Queues fetched batches; what lies before `position` is left out. */
  readonly offer: (batches: ReadonlyArray<DecodedBatch>) => void
  /** Looks at the gate again. */
  readonly nudge: () => void
  /** Goes on fetching at another offset; what is queued is handled first. */
  readonly seek: (offset: number) => void
  /** Starts no further record and ends a wait for a retry; the record in flight goes on. */
  readonly close: () => void
  /** Ends when a closed lane has nothing in flight. */
  readonly idle: Effect.Effect<void>
  /** Ends the ownership: what is in flight is interrupted and nothing settles any more. */
  readonly end: Effect.Effect<void>
  /** Interrupts a handler that has been running for `handlerTimeout`; called at intervals by the watchdog. */
  readonly watch: (now: number) => Effect.Effect<void>
}

/** How long lanes may keep the event loop to themselves while handlers suspend nothing, in milliseconds. */
const turnMs = 25

/** The clock is looked at for this once in so many records; a power of two. */
const recordsPerLook = 8

export interface Start extends TopicPartition {
  readonly position: number
  /** -1 when nothing is committed. */
  readonly committed: number
}

interface Chunk {
  readonly records: ReadonlyArray<DecodedRecord>
  readonly bytes: number
  /** The ledger they were added to: a seek back begins another. */
  readonly ledger: Ledger.Ledger
  next: number
}

export const make = Effect.fnUntraced(function* <R>(
  context: LaneContext<R>,
  metrics: ConsumerMetrics,
  timed: boolean,
  owned: Start
): Effect.fn.Return<Lane, never, R> {
  const { topic, partition } = owned
  const { buffer, gate, processor } = context
  const clock = yield* Effect.clock
  const timeoutMillis = Duration.toMillis(context.handlerTimeout)
  let ledger = Ledger.make(owned.position)
  const queue: Array<Chunk> = []
  const wake = Signal.make()
  const closed = yield* Deferred.make<void>()
  const done = yield* Deferred.make<void>()

  let buffered = 0
  let bytes = 0
  let open = true
  let ended = false
  let current: ConsumedRecord | undefined
  let currentLedger = ledger
  let failure: Cause.Cause<unknown> | undefined
  /** Counts first attempts, so that the watchdog can tell a long one from many short ones. */
  let attempts = 0
  let attempting = false
  let startedNanos = 0n
  let watched = { attempt: -1, since: 0 }
  let timedOut = -1

  const release = (chunk: Chunk) => {
    queue.shift()
    bytes -= chunk.bytes
    buffer.bytes -= chunk.bytes
    buffer.room.notify()
  }

  const next = (): DecodedRecord | undefined => {
    for (let chunk = queue[0]; chunk !== undefined; chunk = queue[0]) {
      if (chunk.next < chunk.records.length) return chunk.records[chunk.next]
      release(chunk)
    }
    return undefined
  }

  const settle = (outcome: Outcome) => {
    if (ended) return
    Ledger.settle(currentLedger, current!.offset)
    current = undefined
    context.onOutcome(outcome)
  }

  const start = () => {
    const chunk = queue[0]!
    current = new LaneRecord(topic, partition, chunk.records[chunk.next]!)
    currentLedger = chunk.ledger
    chunk.next++
    buffered--
    if (buffered === context.maxRecords - 1) buffer.room.notify()
    attempts++
    attempting = true
    return processor.attempt(current)
  }

  // One record starts when the one before ends, so that a record costs one look at the clock.
  const attempted = () => {
    attempting = false
    if (!timed) return
    const now = clock.unsafeCurrentTimeNanos()
    metrics.processingDuration(Number(now - startedNanos) / 1e9)
    startedNanos = now
  }

  /** Fibres yield in microtasks: without this, heartbeats and fetches would wait until every queue is empty. */
  const turnIsOver = () => attempts % recordsPerLook === 0 && clock.unsafeCurrentTimeMillis() >= context.turn.endsAt

  const giveTurn = Effect.map(Effect.sleep(0), () => {
    context.turn.endsAt = clock.unsafeCurrentTimeMillis() + turnMs
  })

  const handleQueued = Effect.whileLoop({
    while: () => open && gate.open && next() !== undefined && !turnIsOver(),
    body: start,
    step: () => {
      attempted()
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
    if (timed) startedNanos = clock.unsafeCurrentTimeNanos()
    return handleQueued
  })

  const gateOpens: Effect.Effect<void> = Effect.suspend(() =>
    gate.open ? Effect.void : Effect.zipRight(wake.wait(), gateOpens)
  )

  const wait = (delay: Duration.Duration) =>
    Effect.raceFirst(
      Effect.as(Deferred.await(closed), false),
      // In whole milliseconds: `TestClock` can't tell the time in nanoseconds after others.
      Effect.sleep(Math.ceil(Duration.toMillis(delay))).pipe(Effect.zipRight(gateOpens), Effect.as(true))
    )

  const recover = (record: ConsumedRecord, cause: Cause.Cause<unknown>) =>
    Effect.map(processor.recover(record, cause, wait), (outcome) => {
      failure = undefined
      if (Option.isSome(outcome)) settle(outcome.value)
    })

  const work = Effect.gen(function* () {
    while (true) {
      if (failure !== undefined) yield* recover(current!, failure)
      else if (!open) return
      else if (!gate.open || next() === undefined) yield* wake.wait()
      else if (turnIsOver()) yield* giveTurn
      else yield* handleInOrder
    }
  })

  // The worker is a fibre of its own so that the watchdog can interrupt a handler without ending the lane.
  let worker: Fiber.RuntimeFiber<void, ConsumerError> | undefined
  const drive = Effect.gen(function* () {
    while (true) {
      worker = yield* Effect.fork(work)
      const exit = yield* Fiber.await(worker)
      if (Exit.isSuccess(exit)) return
      // Nothing but an interruption ends the worker while a handler runs, whatever the handler's finalizers add to it.
      if (ended || !(attempting || Cause.isInterruptedOnly(exit.cause))) return yield* exit
      const interrupted = timedOut
      timedOut = -1
      if (!attempting) continue
      attempted()
      if (interrupted === attempts) failure = Cause.fail(new HandlerTimeout({ timeout: context.handlerTimeout }))
      else if (interrupted === -1) failure = exit.cause
      else putBack()
    }
  })

  /** The watchdog's interruption came when the handler had ended: it hit the next record, which is not to blame. */
  const putBack = () => {
    current = undefined
    const chunk = queue[0]
    if (chunk === undefined) return
    chunk.next--
    buffered++
  }

  const driver = yield* drive.pipe(
    Effect.catchAllCause((cause) => {
      if (Cause.isInterruptedOnly(cause)) return Effect.void
      return context.onFailure(Option.getOrElse(Cause.failureOption(cause), () => cause as Cause.Cause<never>))
    }),
    Effect.ensuring(Deferred.succeed(done, undefined)),
    Effect.interruptible,
    // Not in a scope: closing it would wait for a handler that can't be interrupted.
    Effect.forkDaemon
  )

  const close = () => {
    if (!open) return
    open = false
    Deferred.unsafeDone(closed, Effect.void)
    buffer.bytes -= bytes
    bytes = 0
    queue.length = 0
    buffered = 0
    buffer.room.notify()
    wake.notify()
  }

  const lane: Lane = {
    topic,
    partition,
    settledTo: () => Ledger.committable(ledger),
    position: owned.position,
    committed: owned.committed,
    isOpen: () => open,
    hasRoom: (maxBytes) => buffered < context.maxRecords && bytes < maxBytes,
    offer: (batches) => {
      if (!open) return
      const position = lane.position
      for (const batch of batches) {
        if (batch.nextOffset <= lane.position) continue
        const records = batch.baseOffset < position ? batch.records.filter((r) => r.offset >= position) : batch.records
        for (let i = 0; i < records.length; i++) Ledger.add(ledger, records[i]!.offset)
        Ledger.skipTo(ledger, batch.nextOffset)
        lane.position = batch.nextOffset
        if (records.length === 0) continue
        queue.push({ records, bytes: batch.sizeInBytes, ledger, next: 0 })
        buffered += records.length
        bytes += batch.sizeInBytes
        buffer.bytes += batch.sizeInBytes
        metrics.received(records.length)
      }
      wake.notify()
    },
    nudge: wake.notify,
    seek: (offset) => {
      lane.position = offset
      if (offset < ledger.end) ledger = Ledger.make(offset)
      else Ledger.skipTo(ledger, offset)
    },
    close,
    idle: Deferred.await(done),
    end: Effect.suspend(() => {
      ended = true
      close()
      return Effect.asVoid(Effect.timeoutOption(Effect.interruptible(Fiber.interrupt(driver)), "1 second"))
    }),
    watch: (now) =>
      Effect.suspend(() => {
        if (!attempting) return Effect.void
        if (watched.attempt !== attempts) {
          watched = { attempt: attempts, since: now }
          return Effect.void
        }
        if (timedOut === attempts || now - watched.since < timeoutMillis) {
          return Effect.void
        }
        timedOut = attempts
        return worker === undefined ? Effect.void : Fiber.interruptFork(worker)
      })
  }
  return lane
})

/** A view of a decoded record with its place, so that a record costs one small object. */
class LaneRecord implements ConsumedRecord {
  constructor(
    readonly topic: string,
    readonly partition: number,
    private readonly record: DecodedRecord
  ) {}
  get offset(): number {
    return this.record.offset
  }
  get timestamp(): number {
    return this.record.timestamp
  }
  get key(): Uint8Array | null {
    return this.record.key
  }
  get value(): Uint8Array | null {
    return this.record.value
  }
  get headers(): Headers {
    return this.record.headers
  }
}
