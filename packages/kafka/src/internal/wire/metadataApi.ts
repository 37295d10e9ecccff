import type {
  BrokerEndpoint,
  MetadataRequest,
  MetadataResponse,
  PartitionMetadata,
  TopicMetadata
} from "../../Protocol.js"
import { type Decoded, readBroker, simple, writeArray } from "./api.js"
import * as Flexible from "./flexible.js"
import type { Encoder } from "./kafkajs.js"
import type { Reader } from "./reader.js"

/** The first flexible version. */
const flexible = 9

/** The first version with topic ids. */
const withIds = 10

const allowAutoTopicCreation = false
const includeAuthorizedOperations = false

const encodeFlexible = (out: Encoder, { topics }: MetadataRequest, version: number): void => {
  const noId = Buffer.alloc(16)
  Flexible.writeTags(out)
  Flexible.writeArray(out, topics, (topic) => {
    if (version >= withIds) out.writeBuffer(noId)
    Flexible.writeString(out, topic)
    Flexible.writeTags(out)
  })
  out.writeBoolean(allowAutoTopicCreation)
  if (version <= 10) out.writeBoolean(includeAuthorizedOperations) // the cluster's
  out.writeBoolean(includeAuthorizedOperations) // the topics'
  Flexible.writeTags(out)
}

const readPartition = (reader: Reader): PartitionMetadata => ({
  errorCode: reader.int16(),
  partition: reader.int32(),
  leader: reader.int32(),
  leaderEpoch: reader.int32()
})

/** Replicas, in-sync replicas, offline replicas. */
const replicaLists = [0, 1, 2]

const readFlexiblePartition = (reader: Reader): PartitionMetadata => {
  const partition = readPartition(reader)
  for (const _ of replicaLists) Flexible.skipInt32s(reader)
  Flexible.skipTags(reader)
  return partition
}

const readFlexibleBroker = (reader: Reader): BrokerEndpoint => {
  const broker = { nodeId: reader.int32(), host: Flexible.readString(reader), port: reader.int32() }
  Flexible.readNullableString(reader) // rack
  Flexible.skipTags(reader)
  return broker
}

const decodeFlexible = (reader: Reader, version: number): Decoded<MetadataResponse> => {
  Flexible.skipTags(reader)
  const throttleTimeMs = reader.int32()
  const brokers = Flexible.readArray(reader, readFlexibleBroker)
  const clusterId = Flexible.readNullableString(reader)
  const controllerId = reader.int32()
  const topics = Flexible.readArray(reader, (each): TopicMetadata => {
    const errorCode = each.int16()
    const topic = Flexible.readString(each)
    const topicId = version >= withIds ? each.uuid() : ""
    const isInternal = each.boolean()
    const partitions = Flexible.readArray(each, readFlexiblePartition)
    each.int32() // authorized operations
    Flexible.skipTags(each)
    return { errorCode, topic, topicId, isInternal, partitions }
  })
  if (version <= 10) reader.int32() // authorized operations
  Flexible.skipTags(reader)
  return { throttleTimeMs, response: { clusterId, brokers, controllerId, topics } }
}

/** v7: the first version with leader epochs. v10: the first with topic ids, of Kafka 2.8. */
export const Metadata = simple<MetadataRequest, MetadataResponse>({
  key: 3,
  versions: { min: 7, max: 12 },
  encode: (out, request, version) => {
    if (version >= flexible) return encodeFlexible(out, request, version)
    const { topics } = request
    if (topics === null) out.writeInt32(-1)
    else writeArray(out, topics, (topic) => out.writeString(topic))
    out.writeBoolean(allowAutoTopicCreation)
    if (version === 8) out.writeBoolean(includeAuthorizedOperations).writeBoolean(includeAuthorizedOperations)
  },
  decode: (reader, version) => {
    if (version >= flexible) return decodeFlexible(reader, version)
    const throttleTimeMs = reader.int32()
    const brokers = reader.array((each) => {
      const broker = readBroker(each)
      each.nullableString() // rack
      return broker
    })
    const clusterId = reader.nullableString()
    const controllerId = reader.int32()
    const topics = reader.array((each): TopicMetadata => {
      const errorCode = each.int16()
      const topic = each.string()
      const isInternal = each.boolean()
      const partitions = each.array((inner) => {
        const partition = readPartition(inner)
        for (const _ of replicaLists) inner.skipInt32s()
        return partition
      })
      if (version === 8) each.int32() // authorized operations
      return { errorCode, topic, topicId: "", isInternal, partitions }
    })
    if (version === 8) reader.int32() // authorized operations
    return { throttleTimeMs, response: { clusterId, brokers, controllerId, topics } }
  }
})
