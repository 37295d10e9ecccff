import { assert, describe, it } from "@effect/vitest"
import type { FetchRequest } from "@spillway/kafka/Protocol"
import { writeArray, writeBytes, writeInt64 } from "../../src/internal/wire/api.js"
import { Fetch } from "../../src/internal/wire/fetchApi.js"
import { makeEncoder } from "../../src/internal/wire/kafkajs.js"
import { Reader } from "../../src/internal/wire/reader.js"

const request: FetchRequest = {
  maxWaitMs: 0,
  minBytes: 1,
  maxBytes: 1,
  isolationLevel: "read_uncommitted",
  rackId: "",
  topics: []
}

describe("Fetch", () => {
  it("keeps each partition's own error, its aborted transactions, and its records as a view of the response", () => {
    const out = makeEncoder()
    const partition = (index: number, errorCode: number) => {
      out.writeInt32(index).writeInt16(errorCode)
      for (const offset of [30, 20, 10]) writeInt64(out, offset)
    }
    out.writeInt32(12).writeInt16(0).writeInt32(0) // throttle time, error, session
    writeArray(out, ["orders"], (topic) => {
      out.writeString(topic).writeInt32(3)
      partition(0, 0)
      writeArray(out, [1, 2], (id) => {
        out.writeInt32(0x7fffffff).writeInt32(id)
        writeInt64(out, 15 + id)
      })
      out.writeInt32(2) // the replica to read from
      writeBytes(out, new Uint8Array([7, 8, 9]))
      partition(1, 1)
      out.writeInt32(-1).writeInt32(-1).writeInt32(-1) // no aborted transactions, no replica, no records
      partition(2, 0)
      out.writeInt32(0).writeInt32(-1).writeInt32(0)
    })
    const response = out.buffer
    const { throttleTimeMs, response: decoded } = Fetch.decode(new Reader(response), 11, request)
    assert.strictEqual(throttleTimeMs, 12)
    const offsets = { highWatermark: 30, lastStableOffset: 20, logStartOffset: 10 }
    const nothing = { abortedTransactions: [], preferredReadReplica: -1, records: new Uint8Array() }
    assert.deepStrictEqual(decoded, {
      errorCode: 0,
      topics: [
        {
          topic: "orders",
          partitions: [
            {
              partition: 0,
              errorCode: 0,
              ...offsets,
              abortedTransactions: [
                { producerId: 0x7fffffff_00000001n, firstOffset: 16 },
                { producerId: 0x7fffffff_00000002n, firstOffset: 17 }
              ],
              preferredReadReplica: 2,
              records: new Uint8Array([7, 8, 9])
            },
            { partition: 1, errorCode: 1, ...offsets, ...nothing },
            { partition: 2, errorCode: 0, ...offsets, ...nothing }
          ]
        }
      ]
    })
    assert.strictEqual(decoded.topics[0]?.partitions[0]?.records.buffer, response.buffer)
  })

  it("names topics by id if all ids are known", () => {
    const topic = (topicId: string | undefined) => ({ topic: "orders", topicId, partitions: [] })
    assert.strictEqual(Fetch.newest({ ...request, topics: [topic("a"), topic("b")] }), 13)
    assert.strictEqual(Fetch.newest({ ...request, topics: [topic("a"), topic("")] }), 12)
    assert.strictEqual(Fetch.newest({ ...request, topics: [topic(undefined)] }), 12)
  })
})
