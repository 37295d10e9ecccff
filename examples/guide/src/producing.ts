import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import { Producer, type ProducerRecord, stream } from "@spillway/transport/Producer"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Stream from "effect/Stream"

// #region settings
export const Bulk = KafkaProducer.layer({
  linger: "20 millis",
  compression: "zstd",
  bufferMemory: 128 * 1024 * 1024,
  deliveryTimeout: "30 seconds"
})
// #endregion

// #region each
export const publishEach = Effect.fnUntraced(function* (records: ReadonlyArray<ProducerRecord>) {
  const producer = yield* Producer
  const results = yield* producer.sendAllEither(records)
  return results.filter(Either.isLeft).map(({ left }) => left.record) // those that were not acknowledged
})
// #endregion

// #region stream
export const publishStream = (records: Stream.Stream<ProducerRecord>) =>
  records.pipe(stream({ concurrency: 5 }), Stream.runCount)
// #endregion

// #region partitioner
export const ByRegion = KafkaProducer.layer({
  partitioner: ({ headers, partitions }) => (headers.some(([name]) => name === "eu") ? 0 : 1 % partitions)
})
// #endregion
