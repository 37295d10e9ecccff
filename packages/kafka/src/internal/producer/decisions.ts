/**
 * The meaning of a response to a Produce request, or of a missing one, for the request's records.
 */
import type { ProducerErrorReason } from "@spillway/transport/Producer"
import { KafkaErrorCode, nameOf } from "../../KafkaErrorCode.js"
import type { WireError } from "../../Wire.js"

/** Why a record was not acknowledged. */
export interface Failure {
  readonly reason: ProducerErrorReason
  readonly description: string
  readonly cause?: unknown
}

export type Verdict =
  /** May succeed when retried after a metadata refresh. */
  | { readonly _tag: "Retry"; readonly failure: Failure; readonly unknownTopic: boolean }
  /** The batch is too large for the topic: its parts may not be. */
  | { readonly _tag: "TooLarge"; readonly failure: Failure }
  /** One record of the batch is refused, so the broker refuses all of them. */
  | { readonly _tag: "BadRecord"; readonly failure: Failure }
  /** An idempotent producer's batch doesn't follow the last one that the broker knows. */
  | { readonly _tag: "OutOfOrder"; readonly failure: Failure }
  | { readonly _tag: "Fail"; readonly failure: Failure }

const retriable = new Set<number>([
  KafkaErrorCode.NOT_LEADER_OR_FOLLOWER,
  KafkaErrorCode.LEADER_NOT_AVAILABLE,
  KafkaErrorCode.REPLICA_NOT_AVAILABLE,
  KafkaErrorCode.BROKER_NOT_AVAILABLE,
  KafkaErrorCode.REQUEST_TIMED_OUT,
  KafkaErrorCode.NOT_ENOUGH_REPLICAS,
  KafkaErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
  KafkaErrorCode.KAFKA_STORAGE_ERROR,
  KafkaErrorCode.NETWORK_EXCEPTION,
  KafkaErrorCode.FENCED_LEADER_EPOCH,
  KafkaErrorCode.UNKNOWN_LEADER_EPOCH,
  KafkaErrorCode.THROTTLING_QUOTA_EXCEEDED,
  // The batch was damaged in transit: Java's producer sends it again, too.
  KafkaErrorCode.CORRUPT_MESSAGE
])

const authorization = new Set<number>([
  KafkaErrorCode.TOPIC_AUTHORIZATION_FAILED,
  KafkaErrorCode.CLUSTER_AUTHORIZATION_FAILED,
  KafkaErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
])

/** The meaning of an error code of a topic's metadata or of a partition in a Produce response; never `NONE`. */
export const ofCode = (code: number): Verdict => {
  const failure = (reason: ProducerErrorReason, description = `the broker answered ${nameOf(code)}`): Failure => ({
    reason,
    description
  })
  if (retriable.has(code)) return { _tag: "Retry", failure: failure("Broker"), unknownTopic: false }
  if (authorization.has(code)) return { _tag: "Fail", failure: failure("Authorization") }
  switch (code) {
    case KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
    case KafkaErrorCode.UNKNOWN_TOPIC_ID:
      return { _tag: "Retry", failure: failure("UnknownTopic"), unknownTopic: true }
    case KafkaErrorCode.INVALID_TOPIC_EXCEPTION:
      return { _tag: "Fail", failure: failure("UnknownTopic") }
    case KafkaErrorCode.MESSAGE_TOO_LARGE:
    case KafkaErrorCode.RECORD_LIST_TOO_LARGE:
      return { _tag: "TooLarge", failure: failure("RecordTooLarge") }
    case KafkaErrorCode.INVALID_RECORD:
    case KafkaErrorCode.INVALID_TIMESTAMP:
      return { _tag: "BadRecord", failure: failure("InvalidRecord") }
    case KafkaErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER:
    case KafkaErrorCode.UNKNOWN_PRODUCER_ID:
      return { _tag: "OutOfOrder", failure: failure("Broker") }
    case KafkaErrorCode.INVALID_PRODUCER_EPOCH:
    case KafkaErrorCode.PRODUCER_FENCED:
      return { _tag: "Fail", failure: failure("Fenced") }
    default:
      return { _tag: "Fail", failure: failure("Broker") }
  }
}

/** The failure of records that are refused though an attempt before may have written them. */
export const inDoubt = (failure: Failure): Failure => ({
  ...failure,
  description: `${failure.description}; an earlier attempt may have written it`
})

/** The meaning of a missing response. */
export const ofWireError = (cause: WireError): Verdict => {
  const { message: description } = cause
  switch (cause.reason) {
    case "Authentication":
      return { _tag: "Fail", failure: { reason: "Authorization", description, cause } }
    case "UnsupportedVersion":
      return { _tag: "Fail", failure: { reason: "Broker", description, cause } }
    default:
      return { _tag: "Retry", failure: { reason: "Broker", description, cause }, unknownTopic: false }
  }
}
