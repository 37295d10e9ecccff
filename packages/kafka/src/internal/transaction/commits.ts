/**
 * Commits a consumer's offsets and its records' results in one transaction. An aborted transaction is repeated with the
 * same records, without handling them again.
 */

import { ConsumerError, type ConsumerErrorReason, type TopicPartition } from "@spillway/transport/Consumer"
import type { ConsumedRecord } from "@spillway/transport/Envelope"
import type { ProducerError } from "@spillway/transport/Producer"
import * as Logging from "@spillway/transport/runtime/Logging"
import { limited } from "@spillway/transport/runtime/Logging"
import * as Effect from "effect/Effect"
import * as LogLevel from "effect/LogLevel"
import type {
  OffsetCommitRequest,
  OffsetCommitResponse,
  OffsetFetchRequest,
  OffsetFetchResponse
} from "../../Protocol.js"
import {
  type GroupMember,
  type TransactionalProducer,
  TransactionError,
  type TransactionErrorReason
} from "../../Transaction.js"
import type { WireError } from "../../Wire.js"
import type { ResponseError } from "../cluster/cluster.js"
import type { Signal } from "../concurrency/signal.js"
import { keyOf } from "../topicPartition.js"
import * as Outbox from "./outbox.js"
import { type Outputs, refusedBytes } from "./outboxProducer.js"

type Topics = OffsetCommitRequest["topics"]

/** The parts of a transactional consumer that differ from other consumers. */
export interface Commits {
  /** Replaces OffsetCommit. */
  readonly commit: (
    member: GroupMember,
    topics: Topics,
    consumer: CommittingConsumer
  ) => Effect.Effect<OffsetCommitResponse, WireError | ResponseError | TransactionError | ProducerError>
  /** Called when offsets are collected: partitions that are forgotten afterwards aren't committed. */
  readonly begin: () => void
  /** The outbox is full: no record starts. */
  readonly isFull: () => boolean
  /** Notified when it is full: a commit is due. */
  readonly filled: Signal
  /** A record has its outcome. */
  readonly settled: (record: ConsumedRecord) => void
  /** The partition was revoked, lost or assigned again: earlier results of its records are not committed. */
  readonly forget: (partition: TopicPartition) => void
}

/** The consumer that commits. */
export interface CommittingConsumer {
  readonly fetchOffsets: (request: OffsetFetchRequest) => Effect.Effect<OffsetFetchResponse, WireError | ResponseError>
  /** Takes a record's outcome back and handles it again, if its partition is still owned. */
  readonly repeat: (record: ConsumedRecord) => void
  /** Lets lanes check again whether they may start. */
  readonly wakeLanes: () => void
  readonly fail: (error: ConsumerError) => Effect.Effect<void>
}

/** A commit in doubt. */
interface Doubt {
  readonly offsets: ReadonlyArray<Outbox.Source>
  /** The offsets' metadata, which identifies the commit. */
  readonly mark: string
}

const fatalReasons: Partial<Record<TransactionErrorReason, ConsumerErrorReason>> = {
  Fenced: "FencedProducer",
  Authorization: "Authorization",
  Refused: "Refused",
  UnsupportedBroker: "UnsupportedBroker"
}

/** Whether every later transaction would fail, too. */
export const isFatal = ({ reason }: TransactionError): boolean => reason in fatalReasons

/** The consumer's error, if every later transaction would fail for the same reason. */
export const fatalError = (groupId: string, cause: TransactionError): ConsumerError | undefined => {
  const reason = fatalReasons[cause.reason]
  return reason && new ConsumerError({ reason, groupId, description: cause.message, cause })
}

/** Whether a record failed because of its transaction, rather than by itself. */
const causeOf = (error: ProducerError | TransactionError): ProducerError | TransactionError =>
  error._tag === "ProducerError" && error.cause instanceof TransactionError ? error.cause : error

/** For how long records like a refused one are rejected without a request. */
const refusedForMs = 30_000

