/**
 * Reads partitions without a group: one loop for each leader fetches ahead of the stream, as far as the buffer has room.
 */
import type { ConsumedRecord } from "@spillway/transport/Envelope"
import * as Monotonic from "@spillway/transport/runtime/Monotonic"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { KafkaErrorCode as Code } from "../../KafkaErrorCode.js"
import { earliestTimestamp, type FetchPartitionResponse, type FetchRequest } from "../../Protocol.js"
import { RecordBatchError } from "../../RecordBatch.js"
import type { Wire, WireError } from "../../Wire.js"
import * as Cluster from "../cluster/cluster.js"
import * as Backoff from "../concurrency/backoff.js"
import type { Failure, Retry } from "../concurrency/retries.js"
import * as Signal from "../concurrency/signal.js"
import * as Tasks from "../concurrency/tasks.js"
import { LaneRecord } from "../lane/record.js"
import * as Turn from "../lane/turn.js"
import * as Unpack from "../recordBatch/unpack.js"
import { keyOf } from "../topicPartition.js"
import * as Buffer from "./buffer.js"
import * as Range from "./range.js"
import type { ReadSettings } from "./readSettings.js"
import { KafkaReaderError } from "./types.js"

/** Unpacked bytes of one chunk of the stream; a larger record makes a larger chunk. */
const chunkBytes = 1024 * 1024

/** The shortest and the longest delay before a partition that failed is fetched again, in milliseconds. */
const baseMs = 50
const capMs = 1_000

/** A partition that is being read. */
interface Reading extends Range.Range {
  readonly retry: Retry
  /** The next offset to fetch. */
  position: number
  /** Failures in a row, and when the partition may be fetched again, in monotonic milliseconds. */
  failures: number
  dueAt: number
  /** The response that last held records of it, counted up: partitions that were served go last in the next request. */
  servedIn: number
}

