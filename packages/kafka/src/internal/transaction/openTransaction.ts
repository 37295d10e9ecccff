/**
 * The transaction that is open, as its user sees it: records and offsets that are taken until it ends or is doomed.
 */
import { type Producer, ProducerError } from "@spillway/transport/Producer"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { KafkaErrorCode as Code } from "../../KafkaErrorCode.js"
import type { OffsetCommitRequest } from "../../Protocol.js"
import type { GroupMember, Transaction, TransactionError, TransactionOffset } from "../../Transaction.js"
import type { Failure } from "../producer/decisions.js"
import type { Identity } from "../producer/producerId.js"
import type { Coordinator, Refusal } from "./coordinator.js"
import * as Decisions from "./decisions.js"
import type { Partitions } from "./partitions.js"

export interface Open {
  readonly partitions: Partitions
  /** The groups that the coordinator knows of. */
  readonly groups: Set<string>
  /** When the coordinator may have begun to count its time; milliseconds of the monotonic clock. */
  startedAt: number | undefined
  /** The coordinator may begin to count. */
  readonly onStarted: () => void
  /** It takes no more records. */
  isEnding: boolean
  /** Why it can't be committed. */
  failure: TransactionError | undefined
}

/** What the transaction needs of those that came before and come after it. */
export interface OpenManager {
  readonly coordinator: Coordinator
  readonly producer: Context.Tag.Service<Producer>
  /** Undefined when the transaction has ended. */
  readonly identity: () => Identity | undefined
  /** It can't be committed any more, unless it has ended. */
  readonly doom: (failure: TransactionError) => void
  readonly refuse: (refusal: Refusal) => Effect.Effect<never, TransactionError>
  /** Fails when the coordinator can't be asked for too long. */
  readonly within: <A>(effect: Effect.Effect<A, TransactionError>) => Effect.Effect<A, TransactionError>
}

/** Errors of records that have not left: the transaction goes on without them. */
const harmless = new Set<ProducerError["reason"]>(["InvalidRecord", "RecordTooLarge", "BufferFull", "UnknownTopic"])

export const transactionOf = (own: Open, manager: OpenManager): Transaction => {
  const { coordinator, doom, identity, producer, refuse, within } = manager
  const { error } = coordinator
  const ended: Failure = { reason: "Aborted", description: "the transaction has ended" }

  const isOpen = (): boolean => identity() !== undefined && !own.isEnding && own.failure === undefined

  const refusedError = (topic: string): ProducerError => {
    const { failure } = own
    return failure === undefined
      ? new ProducerError({ ...ended, topic })
      : new ProducerError({
          reason: failure.reason === "Fenced" ? "Fenced" : "Aborted",
          topic,
          description: `its transaction is aborted: ${failure.description}`,
          cause: failure
        })
  }

  const doomBy = (cause: ProducerError): void => {
    if (!harmless.has(cause.reason)) doom(error("Aborted", cause.message, { cause }))
  }

  const guarded = <A>(topic: string | undefined, send: Effect.Effect<A, ProducerError>) =>
    Effect.suspend(() => {
      if (!isOpen()) return Effect.fail(refusedError(topic ?? ""))
      return Effect.tapError(send, (cause) => Effect.sync(() => doomBy(cause)))
    })

  const sendOffsets = Effect.fnUntraced(function* (
    offsets: ReadonlyArray<TransactionOffset>,
    member: GroupMember
  ): Effect.fn.Return<void, TransactionError> {
    if (own.failure !== undefined) return yield* own.failure
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
        // A topic that is gone has no offsets to be repeated for.
        react: (code) => (code === Code.UNKNOWN_TOPIC_OR_PARTITION ? { _tag: "Ok" } : Decisions.onCode(code))
      })
      .pipe(Effect.catchAll(refuse))
  })

  return {
    send: (record) => guarded(record.topic, producer.send(record)),
    sendAll: (records) => guarded(records[0]?.topic, producer.sendAll(records)),
    sendAllEither: (records) =>
      Effect.suspend(() =>
        isOpen()
          ? Effect.tap(producer.sendAllEither(records), (results) => {
              for (const result of results) if (result._tag === "Left") doomBy(result.left)
            })
          : Effect.succeed(records.map(({ topic }) => Either.left(refusedError(topic))))
      ),
    partitions: producer.partitions,
    sendOffsets: (offsets, member) =>
      within(sendOffsets(offsets, member)).pipe(Effect.tapError((failure) => Effect.sync(() => doom(failure))))
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
