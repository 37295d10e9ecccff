/**
 * An open transaction from its user's view: it accepts records and offsets until it ends or fails.
 */
import { type Producer, ProducerError } from "@spillway/transport/Producer"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { KafkaErrorCode as Code } from "../../KafkaErrorCode.js"
import type { OffsetCommitRequest } from "../../Protocol.js"
import type { GroupMember, Transaction, TransactionError, TransactionOffset } from "../../Transaction.js"
import type { Failure } from "../producer/decisions.js"
import type { ProducerIdAndEpoch } from "../producer/sequence.js"
import type { Coordinator, Refusal } from "./coordinator.js"
import * as Decisions from "./decisions.js"
import type { Partitions } from "./partitions.js"
import type { Timed } from "./transactionState.js"

export interface Open extends Timed {
  readonly partitions: Partitions
  /** The groups whose offsets were added to the transaction at the coordinator. */
  readonly groups: Set<string>
  /** Called when the coordinator may start the transaction's timeout. */
  readonly onStarted: () => void
  readonly onAborted: (cause: TransactionError) => void
}

/** An open transaction's interface to the manager. */
export interface OpenManager {
  readonly coordinator: Coordinator
  readonly producer: Context.Tag.Service<Producer>
  /** Undefined when the transaction has ended. */
  readonly identity: () => ProducerIdAndEpoch | undefined
  /** Whether it accepts records. */
  readonly isTaking: () => boolean
  /** Why it can't be committed, or why it was aborted. */
  readonly failure: () => TransactionError | undefined
  /** Forces it to abort, unless it has ended. */
  readonly fail: (failure: TransactionError) => void
  readonly refuse: (refusal: Refusal) => Effect.Effect<never, TransactionError>
  /** Fails if the coordinator doesn't answer for too long. */
  readonly within: <A>(effect: Effect.Effect<A, TransactionError>) => Effect.Effect<A, TransactionError>
}

/** Errors of records that were not sent: the transaction continues without them. */
const harmless = new Set<ProducerError["reason"]>(["InvalidRecord", "RecordTooLarge", "BufferFull", "UnknownTopic"])

export const transactionOf = (own: Open, manager: OpenManager): Transaction => {
  const { coordinator, fail, identity, isTaking, producer, refuse, within } = manager
  const { error } = coordinator
  const ended: Failure = { reason: "Aborted", description: "the transaction has ended" }

  const refusedError = (topic: string): ProducerError => {
    const failure = manager.failure()
    return failure === undefined
      ? new ProducerError({ ...ended, topic })
      : new ProducerError({
          reason: failure.reason === "Fenced" ? "Fenced" : "Aborted",
          topic,
          description: `its transaction is aborted: ${failure.description}`,
          cause: failure
        })
  }

  const failBy = (cause: ProducerError): void => {
    if (!harmless.has(cause.reason)) fail(error("Aborted", cause.message, { cause }))
  }

  const guarded = <A>(topic: string | undefined, send: Effect.Effect<A, ProducerError>) =>
    Effect.suspend(() => {
      if (!isTaking()) return Effect.fail(refusedError(topic ?? ""))
      return Effect.tapError(send, (cause) => Effect.sync(() => failBy(cause)))
    })

  const sendOffsets = Effect.fnUntraced(function* (
    offsets: ReadonlyArray<TransactionOffset>,
    member: GroupMember
  ): Effect.fn.Return<void, TransactionError> {
    const failure = manager.failure()
    if (failure !== undefined) return yield* failure
    const producerIdentity = identity()
    if (producerIdentity === undefined) return yield* error("Aborted", ended.description)
    const by = coordinator.producerOf(producerIdentity)
    const { groupId } = member
    if (!own.groups.has(groupId)) {
      yield* coordinator
        .ask({
          api: "AddOffsetsToTxn",
          request: () => ({ ...by, groupId }),
          codeOf: ({ errorCode }) => errorCode,
          onSent: own.onStarted
        })
        .pipe(Effect.catchAll(refuse))
      own.groups.add(groupId)
    }
    yield* coordinator
      .ask({
        api: "TxnOffsetCommit",
        groupId,
        request: () => ({ ...by, ...member, topics: topicsOf(offsets) }),
        codeOf: ({ topics }) =>
          topics.flatMap(({ partitions }) => partitions).find(({ errorCode }) => errorCode !== 0)?.errorCode ?? 0,
        // The offsets of a deleted topic aren't retried.
        react: (code) => (code === Code.UNKNOWN_TOPIC_OR_PARTITION ? { _tag: "Ok" } : Decisions.onCode(code))
      })
      .pipe(Effect.catchAll(refuse))
  })

  return {
    send: (record) => guarded(record.topic, producer.send(record)),
    sendAll: (records) => guarded(records[0]?.topic, producer.sendAll(records)),
    sendAllEither: (records) =>
      Effect.suspend(() =>
        isTaking()
          ? Effect.tap(producer.sendAllEither(records), (results) => {
              for (const result of results) if (result._tag === "Left") failBy(result.left)
            })
          : Effect.succeed(records.map(({ topic }) => Either.left(refusedError(topic))))
      ),
    partitions: producer.partitions,
    sendOffsets: (offsets, member) =>
      within(sendOffsets(offsets, member)).pipe(Effect.tapError((failure) => Effect.sync(() => fail(failure))))
  }
}

const topicsOf = (offsets: ReadonlyArray<TransactionOffset>): OffsetCommitRequest["topics"] => {
  const topics = new Map<string, Array<OffsetCommitRequest["topics"][number]["partitions"][number]>>()
  for (const { leaderEpoch = -1, metadata = null, offset, partition, topic } of offsets) {
    const partitions = topics.get(topic) ?? []
    topics.set(topic, partitions)
    partitions.push({ partition, offset, leaderEpoch, metadata })
  }
  return Array.from(topics, ([topic, partitions]) => ({ topic, partitions }))
}
