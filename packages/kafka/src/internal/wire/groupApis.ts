import type {
  FindCoordinatorRequest,
  FindCoordinatorResponse,
  HeartbeatRequest,
  HeartbeatResponse,
  JoinGroupRequest,
  JoinGroupResponse,
  LeaveGroupRequest,
  LeaveGroupResponse,
  OffsetCommitRequest,
  OffsetCommitResponse,
  OffsetFetchRequest,
  OffsetFetchResponse,
  SyncGroupRequest,
  SyncGroupResponse
} from "../../Protocol.js"
import { type Decoded, only, readBroker, simple, writeArray, writeBytes, writeInt64 } from "./api.js"
import * as Flexible from "./flexible.js"
import type { Encoder } from "./kafkajs.js"
import type { Reader } from "./reader.js"

/** v1 and v2 share one layout. */
export const FindCoordinator = simple<FindCoordinatorRequest, FindCoordinatorResponse>({
  key: 10,
  versions: { min: 1, max: 2 },
  encode: (out, { key, keyType }) => {
    out.writeString(key).writeInt8(keyType === "group" ? 0 : 1)
  },
  decode: (reader) => {
    const throttleTimeMs = reader.int32()
    const errorCode = reader.int16()
    reader.nullableString() // error message
    return { throttleTimeMs, response: { errorCode, coordinator: readBroker(reader) } }
  }
})

/** v5: the first version with static members. */
export const JoinGroup = simple<JoinGroupRequest, JoinGroupResponse>({
  key: 11,
  versions: only(5),
  encode: (out, request) => {
    out.writeString(request.groupId).writeInt32(request.sessionTimeoutMs).writeInt32(request.rebalanceTimeoutMs)
    out.writeString(request.memberId).writeString(request.groupInstanceId).writeString(request.protocolType)
    writeArray(out, request.protocols, ({ name, metadata }) => {
      out.writeString(name)
      writeBytes(out, metadata)
    })
  },
  decode: (reader) => ({
    throttleTimeMs: reader.int32(),
    response: {
      errorCode: reader.int16(),
      generationId: reader.int32(),
      protocolName: reader.string(),
      leader: reader.string(),
      memberId: reader.string(),
      members: reader.array((each) => ({
        memberId: each.string(),
        groupInstanceId: each.nullableString(),
        metadata: each.bytes()
      }))
    }
  }),
  waitMs: ({ rebalanceTimeoutMs }) => rebalanceTimeoutMs
})

/** v3: the first version with static members. */
export const SyncGroup = simple<SyncGroupRequest, SyncGroupResponse>({
  key: 14,
  versions: only(3),
  encode: (out, { groupId, generationId, memberId, groupInstanceId, assignments }) => {
    out.writeString(groupId).writeInt32(generationId).writeString(memberId).writeString(groupInstanceId)
    writeArray(out, assignments, ({ memberId, assignment }) => {
      out.writeString(memberId)
      writeBytes(out, assignment)
    })
  },
  decode: (reader) => ({
    throttleTimeMs: reader.int32(),
    response: { errorCode: reader.int16(), assignment: reader.bytes() }
  })
})

/** v3: the first version with static members. */
export const Heartbeat = simple<HeartbeatRequest, HeartbeatResponse>({
  key: 12,
  versions: only(3),
  encode: (out, { groupId, generationId, memberId, groupInstanceId }) => {
    out.writeString(groupId).writeInt32(generationId).writeString(memberId).writeString(groupInstanceId)
  },
  decode: (reader) => ({ throttleTimeMs: reader.int32(), response: { errorCode: reader.int16() } })
})