export const make = (options: {
  readonly groupId: string
  readonly producer: TransactionalProducer["Type"]
  readonly outbox: Outbox.Outbox
  readonly outputs: Outputs
  /** Milliseconds of the monotonic clock. */
  readonly now: () => number
  /** A name that no other commit's mark begins with. */
  readonly name: string
}): Pick<Commits, "begin" | "commit" | "forget"> => {
  const { groupId, name, now, outbox, outputs, producer } = options
  const pass = limited({ lines: 1, every: "10 seconds" })
  let doubt: Doubt | undefined
  let commits = 0
  /** The partitions that were forgotten since the current commit's offsets were collected. */
  const forgotten = new Set<string>()

  const answer = (topics: Topics, errorCode: number): OffsetCommitResponse => ({
    topics: topics.map(({ partitions, topic }) => ({
      topic,
      partitions: partitions.map(({ partition }) => ({ partition, errorCode }))
    }))
  })

  const settle = (offsets: ReadonlyArray<Outbox.Source>) => {
    Outbox.settle(outbox, offsets)
    for (const end of offsets) outputs.forgive(end, end.offset)
  }

  /** Determines how a commit without an answer ended: its transaction has ended once another has begun. */
  const resolve = Effect.fnUntraced(function* ({ mark, offsets }: Doubt, { fetchOffsets }: CommittingConsumer) {
    yield* producer.transaction(() => Effect.void)
    const topics = offsets.map(({ partition, topic }) => ({ topic, partitions: [partition] }))
    const found = yield* fetchOffsets({ groupId, requireStable: true, topics })
    const answers = found.topics.flatMap(({ partitions }) => partitions)
    const unknown = [found.errorCode, ...answers.map(({ errorCode }) => errorCode)].find((code) => code !== 0)
    if (unknown !== undefined) {
      return yield* new TransactionError({
        reason: "Unknown",
        transactionalId: producer.transactionalId,
        description: "it isn't known yet whether the last transaction was committed",
        code: unknown
      })
    }
    if (answers.some(({ metadata }) => metadata === mark)) settle(offsets)
    doubt = undefined
  })

  /** A broker refused a record permanently: its source record is handled again, and fails because of it. */
  const onRefused = (error: ProducerError, entries: ReadonlyArray<Outbox.Entry>, consumer: CommittingConsumer) =>
    Effect.suspend(() => {
      if (error.reason === "Authorization") {
        return consumer.fail(
          new ConsumerError({ reason: "Authorization", groupId, description: error.message, cause: error })
        )
      }
      const { record } = error
      const isOfRecord = error.reason === "InvalidRecord" || error.reason === "RecordTooLarge"
      const isGuilty = ({ records }: Outbox.Entry) =>
        isOfRecord
          ? record !== undefined && records.includes(record)
          : error.reason === "UnknownTopic" && records.some(({ topic }) => topic === error.topic)
      const bytes = record === undefined ? 0 : refusedBytes(error, record)
      const until = isOfRecord ? now() + refusedForMs : 0
      // The last comes first, since each is put in front of the queue.
      for (const entry of entries.filter(isGuilty).reverse()) {
        const { source } = entry
        if (forgotten.has(keyOf(source)) || entry.record === undefined) continue
        outputs.refuse({ source, error, topic: error.topic, bytes, until })
        Outbox.repeat(outbox, entry)
        consumer.repeat(entry.record)
      }
      return Effect.void
    })

  const failIfFatal = (error: TransactionError, consumer: CommittingConsumer) => {
    const fatal = fatalError(groupId, error)
    return fatal === undefined ? Effect.void : consumer.fail(fatal)
  }

  const log = (error: TransactionError | ProducerError) =>
    pass(
      Logging.log(LogLevel.Warning, "The transaction was not committed; repeating it", {
        groupId,
        transactionalId: producer.transactionalId,
        reason: error.reason,
        error: error.message
      })
    )

  return {
    begin: () => forgotten.clear(),
    forget: (partition) => {
      forgotten.add(keyOf(partition))
      Outbox.drop(outbox, partition)
      outputs.forgive(partition, Infinity)
    },
    commit: Effect.fnUntraced(function* (member, asked, consumer) {
      if (doubt !== undefined) {
        yield* Effect.tapError(resolve(doubt, consumer), (error) =>
          error._tag === "TransactionError" ? failIfFatal(error, consumer) : Effect.void
        )
      }
      // Offsets go with the results of the records before them, or those results would be lost.
      const topics = asked.map(({ partitions, topic }) => ({
        topic,
        partitions: partitions.filter(({ partition }) => !forgotten.has(keyOf({ topic, partition })))
      }))
      const mark = `${name}-${++commits}`
      const offsets = topics.flatMap(({ partitions, topic }) =>
        partitions.map(({ leaderEpoch, offset, partition }) => ({
          topic,
          partition,
          offset,
          leaderEpoch,
          metadata: mark
        }))
      )
      if (offsets.length === 0) return answer(topics, 0)
      const entries = Outbox.before(outbox, offsets)
      const records = entries.flatMap((entry) => entry.records)
      doubt = { offsets, mark }
      const done = yield* Effect.either(
        producer.transaction((transaction) =>
          Effect.zipRight(
            records.length === 0 ? Effect.void : transaction.sendAll(records),
            transaction.sendOffsets(offsets, member)
          )
        )
      )
      if (done._tag === "Right") {
        doubt = undefined
        settle(offsets)
        consumer.wakeLanes()
        return answer(topics, 0)
      }
      const error = causeOf(done.left)
      if (error._tag === "ProducerError") {
        doubt = undefined
        yield* onRefused(error, entries, consumer)
      } else {
        if (error.reason !== "Unknown") doubt = undefined
        yield* failIfFatal(error, consumer)
        if (error.reason === "NotMember" && error.code !== undefined) return answer(topics, error.code)
      }
      yield* log(error)
      return yield* Effect.fail(error)
    })
  }
}
