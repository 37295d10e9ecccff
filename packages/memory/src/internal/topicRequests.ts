/**
 * The requests that create, change and delete topics, their settings and their records.
 */
import { KafkaErrorCode } from "@spillway/kafka/KafkaErrorCode"
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
} from "@spillway/kafka/Protocol"
import type { Placement } from "./placement.js"
import * as TopicConfigs from "./topicConfigs.js"
import { isValidName, type Topics } from "./topics.js"

interface Result {
  readonly errorCode: number
  readonly errorMessage: string | null
}

const done: Result = { errorCode: KafkaErrorCode.NONE, errorMessage: null }

const refuse = (errorCode: number, errorMessage: string | null = null): Result => ({ errorCode, errorMessage })

export const createTopics = (
  topics: Topics,
  placement: Placement,
  request: CreateTopicsRequest
): CreateTopicsResponse => {
  const create = ({ configs, partitions, replicationFactor, topic }: CreateTopicsRequest["topics"][number]): Result => {
    if (replicationFactor !== -1 && !(replicationFactor >= 1 && replicationFactor <= placement.nodes.length))
      return refuse(KafkaErrorCode.INVALID_REPLICATION_FACTOR)
    const settings = TopicConfigs.change(new Map(), configs)
    if (TopicConfigs.isRefusal(settings)) return settings
    return refuse(topics.create({ name: topic, partitions: partitions === -1 ? 1 : partitions, configs: settings }))
  }
  return { topics: request.topics.map((topic) => ({ topic: topic.topic, ...create(topic) })) }
}

export const deleteTopics = (topics: Topics, request: DeleteTopicsRequest): DeleteTopicsResponse => ({
  topics: request.topics.map((topic) => ({ topic, errorCode: topics.delete(topic) }))
})

export const createPartitions = (topics: Topics, request: CreatePartitionsRequest): CreatePartitionsResponse => {
  const add = (topic: string, count: number): Result => {
    const before = topics.get(topic)?.partitions.length
    const errorCode = topics.addPartitions(topic, count)
    return errorCode === KafkaErrorCode.INVALID_PARTITIONS
      ? refuse(errorCode, `The topic ${topic} currently has ${before} partition(s); ${count} would not be an increase.`)
      : refuse(errorCode)
  }
  return { topics: request.topics.map(({ count, topic }) => ({ topic, ...add(topic, count) })) }
}

const unknown = (topic: string): Result =>
  isValidName(topic)
    ? refuse(KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION, `The topic '${topic}' does not exist.`)
    : refuse(KafkaErrorCode.INVALID_TOPIC_EXCEPTION, `Topic name is invalid: '${topic}'`)

export const describeConfigs = (topics: Topics, request: DescribeConfigsRequest): DescribeConfigsResponse => ({
  topics: request.topics.map((topic) => {
    const found = topics.get(topic)
    return found === undefined
      ? { topic, ...unknown(topic), configs: [] }
      : { topic, ...done, configs: TopicConfigs.describe(found.configs) }
  })
})

export const alterConfigs = (
  topics: Topics,
  request: IncrementalAlterConfigsRequest
): IncrementalAlterConfigsResponse => {
  const alter = ({ configs, topic }: IncrementalAlterConfigsRequest["topics"][number]): Result => {
    const found = topics.get(topic)
    if (found === undefined) return unknown(topic)
    const missing = configs.find(({ operation, value }) => operation === "set" && value === null)
    if (missing !== undefined) {
      return refuse(KafkaErrorCode.INVALID_REQUEST, `Null value not supported for : ${missing.name}`)
    }
    const changes = configs.map(({ name, operation, value }) => ({ name, value: operation === "set" ? value : null }))
    const changed = TopicConfigs.change(found.configs, changes)
    if (TopicConfigs.isRefusal(changed)) return changed
    topics.configure(topic, changed)
    return done
  }
  return { topics: request.topics.map((topic) => ({ topic: topic.topic, ...alter(topic) })) }
}

/** Deletes up to the high watermark at most, as only a partition's leader does. */
export const deleteRecords = (topics: Topics, nodeId: number, request: DeleteRecordsRequest): DeleteRecordsResponse => {
  /** The low watermark, or the error code of the refusal. */
  const remove = (topic: string, partition: number, wanted: number) => {
    const refused = (errorCode: number) => ({ partition, errorCode, lowWatermark: -1 })
    const found = topics.get(topic)
    if (found === undefined) return refused(KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    const log = found.partitions[partition]
    if (log?.leader !== nodeId) return refused(KafkaErrorCode.NOT_LEADER_OR_FOLLOWER)
    if (TopicConfigs.valueOf(found.configs, "cleanup.policy") === "compact") {
      return refused(KafkaErrorCode.POLICY_VIOLATION)
    }
    const offset = wanted === -1 ? log.highWatermark : wanted
    if (offset < 0 || offset > log.highWatermark) return refused(KafkaErrorCode.OFFSET_OUT_OF_RANGE)
    const errorCode = topics.truncateBefore(topic, partition, offset)
    return errorCode === KafkaErrorCode.NONE
      ? { partition, errorCode, lowWatermark: log.startOffset }
      : refused(errorCode)
  }
  return {
    topics: request.topics.map(({ partitions, topic }) => ({
      topic,
      partitions: partitions.map(({ offset, partition }) => remove(topic, partition, offset))
    }))
  }
}