/** v3: the first version with static members. The member's own error is used if the response has none. */
export const LeaveGroup = simple<LeaveGroupRequest, LeaveGroupResponse>({
  key: 13,
  versions: only(3),
  encode: (out, { groupId, members }) => {
    out.writeString(groupId)
    writeArray(out, members, ({ memberId, groupInstanceId }) => out.writeString(memberId).writeString(groupInstanceId))
  },
  decode: (reader) => {
    const throttleTimeMs = reader.int32()
    const errorCode = reader.int16()
    const memberErrors = reader.array((each) => {
      each.string() // member id
      each.nullableString() // group instance id
      return each.int16()
    })
    return {
      throttleTimeMs,
      response: { errorCode: [errorCode, ...memberErrors].find((code) => code !== 0) ?? 0 }
    }
  }
})

/** v7: the first version that reports a fenced static member. */
export const OffsetCommit = simple<OffsetCommitRequest, OffsetCommitResponse>({
  key: 8,
  versions: only(7),
  encode: (out, { groupId, generationId, memberId, groupInstanceId, topics }) => {
    out.writeString(groupId).writeInt32(generationId).writeString(memberId).writeString(groupInstanceId)
    writeArray(out, topics, ({ topic, partitions }) => {
      out.writeString(topic)
      writeArray(out, partitions, ({ partition, offset, leaderEpoch = -1, metadata }) => {
        out.writeInt32(partition)
        writeInt64(out, offset)
        out.writeInt32(leaderEpoch).writeString(metadata)
      })
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

const writeOffsetFetch = (out: Encoder, { groupId, topics }: OffsetFetchRequest): void => {
  out.writeString(groupId)
  if (topics === null) out.writeInt32(-1)
  else {
    writeArray(out, topics, ({ topic, partitions }) => {
      out.writeString(topic)
      writeArray(out, partitions, (partition) => out.writeInt32(partition))
    })
  }
}

const writeFlexibleOffsetFetch = (
  out: Encoder,
  { groupId, requireStable = false, topics }: OffsetFetchRequest,
  version: number
): void => {
  Flexible.writeTags(out)
  Flexible.writeString(out, groupId)
  Flexible.writeArray(out, topics, ({ topic, partitions }) => {
    Flexible.writeString(out, topic)
    Flexible.writeArray(out, partitions, (partition) => out.writeInt32(partition))
    Flexible.writeTags(out)
  })
  if (version > 6) out.writeBoolean(requireStable)
  Flexible.writeTags(out)
}

const readFlexibleOffsetFetch = (reader: Reader): Decoded<OffsetFetchResponse> => {
  Flexible.skipTags(reader)
  const throttleTimeMs = reader.int32()
  const topics = Flexible.readArray(reader, (each) => {
    const topic = Flexible.readString(each)
    const partitions = Flexible.readArray(each, (inner) => {
      const partition = inner.int32()
      const offset = inner.int64()
      const leaderEpoch = inner.int32()
      const metadata = Flexible.readNullableString(inner)
      const errorCode = inner.int16()
      Flexible.skipTags(inner)
      return { partition, errorCode, offset, leaderEpoch, metadata }
    })
    Flexible.skipTags(each)
    return { topic, partitions }
  })
  return { throttleTimeMs, response: { errorCode: reader.int16(), topics } }
}

/** v5: the first version with leader epochs; v6: the first flexible one; v7: the first with KIP-447's `requireStable`. */
export const OffsetFetch = simple<OffsetFetchRequest, OffsetFetchResponse>({
  key: 9,
  versions: { min: 5, max: 7 },
  encode: (out, request, version) => {
    if (version < 6) writeOffsetFetch(out, request)
    else writeFlexibleOffsetFetch(out, request, version)
  },
  decode: (reader, version) => {
    if (version > 5) return readFlexibleOffsetFetch(reader)
    const throttleTimeMs = reader.int32()
    const topics = reader.array((each) => ({
      topic: each.string(),
      partitions: each.array((inner) => {
        const partition = inner.int32()
        const offset = inner.int64()
        const leaderEpoch = inner.int32()
        const metadata = inner.nullableString()
        return { partition, errorCode: inner.int16(), offset, leaderEpoch, metadata }
      })
    }))
    return { throttleTimeMs, response: { errorCode: reader.int16(), topics } }
  }
})
