/**
 * The layouts of requests that administer groups. Each api is used in its oldest versions that can express the request:
 * Kafka 2.4 to 4.x support them. Only ListGroups is flexible: it also uses the newer versions, which report more.
 */
import type {
  DeleteGroupsRequest,
  DeleteGroupsResponse,
  DescribeGroupsRequest,
  DescribeGroupsResponse,
  ListGroupsRequest,
  ListGroupsResponse,
  OffsetDeleteRequest,
  OffsetDeleteResponse
} from "../../Protocol.js"
import { only, simple, writeArray } from "./api.js"
import * as Flexible from "./flexible.js"

/** v3: the first flexible version; v4: the first with states, of Kafka 2.6; v5: the first with types, of Kafka 3.8. */
export const ListGroups = simple<ListGroupsRequest, ListGroupsResponse>({
  key: 16,
  versions: { min: 3, max: 5 },
  encode: (out, _, version) => {
    const anyOf: ReadonlyArray<string> = []
    Flexible.writeTags(out)
    if (version >= 4) Flexible.writeArray(out, anyOf, (state) => Flexible.writeString(out, state))
    if (version >= 5) Flexible.writeArray(out, anyOf, (type) => Flexible.writeString(out, type))
    Flexible.writeTags(out)
  },
  decode: (reader, version) => {
    Flexible.skipTags(reader)
    const throttleTimeMs = reader.int32()
    const errorCode = reader.int16()
    const groups = Flexible.readArray(reader, (each) => {
      const groupId = Flexible.readString(each)
      const protocolType = Flexible.readString(each)
      const state = version >= 4 ? Flexible.readString(each) : ""
      const type = version >= 5 ? Flexible.readString(each) : ""
      Flexible.skipTags(each)
      return { groupId, protocolType, state, type }
    })
    Flexible.skipTags(reader)
    return { throttleTimeMs, response: { errorCode, groups } }
  }
})

/** v4: the first version with static members. From v6 on, an unknown group is an error instead of `Dead`. */
export const DescribeGroups = simple<DescribeGroupsRequest, DescribeGroupsResponse>({
  key: 15,
  versions: only(4),
  encode: (out, { groupIds }) => {
    const includeAuthorizedOperations = false
    writeArray(out, groupIds, (groupId) => out.writeString(groupId))
    out.writeBoolean(includeAuthorizedOperations)
  },
  decode: (reader) => {
    const throttleTimeMs = reader.int32()
    const groups = reader.array((each) => {
      const errorCode = each.int16()
      const groupId = each.string()
      const state = each.string()
      const protocolType = each.string()
      const protocol = each.string()
      const members = each.array((one) => ({
        memberId: one.string(),
        groupInstanceId: one.nullableString(),
        clientId: one.string(),
        clientHost: one.string(),
        metadata: one.bytes(),
        assignment: one.bytes()
      }))
      each.int32() // authorized operations
      return { errorCode, groupId, state, protocolType, protocol, members }
    })
    return { throttleTimeMs, response: { groups } }
  }
})

/** v0 and v1 share one layout. */
export const DeleteGroups = simple<DeleteGroupsRequest, DeleteGroupsResponse>({
  key: 42,
  versions: { min: 0, max: 1 },
  encode: (out, { groupIds }) => {
    writeArray(out, groupIds, (groupId) => out.writeString(groupId))
  },
  decode: (reader) => {
    const throttleTimeMs = reader.int32()
    const groups = reader.array((each) => ({ groupId: each.string(), errorCode: each.int16() }))
    return { throttleTimeMs, response: { groups } }
  }
})

/** The only version, of Kafka 2.4. */
export const OffsetDelete = simple<OffsetDeleteRequest, OffsetDeleteResponse>({
  key: 47,
  versions: only(0),
  encode: (out, { groupId, topics }) => {
    out.writeString(groupId)
    writeArray(out, topics, ({ partitions, topic }) => {
      out.writeString(topic)
      writeArray(out, partitions, (partition) => out.writeInt32(partition))
    })
  },
  decode: (reader) => {
    const errorCode = reader.int16()
    const throttleTimeMs = reader.int32()
    const topics = reader.array((each) => ({
      topic: each.string(),
      partitions: each.array((one) => ({ partition: one.int32(), errorCode: one.int16() }))
    }))
    return { throttleTimeMs, response: { errorCode, topics } }
  }
})
