import type { InitProducerIdRequest, InitProducerIdResponse } from "../../Protocol.js"
import { simple } from "./api.js"

/** v0 and v1 share one layout. */
export const InitProducerId = simple<InitProducerIdRequest, InitProducerIdResponse>({
  key: 22,
  versions: { min: 0, max: 1 },
  encode: (out, { transactionalId, transactionTimeoutMs }) => {
    out.writeString(transactionalId).writeInt32(transactionTimeoutMs)
  },
  decode: (reader) => {
    const throttleTimeMs = reader.int32()
    const errorCode = reader.int16()
    const producerId = reader.bigint64()
    const producerEpoch = reader.int16()
    return { throttleTimeMs, response: { errorCode, producerId, producerEpoch } }
  }
})
