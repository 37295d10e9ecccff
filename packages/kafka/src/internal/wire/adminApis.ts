/**
 * The layouts of requests about topics. Each api is used in its oldest versions that can express the request: Kafka 2.4
 * to 4.x support them all, and none of them is flexible.
 */
import type {
  CreatePartitionsRequest,
  CreatePartitionsResponse,
  CreateTopicsRequest,
  CreateTopicsResponse,
  DeleteRecordsRequest,
  DeleteRecordsResponse,
  DeleteTopicsRequest,
  DeleteTopicsResponse,
  DescribeConfigsRequest,
  DescribeConfigsResponse,
  IncrementalAlterConfigsRequest,
  IncrementalAlterConfigsResponse
} from "../../Protocol.js"
import { only, simple, writeArray, writeInt64 } from "./api.js"

/** v4: the first version in which the broker can choose the replication factor. */
export const CreateTopics = simple<CreateTopicsRequest, CreateTopicsResponse>({
  key: 19,
  versions: only(4),
  encode: (out, { timeoutMs, topics }) => {
    const validateOnly = false
    writeArray(out, topics, ({ topic, partitions, replicationFactor, configs }) => {
      out.writeString(topic).writeInt32(partitions).writeInt16(replicationFactor)
      writeArray(out, [], () => {}) // replica assignments
      writeArray(out, configs, ({ name, value }) => out.writeString(name).writeString(value))
    })
    out.writeInt32(timeoutMs).writeBoolean(validateOnly)
  },
  decode: (reader) => {
    const throttleTimeMs = reader.int32()
    const topics = reader.array((each) => ({
      topic: each.string(),
      errorCode: each.int16(),
      errorMessage: each.nullableString()
    }))
    return { throttleTimeMs, response: { topics } }
  },
  waitMs: ({ timeoutMs }) => timeoutMs
})

/** v1 to v3 share one layout. */
export const DeleteTopics = simple<DeleteTopicsRequest, DeleteTopicsResponse>({
  key: 20,
  versions: { min: 1, max: 3 },
  encode: (out, { timeoutMs, topics }) => {
    writeArray(out, topics, (topic) => out.writeString(topic))
    out.writeInt32(timeoutMs)
  },
  decode: (reader) => {
    const throttleTimeMs = reader.int32()
    const topics = reader.array((each) => ({ topic: each.string(), errorCode: each.int16() }))
    return { throttleTimeMs, response: { topics } }
  },
  waitMs: ({ timeoutMs }) => timeoutMs
})

/** v0 and v1 share one layout. */
export const CreatePartitions = simple<CreatePartitionsRequest, CreatePartitionsResponse>({
  key: 37,
  versions: { min: 0, max: 1 },
  encode: (out, { timeoutMs, topics }) => {
    const validateOnly = false
    writeArray(out, topics, ({ count, topic }) => {
      out.writeString(topic).writeInt32(count).writeInt32(-1) // no assignments: the broker chooses
    })
    out.writeInt32(timeoutMs).writeBoolean(validateOnly)
  },
  decode: (reader) => {
    const throttleTimeMs = reader.int32()
    const topics = reader.array((each) => ({
      topic: each.string(),
      errorCode: each.int16(),
      errorMessage: each.nullableString()
    }))
    return { throttleTimeMs, response: { topics } }
  },
  waitMs: ({ timeoutMs }) => timeoutMs
})

/** The resource type of topics. */
const topicResource = 2

/** v1: the first version with sources; v2 has the same layout. */
export const DescribeConfigs = simple<DescribeConfigsRequest, DescribeConfigsResponse>({
  key: 32,
  versions: { min: 1, max: 2 },
  encode: (out, { topics }) => {
    const includeSynonyms = false
    writeArray(out, topics, (topic) => {
      out.writeInt8(topicResource).writeString(topic).writeInt32(-1) // every setting
    })
    out.writeBoolean(includeSynonyms)
  },
  decode: (reader) => {
    const throttleTimeMs = reader.int32()
    const topics = reader.array((each) => {
      const errorCode = each.int16()
      const errorMessage = each.nullableString()
      each.skip(1) // resource type
      const topic = each.string()
      const configs = each.array((one) => {
        const name = one.string()
        const value = one.nullableString()
        const isReadOnly = one.boolean()
        const source = one.int8()
        const isSensitive = one.boolean()
        one.array((synonym) => {
          synonym.string()
          synonym.nullableString()
          synonym.skip(1) // source
        })
        return { name, value, isReadOnly, source, isSensitive }
      })
      return { topic, errorCode, errorMessage, configs }
    })
    return { throttleTimeMs, response: { topics } }
  }
})

/** Of Kafka 2.3. */
export const IncrementalAlterConfigs = simple<IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse>({
  key: 44,
  versions: only(0),
  encode: (out, { topics }) => {
    const validateOnly = false
    writeArray(out, topics, ({ configs, topic }) => {
      out.writeInt8(topicResource).writeString(topic)
      writeArray(out, configs, ({ name, operation, value }) => {
        out.writeString(name)
        out.writeInt8(operation === "set" ? 0 : 1).writeString(value)
      })
    })
    out.writeBoolean(validateOnly)
  },
  decode: (reader) => {
    const throttleTimeMs = reader.int32()
    const topics = reader.array((each) => {
      const errorCode = each.int16()
      const errorMessage = each.nullableString()
      each.skip(1) // resource type
      return { topic: each.string(), errorCode, errorMessage }
    })
    return { throttleTimeMs, response: { topics } }
  }
})

/** v0 and v1 share one layout. */
export const DeleteRecords = simple<DeleteRecordsRequest, DeleteRecordsResponse>({
  key: 21,
  versions: { min: 0, max: 1 },
  encode: (out, { timeoutMs, topics }) => {
    writeArray(out, topics, ({ partitions, topic }) => {
      out.writeString(topic)
      writeArray(out, partitions, ({ offset, partition }) => {
        out.writeInt32(partition)
        writeInt64(out, offset)
      })
    })
    out.writeInt32(timeoutMs)
  },
  decode: (reader) => {
    const throttleTimeMs = reader.int32()
    const topics = reader.array((each) => ({
      topic: each.string(),
      partitions: each.array((one) => {
        const partition = one.int32()
        const lowWatermark = one.int64()
        return { partition, lowWatermark, errorCode: one.int16() }
      })
    }))
    return { throttleTimeMs, response: { topics } }
  },
  waitMs: ({ timeoutMs }) => timeoutMs
})
