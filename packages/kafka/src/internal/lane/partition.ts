/**
 * One assigned partition: its fetched, settled and committed offsets, and the lane that handles its records. It lives
 * from its assignment until it is revoked or lost. Only this file writes its state.
 */
import type { TopicPartition } from "@spillway/transport/Consumer"
import type { ConsumedRecord } from "@spillway/transport/Envelope"
import type { PartitionSnapshot } from "@spillway/transport/runtime/ConsumerSnapshot"
import type { ConsumerMetrics } from "@spillway/transport/runtime/Metrics"
import * as Monotonic from "@spillway/transport/runtime/Monotonic"
import type { Outcome } from "@spillway/transport/runtime/Processor"
import * as Effect from "effect/Effect"
import type { FetchPartitionResponse } from "../../Protocol.js"
import { RecordBatchError } from "../../RecordBatch.js"
import * as Unpack from "../recordBatch/unpack.js"
import * as Lane from "./lane.js"
import * as LeaderEpochs from "./leaderEpochs.js"
import * as Ledger from "./ledger.js"
import * as Queue from "./queue.js"
import type { Settlement } from "./settlement.js"

/** The most bytes of a slice, and the fewest with many partitions. */
const maxSliceBytes = 1024 * 1024
const minSliceBytes = 64 * 1024

/** Uncompressed batches that take no more than this when they are unpacked are unpacked at once. */
const maxEagerBytes = 4 * 1024 * 1024

/** Bytes to retain: a copy, unless they make up most of the buffer that they are a view of. */
const kept = (bytes: Uint8Array): Uint8Array =>
  2 * bytes.byteLength > bytes.buffer.byteLength ? bytes : new Uint8Array(bytes)

/** A broker never truncates the first batch (KIP-74): waiting for its rest would never end. */
const cutOff = (baseOffset: number, bytes: Uint8Array): RecordBatchError => {
  const description = `${bytes.byteLength} bytes hold no whole batch`
  return new RecordBatchError({ reason: "CorruptBatch", baseOffset, description })
}

/** The shared context of one consumer's partitions. */
export interface PartitionContext<R> extends Lane.LaneContext<R> {
  /** A partition that holds fewer records is fetched. */
  readonly maxRecords: number
  readonly buffer: Queue.Buffer
  /** The most bytes of a record of a compressed batch. */
  readonly maxRecordBytes: number
  /** Whether the partition is paused from its assignment on. */
  readonly isPaused: (partition: TopicPartition) => boolean
  readonly onOutcome: (outcome: Outcome, record: ConsumedRecord) => void
}

export interface Partition extends TopicPartition, Omit<Lane.Lane, "clear"> {
  /** Every record before this offset has an outcome. */
  readonly settledTo: () => number
  /** The leader epoch of the record before `settledTo`; -1 when unknown. */
  readonly settledEpoch: () => number
  /** The offset to fetch next. */
  readonly position: number
  /** The leader epoch of the record before `position`; -1 when unknown. */
  readonly leaderEpoch: () => number
  /** The last acknowledged commit; -1 before the first. */
  readonly committed: number
  /** The end of the log by the last fetch response; -1 before the first. */
  readonly highWatermark: number
  /** Whether it holds fewer records than `maxRecords` and fewer bytes than its share, all of them unpacked. */
  readonly hasRoom: () => boolean
  /** Whether it holds fetched bytes that aren't unpacked yet: `position` is the next offset to unpack. */
  readonly isUnpacking: () => boolean
  /**
   * Takes a fetch response and unpacks its records as there is room. It ignores records before `position`, and the
   * whole response while it holds fetched bytes that aren't unpacked yet.
   */
  readonly receive: (fetched: Pick<FetchPartitionResponse, "records" | "abortedTransactions" | "highWatermark">) => void
  /** Why the batch at `position` can't be read, if an error was found since the last call. */
  readonly takeFailure: () => RecordBatchError | undefined
  /** The group has acknowledged the commit of an offset. */
  readonly acknowledge: (offset: number) => void
  /** It starts and commits nothing more: its offsets are invalid in the topic or cluster that now has its name. */
  readonly abandon: () => void
  readonly isAbandoned: () => boolean
  /**
   * Continues at another offset; the record before it is of the leader epoch. Queued records are handled first. Going
   * back forgets what was committed.
   */
  readonly resumeAt: (offset: number, leaderEpoch: number) => void
  /**
   * Starts again at an offset, as if nothing were committed. Queued records are dropped, and the record in flight no
   * longer affects commits.
   */
  readonly restartAt: (offset: number) => void
  /** Takes a record's outcome back, and handles it again before the queued records. */
  readonly repeat: (record: ConsumedRecord) => void
  readonly snapshot: () => PartitionSnapshot
}

export interface Start extends TopicPartition {
  readonly position: number
  /** The leader epoch of the record before `position`; -1 when unknown. */
  readonly leaderEpoch: number
  /** -1 when nothing is committed. */
  readonly committed: number
}

