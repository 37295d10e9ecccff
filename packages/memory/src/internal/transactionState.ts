/**
 * The coordinator's state of one transactional id, as plain data, and its transitions (KIP-98, KIP-360, KIP-588).
 */
import { KafkaErrorCode } from "@spillway/kafka/KafkaErrorCode"
import type { InitProducerIdRequest } from "@spillway/kafka/Protocol"

export type Phase = "Empty" | "Ongoing" | "PrepareCommit" | "PrepareAbort" | "CompleteCommit" | "CompleteAbort"

export interface Partition {
  readonly topic: string
  readonly partition: number
}

export interface Transaction {
  readonly producerId: bigint
  readonly producerEpoch: number
  /** The epoch before the last bump that its own producer had, or may still ask for; -1 when there is none. */
  readonly lastProducerEpoch: number
  readonly timeoutMs: number
  readonly phase: Phase
  readonly partitions: ReadonlyMap<string, Partition>
  readonly groups: ReadonlySet<string>
  /** When its open transaction began, in milliseconds since the epoch. */
  readonly startedAt: number
}

/** The effect of a request: the next state and the answer. */
export interface Step {
  readonly transaction: Transaction
  readonly errorCode: number
}

export interface Identity {
  readonly producerId: bigint
  readonly producerEpoch: number
}

/** The last epoch that is issued: one more is needed to fence it. */
const lastEpoch = 0x7fff - 1

export const keyOf = ({ partition, topic }: Partition): string => `${topic}-${partition}`

export const begin = (producerId: bigint, timeoutMs: number): Transaction => ({
  producerId,
  producerEpoch: 0,
  lastProducerEpoch: -1,
  timeoutMs,
  phase: "Empty",
  partitions: new Map(),
  groups: new Set(),
  startedAt: 0
})

const refuse = (transaction: Transaction, errorCode: number): Step => ({ transaction, errorCode })

const isEnding = ({ phase }: Transaction): boolean => phase === "PrepareCommit" || phase === "PrepareAbort"

/**
 * Aborts under an epoch that no producer has, so that the producer that began the transaction can write no more to it.
 * Its producer may ask for the next epoch with its own.
 */
export const fence = (transaction: Transaction): Transaction => ({
  ...transaction,
  producerEpoch: transaction.producerEpoch + 1,
  lastProducerEpoch: transaction.producerEpoch,
  phase: "PrepareAbort"
})

/** Gives the producer the next epoch or refuses it. An open transaction is aborted first. */
export const init = (
  transaction: Transaction,
  { producerEpoch = -1, producerId = -1n, transactionTimeoutMs }: InitProducerIdRequest,
  nextProducerId: () => bigint
): Step => {
  if (isEnding(transaction)) return refuse(transaction, KafkaErrorCode.CONCURRENT_TRANSACTIONS)
  const isKnown = producerEpoch >= 0
  if (isKnown && producerId !== transaction.producerId) return refuse(transaction, KafkaErrorCode.PRODUCER_FENCED)
  if (transaction.phase === "Ongoing") {
    return refuse(fence(transaction), KafkaErrorCode.CONCURRENT_TRANSACTIONS)
  }
  const next: Transaction = { ...transaction, timeoutMs: transactionTimeoutMs, phase: "Empty" }
  if (isKnown && producerEpoch !== transaction.producerEpoch) {
    return producerEpoch === transaction.lastProducerEpoch
      ? { transaction: next, errorCode: KafkaErrorCode.NONE }
      : refuse(transaction, KafkaErrorCode.PRODUCER_FENCED)
  }
  const given =
    transaction.producerEpoch >= lastEpoch
      ? { producerId: nextProducerId(), producerEpoch: 0, lastProducerEpoch: -1 }
      : {
          producerEpoch: transaction.producerEpoch + 1,
          lastProducerEpoch: isKnown ? transaction.producerEpoch : -1
        }
  return { transaction: { ...next, ...given }, errorCode: KafkaErrorCode.NONE }
}

/** The error code if a producer may do nothing in the transaction, or 0. */
export const validate = (transaction: Transaction | undefined, { producerEpoch, producerId }: Identity): number => {
  if (transaction === undefined || transaction.producerId !== producerId) {
    return KafkaErrorCode.INVALID_PRODUCER_ID_MAPPING
  }
  return transaction.producerEpoch === producerEpoch ? KafkaErrorCode.NONE : KafkaErrorCode.PRODUCER_FENCED
}

/** Begins the transaction unless one is open, and adds to it. */
export const add = (
  transaction: Transaction,
  now: number,
  {
    groups = [],
    partitions = []
  }: { readonly groups?: ReadonlyArray<string>; readonly partitions?: ReadonlyArray<Partition> }
): Step => {
  if (isEnding(transaction)) return refuse(transaction, KafkaErrorCode.CONCURRENT_TRANSACTIONS)
  const isOpen = transaction.phase === "Ongoing"
  return {
    transaction: {
      ...transaction,
      phase: "Ongoing",
      startedAt: isOpen ? transaction.startedAt : now,
      partitions: new Map([
        ...(isOpen ? transaction.partitions : []),
        ...partitions.map((partition) => [keyOf(partition), partition] as const)
      ]),
      groups: new Set([...(isOpen ? transaction.groups : []), ...groups])
    },
    errorCode: KafkaErrorCode.NONE
  }
}

/** Decides how the transaction ends. A repeated request gets the same answer. */
export const end = (transaction: Transaction, committed: boolean): Step => {
  const [preparing, complete]: readonly [Phase, Phase] = committed
    ? ["PrepareCommit", "CompleteCommit"]
    : ["PrepareAbort", "CompleteAbort"]
  switch (transaction.phase) {
    case "Ongoing":
      return { transaction: { ...transaction, phase: preparing }, errorCode: KafkaErrorCode.NONE }
    case preparing:
      return refuse(transaction, KafkaErrorCode.CONCURRENT_TRANSACTIONS)
    case complete:
      return refuse(transaction, KafkaErrorCode.NONE)
    default:
      return refuse(transaction, KafkaErrorCode.INVALID_TXN_STATE)
  }
}

/** Every partition and group has its marker. */
export const complete = (transaction: Transaction): Transaction => ({
  ...transaction,
  phase: transaction.phase === "PrepareCommit" ? "CompleteCommit" : "CompleteAbort",
  partitions: new Map(),
  groups: new Set()
})

/** Checks that the partition may be written to in the transaction. Returns the error code of the refusal, or 0. */
export const verify = (transaction: Transaction | undefined, producer: Identity, partition: Partition): number => {
  const invalid = validate(transaction, producer)
  if (invalid === KafkaErrorCode.PRODUCER_FENCED) return KafkaErrorCode.INVALID_PRODUCER_EPOCH
  if (transaction === undefined || invalid !== KafkaErrorCode.NONE) return invalid
  // Older producers don't know that this error can be retried.
  if (isEnding(transaction)) return KafkaErrorCode.NOT_ENOUGH_REPLICAS
  return transaction.phase === "Ongoing" && transaction.partitions.has(keyOf(partition))
    ? KafkaErrorCode.NONE
    : KafkaErrorCode.INVALID_TXN_STATE
}
