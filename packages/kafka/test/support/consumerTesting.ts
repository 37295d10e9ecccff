/**
 * Shared by the tests of the consumer on a memory broker.
 */
import { crc32c } from "@node-rs/crc32"
import type { Api, FetchPartitionResponse, FetchRequest, FetchResponse } from "@spillway/kafka/Protocol"
import type { Connection, Wire, WireError } from "@spillway/kafka/Wire"
import { MemoryBroker, type MemoryBrokerOptions, layer as memory } from "@spillway/memory/MemoryBroker"
import * as Codec from "@spillway/transport/Codec"
import * as DeadLetter from "@spillway/transport/DeadLetter"
import type { Envelope } from "@spillway/transport/Envelope"
import type { InvalidOptions } from "@spillway/transport/InvalidOptions"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import type { KafkaConsumerOptions } from "../../src/KafkaConsumer.js"

export const group = "billing"

export const topic = "orders"

/** Options of a consumer of text that retries forever. */
export const options = {
  groupId: group,
  topics: [topic],
  value: Codec.text,
  deadLetter: DeadLetter.none("skip")
} satisfies Partial<KafkaConsumerOptions<string, never, never, never>>

/** Runs a test on its own broker, which outlives the test's scope, as a real one outlives the program. */
export const onBroker =
  (options: MemoryBrokerOptions) =>
  <A, E>(test: Effect.Effect<A, E, MemoryBroker | Wire | Scope.Scope>): Effect.Effect<A, E | InvalidOptions> =>
    test.pipe(
      // A failed test leaves consumers behind whose drains need time.
      Effect.onError(() => Effect.forkDaemon(TestClock.adjust("5 minutes"))),
      Effect.scoped,
      Effect.provide([memory(options), Logger.remove(Logger.defaultLogger)])
    )

/** Runs everything that needs no time to pass. */
export const quiet = TestClock.adjust(0)

/** The group's committed offsets, by partition of the topic. */
export const committed: Effect.Effect<Readonly<Record<number, number>>, never, MemoryBroker> = Effect.flatMap(
  MemoryBroker,
  (broker) =>
    Effect.map(broker.committed(group), (all) =>
      Object.fromEntries(all.filter((one) => one.topic === topic).map(({ offset, partition }) => [partition, offset]))
    )
)

export interface Call {
  readonly value: string
  readonly partition: number
  readonly offset: number
  readonly attempt: number
  /** Milliseconds since the epoch. */
  readonly at: number
}

export interface Calls {
  readonly all: Array<Call>
  /** A handler that records each call before it runs the given effect. */
  readonly handler: <E, R>(
    handle: (envelope: Envelope<string>) => Effect.Effect<unknown, E, R>
  ) => (envelope: Envelope<string>) => Effect.Effect<unknown, E, R>
  readonly values: () => ReadonlyArray<string>
  /** `[value, attempt, at]` */
  readonly attempts: () => ReadonlyArray<readonly [string, number, number]>
}

export const makeCalls = (): Calls => {
  const all: Array<Call> = []
  return {
    all,
    values: () => all.map(({ value }) => value),
    attempts: () => all.map(({ at, attempt, value }) => [value, attempt, at]),
    handler: (handle) => (envelope) =>
      Effect.flatMap(Clock.currentTimeMillis, (at) => {
        const { attempt, offset, partition, value } = envelope
        all.push({ value, partition, offset, attempt, at })
        return handle(envelope)
      })
  }
}

/** A wire whose connections send their requests by another function. */
const rewired = (wire: Wire["Type"], request: (connection: Connection) => Connection["request"]): Wire["Type"] => ({
  bootstrap: wire.bootstrap,
  connect: (endpoint, role) =>
    Effect.map(wire.connect(endpoint, role), (connection) => ({
      closed: connection.closed,
      request: request(connection)
    }))
})

/** A wire that shows each request before it is sent. */
export const observed = (
  wire: Wire["Type"],
  see: (api: Api, request: unknown) => Effect.Effect<void, WireError>
): Wire["Type"] =>
  rewired(
    wire,
    (connection) => (api, request, limitMs) =>
      Effect.zipRight(see(api, request), connection.request(api, request, limitMs))
  )

/** A wire that delays the answers to an API. */
export const delayed = (wire: Wire["Type"], slow: Api, delay: () => Duration.DurationInput): Wire["Type"] =>
  rewired(wire, (connection) => (api, request, limitMs) => {
    const answer = connection.request(api, request, limitMs)
    return api === slow ? Effect.tap(answer, () => Effect.sleep(delay())) : answer
  })

/** A wire that maps each partition's fetch response by a function. */
export const answering = (
  wire: Wire["Type"],
  change: (answer: FetchPartitionResponse, request: FetchRequest) => FetchPartitionResponse
): Wire["Type"] =>
  rewired(wire, (connection) => (api, request, limitMs) => {
    const answer = connection.request(api, request, limitMs)
    if (api !== "Fetch") return answer
    return Effect.map(answer, (response) => {
      const { topics, ...rest } = response as FetchResponse
      const changed: FetchResponse = {
        ...rest,
        topics: topics.map(({ partitions, topic }) => ({
          topic,
          partitions: partitions.map((answer) => change(answer, request as FetchRequest))
        }))
      }
      return changed as typeof response
    })
  })

/** Encoded batches, each changed and with a correct checksum. */
export const rewritten = (records: Uint8Array, change: (view: DataView, baseOffset: number) => void): Uint8Array => {
  const bytes = records.slice()
  const view = new DataView(bytes.buffer)
  for (let at = 0; at < bytes.length; ) {
    const size = view.getInt32(at + 8) + 12
    change(new DataView(bytes.buffer, at, size), Number(view.getBigInt64(at)))
    view.setUint32(at + 17, crc32c(bytes.subarray(at + 21, at + size)))
    at += size
  }
  return bytes
}
