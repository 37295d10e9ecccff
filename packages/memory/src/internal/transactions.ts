/**
 * The transactions of a cluster: the coordinator of transactional ids, the markers it writes, and transaction timeouts.
 */
import { KafkaErrorCode } from "@spillway/kafka/KafkaErrorCode"
import type {
  AddOffsetsToTxnRequest,
  AddPartitionsToTxnRequest,
  AddPartitionsToTxnResponse,
  EndTxnRequest,
  InitProducerIdRequest,
  InitProducerIdResponse,
  ProduceRequest
} from "@spillway/kafka/Protocol"
import type { BatchHeader } from "@spillway/kafka/RecordBatch"
import * as Log from "./log.js"
import * as Signal from "./signal.js"
import type { Timers } from "./timers.js"
import type { Topics } from "./topics.js"
import * as State from "./transactionState.js"

interface Entry {
  transaction: State.Transaction
  /** Its alarm is set. */
  isWatched: boolean
}

export interface Options {
  readonly timers: Timers
  readonly topics: Topics
  readonly maxTimeoutMs: number
  /** How long after the end of a transaction is decided its markers are written. */
  readonly completionDelayMs: number
  /** Ends a producer's transaction for a group's offsets. */
  readonly endOffsets: (groupId: string, producerId: bigint, isCommit: boolean) => void
}

export interface Transactions {
  readonly init: (request: InitProducerIdRequest) => InitProducerIdResponse
  readonly addPartitions: (request: AddPartitionsToTxnRequest) => AddPartitionsToTxnResponse
  /** The error code. */
  readonly addOffsets: (request: AddOffsetsToTxnRequest) => number
  /** The error code. */
  readonly end: (request: EndTxnRequest) => number
  /** The error code if a batch of a transaction may not be written to a partition, or 0. */
  readonly verify: (
    transactionalId: ProduceRequest["transactionalId"],
    batch: BatchHeader,
    partition: State.Partition
  ) => number
  /** The error code if a producer's transaction may not commit a group's offsets, or 0. */
  readonly verifyOffsets: (request: AddOffsetsToTxnRequest) => number
  /** Stops the timers, because the brokers' processes have ended. */
  readonly stop: () => void
  readonly start: () => void
}

const refused = (errorCode: number): InitProducerIdResponse => ({ errorCode, producerId: -1n, producerEpoch: -1 })

const given = ({ producerEpoch, producerId }: State.Identity): InitProducerIdResponse => ({
  errorCode: KafkaErrorCode.NONE,
  producerId,
  producerEpoch
})

