/**
 * Shared by the real-broker tests of the consumer: topics with known records, the broker's contents afterwards, and the
 * number of times each record was handled.
 */
import type { CommittedOffset } from "@spillway/transport/Consumer"
import type { ConsumedRecord, Envelope } from "@spillway/transport/Envelope"
import { Producer } from "@spillway/transport/Producer"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { uniqueName } from "../../../../scripts/kafka/testing.js"
import * as Cluster from "../../src/internal/cluster/cluster.js"
import * as Signal from "../../src/internal/concurrency/signal.js"
import * as KafkaAdmin from "../../src/KafkaAdmin.js"
import { nameOf } from "../../src/KafkaErrorCode.js"
import * as KafkaJsWire from "../../src/KafkaJsWire.js"
import * as KafkaProducer from "../../src/KafkaProducer.js"
import type { Wire } from "../../src/Wire.js"
import * as Journal from "./journal.js"

export { committedOffsets, readTopic } from "../../../../scripts/kafka/inspect.js"

/** The services of `layer`. */
export type Clients = Wire | Producer

export const layer = (brokers: string, options?: KafkaProducer.KafkaProducerOptions) =>
  Layer.provideMerge(
    KafkaProducer.layer({ maxBatchBytes: 8 * 1024 * 1024, ...options }),
    KafkaJsWire.layer({ brokers: brokers.split(",") })
  )

/** Runs a test on a cluster; the consumers' log is printed only if the test fails. */
export const run = <A, E>(
  brokers: string,
  body: (journal: Journal.Journal) => Effect.Effect<A, E, Wire | Producer | Scope.Scope>
) =>
  Effect.suspend(() => {
    const journal = Journal.make()
    return Effect.scoped(body(journal)).pipe(
      Effect.provide(layer(brokers)),
      Effect.provide(journal.layer),
      Effect.tapErrorCause(() => Effect.sync(journal.print))
    )
  })

/** Fails with the awaited condition before the test's own time limit. */
export const within =
  (what: string, limit: Duration.DurationInput = "20 seconds") =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | Error, R> =>
    Effect.timeoutFail(effect, {
      duration: limit,
      onTimeout: () => new Error(`${what}: not within ${Duration.format(limit)}`)
    })

export const createTopic = (partitions: number, name = uniqueName("topic")) =>
  Effect.as(
    KafkaAdmin.once((admin) => admin.createTopics([{ topic: name, partitions }])),
    name
  )

/** Publishes the numbers from `from` on as text, over the partitions in turn. */
export const produce = (topic: string, partitions: number, count: number, from = 0) =>
  Effect.flatMap(Producer, (producer) =>
    producer.sendAll(
      Array.from({ length: count }, (_, i) => ({
        topic,
        partition: (from + i) % partitions,
        value: String(from + i)
      }))
    )
  )

/** The committed offset of each partition of a topic once all its records have an outcome. */
export const endOf = (topic: string, partitions: number, count: number): ReadonlyArray<CommittedOffset> =>
  Array.from({ length: partitions }, (_, partition) => ({
    topic,
    partition,
    offset: Math.ceil((count - partition) / partitions)
  }))

export const idOf = ({ offset, partition, topic }: Pick<ConsumedRecord, "topic" | "partition" | "offset">): string =>
  `${topic}-${partition}-${offset}`

/** How often each record was handled, by one or several consumers. */
export interface Tally {
  readonly add: (envelope: Envelope<unknown>) => void
  readonly times: ReadonlyMap<string, number>
  /** How often records were handled again. */
  readonly duplicates: () => number
  /** Ends when this many different records were handled. */
  readonly reaches: (count: number) => Effect.Effect<void, Error>
  /** Ends when records were handled again this many times. */
  readonly repeats: (count: number) => Effect.Effect<void, Error>
}

export const tally = (): Tally => {
  const times = new Map<string, number>()
  const changed = Signal.make()
  let total = 0
  const duplicates = () => total - times.size
  const until = (count: () => number, wanted: number, what: string) =>
    Effect.suspend(() =>
      Effect.gen(function* () {
        while (count() < wanted) yield* changed.wait()
      }).pipe(
        Effect.timeoutFail({
          duration: "60 seconds",
          onTimeout: () => new Error(`${count()} of ${wanted} ${what}`)
        })
      )
    )
  return {
    add: (record) => {
      const id = idOf(record)
      total++
      times.set(id, (times.get(id) ?? 0) + 1)
      changed.notify()
    },
    times,
    duplicates,
    reaches: (count) => until(() => times.size, count, "records were handled"),
    repeats: (count) => until(duplicates, count, "times were records handled again")
  }
}

/** Writes one encoded batch as it is. */
export const produceBatch = (topic: string, partition: number, records: Uint8Array) =>
  Effect.scoped(
    Effect.gen(function* () {
      const cluster = yield* Cluster.make
      const [metadata] = yield* cluster.refresh([topic])
      const { topics } = yield* cluster.request(metadata!.partitions[partition]!.leader, "data", "Produce", {
        transactionalId: null,
        acks: -1,
        timeoutMs: 10_000,
        topics: [{ topic, partitions: [{ partition, records }] }]
      })
      const { baseOffset, errorCode } = topics[0]!.partitions[0]!
      if (errorCode !== 0) return yield* Effect.fail(new Error(`Produce answered ${nameOf(errorCode)}`))
      return baseOffset
    })
  )
