/**
 * Checks the handlers' results and adds them to the outbox, so that a record that can't be written is a failure of its
 * handler.
 */
import type { TopicPartition } from "@spillway/transport/Consumer"
import type { ConsumedRecord } from "@spillway/transport/Envelope"
import * as HandlerError from "@spillway/transport/HandlerError"
import { type Producer, ProducerError, type ProducerRecord } from "@spillway/transport/Producer"
import { show } from "@spillway/transport/runtime/Environment"
import type { Processor } from "@spillway/transport/runtime/Processor"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as RecordBatch from "../../RecordBatch.js"
import type { Failure } from "../producer/decisions.js"
import * as Record from "../producer/record.js"
import { keyOf } from "../topicPartition.js"
import * as Outbox from "./outbox.js"

/** The record that is being recovered in the current fiber: the source of its dead letter. */
class Recovering extends Context.Reference<Recovering>()("@spillway/kafka/internal/Recovering", {
  defaultValue: (): ConsumedRecord | undefined => undefined
}) {}

/** A record that a broker refused, and that its source would produce again. */
export interface Refused {
  readonly source: Outbox.Source
  readonly error: ProducerError
  /** Records of this topic and size, or larger, aren't tried again for a while. */
  readonly topic: string
  readonly bytes: number
  /** Milliseconds of the monotonic clock. */
  readonly until: number
}

export interface Outputs {
  /** Adds a record's results to the outbox. */
  readonly put: (source: Outbox.Source, records: ReadonlyArray<ProducerRecord>) => Effect.Effect<void, ProducerError>
  /** The same for a handler's results, which would be refused at every attempt. */
  readonly handled: (
    source: Outbox.Source,
    records: ReadonlyArray<ProducerRecord>
  ) => Effect.Effect<void, ProducerError | HandlerError.NonRetryableError>
  /** The producer of dead letters. */
  readonly producer: Context.Tag.Service<Producer>
  /** A processor whose dead letters are linked to their source record. */
  readonly recovering: <R>(processor: Processor<R>) => Processor<R>
  /** A broker has refused a result of the source. */
  readonly refuse: (refused: Refused) => void
  /** Forgets refused results of a partition's records before an offset: they aren't handled again. */
  readonly forgive: (partition: TopicPartition, before: number) => void
}

const placeOf = ({ offset, partition, topic }: Outbox.Source): string => `${topic}-${partition}@${offset}`

const notRecords = (result: unknown): TypeError =>
  new TypeError(`a transactional handler must return an array of records to write, not ${show(result)}`)

/** Errors that another attempt of the handler wouldn't change. */
const isPermanent = ({ reason }: ProducerError): boolean => reason === "InvalidRecord" || reason === "RecordTooLarge"

export const make = (options: {
  readonly outbox: Outbox.Outbox
  readonly maxBatchBytes: number
  readonly partitions: Context.Tag.Service<Producer>["partitions"]
  /** Milliseconds of the monotonic clock. */
  readonly now: () => number
  /** Milliseconds since the epoch, for the timestamps of records. */
  readonly wallClock: () => number
  readonly onPut: () => void
}): Outputs => {
  const { maxBatchBytes, now, onPut, outbox, partitions, wallClock } = options
  const knownTopics = new Set<string>()
  const refusals = new Map<string, Refused>()

  const refusedBefore = (source: Outbox.Source, topic: string, bytes: number): ProducerError | undefined => {
    if (refusals.size === 0) return undefined
    const refused = refusals.get(placeOf(source))
    if (refused === undefined || refused.topic !== topic || bytes < refused.bytes) return undefined
    if (now() < refused.until) return refused.error
    refusals.delete(placeOf(source))
    return undefined
  }

  const put: Outputs["put"] = (source, records) =>
    Effect.suspend(() => {
      const { offset, partition, topic } = source
      const prepared: Array<ProducerRecord> = []
      let unknown: Set<string> | undefined
      let bytes = 0
      for (const [index, given] of records.entries()) {
        const fail = ({ cause, description, reason }: Failure) =>
          new ProducerError({
            reason,
            topic: String(given.topic),
            partition: given.partition,
            description: `record ${index} of ${records.length}: ${description}`,
            cause,
            record: given
          })
        const record = Record.prepare(given, wallClock())
        if ("reason" in record) return Effect.fail(fail(record))
        const size = Record.sizeOf(record, maxBatchBytes)
        if (typeof size === "object") return Effect.fail(fail(size))
        const refused = refusedBefore(source, given.topic, size)
        if (refused !== undefined) return Effect.fail(refused)
        if (!knownTopics.has(given.topic)) unknown = (unknown ?? new Set()).add(given.topic)
        bytes += size
        prepared.push({ ...record, topic: given.topic, partition: given.partition })
      }
      const place = Effect.sync(() => {
        Outbox.put(outbox, { source: { topic, partition, offset }, records: prepared, bytes })
        onPut()
      })
      if (unknown === undefined) return place
      const lookUp = (topic: string) => Effect.map(partitions(topic), () => knownTopics.add(topic))
      return Effect.zipRight(Effect.forEach(unknown, lookUp, { discard: true }), place)
    })

  const send = (record: ProducerRecord) =>
    Effect.gen(function* () {
      const source = yield* Recovering
      if (source === undefined) return yield* Effect.dieMessage("no record is being recovered")
      yield* put(source, [record])
      // Its offset is known once it is committed.
      return {
        topic: record.topic,
        partition: record.partition ?? -1,
        offset: -1,
        timestamp: record.timestamp ?? wallClock()
      }
    })

  return {
    put,
    handled: (source, records) => {
      if (!Array.isArray(records)) return HandlerError.nonRetryable(notRecords(records))
      return Effect.catchAll(
        put(source, records),
        (error): Effect.Effect<never, ProducerError | HandlerError.NonRetryableError> =>
          isPermanent(error) ? HandlerError.nonRetryable(error) : Effect.fail(error)
      )
    },
    producer: {
      send,
      sendAll: Effect.forEach(send),
      sendAllEither: (records) => Effect.forEach(records, (record) => Effect.either(send(record))),
      partitions
    },
    recovering: (processor) => ({
      ...processor,
      recover: (record, failed, lane) =>
        Effect.provideService(processor.recover(record, failed, lane), Recovering, record)
    }),
    refuse: (refused) => {
      // A deleted topic is looked up again.
      knownTopics.delete(refused.topic)
      refusals.set(placeOf(refused.source), refused)
    },
    forgive: (partition, before) => {
      for (const [place, { source }] of refusals) {
        if (keyOf(source) === keyOf(partition) && source.offset < before) refusals.delete(place)
      }
    }
  }
}

/** The size from which on a record is refused; 0: any size. */
export const refusedBytes = (error: ProducerError, record: ProducerRecord): number => {
  const prepared = error.reason === "RecordTooLarge" ? Record.prepare(record, 0) : undefined
  return prepared === undefined || "reason" in prepared ? 0 : RecordBatch.recordSize(prepared)
}
