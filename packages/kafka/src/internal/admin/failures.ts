/**
 * The meaning of an error code or a failed connection for an item of an operation.
 */
import { KafkaErrorCode as Code, nameOf } from "../../KafkaErrorCode.js"
import type { WireError } from "../../Wire.js"
import { ResponseError } from "../cluster/cluster.js"
import { type AdminFailure, KafkaAdminError, type KafkaAdminErrorReason } from "./types.js"

/** The location that a failure names. */
export type Subject = Pick<AdminFailure, "topic" | "partition" | "groupId">

/** The result of one attempt for an item. A retry's failure is reported if the timeout is reached first. */
export type Outcome<A> =
  | { readonly _tag: "Done"; readonly value: A }
  | { readonly _tag: "Failed"; readonly failure: AdminFailure }
  | { readonly _tag: "Retry"; readonly failure: AdminFailure }

export const done = <A>(value: A): Outcome<A> => ({ _tag: "Done", value })

export const failed = (failure: AdminFailure): Outcome<never> => ({ _tag: "Failed", failure })

/** Not done yet, for a reason that passes. */
export const later = (subject: Subject, description: string, cause?: unknown): Outcome<never> => ({
  _tag: "Retry",
  failure: { reason: "Timeout", ...subject, description, ...(cause === undefined ? {} : { cause }) }
})

/** A partition's leader moves, or isn't ready. */
export const leaderCodes: ReadonlySet<number> = new Set([
  Code.NOT_LEADER_OR_FOLLOWER,
  Code.LEADER_NOT_AVAILABLE,
  Code.REPLICA_NOT_AVAILABLE,
  Code.FENCED_LEADER_EPOCH,
  Code.UNKNOWN_LEADER_EPOCH,
  Code.OFFSET_NOT_AVAILABLE,
  Code.KAFKA_STORAGE_ERROR
])

/** A group's coordinator moves, or isn't ready. */
export const coordinatorCodes: ReadonlySet<number> = new Set([
  Code.NOT_COORDINATOR,
  Code.COORDINATOR_NOT_AVAILABLE,
  Code.COORDINATOR_LOAD_IN_PROGRESS
])

const retriable: ReadonlySet<number> = new Set([
  Code.NOT_CONTROLLER,
  Code.THROTTLING_QUOTA_EXCEEDED,
  Code.BROKER_NOT_AVAILABLE,
  Code.NETWORK_EXCEPTION,
  ...leaderCodes,
  ...coordinatorCodes
])

const reasons: ReadonlyMap<number, KafkaAdminErrorReason> = new Map<number, KafkaAdminErrorReason>([
  [Code.TOPIC_ALREADY_EXISTS, "TopicAlreadyExists"],
  [Code.UNKNOWN_TOPIC_OR_PARTITION, "UnknownTopic"],
  [Code.UNKNOWN_TOPIC_ID, "UnknownTopic"],
  [Code.OFFSET_OUT_OF_RANGE, "OffsetOutOfRange"],
  [Code.GROUP_ID_NOT_FOUND, "UnknownGroup"],
  [Code.NON_EMPTY_GROUP, "GroupNotEmpty"],
  [Code.GROUP_SUBSCRIBED_TO_TOPIC, "GroupSubscribed"],
  // The answers to a commit from outside of a group that has members.
  [Code.UNKNOWN_MEMBER_ID, "GroupNotEmpty"],
  [Code.ILLEGAL_GENERATION, "GroupNotEmpty"],
  [Code.REBALANCE_IN_PROGRESS, "GroupNotEmpty"],
  [Code.INVALID_TOPIC_EXCEPTION, "InvalidTopic"],
  [Code.INVALID_PARTITIONS, "InvalidConfiguration"],
  [Code.INVALID_REPLICATION_FACTOR, "InvalidConfiguration"],
  [Code.INVALID_REPLICA_ASSIGNMENT, "InvalidConfiguration"],
  [Code.INVALID_CONFIG, "InvalidConfiguration"],
  [Code.INVALID_REQUEST, "InvalidConfiguration"],
  [Code.POLICY_VIOLATION, "InvalidConfiguration"],
  [Code.TOPIC_AUTHORIZATION_FAILED, "Authorization"],
  [Code.GROUP_AUTHORIZATION_FAILED, "Authorization"],
  [Code.CLUSTER_AUTHORIZATION_FAILED, "Authorization"],
  [Code.SASL_AUTHENTICATION_FAILED, "Authorization"],
  [Code.REQUEST_TIMED_OUT, "Timeout"]
])

/** The outcome of an item that the broker answered with an error code other than NONE. */
export const ofCode = (subject: Subject, code: number, message?: string | null | undefined): Outcome<never> => {
  const description =
    message === undefined || message === null || message === ""
      ? `the broker answered ${nameOf(code)}`
      : `${message} (${nameOf(code)})`
  return retriable.has(code)
    ? later(subject, description)
    : failed({ reason: reasons.get(code) ?? "Broker", ...subject, description })
}

/**
 * Whether a request may be sent again after its response was lost: `unless sent` if the second answer would report the
 * first one's change as an error.
 */
export type Repeatable = "always" | "unless sent"

/** The outcome of an item whose request failed. */
export const ofError = (
  subject: Subject,
  error: WireError | ResponseError,
  repeatable: Repeatable = "always"
): Outcome<never> => {
  if (error instanceof ResponseError) return ofCode(subject, error.code)
  const { message: description, reason } = error
  const fail = (reason: KafkaAdminErrorReason) => failed({ reason, ...subject, description, cause: error })
  switch (reason) {
    case "Authentication":
      return fail("Authorization")
    case "UnsupportedVersion":
      return fail("UnsupportedBroker")
    case "Malformed":
      return fail("Broker")
    case "ConnectFailed":
      return later(subject, description, error)
    case "Disconnected":
    case "Timeout":
      return repeatable === "always" ? later(subject, description, error) : fail(reason)
  }
}

/** One error for all failures; at least one. */
export const errorOf = (failures: ReadonlyArray<AdminFailure>): KafkaAdminError => {
  const [first, ...others] = failures
  return new KafkaAdminError({ ...first!, failures: [first!, ...others] })
}

/** An argument that can't be used. */
export const invalid = (field: string, description: string, subject: Subject = {}): AdminFailure => ({
  reason: "InvalidArgument",
  ...subject,
  field,
  description
})