const open = Effect.fnUntraced(function* (
  settings: ReadSettings
): Effect.fn.Return<Stream.Stream<ConsumedRecord, KafkaReaderError>, KafkaReaderError, Wire | Scope.Scope> {
  const { from, isolationLevel, maxRecordBytes, topic } = settings
  const cluster = yield* Cluster.makeFor({ topic })
  const clock = yield* Effect.clock
  const now = () => Monotonic.millis(clock)
  const turn = Turn.of(clock)
  const buffer = Buffer.make<ConsumedRecord, KafkaReaderError>(settings.maxBufferedBytes)
  const { ranges, topicId } = yield* Range.find(cluster, settings)
  const readings = new Map(
    ranges.map((range): [number, Reading] => [
      range.partition,
      {
        ...range,
        retry: cluster.retries.of("Fetch", keyOf(range)),
        position: range.start,
        failures: 0,
        dueAt: 0,
        servedIn: 0
      }
    ])
  )
  const changed = Signal.make()
  /** Whether a leader may have changed. */
  let isStale = false
  let responses = 0

  const isOpen = ({ end, position }: Reading): boolean => position < end
  const unfinished = (): ReadonlyArray<Reading> => Array.from(readings.values()).filter(isOpen)
  const leaderOf = ({ partition }: Reading) => cluster.leader(topic, partition)

  const fail = (reading: Reading, reason: KafkaReaderError["reason"], description: string, cause?: unknown) =>
    new KafkaReaderError({ reason, topic, partition: reading.partition, offset: reading.position, description, cause })

  /** Records a failure; the partition is fetched again after a delay, perhaps from another leader. */
  const later = (reading: Reading, failure: Failure, askedAt: number): Effect.Effect<void> =>
    Effect.suspend(() => {
      reading.failures++
      reading.dueAt = now() + Math.min(baseMs * 2 ** (reading.failures - 1), capMs)
      isStale = true
      changed.notify()
      return reading.retry.failed(failure, askedAt)
    })

  const take = (reading: Reading, slice: Unpack.Slice): void => {
    const { partition, position } = reading
    if (slice.nextOffset <= position) return
    const end = Math.min(reading.end, slice.nextOffset)
    const records: Array<ConsumedRecord> = []
    for (const record of slice.records) {
      const { offset } = record
      if (offset >= position && offset < end) records.push(new LaneRecord(topic, partition, record))
    }
    reading.position = slice.nextOffset
    if (records.length > 0) buffer.push(Chunk.unsafeFromArray(records), slice.bytes)
  }

  const unpack = Effect.fnUntraced(function* (reading: Reading, response: FetchPartitionResponse) {
    const { abortedTransactions, records } = response
    const unpacking = Unpack.make(records, { abortedTransactions, maxRecordBytes })
    if (unpacking.isDone()) {
      return yield* fail(reading, "CorruptBatch", `${records.byteLength} bytes hold no whole batch`)
    }
    while (!unpacking.isDone() && isOpen(reading)) {
      if (turn.isOver()) yield* turn.next
      yield* buffer.room
      const slice = unpacking.next(chunkBytes)
      if (slice === undefined) return
      if (slice instanceof RecordBatchError) {
        return yield* fail(reading, "CorruptBatch", slice.message, slice)
      }
      take(reading, slice)
    }
  })

  const outOfRange = Effect.fnUntraced(function* (reading: Reading) {
    const earliest = yield* Range.offsetAt(cluster, reading, earliestTimestamp)
    // Retention may delete the first records between the lookup of the beginning and the fetch.
    if (from._tag === "Beginning" && reading.position === reading.start && earliest > reading.position) {
      reading.position = earliest
      return
    }
    return yield* fail(reading, "OffsetOutOfRange", `the log starts at ${earliest}, or ends before this offset`)
  })

  const receive = Effect.fnUntraced(function* (reading: Reading, response: FetchPartitionResponse) {
    const { errorCode: code, partition } = response
    if (code === Code.OFFSET_OUT_OF_RANGE) return yield* outOfRange(reading)
    const refused = new Cluster.ResponseError({ api: "Fetch", code })
    if (code === Code.TOPIC_AUTHORIZATION_FAILED) return yield* fail(reading, "Authorization", refused.message, refused)
    if (code === Code.CORRUPT_MESSAGE || code === Code.UNSUPPORTED_COMPRESSION_TYPE) {
      return yield* fail(reading, "CorruptBatch", refused.message, refused)
    }
    if (code !== Code.NONE) {
      cluster.doubt(topic, partition)
      return yield* later(reading, refused, now())
    }
    if (reading.failures > 0) yield* reading.retry.succeeded
    reading.failures = 0
    if (response.records.byteLength === 0) return
    reading.servedIn = responses
    yield* unpack(reading, response)
  })

  const requestFor = (ready: ReadonlyArray<Reading>, maxWaitMs: number): FetchRequest => ({
    maxWaitMs: Math.min(settings.fetchMaxWaitMs, maxWaitMs),
    minBytes: 1,
    maxBytes: settings.fetchMaxBytes,
    isolationLevel,
    rackId: "",
    topics: [
      {
        topic,
        topicId,
        partitions: ready.map((reading) => ({
          partition: reading.partition,
          currentLeaderEpoch: leaderOf(reading)?.leaderEpoch ?? -1,
          fetchOffset: reading.position,
          maxBytes: settings.fetchMaxPartitionBytes
        }))
      }
    ]
  })

  const fetch = Effect.fnUntraced(function* (nodeId: number, ready: ReadonlyArray<Reading>, maxWaitMs: number) {
    const response = yield* cluster.request(nodeId, "fetch", "Fetch", requestFor(ready, maxWaitMs))
    if (response.errorCode !== Code.NONE) {
      return yield* new Cluster.ResponseError({ api: "Fetch", code: response.errorCode })
    }
    responses++
    const asked = new Set(ready)
    for (const { partitions } of response.topics) {
      for (const partition of partitions) {
        const reading = readings.get(partition.partition)
        if (reading !== undefined && asked.delete(reading)) yield* receive(reading, partition)
      }
    }
  })

  /** Reads the partitions that a broker leads, until there are none. */
  const readFrom = Effect.fnUntraced(function* (nodeId: number) {
    while (true) {
      const led = unfinished().filter((reading) => leaderOf(reading)?.leader === nodeId)
      if (led.length === 0) return
      const at = now()
      const ready = led.filter(({ dueAt }) => dueAt <= at).sort((one, other) => one.servedIn - other.servedIn)
      const nextMs = Math.min(...led.map(({ dueAt }) => (dueAt <= at ? Number.POSITIVE_INFINITY : dueAt - at)))
      if (ready.length === 0) {
        yield* Effect.sleep(nextMs)
        continue
      }
      yield* buffer.room
      yield* Effect.catchIf(
        fetch(nodeId, ready, nextMs),
        (error): error is WireError | Cluster.ResponseError => error._tag !== "KafkaReaderError",
        (error): Effect.Effect<void, KafkaReaderError> => {
          const fatal = error._tag === "WireError" ? Range.fatal(topic, error) : undefined
          return fatal ?? Effect.forEach(ready, (reading) => later(reading, error, at), { discard: true })
        }
      )
    }
  })

  /** Looks the leaders up again; fails when the topic is gone. */
  const makeRefresh = () => {
    const retry = cluster.retries.of("Metadata", topic)
    let unknownSince: number | undefined
    return Effect.gen(function* () {
      const askedAt = now()
      const answered = yield* Effect.either(cluster.refresh([topic]))
      if (answered._tag === "Left") {
        const fatal = Range.fatal(topic, answered.left)
        if (fatal !== undefined) return yield* fatal
        isStale = true
        return yield* retry.failed(answered.left, askedAt)
      }
      const metadata = answered.right[0]
      if (metadata?.errorCode === Code.UNKNOWN_TOPIC_OR_PARTITION) {
        unknownSince ??= now()
        if (now() - unknownSince >= settings.unknownTopicTimeoutMs) {
          return yield* Range.unknownTopic(topic, settings.unknownTopicTimeoutMs)
        }
        isStale = true
        return
      }
      unknownSince = undefined
      if (metadata?.errorCode === Code.NONE && metadata.topicId !== topicId) {
        const description = "it was deleted and created again while it was read"
        return yield* new KafkaReaderError({ reason: "UnknownTopic", topic, description })
      }
      yield* retry.succeeded
    })
  }

  const read = Effect.gen(function* () {
    const refresh = makeRefresh()
    const backoff = Backoff.make(baseMs, capMs)
    const loops = yield* Tasks.make<number>(changed.notify)
    while (true) {
      const change = changed.wait()
      const left = unfinished()
      if (left.length === 0) return
      for (const reading of left) {
        const leader = leaderOf(reading)?.leader
        if (leader === undefined) isStale = true
        else {
          yield* loops.start(
            leader,
            Effect.catchAllCause(readFrom(leader), (cause) => buffer.end(Effect.failCause(cause)))
          )
        }
      }
      if (isStale) {
        isStale = false
        yield* refresh
        yield* backoff.next
      } else {
        backoff.reset()
        yield* change
      }
    }
  })

  yield* Effect.forkScoped(
    Effect.interruptible(
      Effect.matchCauseEffect(read, {
        onFailure: (cause) => buffer.end(Effect.failCause(cause)),
        onSuccess: () => buffer.end(Effect.void)
      })
    )
  )
  return Stream.repeatEffectChunkOption(buffer.take)
})

/** The records of the partitions, read while the stream runs. */
export const read = (settings: ReadSettings): Stream.Stream<ConsumedRecord, KafkaReaderError, Wire> =>
  Stream.unwrapScoped(open(settings))
