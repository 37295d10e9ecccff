/**
 * The transactions of a cluster: the coordinator of transactional ids, the markers it writes, and the time that it
 * leaves to transactions.
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
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Log from "./log.js"
import * as Signal from "./signal.js"
import type { Topics } from "./topics.js"
import * as State from "./transactionState.js"

interface Entry {
  transaction: State.Transaction
  /** Its alarm is set. */
  isWatched: boolean
}

export interface Options {
  readonly clock: Clock.Clock
  /** The broker's: its timers live in it. */
  readonly scope: Scope.Scope
  readonly topics: Topics
  readonly maxTimeoutMs: number
  /** How long after its end is decided a transaction's markers are written. */
  readonly completionDelayMs: number
  /** A producer's transaction has ended for the offsets of a group. */
  readonly endOffsets: (groupId: string, producerId: bigint, isCommit: boolean) => void
}

export interface Transactions {
  readonly init: (request: InitProducerIdRequest) => Effect.Effect<InitProducerIdResponse>
  readonly addPartitions: (request: AddPartitionsToTxnRequest) => Effect.Effect<AddPartitionsToTxnResponse>
  /** The error code. */
  readonly addOffsets: (request: AddOffsetsToTxnRequest) => Effect.Effect<number>
  /** The error code. */
  readonly end: (request: EndTxnRequest) => Effect.Effect<number>
  /** Why a batch of a transaction may not be written to a partition, or 0. */
  readonly verify: (
    transactionalId: ProduceRequest["transactionalId"],
    batch: BatchHeader,
    partition: State.Partition
  ) => number
  /** Why a producer's transaction may not commit offsets of a group, or 0. */
  readonly verifyOffsets: (request: AddOffsetsToTxnRequest) => number
  /** Stops the timers, as the brokers' processes have ended. */
  readonly stop: () => void
  readonly start: Effect.Effect<void>
}

const refused = (errorCode: number): InitProducerIdResponse => ({ errorCode, producerId: -1n, producerEpoch: -1 })

