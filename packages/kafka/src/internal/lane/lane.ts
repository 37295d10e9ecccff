/**
 * The ordered queue and worker of one owned partition: records are handled one at a time, in order, and settled in the
 * ledger. A lane lives as long as its ownership.
 */
import type { TopicPartition } from "@spillway/transport/Consumer"
import type { LaneSnapshot } from "@spillway/transport/ConsumerSnapshot"
import type { ConsumerMetrics } from "@spillway/transport/TransportMetrics"
import * as Effect from "effect/Effect"
import type { DecodedBatch } from "../../RecordBatch.js"
import * as Monotonic from "../concurrency/monotonic.js"
import * as LeaderEpochs from "./leaderEpochs.js"
import * as Ledger from "./ledger.js"
import * as Queue from "./queue.js"
import * as Worker from "./worker.js"

/** What the lanes of one consumer share. */
export interface LaneContext<R> extends Worker.WorkerContext<R> {
  /** Lanes under this many records are fetched for. */
  readonly maxRecords: number
  readonly buffer: Queue.Buffer
  /** Whether the partition's lane is paused from its start. */
  readonly isPaused: (partition: TopicPartition) => boolean
}

export interface Lane extends TopicPartition, Omit<Worker.Worker, "drop"> {
  /** The offset up to which everything is settled. */
  readonly settledTo: () => number
  /** The leader epoch of the record before `settledTo`; -1 when unknown. */
  readonly settledEpoch: () => number
  /** The offset to fetch next. */
  position: number
  /** The leader epoch of the record before `position`; -1 when unknown. */
  readonly leaderEpoch: () => number
  /** The last acknowledged commit; -1 before the first. */
  committed: number
  /** The log's end as the last fetch answered; -1 before the first answer. */
  highWatermark: number
  /** Whether it holds less than `maxRecords` and than this many bytes. */
  readonly hasRoom: (maxBytes: number) => boolean
  /** Queues fetched batches; what lies before `position` is left out. */
  readonly offer: (batches: ReadonlyArray<DecodedBatch>) => void
  /**
   * Goes on fetching at another offset, whose record before is of the leader epoch; what is queued is handled first.
   * Going back takes back what was committed.
   */
  readonly resumeAt: (offset: number, leaderEpoch: number) => void
  /**
   * Begins anew at an offset, as if nothing were committed: what is queued is dropped, and what is in flight is no longer
   * of account for commits.
   */
  readonly restartAt: (offset: number) => void
  readonly snapshot: () => LaneSnapshot
}

export interface Start extends TopicPartition {
  readonly position: number
  /** The leader epoch of the record before `position`; -1 when unknown. */
  readonly leaderEpoch: number
  /** -1 when nothing is committed. */
  readonly committed: number
}

export const make = Effect.fnUntraced(function* <R>(
  context: LaneContext<R>,
  metrics: ConsumerMetrics,
  timed: boolean,
  owned: Start
): Effect.fn.Return<Lane, never, R> {
  const { topic, partition } = owned
  const clock = yield* Effect.clock
  let ledger = Ledger.make(owned.position)
  let epochs = LeaderEpochs.make(owned.leaderEpoch)
  const queue = Queue.make(context.buffer, context.maxRecords)
  const worker = yield* Worker.make(context, { topic, partition, queue, metrics, timed })
  worker.setPaused(context.isPaused(owned))

  const lane: Lane = {
    topic,
    partition,
    isOpen: worker.isOpen,
    nudge: worker.nudge,
    isPaused: worker.isPaused,
    setPaused: worker.setPaused,
    hold: worker.hold,
    release: worker.release,
    still: worker.still,
    close: worker.close,
    idle: worker.idle,
    isIdle: worker.isIdle,
    end: worker.end,
    isHandling: worker.isHandling,
    watch: worker.watch,
    settledTo: () => Ledger.committable(ledger),
    settledEpoch: () => LeaderEpochs.before(epochs, Ledger.committable(ledger)),
    leaderEpoch: () => LeaderEpochs.last(epochs),
    position: owned.position,
    committed: owned.committed,
    highWatermark: -1,
    hasRoom: (maxBytes) => queue.records < context.maxRecords && queue.bytes < maxBytes,
    offer: (batches) => {
      if (!worker.isOpen()) return
      const position = lane.position
      const fetchedAt = Monotonic.millis(clock)
      for (const batch of batches) {
        if (batch.nextOffset <= lane.position) continue
        const records = batch.baseOffset < position ? batch.records.filter((r) => r.offset >= position) : batch.records
        for (let i = 0; i < records.length; i++) Ledger.add(ledger, records[i]!.offset)
        Ledger.skipTo(ledger, batch.nextOffset)
        LeaderEpochs.add(epochs, batch.baseOffset, batch.partitionLeaderEpoch)
        lane.position = batch.nextOffset
        if (records.length === 0) continue
        Queue.push(queue, { records, bytes: batch.sizeInBytes, fetchedAt, ledger })
        metrics.received(records.length)
      }
      worker.nudge()
    },
    resumeAt: (offset, leaderEpoch) => {
      lane.position = offset
      if (offset >= ledger.end) {
        Ledger.skipTo(ledger, offset)
        LeaderEpochs.add(epochs, offset - 1, leaderEpoch)
        return
      }
      ledger = Ledger.make(offset)
      epochs = LeaderEpochs.make(leaderEpoch)
      lane.committed = -1
    },
    restartAt: (offset) => {
      worker.drop()
      ledger = Ledger.make(offset)
      epochs = LeaderEpochs.make(-1)
      lane.position = offset
      lane.committed = -1
    },
    snapshot: () => ({
      topic,
      partition,
      ...worker.snapshot(),
      paused: worker.isPaused(),
      settledTo: lane.settledTo(),
      highWatermark: lane.highWatermark,
      bufferedRecords: queue.records,
      bufferedBytes: queue.bytes
    })
  }
  return lane
})
