import type { InitProducerIdRequest, InitProducerIdResponse } from "../../Protocol.js"
import { simple, writeBigInt64 } from "./api.js"
import * as Flexible from "./flexible.js"

/** From v3 on a transactional producer can ask for its next epoch (KIP-360). */
export const InitProducerId = simple<InitProducerIdRequest, InitProducerIdResponse>({
  key: 22,
  versions: { min: 0, max: 4 },
  oldest: ({ transactionalId }) => (transactionalId === null ? 0 : 3),
  encode: (out, { producerEpoch = -1, producerId = -1n, transactionTimeoutMs, transactionalId }, version) => {
    if (version < 2) {
      out.writeString(transactionalId).writeInt32(transactionTimeoutMs)
      return
    }
    Flexible.writeTags(out)
    Flexible.writeString(out, transactionalId)
    out.writeInt32(transactionTimeoutMs)
    if (version > 2) {
      writeBigInt64(out, producerId)
      out.writeInt16(producerEpoch)
    }
    Flexible.writeTags(out)
  },
  decode: (reader, version) => {
    if (version >= 2) Flexible.skipTags(reader)
    const throttleTimeMs = reader.int32()
    const errorCode = reader.int16()
    const producerId = reader.bigint64()
    const producerEpoch = reader.int16()
    return { throttleTimeMs, response: { errorCode, producerId, producerEpoch } }
  }
})
