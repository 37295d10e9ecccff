/**
 * Reading a topic without a group: for scripts, tools and tests. Nothing is committed, and no group sees the reader.
 */
import type { ConsumedRecord } from "@spillway/transport/Envelope"
import type { InvalidOptions } from "@spillway/transport/InvalidOptions"
import type { Config } from "effect/Config"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Reader from "./internal/reader/reader.js"
import * as ReadSettings from "./internal/reader/readSettings.js"
import { KafkaReaderError, type KafkaReaderErrorReason, type ReadOptions } from "./internal/reader/types.js"
import { Wire } from "./Wire.js"

export { KafkaReaderError, type KafkaReaderErrorReason, type ReadOptions }

/**
 * The records of a topic's partitions, in the order of their offsets within each partition; partitions are interleaved.
 * The stream ends when every partition has reached `to`, which by default is the end of the log at the start. Records
 * arrive in chunks of about 1 MiB, fetched ahead up to `maxBufferedBytes`.
 *
 * A lost connection, a new leader or another transient failure is retried and logged; the stream continues where it
 * was. It fails with a `KafkaReaderError` when it can't continue without leaving records out. Each run of the stream
 * opens connections of its own, which close with it.
 */
export const read = (options: ReadOptions): Stream.Stream<ConsumedRecord, KafkaReaderError | InvalidOptions, Wire> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const { maxResponseBytes } = yield* Wire
      return Reader.read(yield* ReadSettings.decode(options, maxResponseBytes))
    })
  )

/**
 * The options from the environment: `KAFKA_READER_TOPIC`, `KAFKA_READER_FROM` and so on, by their names; within a
 * namespace `A`, `A_KAFKA_READER_TOPIC`. An option without a variable has its default.
 */
export const config: (
  defaults?: Partial<ReadOptions> | undefined,
  namespace?: string | undefined
) => Config<ReadOptions> = ReadSettings.config
