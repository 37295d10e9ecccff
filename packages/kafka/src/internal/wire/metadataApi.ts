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

/** Replicas, in-sync replicas and offline replicas; a client that doesn't ask for them skips all three. */
const readReplicas = (
  partition: PartitionMetadata,
  withReplicas: boolean,
  read: () => ReadonlyArray<number>,
  skip: () => void
): PartitionMetadata => {
  if (withReplicas) {
    const replicas = read()
    const isr = read()
    skip()
    return { ...partition, replicas, isr }
  }
  skip()
  skip()
  skip()
  return partition
}

const readFlexiblePartition = (reader: Reader, withReplicas: boolean): PartitionMetadata => {
  const partition = readReplicas(
    readPartition(reader),
    withReplicas,
    () => Flexible.readArray(reader, (each) => each.int32()),
    () => Flexible.skipInt32s(reader)
  )
  Flexible.skipTags(reader)
  return partition
}

const readFlexibleBroker = (reader: Reader): BrokerEndpoint => {
  const broker = { nodeId: reader.int32(), host: Flexible.readString(reader), port: reader.int32() }
  Flexible.readNullableString(reader) // rack
  Flexible.skipTags(reader)
  return broker
}

const decodeFlexible = (
  reader: Reader,
  version: number,
  { withReplicas = false }: MetadataRequest
): Decoded<MetadataResponse> => {
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
    const partitions = Flexible.readArray(each, (inner) => readFlexiblePartition(inner, withReplicas))
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
  decode: (reader, version, request) => {
    if (version >= flexible) return decodeFlexible(reader, version, request)
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
      const partitions = each.array((inner) =>
        readReplicas(
          readPartition(inner),
          request.withReplicas === true,
          () => inner.array((one) => one.int32()),
          () => inner.skipInt32s()
        )
      )
      if (version === 8) each.int32() // authorized operations
      return { errorCode, topic, topicId: "", isInternal, partitions }
    })
    if (version === 8) reader.int32() // authorized operations
    return { throttleTimeMs, response: { clusterId, brokers, controllerId, topics } }
  }
})
