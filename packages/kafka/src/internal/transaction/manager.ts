/**
 * The life of a producer's transactions, one after the other: begun, filled, committed or aborted, and what follows when
 * the coordinator says otherwise.
 */
import { ProducerError } from "@spillway/transport/Producer"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Scope from "effect/Scope"
import { KafkaErrorCode as Code } from "../../KafkaErrorCode.js"
import type { InitProducerIdRequest, OffsetCommitRequest } from "../../Protocol.js"
import type { GroupMember, Transaction, TransactionError, TransactionOffset } from "../../Transaction.js"
import type { Wire } from "../../Wire.js"
import * as Producer from "../producer.js"
import type { Admission } from "../producerAdmission.js"
import type { Failure } from "../producerFailure.js"
import type { Identity } from "../producerIdentity.js"
import * as Sequence from "../producerSequence.js"
import * as Coordinator from "./coordinator.js"
import * as Decisions from "./decisions.js"
import * as Partitions from "./partitions.js"
import type { TransactionalSettings } from "./settings.js"

/** The transaction that is open. */
interface Open {
  readonly partitions: Partitions.Partitions
  /** The groups that the coordinator knows of. */
  readonly groups: Set<string>
  /** When the coordinator may have begun to count its time; milliseconds of the monotonic clock. */
  startedAt: number | undefined
  /** It takes no more records. */
  isEnding: boolean
  /** Why it can't be committed. */
  failure: TransactionError | undefined
}

export interface Manager {
  readonly begin: Effect.Effect<Transaction, TransactionError>
  /** Commits the open transaction, or fails when that can't be; then it is to be aborted. */
  readonly commit: Effect.Effect<void, TransactionError>
  /** Aborts the open transaction; what the coordinator can't be told now it is told before the next one begins. */
  readonly abort: Effect.Effect<void>
  readonly partitions: Transaction["partitions"]
}

/** How long an abort waits for the coordinator. */
const abortTimeout = "5 seconds"

/** Errors of records that have not left: the transaction goes on without them. */
const harmless = new Set<ProducerError["reason"]>(["InvalidRecord", "RecordTooLarge", "BufferFull", "UnknownTopic"])

