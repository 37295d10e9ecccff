/**
 * A producer's transactions, one after the other: begun, filled, committed or aborted, with a reaction to each error of
 * the coordinator. The states are in `transactionState.ts`.
 */
import * as Concurrency from "@spillway/transport/runtime/Concurrency"
import * as Monotonic from "@spillway/transport/runtime/Monotonic"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { InitProducerIdRequest } from "../../Protocol.js"
import type { Transaction, TransactionError } from "../../Transaction.js"
import type { Wire } from "../../Wire.js"
import * as Core from "../producer/core.js"
import * as PartitionQueue from "../producer/partitionQueue.js"
import type { Readiness } from "../producer/readiness.js"
import type { ProducerIdAndEpoch } from "../producer/sequence.js"
import type { TransactionalSettings } from "../settings/transactionSettings.js"
import * as Coordinator from "./coordinator.js"
import * as Decisions from "./decisions.js"
import * as Open from "./openTransaction.js"
import * as Partitions from "./partitions.js"
import * as State from "./transactionState.js"

export interface Manager {
  readonly begin: Effect.Effect<Transaction, TransactionError>
  /** Commits the open transaction. If that fails, the transaction must be aborted. */
  readonly commit: Effect.Effect<void, TransactionError>
  /** Aborts the open transaction. If the coordinator doesn't answer now, it is asked again before the next one. */
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
    let identity: ProducerIdAndEpoch | undefined
    let state: State.State<Open.Open> = State.ready
    /** Sequences of idle partitions are kept only for this epoch: the next transaction has another. */
    let isEpochStale = false

    const readiness: Readiness = {
      transactionalId,
      mayLeave: (queue) => {
        if (identity === undefined || !State.isSending(state) || !State.openOf(state)!.partitions.has(queue))
          return false
        if (queue.sequence === undefined) PartitionQueue.beginSequence(queue, identity)
        return true
      },
      // The coordinator assigns the epoch: a sequence can't start twice under the same one.
      forget: (queue) => {
        if (queue.sequence === undefined) return true
        isEpochStale = true
        return false
      }
    }
    const core = yield* Core.make(settings, () => readiness)
    const coordinator = Coordinator.make(core.cluster, transactionalId, transactionTimeoutMs)
    const { error } = coordinator

    /** The open transaction sends nothing more, and its records without results fail. */
    const fail = (failure: TransactionError): void => {
      const wasSending = State.isSending(state)
      state = failure.reason === "Fenced" ? State.failForGood(state, failure) : State.fail(state, failure)
      if (!wasSending) return
      core.discard({
        reason: failure.reason === "Fenced" ? "Fenced" : "Aborted",
        description: `its transaction is aborted: ${failure.description}`,
        cause: failure
      })
    }

    core.cluster.onMove(() => {
      identity = undefined
      fail(coordinator.moved())
    })

    const isOverdue = (startedAt: number | undefined): boolean =>
      startedAt !== undefined && now() - startedAt >= transactionTimeoutMs

    /** The coordinator fences a producer that took too long in the same way as a replaced one. */
    const fenced = (cause: TransactionError): TransactionError =>
      isOverdue(State.openOf(state)?.startedAt)
        ? error("TimedOut", `open for longer than ${transactionTimeoutMs} ms`, { cause })
        : cause

    const failBy = ({ error: cause, reaction }: Coordinator.Refusal): TransactionError => {
      if (reaction._tag === "Expired" || reaction._tag === "Moved") identity = undefined
      const failure = reaction._tag === "Fenced" ? fenced(cause) : cause
      fail(failure)
      if (reaction._tag === "Fatal") state = State.failForGood(state, failure)
      return failure
    }

    const refuse = (refusal: Coordinator.Refusal): Effect.Effect<never, TransactionError> =>
      Effect.suspend(() => Effect.fail(failBy(refusal)))

