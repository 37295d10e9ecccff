import type {
  AddOffsetsToTxnRequest,
  AddOffsetsToTxnResponse,
  AddPartitionsToTxnRequest,
  AddPartitionsToTxnResponse,
  EndTxnRequest,
  EndTxnResponse,
  TransactionalProducer,
  TxnOffsetCommitRequest,
  TxnOffsetCommitResponse
} from "../../Protocol.js"
import { only, simple, writeArray, writeBigInt64, writeInt64 } from "./api.js"
import * as Flexible from "./flexible.js"
import type { Encoder } from "./kafkajs.js"

const writeProducer = (out: Encoder, { producerEpoch, producerId, transactionalId }: TransactionalProducer): void => {
  out.writeString(transactionalId)
  writeBigInt64(out, producerId)
  out.writeInt16(producerEpoch)
}

/** v0 to v2 share one layout; v2 distinguishes a fenced producer from one with a wrong epoch. */
export const AddPartitionsToTxn = simple<AddPartitionsToTxnRequest, AddPartitionsToTxnResponse>({
  key: 24,
  versions: { min: 1, max: 2 },
  encode: (out, request) => {
    writeProducer(out, request)
    writeArray(out, request.topics, ({ partitions, topic }) => {
      out.writeString(topic)
      writeArray(out, partitions, (partition) => out.writeInt32(partition))
    })
  },
  decode: (reader) => {
    const throttleTimeMs = reader.int32()
    const topics = reader.array((each) => ({
      topic: each.string(),
      partitions: each.array((inner) => ({ partition: inner.int32(), errorCode: inner.int16() }))
    }))
    return { throttleTimeMs, response: { topics } }
  }
})

/** v0 to v2 share one layout. */
export const AddOffsetsToTxn = simple<AddOffsetsToTxnRequest, AddOffsetsToTxnResponse>({
  key: 25,
  versions: { min: 1, max: 2 },
  encode: (out, request) => {
    writeProducer(out, request)
    out.writeString(request.groupId)
  },
  decode: (reader) => ({ throttleTimeMs: reader.int32(), response: { errorCode: reader.int16() } })
})

/** v0 to v2 share one layout. */
export const EndTxn = simple<EndTxnRequest, EndTxnResponse>({
  key: 26,
  versions: { min: 1, max: 2 },
  encode: (out, request) => {
    writeProducer(out, request)
    out.writeBoolean(request.committed)
  },
  decode: (reader) => ({ throttleTimeMs: reader.int32(), response: { errorCode: reader.int16() } })
})

/** v3: the first version with the group's generation and member (KIP-447). */
export const TxnOffsetCommit = simple<TxnOffsetCommitRequest, TxnOffsetCommitResponse>({
  key: 28,
  versions: only(3),
  encode: (out, request) => {
    Flexible.writeTags(out)
    Flexible.writeString(out, request.transactionalId)
    Flexible.writeString(out, request.groupId)
    writeBigInt64(out, request.producerId)
    out.writeInt16(request.producerEpoch).writeInt32(request.generationId)
    Flexible.writeString(out, request.memberId)
    Flexible.writeString(out, request.groupInstanceId)
    Flexible.writeArray(out, request.topics, ({ partitions, topic }) => {
      Flexible.writeString(out, topic)
      Flexible.writeArray(out, partitions, ({ leaderEpoch = -1, metadata, offset, partition }) => {
        out.writeInt32(partition)
        writeInt64(out, offset)
        out.writeInt32(leaderEpoch)
        Flexible.writeString(out, metadata)
        Flexible.writeTags(out)
      })
      Flexible.writeTags(out)
    })
    Flexible.writeTags(out)
  },
  decode: (reader) => {
    Flexible.skipTags(reader)
    const throttleTimeMs = reader.int32()
    const topics = Flexible.readArray(reader, (each) => {
      const topic = Flexible.readString(each)
      const partitions = Flexible.readArray(each, (inner) => {
        const answer = { partition: inner.int32(), errorCode: inner.int16() }
        Flexible.skipTags(inner)
        return answer
      })
      Flexible.skipTags(each)
      return { topic, partitions }
    })
    return { throttleTimeMs, response: { topics } }
  }
})
