/**
 * The reactions of a transactional producer to each error code of its coordinator, or of a group's: pure.
 */
import { KafkaErrorCode as Code } from "../../KafkaErrorCode.js"
import type { TransactionErrorReason } from "../../Transaction.js"

export type Reaction =
  | { readonly _tag: "Ok" }
  /** Retry, with a delay. */
  | { readonly _tag: "Retry" }
  /** The coordinator has moved: look it up, then retry, with a delay. */
  | { readonly _tag: "FindCoordinator" }
  /** Another producer has the transactional id, or the coordinator has aborted a transaction that took too long. */
  | { readonly _tag: "Fenced" }
  /** The coordinator has forgotten the producer id: request another one. */
  | { readonly _tag: "Expired" }
  /** This transaction can only be aborted. */
  | { readonly _tag: "Abort"; readonly reason: TransactionErrorReason }
  /** No transaction can begin. */
  | { readonly _tag: "Fatal"; readonly reason: TransactionErrorReason }

const abort = (reason: TransactionErrorReason): Reaction => ({ _tag: "Abort", reason })
const fatal = (reason: TransactionErrorReason): Reaction => ({ _tag: "Fatal", reason })

export const onCode = (code: number): Reaction => {
  switch (code) {
    case Code.NONE:
      return { _tag: "Ok" }
    case Code.CONCURRENT_TRANSACTIONS:
    case Code.COORDINATOR_LOAD_IN_PROGRESS:
    case Code.REQUEST_TIMED_OUT:
    case Code.NETWORK_EXCEPTION:
    case Code.BROKER_NOT_AVAILABLE:
    case Code.NOT_ENOUGH_REPLICAS:
    case Code.NOT_ENOUGH_REPLICAS_AFTER_APPEND:
    case Code.THROTTLING_QUOTA_EXCEEDED:
    case Code.UNKNOWN_TOPIC_OR_PARTITION:
    case Code.OPERATION_NOT_ATTEMPTED:
      return { _tag: "Retry" }
    case Code.COORDINATOR_NOT_AVAILABLE:
    case Code.NOT_COORDINATOR:
    case Code.TRANSACTION_COORDINATOR_FENCED:
      return { _tag: "FindCoordinator" }
    case Code.PRODUCER_FENCED:
    case Code.INVALID_PRODUCER_EPOCH:
      return { _tag: "Fenced" }
    case Code.INVALID_PRODUCER_ID_MAPPING:
    case Code.UNKNOWN_PRODUCER_ID:
      return { _tag: "Expired" }
    case Code.ILLEGAL_GENERATION:
    case Code.UNKNOWN_MEMBER_ID:
    case Code.FENCED_INSTANCE_ID:
    case Code.REBALANCE_IN_PROGRESS:
      return abort("NotMember")
    case Code.TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
    case Code.CLUSTER_AUTHORIZATION_FAILED:
      return fatal("Authorization")
    case Code.TOPIC_AUTHORIZATION_FAILED:
    case Code.GROUP_AUTHORIZATION_FAILED:
      return abort("Authorization")
    case Code.INVALID_TRANSACTION_TIMEOUT:
    case Code.INVALID_REQUEST:
      return fatal("Refused")
    case Code.UNSUPPORTED_VERSION:
      return fatal("UnsupportedBroker")
    default:
      return abort("Aborted")
  }
}

/** The accepted answers to an abort's EndTxn: the transaction may not have begun, or may have ended before. */
export const onAbort = (code: number): Reaction => (code === Code.INVALID_TXN_STATE ? { _tag: "Ok" } : onCode(code))