export const make = ({ completionDelayMs, endOffsets, maxTimeoutMs, timers, topics }: Options): Transactions => {
  const entries = new Map<string, Entry>()
  let producerIds = 1_000n
  let isRunning = true

  const { now, wallClock } = timers

  const nextProducerId = (): bigint => producerIds++

  /** Writes a marker to every partition that has a leader. Returns true when none is left. */
  const writeMarkers = (entry: Entry): boolean => {
    const { transaction } = entry
    const marker = transaction.phase === "PrepareCommit" ? "commit" : "abort"
    const isAway = ({ partition, topic }: State.Partition) => (topics.log(topic, partition)?.leader ?? 0) < 0
    // Removed before the first marker: each marker wakes waiters, and one of them may end this transaction again.
    entry.transaction = {
      ...transaction,
      partitions: new Map(Array.from(transaction.partitions).filter(([, partition]) => isAway(partition)))
    }
    for (const [key, { partition, topic }] of transaction.partitions) {
      if (!entry.transaction.partitions.has(key))
        topics.appendMarker(topic, partition, marker, transaction, wallClock())
    }
    return entry.transaction.partitions.size === 0
  }

  const finish = (entry: Entry): void => {
    const { groups, phase, producerId } = entry.transaction
    entry.transaction = State.complete(entry.transaction)
    for (const groupId of groups) endOffsets(groupId, producerId, phase === "PrepareCommit")
  }

  /** Completes the decided end, now or after the delay. */
  const complete = (entry: Entry): void => {
    const attempt = () => {
      if (writeMarkers(entry)) finish(entry)
      else {
        Signal.listen(
          [topics.changed],
          () => (writeMarkers(entry) ? true : undefined),
          () => finish(entry)
        )
      }
    }
    if (completionDelayMs > 0) timers.after(completionDelayMs, attempt)
    else attempt()
  }

  const isOpen = ({ transaction }: Entry): boolean => transaction.phase === "Ongoing"

  /** One alarm per transactional id, which is set again if it rings early. */
  const watch = (entry: Entry): void => {
    if (entry.isWatched || !isOpen(entry) || !isRunning) return
    entry.isWatched = true
    const { startedAt, timeoutMs } = entry.transaction
    timers.after(startedAt + timeoutMs - now(), () => {
      entry.isWatched = false
      if (!isRunning || !isOpen(entry)) return
      if (entry.transaction.startedAt + entry.transaction.timeoutMs > now()) return watch(entry)
      entry.transaction = State.fence(entry.transaction)
      complete(entry)
    })
  }

  /** The error code. */
  const apply = (entry: Entry, { errorCode, transaction }: State.Step): number => {
    const wasOpen = isOpen(entry)
    entry.transaction = transaction
    if (wasOpen && !isOpen(entry)) complete(entry)
    else watch(entry)
    return errorCode
  }

  const init: Transactions["init"] = (request) => {
    const { transactionTimeoutMs, transactionalId } = request
    if (transactionalId === null) return given({ producerId: nextProducerId(), producerEpoch: 0 })
    if (transactionalId === "") return refused(KafkaErrorCode.INVALID_REQUEST)
    if (!(transactionTimeoutMs > 0 && transactionTimeoutMs <= maxTimeoutMs)) {
      return refused(KafkaErrorCode.INVALID_TRANSACTION_TIMEOUT)
    }
    const entry = entries.get(transactionalId)
    if (entry === undefined) {
      const transaction = State.begin(nextProducerId(), transactionTimeoutMs)
      entries.set(transactionalId, { transaction, isWatched: false })
      return given(transaction)
    }
    const errorCode = apply(entry, State.init(entry.transaction, request, nextProducerId))
    return errorCode === KafkaErrorCode.NONE ? given(entry.transaction) : refused(errorCode)
  }

  /** The error code. */
  const inTransaction = (
    request: AddOffsetsToTxnRequest | AddPartitionsToTxnRequest | EndTxnRequest,
    transition: (transaction: State.Transaction) => State.Step
  ): number => {
    const entry = entries.get(request.transactionalId)
    const invalid = State.validate(entry?.transaction, request)
    return entry === undefined || invalid !== KafkaErrorCode.NONE
      ? invalid
      : apply(entry, transition(entry.transaction))
  }

  return {
    init,
    addPartitions: (request) => {
      const partitions = request.topics.flatMap(({ partitions, topic }) =>
        partitions.map((partition) => ({ topic, partition }))
      )
      const isUnknown = ({ partition, topic }: State.Partition) => topics.log(topic, partition) === undefined
      const answer = (codeOf: (partition: State.Partition) => number): AddPartitionsToTxnResponse => ({
        topics: request.topics.map(({ partitions, topic }) => ({
          topic,
          partitions: partitions.map((partition) => ({ partition, errorCode: codeOf({ topic, partition }) }))
        }))
      })
      if (partitions.some(isUnknown)) {
        return answer((partition) =>
          isUnknown(partition) ? KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION : KafkaErrorCode.OPERATION_NOT_ATTEMPTED
        )
      }
      const errorCode = inTransaction(request, (transaction) => State.add(transaction, now(), { partitions }))
      return answer(() => errorCode)
    },
    addOffsets: (request) =>
      inTransaction(request, (transaction) => State.add(transaction, now(), { groups: [request.groupId] })),
    end: (request) => inTransaction(request, (transaction) => State.end(transaction, request.committed)),
    verify: (transactionalId, batch, partition) => {
      const log = topics.log(partition.topic, partition.partition)
      // The first batch of the transaction was verified then.
      if (log !== undefined && Log.hasOpenTransaction(log, batch)) return KafkaErrorCode.NONE
      return State.verify(entries.get(transactionalId ?? "")?.transaction, batch, partition)
    },
    verifyOffsets: (request) => {
      const transaction = entries.get(request.transactionalId)?.transaction
      const invalid = State.validate(transaction, request)
      if (invalid === KafkaErrorCode.PRODUCER_FENCED) return KafkaErrorCode.INVALID_PRODUCER_EPOCH
      if (invalid !== KafkaErrorCode.NONE) return invalid
      return transaction?.phase === "Ongoing" && transaction.groups.has(request.groupId)
        ? KafkaErrorCode.NONE
        : KafkaErrorCode.INVALID_TXN_STATE
    },
    stop: () => {
      isRunning = false
    },
    start: () => {
      isRunning = true
      entries.forEach(watch)
    }
  }
}
