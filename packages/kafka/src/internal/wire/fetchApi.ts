import type { FetchPartitionResponse, FetchRequest, FetchResponse } from "../../Protocol.js"
import { type Decoded, simple, writeArray, writeInt64, writeIsolationLevel } from "./api.js"
import * as Flexible from "./flexible.js"
import type { Encoder } from "./kafkajs.js"
import type { Reader } from "./reader.js"

type Partition = FetchRequest["topics"][number]["partitions"][number]

/** The first flexible version. */
const flexible = 12

/** The first version that names topics by id, of Kafka 3.1. */
const byId = 13

const noReplica = -1
// No fetch session: every request names all its partitions.
const sessionId = 0
const sessionEpoch = -1
const followerLogStart = -1
/** Unset: OffsetForLeaderEpoch finds where logs diverge. */
const lastFetchedEpoch = -1

const writePartition = (
  out: Encoder,
  { currentLeaderEpoch, fetchOffset, maxBytes, partition }: Partition,
  version: number
): void => {
  out.writeInt32(partition).writeInt32(currentLeaderEpoch)
  writeInt64(out, fetchOffset)
  if (version >= flexible) out.writeInt32(lastFetchedEpoch)
  writeInt64(out, followerLogStart)
  out.writeInt32(maxBytes)
}

const writeFlexible = (out: Encoder, { rackId, topics }: FetchRequest, version: number): void => {
  Flexible.writeArray(out, topics, ({ partitions, topic, topicId = "" }) => {
    if (version >= byId) out.writeBuffer(Buffer.from(topicId, "base64url"))
    else Flexible.writeString(out, topic)
    Flexible.writeArray(out, partitions, (partition) => {
      writePartition(out, partition, version)
      Flexible.writeTags(out)
    })
    Flexible.writeTags(out)
  })
  Flexible.writeArray(out, [], () => {}) // topics to forget
  Flexible.writeString(out, rackId)
  Flexible.writeTags(out)
}

const readAborted = (reader: Reader) => ({ producerId: reader.bigint64(), firstOffset: reader.int64() })

const readHead = (reader: Reader) => ({
  partition: reader.int32(),
  errorCode: reader.int16(),
  highWatermark: reader.int64(),
  lastStableOffset: reader.int64(),
  logStartOffset: reader.int64()
})

const readPartition = (reader: Reader): FetchPartitionResponse => ({
  ...readHead(reader),
  abortedTransactions: reader.array(readAborted),
  preferredReadReplica: reader.int32(),
  records: reader.bytes()
})

const readFlexiblePartition = (reader: Reader): FetchPartitionResponse => {
  const head = readHead(reader)
  const abortedTransactions = Flexible.readArray(reader, (each) => {
    const aborted = readAborted(each)
    Flexible.skipTags(each)
    return aborted
  })
  const preferredReadReplica = reader.int32()
  const records = Flexible.readBytes(reader)
  Flexible.skipTags(reader)
  return { ...head, abortedTransactions, preferredReadReplica, records }
}

const decodeFlexible = (reader: Reader, version: number, request: FetchRequest): Decoded<FetchResponse> => {
  Flexible.skipTags(reader)
  const throttleTimeMs = reader.int32()
  const errorCode = reader.int16()
  reader.int32() // session id
  const names = new Map(request.topics.map(({ topic, topicId }) => [topicId, topic]))
  const topics = Flexible.readArray(reader, (each) => {
    const topic = version >= byId ? (names.get(each.uuid()) ?? "") : Flexible.readString(each)
    const partitions = Flexible.readArray(each, readFlexiblePartition)
    Flexible.skipTags(each)
    return { topic, partitions }
  })
  Flexible.skipTags(reader)
  return { throttleTimeMs, response: { errorCode, topics } }
}

/** v11: the first version with the client's rack. v13: topics by id, if all ids are known. */
export const Fetch = simple<FetchRequest, FetchResponse>({
  key: 1,
  versions: { min: 11, max: byId },
  newest: ({ topics }) => (topics.every(({ topicId = "" }) => topicId !== "") ? byId : flexible),
  encode: (out, request, version) => {
    const { isolationLevel, maxBytes, maxWaitMs, minBytes, rackId, topics } = request
    if (version >= flexible) Flexible.writeTags(out)
    out.writeInt32(noReplica).writeInt32(maxWaitMs).writeInt32(minBytes).writeInt32(maxBytes)
    writeIsolationLevel(out, isolationLevel)
    out.writeInt32(sessionId).writeInt32(sessionEpoch)
    if (version >= flexible) return writeFlexible(out, request, version)
    writeArray(out, topics, ({ topic, partitions }) => {
      out.writeString(topic)
      writeArray(out, partitions, (partition) => writePartition(out, partition, version))
    })
    writeArray(out, [], () => {}) // topics to forget
    out.writeString(rackId)
  },
  decode: (reader, version, request) => {
    if (version >= flexible) return decodeFlexible(reader, version, request)
    const throttleTimeMs = reader.int32()
    const errorCode = reader.int16()
    reader.int32() // session id
    const topics = reader.array((each) => ({ topic: each.string(), partitions: each.array(readPartition) }))
    return { throttleTimeMs, response: { errorCode, topics } }
  },
  waitMs: ({ maxWaitMs }) => maxWaitMs
})