export const make = Effect.fnUntraced(function* <R>(
  context: PartitionContext<R>,
  metrics: ConsumerMetrics,
  timed: boolean,
  start: Start
): Effect.fn.Return<Partition, never, R> {
  const { topic, partition } = start
  const clock = yield* Effect.clock
  let { committed, position } = start
  let highWatermark = -1
  let isAbandoned = false
  let ledger = Ledger.make(position)
  let epochs = LeaderEpochs.make(start.leaderEpoch)
  let failure: RecordBatchError | undefined
  const { buffer } = context

  /** Queues a slice; true when it has a record to handle. */
  const push = (slice: Unpack.Slice, fetchedAt: number): boolean => {
    if (slice.nextOffset <= position) return false
    const records = slice.baseOffset < position ? slice.records.filter((r) => r.offset >= position) : slice.records
    for (let i = 0; i < records.length; i++) Ledger.add(ledger, records[i]!.offset)
    Ledger.skipTo(ledger, slice.nextOffset)
    LeaderEpochs.add(epochs, slice.baseOffset, slice.partitionLeaderEpoch)
    position = slice.nextOffset
    if (records.length === 0) return false
    Queue.push(queue, { records, bytes: slice.bytes, fetchedAt, ledger })
    metrics.received(records.length)
    return true
  }

  /** Queues the next slice, or records that there is none; true when it has a record to handle. */
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
        buffer.waiting.add(lane.wake)
        return false
      }
      found = advance(fetched)
      Queue.setFetched(queue, fetched.unpacking.isDone() ? undefined : fetched)
    }
    return found
  }

  const queue = Queue.make(buffer, context.maxRecords, unpack)
  const settlement: Settlement = {
    settled: (record, outcome, chunk) => {
      Ledger.settle(chunk.ledger, record.offset)
      context.onOutcome(outcome, record)
    }
  }
  const lane = yield* Lane.make(context, { topic, partition, queue, metrics, timed, settlement })
  lane.setPaused(context.isPaused(start))

  return {
    topic,
    partition,
    isOpen: lane.isOpen,
    wake: lane.wake,
    isPaused: lane.isPaused,
    setPaused: lane.setPaused,
    hold: lane.hold,
    release: lane.release,
    atRest: lane.atRest,
    close: lane.close,
    ended: lane.ended,
    hasEnded: lane.hasEnded,
    inFlight: lane.inFlight,
    abort: lane.abort,
    isHandling: lane.isHandling,
    watch: lane.watch,
    settledTo: () => Ledger.committable(ledger),
    settledEpoch: () => LeaderEpochs.before(epochs, Ledger.committable(ledger)),
    leaderEpoch: () => LeaderEpochs.last(epochs),
    get position() {
      return position
    },
    get committed() {
      return committed
    },
    get highWatermark() {
      return highWatermark
    },
    hasRoom: () =>
      queue.fetched === undefined &&
      failure === undefined &&
      queue.records < context.maxRecords &&
      queue.bytes < buffer.share,
    isUnpacking: () => queue.fetched !== undefined,
    receive: ({ abortedTransactions, records, highWatermark: end }) => {
      highWatermark = end
      if (!lane.isOpen() || queue.fetched !== undefined || records.byteLength === 0) return
      const unpackedBytes = Unpack.unpackedBytes(records)
      const isEager =
        unpackedBytes !== undefined &&
        unpackedBytes <= Math.min(maxEagerBytes, buffer.share - queue.bytes, buffer.maxBytes - buffer.bytes)
      const bytes = isEager ? records : kept(records)
      const { maxRecordBytes } = context
      const unpacking = Unpack.make(bytes, { abortedTransactions, maxRecordBytes })
      const fetched = { unpacking, bytes: bytes.byteLength, fetchedAt: Monotonic.millis(clock) }
      if (unpacking.isDone()) failure = cutOff(position, bytes)
      else if (isEager) while (!unpacking.isDone()) advance(fetched)
      else Queue.setFetched(queue, fetched)
      lane.wake()
    },
    takeFailure: () => {
      const found = failure
      failure = undefined
      return found
    },
    acknowledge: (offset) => {
      committed = offset
    },
    abandon: () => {
      isAbandoned = true
      lane.close()
    },
    isAbandoned: () => isAbandoned,
    resumeAt: (offset, leaderEpoch) => {
      Queue.setFetched(queue, undefined)
      failure = undefined
      position = offset
      if (offset >= ledger.end) {
        Ledger.skipTo(ledger, offset)
        LeaderEpochs.add(epochs, offset - 1, leaderEpoch)
        return
      }
      ledger = Ledger.make(offset)
      epochs = LeaderEpochs.make(leaderEpoch)
      committed = -1
    },
    restartAt: (offset) => {
      lane.clear()
      failure = undefined
      ledger = Ledger.make(offset)
      epochs = LeaderEpochs.make(-1)
      position = offset
      committed = -1
    },
    repeat: ({ headers, key, offset, timestamp, value }) => {
      if (!Ledger.unsettle(ledger, offset) || !lane.isOpen()) return
      const records = [{ headers, key, offset, timestamp, value }]
      Queue.pushFirst(queue, { records, bytes: 0, fetchedAt: Monotonic.millis(clock), ledger })
      lane.wake()
    },
    snapshot: () => ({
      topic,
      partition,
      ...lane.snapshot(),
      paused: lane.isPaused(),
      settledTo: Ledger.committable(ledger),
      highWatermark,
      bufferedRecords: queue.records,
      bufferedBytes: queue.bytes + queue.state + (queue.fetched?.bytes ?? 0)
    })
  }
})
