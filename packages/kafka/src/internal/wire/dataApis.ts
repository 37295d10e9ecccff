import type {
  ListOffsetsRequest,
  ListOffsetsResponse,
  OffsetForLeaderEpochRequest,
  OffsetForLeaderEpochResponse,
  ProduceRequest,
  ProduceResponse
} from "../../Protocol.js"
import { type Attachment, type Codec, only, simple, writeArray, writeInt64, writeIsolationLevel } from "./api.js"
import type { Reader } from "./reader.js"

/** The replica id of a client, in place of a follower broker's. */
const noReplica = -1

/** v5 to v7 share one layout. */
export const Produce: Codec<ProduceRequest, ProduceResponse> = {
  key: 0,
  versions: { min: 5, max: 7 },
  encode: (out, { transactionalId, acks, timeoutMs, topics }) => {
    const attachments: Array<Attachment> = []
    out.writeString(transactionalId).writeInt16(acks).writeInt32(timeoutMs)
    writeArray(out, topics, ({ topic, partitions }) => {
      out.writeString(topic)
      writeArray(out, partitions, ({ partition, records }) => {
        out.writeInt32(partition).writeInt32(records.byteLength)
        attachments.push({ at: out.size(), bytes: records })
      })
    })
    return attachments
  },
  decode: (reader) => {
    const topics = reader.array((each) => ({ topic: each.string(), partitions: each.array(readProduced) }))
    return { throttleTimeMs: reader.int32(), response: { topics } }
  },
  oldest: () => 0,
  newest: () => Number.POSITIVE_INFINITY,
  // The wait for replicas is part of the request timeout, as in Java, so that a silent broker is detected soon. Not so
  // where the broker's answer that the replicas were late could itself arrive after that timeout.
  waitMs: ({ timeoutMs }, requestTimeoutMs) => Math.max(0, Math.ceil(1.5 * timeoutMs) - requestTimeoutMs),
  unanswered: ({ acks, topics }) =>
    acks !== 0
      ? undefined
      : {
          topics: topics.map(({ topic, partitions }) => ({
            topic,
            partitions: partitions.map(({ partition }) => ({
              partition,
              errorCode: 0,
              baseOffset: -1,
              logAppendTimeMs: -1
            }))
          }))
        }
}

const readProduced = (reader: Reader) => {
  const produced = {
    partition: reader.int32(),
    errorCode: reader.int16(),
    baseOffset: reader.int64(),
    logAppendTimeMs: reader.timestamp()
  }
  reader.int64() // log start offset
  return produced
}

/** v2 and v3 share one layout. */
export const ListOffsets = simple<ListOffsetsRequest, ListOffsetsResponse>({
  key: 2,
  versions: { min: 2, max: 3 },
  encode: (out, { isolationLevel, topics }) => {
    out.writeInt32(noReplica)
    writeIsolationLevel(out, isolationLevel)
    writeArray(out, topics, ({ topic, partitions }) => {
      out.writeString(topic)
      writeArray(out, partitions, ({ partition, timestamp }) => {
        out.writeInt32(partition)
        writeInt64(out, timestamp)
      })
    })
  },
  decode: (reader) => {
    const throttleTimeMs = reader.int32()
    const topics = reader.array((each) => ({ topic: each.string(), partitions: each.array(readListed) }))
    return { throttleTimeMs, response: { topics } }
  }
})

const readListed = (reader: Reader) => ({
  partition: reader.int32(),
  errorCode: reader.int16(),
  timestamp: reader.timestamp(),
  offset: reader.int64()
})

/** v3: the first version in which a client can say that it is not a replica. kafkajs lacks this request. */
export const OffsetForLeaderEpoch = simple<OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse>({
  key: 23,
  versions: only(3),
  encode: (out, { topics }) => {
    out.writeInt32(noReplica)
    writeArray(out, topics, ({ topic, partitions }) => {
      out.writeString(topic)
      writeArray(out, partitions, ({ partition, currentLeaderEpoch, leaderEpoch }) => {
        out.writeInt32(partition).writeInt32(currentLeaderEpoch).writeInt32(leaderEpoch)
      })
    })
  },
  decode: (reader) => {
    const throttleTimeMs = reader.int32()
    const topics = reader.array((each) => ({ topic: each.string(), partitions: each.array(readEpochEnd) }))
    return { throttleTimeMs, response: { topics } }
  }
})

const readEpochEnd = (reader: Reader) => ({
  errorCode: reader.int16(),
  partition: reader.int32(),
  leaderEpoch: reader.int32(),
  endOffset: reader.int64()
})
