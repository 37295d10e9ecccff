/**
 * The ordered queue and worker of one owned partition: records are handled one at a time, in order, and settled in the
 * ledger. A lane lives as long as its ownership.
 */
import type { TopicPartition } from "@spillway/transport/Consumer"
import type { LaneSnapshot } from "@spillway/transport/ConsumerSnapshot"
import type { ConsumedRecord } from "@spillway/transport/Envelope"
import type { ConsumerMetrics } from "@spillway/transport/TransportMetrics"
import * as Effect from "effect/Effect"
import type { FetchPartitionResponse } from "../../Protocol.js"
import { RecordBatchError } from "../../RecordBatch.js"
import * as Monotonic from "../concurrency/monotonic.js"
import * as Unpack from "../recordBatch/unpack.js"
import * as LeaderEpochs from "./leaderEpochs.js"
import * as Ledger from "./ledger.js"
import * as Queue from "./queue.js"
import * as Worker from "./worker.js"

/** The most bytes of a slice, and the fewest where lanes are many. */
const maxSliceBytes = 1024 * 1024
const minSliceBytes = 64 * 1024

/** Uncompressed batches that take no more than this when they are unpacked are unpacked at once. */
const maxEagerBytes = 4 * 1024 * 1024

/** Bytes that are kept for a while: copied, unless nearly all of what they are a view of is theirs. */
const kept = (bytes: Uint8Array): Uint8Array =>
  2 * bytes.byteLength > bytes.buffer.byteLength ? bytes : new Uint8Array(bytes)

/** A broker never cuts the first batch off (KIP-74): waiting for its rest would be for ever. */
const cutOff = (baseOffset: number, bytes: Uint8Array): RecordBatchError => {
  const description = `${bytes.byteLength} bytes hold no whole batch`
  return new RecordBatchError({ reason: "CorruptBatch", baseOffset, description })
}

/** What the lanes of one consumer share. */
export interface LaneContext<R> extends Worker.WorkerContext<R> {
  /** Lanes under this many records are fetched for. */
  readonly maxRecords: number
  readonly buffer: Queue.Buffer
  /** The most bytes of a record of a compressed batch. */
  readonly maxRecordBytes: number
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
  /** Whether it holds less than `maxRecords` and than its share of bytes, all of it unpacked. */
  readonly hasRoom: () => boolean
  /** Whether it holds fetched records that aren't unpacked yet: `position` is that of the next to be. */
  readonly isUnpacking: () => boolean
  /**
   * Takes what was fetched at `position`, and unpacks it as there is room; what lies before `position` is left out, and
   * everything while something is held that isn't unpacked yet.
   */
  readonly offer: (fetched: Pick<FetchPartitionResponse, "records" | "abortedTransactions">) => void
  /** What is wrong with the batch at `position`, if anything was found to be since this was last asked. */
  readonly takeFailure: () => RecordBatchError | undefined
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
  /** Takes a record's outcome back, and handles it again before what is queued. */
  readonly repeat: (record: ConsumedRecord) => void
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
  let failure: RecordBatchError | undefined
  const { buffer } = context

  /** Queues a slice; true when it has a record to handle. */
  const push = (slice: Unpack.Slice, fetchedAt: number): boolean => {
    const { position } = lane
    if (slice.nextOffset <= position) return false
    const records = slice.baseOffset < position ? slice.records.filter((r) => r.offset >= position) : slice.records
    for (let i = 0; i < records.length; i++) Ledger.add(ledger, records[i]!.offset)
    Ledger.skipTo(ledger, slice.nextOffset)
    LeaderEpochs.add(epochs, slice.baseOffset, slice.partitionLeaderEpoch)
    lane.position = slice.nextOffset
    if (records.length === 0) return false
    Queue.push(queue, { records, bytes: slice.bytes, fetchedAt, ledger })
    metrics.received(records.length)
    return true
  }

  /** Queues the next slice, or notes that there is none; true when it has a record to handle. */
  const advance = ({ fetchedAt, unpacking }: Queue.Fetched): boolean => {
    const slice = unpacking.next(Math.max(minSliceBytes, Math.min(maxSliceBytes, buffer.share)))
    if (slice instanceof RecordBatchError) {
      failure = slice
      return false
    }
    return slice !== undefined && push(slice, fetchedAt)
  }

  const unpack = (): boolean => {
    let found = false
    for (let { fetched } = queue; fetched !== undefined && !found; fetched = queue.fetched) {
      if (!Queue.mayUnpack(buffer)) {
        buffer.waiting.add(worker.nudge)
        return false
      }
      found = advance(fetched)
      Queue.hold(queue, fetched.unpacking.isDone() ? undefined : fetched)
    }
    return found
  }

  const queue = Queue.make(buffer, context.maxRecords, unpack)
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
    hasRoom: () =>
      queue.fetched === undefined &&
      failure === undefined &&
      queue.records < context.maxRecords &&
      queue.bytes < buffer.share,
    isUnpacking: () => queue.fetched !== undefined,
    offer: ({ abortedTransactions, records }) => {
      if (!worker.isOpen() || queue.fetched !== undefined || records.byteLength === 0) return
      const unpackedBytes = Unpack.unpackedBytes(records)
      const isEager =
        unpackedBytes !== undefined &&
        unpackedBytes <= Math.min(maxEagerBytes, buffer.share - queue.bytes, buffer.maxBytes - buffer.bytes)
      const bytes = isEager ? records : kept(records)
      const { maxRecordBytes } = context
      const unpacking = Unpack.make(bytes, { abortedTransactions, maxRecordBytes })
      const fetched = { unpacking, bytes: bytes.byteLength, fetchedAt: Monotonic.millis(clock) }
      if (unpacking.isDone()) failure = cutOff(lane.position, bytes)
      else if (isEager) while (!unpacking.isDone()) advance(fetched)
      else Queue.hold(queue, fetched)
      worker.nudge()
    },
    takeFailure: () => {
      const found = failure
      failure = undefined
      return found
    },
    resumeAt: (offset, leaderEpoch) => {
      Queue.hold(queue, undefined)
      failure = undefined
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
      failure = undefined
      ledger = Ledger.make(offset)
      epochs = LeaderEpochs.make(-1)
      lane.position = offset
      lane.committed = -1
    },
    repeat: ({ headers, key, offset, timestamp, value }) => {
      if (!Ledger.unsettle(ledger, offset) || !worker.isOpen()) return
      const records = [{ headers, key, offset, timestamp, value }]
      Queue.pushFirst(queue, { records, bytes: 0, fetchedAt: Monotonic.millis(clock), ledger })
      worker.nudge()
    },
    snapshot: () => ({
      topic,
      partition,
      ...worker.snapshot(),
      paused: worker.isPaused(),
      settledTo: lane.settledTo(),
      highWatermark: lane.highWatermark,
      bufferedRecords: queue.records,
      bufferedBytes: queue.bytes + queue.state + (queue.fetched?.bytes ?? 0)
    })
  }
  return lane
})
