/**
 * The life of a producer's transactions, one after the other: begun, filled, committed or aborted, and what follows when
 * the coordinator says otherwise.
 */
import * as Concurrency from "@spillway/transport/runtime/Concurrency"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { InitProducerIdRequest } from "../../Protocol.js"
import type { Transaction, TransactionError } from "../../Transaction.js"
import type { Wire } from "../../Wire.js"
import * as Monotonic from "../concurrency/monotonic.js"
import type { Failure } from "../producer/decisions.js"
import * as Producer from "../producer/producer.js"
import type { Identity } from "../producer/producerId.js"
import type { Admission } from "../producer/readiness.js"
import * as Sequence from "../producer/sequence.js"
import type { TransactionalSettings } from "../settings/transactionSettings.js"
import * as Coordinator from "./coordinator.js"
import * as Decisions from "./decisions.js"
import * as Open from "./openTransaction.js"
import * as Partitions from "./partitions.js"

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

export const make = (settings: TransactionalSettings): Effect.Effect<Manager, TransactionError, Wire | Scope.Scope> =>
  Effect.gen(function* () {
    const { deliveryTimeoutMs, transactionTimeoutMs, transactionalId, unknownTopicTimeoutMs } = settings
    const clock = yield* Effect.clock
    const now = (): number => Monotonic.millis(clock)
    let identity: Identity | undefined
    let open: Open.Open | undefined
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

    core.cluster.onMove(() => {
      identity = undefined
      doom(coordinator.moved())
    })

    const isOverdue = (startedAt: number | undefined): boolean =>
      startedAt !== undefined && now() - startedAt >= transactionTimeoutMs

    /** The coordinator fences a producer that took too long like one that was replaced. */
    const fenced = (cause: TransactionError): TransactionError =>
      isOverdue(open?.startedAt)
        ? error("TimedOut", `open for longer than ${transactionTimeoutMs} ms`, { cause })
        : cause

    const judge = ({ error: cause, reaction }: Coordinator.Refusal): TransactionError => {
      if (reaction._tag === "Expired" || reaction._tag === "Moved") identity = undefined
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
          isOfAnyCluster: known.producerId === undefined,
          codeOf: ({ errorCode }) => errorCode
        }),
        ({ producerEpoch, producerId }) => {
          identity = { producerId, producerEpoch, isTransactional: true }
        }
      )

    const endTxn = (of: Identity, committed: boolean, react: Coordinator.Asked<"EndTxn">["react"]) =>
      Effect.asVoid(
        coordinator.ask({
          api: "EndTxn",
          request: () => ({ ...coordinator.producerOf(of), committed }),
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
        if (reaction._tag === "Expired" || reaction._tag === "Moved") {
          identity = undefined
          return recover
        }
        if (reaction._tag === "Fenced" || reaction._tag === "Fatal") fatal = cause
        return Effect.fail(cause)
      })
    ) as Effect.Effect<void, TransactionError>

    /** Fails when the coordinator can't be asked for too long. */
    const within = <A, E>(effect: Effect.Effect<A, E>, onTimeout: () => TransactionError) =>
      Concurrency.timeoutFail(effect, { duration: deliveryTimeoutMs, onTimeout })

    const silent = () => error("Aborted", `the coordinator did not answer within ${deliveryTimeoutMs} ms`)

    const begin = Effect.gen(function* () {
      if (fatal !== undefined) return yield* fatal
      if (left !== undefined || identity === undefined) yield* within(recover, silent)
      const own: Open.Open = {
        partitions: Partitions.make({
          coordinator,
          transactionalId,
          identity: identity!,
          run: core.run,
          now,
          unknownTopicTimeoutMs,
          gate: core.gate,
          onSent: () => own.onStarted(),
          onRefused: (refusal) => doom(judge(refusal))
        }),
        groups: new Set(),
        startedAt: undefined,
        onStarted: () => {
          own.startedAt ??= now()
        },
        isEnding: false,
        failure: undefined
      }
      open = own
      return Open.transactionOf(own, {
        coordinator,
        producer: core.producer,
        identity: () => (open === own ? identity : undefined),
        doom: (failure) => open === own && doom(failure),
        refuse,
        within: (effect) => within(effect, silent)
      })
    })

    /** Whether a transaction was committed that was asked for in another cluster is known there alone. */
    const orUnknown = (refusal: Coordinator.Refusal): Effect.Effect<never, TransactionError> =>
      refusal.reaction._tag === "Moved"
        ? Effect.fail(error("Unknown", "the brokers are those of another cluster since EndTxn was sent"))
        : refuse(refusal)

    const commit = Effect.gen(function* () {
      const own = open
      if (own === undefined) return
      own.isEnding = true
      yield* within(
        core.flush(() => own.failure !== undefined),
        silent
      )
      if (own.failure !== undefined) return yield* own.failure
      if (own.startedAt !== undefined && identity !== undefined) {
        // From here on nobody knows the end but the coordinator.
        left = own.startedAt
        yield* within(Effect.catchAll(endTxn(identity, true, Decisions.onCode), orUnknown), () =>
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
      return fatal === undefined ? Effect.ignore(Concurrency.timeoutOption(recover, abortTimeout)) : Effect.void
    })

    yield* Effect.catchAll(init({}), ({ error: failure }) => Effect.fail(failure))
    return { begin, commit, abort, partitions: core.producer.partitions }
  })
