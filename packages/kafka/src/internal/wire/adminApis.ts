import type {
  CreateTopicsRequest,
  CreateTopicsResponse,
  DeleteTopicsRequest,
  DeleteTopicsResponse
} from "../../Protocol.js"
import { only, simple, writeArray } from "./api.js"

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