    core.done.listen({
      failed: (failure) => {
        if (State.openOf(state) === undefined) return
        const { description, reason } = failure
        const cause = failure.cause ?? failure
        fail(
          reason === "Fenced"
            ? fenced(error("Fenced", description, { cause }))
            : error("Aborted", `a record was not acknowledged: ${description}`, { cause })
        )
      }
    })

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
          isEpochStale = false
        }
      )

    const endTxn = (of: ProducerIdAndEpoch, committed: boolean, react: Coordinator.Asked<"EndTxn">["react"]) =>
      Effect.asVoid(
        coordinator.ask({
          api: "EndTxn",
          request: () => ({ ...coordinator.producerOf(of), committed }),
          codeOf: ({ errorCode }) => errorCode,
          react
        })
      )

    /** Takes the next epoch, which fences pending requests, once an earlier producer's transaction has ended. */
    const endUnfinished = Effect.fnUntraced(function* (
      startedAt: number | undefined
    ): Effect.fn.Return<void, Coordinator.Refusal> {
      yield* core.reset(true)
      if (identity === undefined) return yield* init({})
      const { producerEpoch, producerId } = identity
      if (startedAt !== undefined && !isOverdue(startedAt)) {
        yield* endTxn(identity, false, (code) => {
          const reaction = Decisions.onAbort(code)
          return reaction._tag === "Fenced" && isOverdue(startedAt) ? { _tag: "Ok" } : reaction
        })
      }
      yield* init({ producerId, producerEpoch })
    })

    const recover = (startedAt: number | undefined): Effect.Effect<void, TransactionError> =>
      Effect.matchEffect(endUnfinished(startedAt), {
        onSuccess: () =>
          Effect.sync(() => {
            state = State.recovered(state)
          }),
        onFailure: ({ error: cause, reaction }) => {
          if (reaction._tag === "Expired" || reaction._tag === "Moved") {
            identity = undefined
            return recover(startedAt)
          }
          if (reaction._tag === "Fenced" || reaction._tag === "Fatal") state = State.failForGood(state, cause)
          return Effect.fail(cause)
        }
      })

    /** Fails if the coordinator can't be reached for too long. */
    const within = <A, E>(effect: Effect.Effect<A, E>, onTimeout: () => TransactionError) =>
      Concurrency.timeoutFail(effect, { duration: deliveryTimeoutMs, onTimeout })

    const silent = () => error("Aborted", `the coordinator did not answer within ${deliveryTimeoutMs} ms`)

    const begin = Effect.gen(function* () {
      if (state._tag === "FatalError") return yield* state.cause
      const unfinished = state._tag === "Unfinished" ? state.startedAt : undefined
      if (unfinished !== undefined || identity === undefined || isEpochStale) yield* within(recover(unfinished), silent)
      let startedAt: number | undefined
      const onStarted = (): void => {
        startedAt ??= now()
      }
      /** Why it was aborted, once it is. */
      let failure: TransactionError | undefined
      const own: Open.Open = {
        partitions: Partitions.make({
          coordinator,
          transactionalId,
          identity: identity!,
          run: core.run,
          now,
          unknownTopicTimeoutMs,
          transmit: core.transmit,
          onSent: onStarted,
          onRefused: failBy
        }),
        groups: new Set(),
        get startedAt() {
          return startedAt
        },
        onStarted,
        onAborted: (cause) => {
          failure = cause
        }
      }
      state = State.begin(state, own)
      const isOpen = () => State.openOf(state) === own
      return Open.transactionOf(own, {
        coordinator,
        producer: core.producer,
        identity: () => (isOpen() ? identity : undefined),
        isTaking: () => isOpen() && state._tag === "InTransaction",
        failure: () => (isOpen() ? State.failureOf(state) : failure),
        fail: (cause) => isOpen() && fail(cause),
        refuse,
        within: (effect) => within(effect, silent)
      })
    })

    /** Only the cluster that received EndTxn knows whether the transaction is committed. */
    const orUnknown = (refusal: Coordinator.Refusal): Effect.Effect<never, TransactionError> =>
      refusal.reaction._tag === "Moved"
        ? Effect.fail(error("Unknown", "the brokers are those of another cluster since EndTxn was sent"))
        : refuse(refusal)

    const commit = Effect.gen(function* () {
      const own = State.openOf(state)
      if (own === undefined) return
      state = State.commit(state)
      const failed = () => State.failureOf(state)
      yield* within(
        core.flush(() => failed() !== undefined),
        silent
      )
      const failure = failed()
      if (failure !== undefined) return yield* failure
      if (own.startedAt !== undefined) {
        state = State.doubt(state)
        yield* within(Effect.catchAll(endTxn(identity!, true, Decisions.onCode), orUnknown), () =>
          error("Unknown", `the coordinator did not answer EndTxn within ${deliveryTimeoutMs} ms`)
        )
      }
      own.partitions.end()
      state = State.committed(state)
    })

    const abort = Effect.suspend(() => {
      const own = State.openOf(state)
      if (own === undefined) return Effect.void
      own.onAborted(State.failureOf(state) ?? error("Aborted", "it was aborted"))
      state = State.aborted(state)
      core.discard({ reason: "Aborted", description: "its transaction is aborted" })
      own.partitions.end()
      if (state._tag === "Ready") return core.reset(false)
      return state._tag === "Unfinished"
        ? Effect.ignore(Concurrency.timeoutOption(recover(state.startedAt), abortTimeout))
        : Effect.void
    })

    yield* Effect.catchAll(init({}), ({ error: failure }) => Effect.fail(failure))
    return { begin, commit, abort, partitions: core.producer.partitions }
  })