export const make = ({ clock, completionDelayMs, endOffsets, maxTimeoutMs, scope, topics }: Options): Transactions => {
  const entries = new Map<string, Entry>()
  let producerIds = 1_000n
  let isRunning = true

  const now = (): number => clock.unsafeCurrentTimeMillis()

  const nextProducerId = (): bigint => producerIds++

  const sleeping = (ms: number, then: Effect.Effect<void>): Effect.Effect<void> =>
    Effect.asVoid(Effect.forkIn(Effect.interruptible(Effect.zipRight(clock.sleep(Duration.millis(ms)), then)), scope))

  /** Writes a marker to every partition that has a leader; true when none is left. */
  const writeMarkers = (entry: Entry): boolean => {
    const { transaction } = entry
    const marker = transaction.phase === "PrepareCommit" ? "commit" : "abort"
    const isAway = ({ partition, topic }: State.Partition) => (topics.log(topic, partition)?.leader ?? 0) < 0
    // Before the first marker: each wakes who waits to write the others, and that may be this very transaction.
    entry.transaction = {
      ...transaction,
      partitions: new Map(Array.from(transaction.partitions).filter(([, partition]) => isAway(partition)))
    }
    for (const [key, { partition, topic }] of transaction.partitions) {
      if (!entry.transaction.partitions.has(key)) topics.appendMarker(topic, partition, marker, transaction, now())
    }
    return entry.transaction.partitions.size === 0
  }

  const finish = (entry: Entry): void => {
    const { groups, phase, producerId } = entry.transaction
    entry.transaction = State.complete(entry.transaction)
    for (const groupId of groups) endOffsets(groupId, producerId, phase === "PrepareCommit")
  }

  /** Carries out the decided end, now or when it may. */
  const complete = (entry: Entry): Effect.Effect<void> => {
    const attempt: Effect.Effect<void> = Effect.suspend(() => {
      if (writeMarkers(entry)) {
        finish(entry)
        return Effect.void
      }
      const rest = Signal.until([topics.changed], () => (writeMarkers(entry) ? true : undefined))
      return Effect.asVoid(Effect.forkIn(Effect.interruptible(Effect.map(rest, () => finish(entry))), scope))
    })
    return completionDelayMs > 0 ? sleeping(completionDelayMs, attempt) : attempt
  }

  const isOpen = ({ transaction }: Entry): boolean => transaction.phase === "Ongoing"

  /** One alarm a transactional id, which is set again while it rings too early. */
  const watch = (entry: Entry): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (entry.isWatched || !isOpen(entry) || !isRunning) return Effect.void
      entry.isWatched = true
      const { startedAt, timeoutMs } = entry.transaction
      return sleeping(
        Math.max(0, startedAt + timeoutMs - now()),
        Effect.suspend(() => {
          entry.isWatched = false
          if (!isRunning || !isOpen(entry)) return Effect.void
          if (entry.transaction.startedAt + entry.transaction.timeoutMs > now()) return watch(entry)
          entry.transaction = State.fence(entry.transaction)
          return complete(entry)
        })
      )
    })

  const apply = (entry: Entry, step: State.Step): Effect.Effect<number> =>
    Effect.suspend(() => {
      const before = entry.transaction.phase
      entry.transaction = step.transaction
      const hasEnded = before === "Ongoing" && !isOpen(entry)
      return Effect.as(hasEnded ? complete(entry) : watch(entry), step.errorCode)
    })

  const init: Transactions["init"] = (request) =>
    Effect.suspend(() => {
      const { transactionTimeoutMs, transactionalId } = request
      if (transactionalId === null) {
        return Effect.succeed({ errorCode: KafkaErrorCode.NONE, producerId: nextProducerId(), producerEpoch: 0 })
      }
      if (transactionalId === "") return Effect.succeed(refused(KafkaErrorCode.INVALID_REQUEST))
      if (!(transactionTimeoutMs > 0 && transactionTimeoutMs <= maxTimeoutMs)) {
        return Effect.succeed(refused(KafkaErrorCode.INVALID_TRANSACTION_TIMEOUT))
      }
      const entry = entries.get(transactionalId)
      if (entry === undefined) {
        const transaction = State.begin(nextProducerId(), transactionTimeoutMs)
        entries.set(transactionalId, { transaction, isWatched: false })
        return Effect.succeed({ errorCode: KafkaErrorCode.NONE, ...transaction })
      }
      return Effect.map(apply(entry, State.init(entry.transaction, request, nextProducerId)), (errorCode) =>
        errorCode === KafkaErrorCode.NONE ? { errorCode, ...entry.transaction } : refused(errorCode)
      )
    }).pipe(
      Effect.map(({ errorCode, producerEpoch, producerId }) => ({ errorCode, producerEpoch, producerId })),
      Effect.uninterruptible
    )

  const inTransaction = (
    request: AddOffsetsToTxnRequest | AddPartitionsToTxnRequest | EndTxnRequest,
    transition: (transaction: State.Transaction) => State.Step
  ): Effect.Effect<number> =>
    Effect.suspend(() => {
      const entry = entries.get(request.transactionalId)
      const invalid = State.validate(entry?.transaction, request)
      return entry === undefined || invalid !== KafkaErrorCode.NONE
        ? Effect.succeed(invalid)
        : apply(entry, transition(entry.transaction))
    }).pipe(Effect.uninterruptible)

  return {
    init,
    addPartitions: (request) =>
      Effect.suspend(() => {
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
          return Effect.succeed(
            answer((partition) =>
              isUnknown(partition) ? KafkaErrorCode.UNKNOWN_TOPIC_OR_PARTITION : KafkaErrorCode.OPERATION_NOT_ATTEMPTED
            )
          )
        }
        return Effect.map(
          inTransaction(request, (transaction) => State.add(transaction, now(), { partitions })),
          (errorCode) => answer(() => errorCode)
        )
      }),
    addOffsets: (request) =>
      inTransaction(request, (transaction) => State.add(transaction, now(), { groups: [request.groupId] })),
    end: (request) => inTransaction(request, (transaction) => State.end(transaction, request.committed)),
    verify: (transactionalId, batch, partition) => {
      const log = topics.log(partition.topic, partition.partition)
      // What has begun to be written was verified then.
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
    start: Effect.suspend(() => {
      isRunning = true
      return Effect.forEach(entries.values(), watch, { discard: true })
    })
  }
}