export const make = (settings: TransactionalSettings): Effect.Effect<Manager, TransactionError, Wire | Scope.Scope> =>
  Effect.gen(function* () {
    const { deliveryTimeoutMs, transactionTimeoutMs, transactionalId, unknownTopicTimeoutMs } = settings
    const clock = yield* Effect.clock
    const now = (): number => Number(clock.unsafeCurrentTimeNanos()) / 1e6
    let identity: Identity | undefined
    let open: Open | undefined
    /** Nothing can be done any more. */
    let fatal: TransactionError | undefined
    /** When the transaction before began, if it may still be open: an end is made of it before the next one begins. */
    let left: number | undefined

    const admission: Admission = {
      transactionalId,
      admit: (lane) => {
        if (open === undefined || open.failure !== undefined || identity === undefined) return false
        if (!open.partitions.has(lane)) return false
        lane.sequence ??= Sequence.begin(identity)
        return true
      },
      onFailed: (failure) => onFailed(failure)
    }
    const core = yield* Producer.makeCore(settings, () => admission)
    const coordinator = Coordinator.make(core.cluster, transactionalId)
    const { error } = coordinator

    /** Nothing more is sent in the transaction, and what waits for its result fails. */
    const doom = (failure: TransactionError): void => {
      if (open === undefined || open.failure !== undefined) return
      open.failure = failure
      core.discard({
        reason: failure.reason === "Fenced" ? "Fenced" : "Aborted",
        description: `its transaction is aborted: ${failure.description}`,
        cause: failure
      })
    }

    const isOverdue = (startedAt: number | undefined): boolean =>
      startedAt !== undefined && now() - startedAt >= transactionTimeoutMs

    /** The coordinator fences a producer that took too long like one that was replaced. */
    const fenced = (cause: TransactionError): TransactionError =>
      isOverdue(open?.startedAt)
        ? error("TimedOut", `open for longer than ${transactionTimeoutMs} ms`, { cause })
        : cause

    const judge = ({ error: cause, reaction }: Coordinator.Refusal): TransactionError => {
      if (reaction._tag === "Expired") identity = undefined
      const failure = reaction._tag === "Fenced" ? fenced(cause) : cause
      if (failure.reason === "Fenced" || reaction._tag === "Fatal") fatal = failure
      return failure
    }

    const refuse = (refusal: Coordinator.Refusal): Effect.Effect<never, TransactionError> =>
      Effect.suspend(() => {
        const failure = judge(refusal)
        doom(failure)
        return Effect.fail(failure)
      })

    const onFailed = (failure: Failure): void => {
      if (open === undefined) return
      const { description, reason } = failure
      const cause = failure.cause ?? failure
      const judged =
        reason === "Fenced"
          ? fenced(error("Fenced", description, { cause }))
          : error("Aborted", `a record was not acknowledged: ${description}`, { cause })
      if (judged.reason === "Fenced") fatal = judged
      doom(judged)
    }

    const init = (known: Pick<InitProducerIdRequest, "producerId" | "producerEpoch">) =>
      Effect.map(
        coordinator.ask({
          api: "InitProducerId",
          request: () => ({ transactionalId, transactionTimeoutMs, ...known }),
          codeOf: ({ errorCode }) => errorCode
        }),
        ({ producerEpoch, producerId }) => {
          identity = { producerId, producerEpoch, isTransactional: true }
        }
      )

    const producerOf = ({ producerEpoch, producerId }: Identity) => ({ transactionalId, producerId, producerEpoch })

    const endTxn = (of: Identity, committed: boolean, react: Coordinator.Asked<"EndTxn">["react"]) =>
      Effect.asVoid(
        coordinator.ask({
          api: "EndTxn",
          request: () => ({ ...producerOf(of), committed }),
          codeOf: ({ errorCode }) => errorCode,
          react
        })
      )

    const onAbort = (code: number): Decisions.Reaction => {
      const reaction = Decisions.onAbort(code)
      return reaction._tag === "Fenced" && isOverdue(left) ? { _tag: "Ok" } : reaction
    }

    /**
     * Makes an end of what the transaction before may have left open. The next epoch keeps out what of it is still under
     * way, and lets sequences begin anew.
     */
    const recover = Effect.gen(function* () {
      yield* core.reset(true)
      if (identity === undefined) yield* init({})
      else {
        const { producerEpoch, producerId } = identity
        if (!isOverdue(left)) yield* endTxn(identity, false, onAbort)
        yield* init({ producerId, producerEpoch })
      }
      left = undefined
    }).pipe(
      Effect.catchAll((refusal): Effect.Effect<void, TransactionError> => {
        const { error: cause, reaction } = refusal
        if (reaction._tag === "Expired") {
          identity = undefined
          return recover
        }
        if (reaction._tag === "Fenced" || reaction._tag === "Fatal") fatal = cause
        return Effect.fail(cause)
      })
    ) as Effect.Effect<void, TransactionError>

    /** Fails when the coordinator can't be asked for too long. */
    const within = <A, E>(effect: Effect.Effect<A, E>, onTimeout: () => TransactionError) =>
      Effect.timeoutFail(effect, { duration: deliveryTimeoutMs, onTimeout })

    const silent = () => error("Aborted", `the coordinator did not answer within ${deliveryTimeoutMs} ms`)

    const transactionOf = (own: Open): Transaction => {
      const { producer } = core
      const ended: Failure = { reason: "Aborted", description: "the transaction has ended" }

      const isOpen = (): boolean => open === own && !own.isEnding && own.failure === undefined

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
          return Effect.tapError(send, (cause) => Effect.sync(() => open === own && doomBy(cause)))
        })

      const sendOffsets = Effect.fnUntraced(function* (
        offsets: ReadonlyArray<TransactionOffset>,
        member: GroupMember
      ): Effect.fn.Return<void, TransactionError> {
        if (own.failure !== undefined) return yield* own.failure
        if (open !== own || identity === undefined) return yield* error("Aborted", ended.description)
        const by = producerOf(identity)
        const { groupId } = member
        if (!own.groups.has(groupId)) {
          yield* coordinator
            .ask({
              api: "AddOffsetsToTxn",
              request: () => ({ ...by, groupId }),
              codeOf: ({ errorCode }) => errorCode,
              onSent: () => {
                own.startedAt ??= now()
              }
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
                  if (open !== own) return
                  for (const result of results) if (result._tag === "Left") doomBy(result.left)
                })
              : Effect.succeed(records.map(({ topic }) => Either.left(refusedError(topic))))
          ),
        partitions: producer.partitions,
        sendOffsets: (offsets, member) =>
          within(sendOffsets(offsets, member), silent).pipe(
            Effect.tapError((failure) => Effect.sync(() => open === own && doom(failure)))
          )
      }
    }

    const begin = Effect.gen(function* () {
      if (fatal !== undefined) return yield* fatal
      if (left !== undefined) yield* within(recover, silent)
      const own: Open = {
        partitions: Partitions.make({
          coordinator,
          transactionalId,
          identity: identity!,
          run: core.run,
          now,
          unknownTopicTimeoutMs,
          gate: core.gate,
          onSent: () => {
            own.startedAt ??= now()
          },
          onRefused: (refusal) => doom(judge(refusal))
        }),
        groups: new Set(),
        startedAt: undefined,
        isEnding: false,
        failure: undefined
      }
      open = own
      return transactionOf(own)
    })

    const commit = Effect.gen(function* () {
      const own = open
      if (own === undefined || identity === undefined) return
      own.isEnding = true
      yield* within(
        core.flush(() => own.failure !== undefined),
        silent
      )
      if (own.failure !== undefined) return yield* own.failure
      if (own.startedAt !== undefined) {
        // From here on nobody knows the end but the coordinator.
        left = own.startedAt
        yield* within(Effect.catchAll(endTxn(identity, true, Decisions.onCode), refuse), () =>
          error("Unknown", `the coordinator did not answer EndTxn within ${deliveryTimeoutMs} ms`)
        )
        left = undefined
      }
      own.partitions.end()
      open = undefined
    })

    const abort = Effect.suspend(() => {
      const own = open
      if (own === undefined) return Effect.void
      own.failure ??= error("Aborted", "it was aborted")
      core.discard({ reason: "Aborted", description: "its transaction is aborted" })
      own.partitions.end()
      open = undefined
      left = own.startedAt
      // Nothing of it left: there is nothing to make an end of.
      if (left === undefined) return core.reset(false)
      return fatal === undefined ? Effect.ignore(Effect.timeout(recover, abortTimeout)) : Effect.void
    })

    yield* Effect.catchAll(init({}), ({ error: failure }) => Effect.fail(failure))
    return { begin, commit, abort, partitions: core.producer.partitions }
  })

const topicsOf = (offsets: ReadonlyArray<TransactionOffset>): OffsetCommitRequest["topics"] => {
  const topics = new Map<string, Array<OffsetCommitRequest["topics"][number]["partitions"][number]>>()
  for (const { leaderEpoch = -1, metadata = null, offset, partition, topic } of offsets) {
    const partitions = topics.get(topic) ?? []
    topics.set(topic, partitions)
    partitions.push({ partition, offset, leaderEpoch, metadata })
  }
  return Array.from(topics, ([topic, partitions]) => ({ topic, partitions }))
}
