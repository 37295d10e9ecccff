import type {
  FetchRequest,
  FetchResponse,
  IsolationLevel,
  ListOffsetsRequest,
  ListOffsetsResponse,
  MetadataRequest,
  MetadataResponse,
  OffsetForLeaderEpochRequest,
  OffsetForLeaderEpochResponse,
  ProduceRequest,
  ProduceResponse
} from "../../Protocol.js"
import { type Attachment, type Codec, only, readBroker, simple, writeArray, writeInt64 } from "./api.js"
import type { Encoder } from "./kafkajs.js"
import type { Reader } from "./reader.js"

/** What a client puts where a follower broker would put its id. */
const noReplica = -1

const writeIsolationLevel = (out: Encoder, level: IsolationLevel | undefined): void => {
  out.writeInt8(level === "read_committed" ? 1 : 0)
}

const skipInt32s = (reader: Reader): void => {
  reader.array((each) => each.int32())
}

/** v7: the first with leader epochs. */
export const Metadata = simple<MetadataRequest, MetadataResponse>({
  key: 3,
  versions: only(7),
  encode: (out, { topics }) => {
    if (topics === null) out.writeInt32(-1)
    else writeArray(out, topics, (topic) => out.writeString(topic))
    const allowAutoTopicCreation = false
    out.writeBoolean(allowAutoTopicCreation)
  },
  decode: (reader) => {
    const throttleTimeMs = reader.int32()
    const brokers = reader.array((each) => {
      const broker = readBroker(each)
      each.nullableString() // rack
      return broker
    })
    reader.nullableString() // cluster id
    const controllerId = reader.int32()
    const topics = reader.array((each) => {
      const errorCode = each.int16()
      const topic = each.string()
      const isInternal = each.boolean()
      return { errorCode, topic, isInternal, partitions: each.array(readPartitionMetadata) }
    })
    return { throttleTimeMs, response: { brokers, controllerId, topics } }
  }
})

const readPartitionMetadata = (reader: Reader) => {
  const errorCode = reader.int16()
  const partition = reader.int32()
  const leader = reader.int32()
  const leaderEpoch = reader.int32()
  skipInt32s(reader) // replicas
  skipInt32s(reader) // in-sync replicas
  skipInt32s(reader) // offline replicas
  return { errorCode, partition, leader, leaderEpoch }
}

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
  waitMs: ({ timeoutMs }) => timeoutMs,
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

/** v11: the first with the client's rack. Without a fetch session: every request names all it wants. */
export const Fetch = simple<FetchRequest, FetchResponse>({
  key: 1,
  versions: only(11),
  encode: (out, { maxWaitMs, minBytes, maxBytes, isolationLevel, rackId, topics }) => {
    const sessionId = 0
    const sessionEpoch = -1
    const followerLogStart = -1
    out.writeInt32(noReplica).writeInt32(maxWaitMs).writeInt32(minBytes).writeInt32(maxBytes)
    writeIsolationLevel(out, isolationLevel)
    out.writeInt32(sessionId).writeInt32(sessionEpoch)
    writeArray(out, topics, ({ topic, partitions }) => {
      out.writeString(topic)
      writeArray(out, partitions, ({ partition, currentLeaderEpoch, fetchOffset, maxBytes }) => {
        out.writeInt32(partition).writeInt32(currentLeaderEpoch)
        writeInt64(out, fetchOffset)
        writeInt64(out, followerLogStart)
        out.writeInt32(maxBytes)
      })
    })
    writeArray(out, [], () => {}) // topics to forget
    out.writeString(rackId)
  },
  decode: (reader) => {
    const throttleTimeMs = reader.int32()
    const errorCode = reader.int16()
    reader.int32() // session id
    const topics = reader.array((each) => ({ topic: each.string(), partitions: each.array(readFetched) }))
    return { throttleTimeMs, response: { errorCode, topics } }
  },
  waitMs: ({ maxWaitMs }) => maxWaitMs
})

const readFetched = (reader: Reader) => {
  const head = {
    partition: reader.int32(),
    errorCode: reader.int16(),
    highWatermark: reader.int64(),
    lastStableOffset: reader.int64(),
    logStartOffset: reader.int64(),
    abortedTransactions: reader.array((each) => ({ producerId: each.bigint64(), firstOffset: each.int64() }))
  }
  reader.int32() // preferred read replica
  return { ...head, records: reader.bytes() }
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

/** v3: the first by which a client may say that it is none of the replicas. kafkajs has no such request. */
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
