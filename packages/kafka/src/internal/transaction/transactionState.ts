/**
 * The states of a transactional producer, named as in Java's TransactionManager, and their transitions: pure.
 *
 * ```
 * Ready -> InTransaction -> Committing -> InDoubt -> Ready
 *   ^           |               |           |
 *   |           +-------------- AbortableError
 *   |                                 | abort
 *   +------- Unfinished <-------------+            FatalError: from anywhere, final
 * ```
 */
import type { TransactionError } from "../../Transaction.js"

/** The open transaction's data in a state. */
export interface Timed {
  /** When the coordinator may have started its timeout; milliseconds of the monotonic clock. */
  readonly startedAt: number | undefined
}

export type State<T extends Timed> =
  /** No transaction is open, here or at the coordinator. */
  | { readonly _tag: "Ready" }
  /** It accepts records and offsets. */
  | { readonly _tag: "InTransaction"; readonly open: T }
  /** It accepts nothing more; its records are being sent. */
  | { readonly _tag: "Committing"; readonly open: T }
  /** EndTxn is pending: until it is answered, only the coordinator knows whether the transaction is committed. */
  | { readonly _tag: "InDoubt"; readonly open: T }
  /** It can't be committed, and waits to be aborted. */
  | { readonly _tag: "AbortableError"; readonly open: T; readonly failure: TransactionError }
  /** The last one has ended here, but may still be open at the coordinator, which aborts it before the next one. */
  | { readonly _tag: "Unfinished"; readonly startedAt: number }
  /** Every further transaction fails with the cause. An open one must be aborted. */
  | {
      readonly _tag: "FatalError"
      readonly cause: TransactionError
      readonly open: T | undefined
      /** Why the open transaction can't be committed: its first failure. */
      readonly failure: TransactionError
    }

export const ready: State<never> = { _tag: "Ready" }

/** The transaction that has neither been committed nor aborted. */
export const openOf = <T extends Timed>(state: State<T>): T | undefined => ("open" in state ? state.open : undefined)

/** Why the open transaction can't be committed. */
export const failureOf = <T extends Timed>(state: State<T>): TransactionError | undefined =>
  "failure" in state ? state.failure : undefined

/** Whether batches of the open transaction may leave. */
export const isSending = <T extends Timed>(state: State<T>): boolean =>
  state._tag === "InTransaction" || state._tag === "Committing" || state._tag === "InDoubt"

/** A transaction begins if none is open or unfinished. */
export const begin = <T extends Timed>(state: State<T>, open: T): State<T> =>
  state._tag === "Ready" ? { _tag: "InTransaction", open } : state

/** Its user has ended it. */
export const commit = <T extends Timed>(state: State<T>): State<T> =>
  state._tag === "InTransaction" ? { _tag: "Committing", open: state.open } : state

/** EndTxn is sent. */
export const doubt = <T extends Timed>(state: State<T>): State<T> =>
  state._tag === "Committing" ? { _tag: "InDoubt", open: state.open } : state

/** A record, a request or the coordinator failed it; the first failure counts. */
export const fail = <T extends Timed>(state: State<T>, failure: TransactionError): State<T> =>
  isSending(state) ? { _tag: "AbortableError", open: openOf(state)!, failure } : state

/** The producer can do nothing more; the first cause counts. */
export const failForGood = <T extends Timed>(state: State<T>, cause: TransactionError): State<T> =>
  state._tag === "FatalError"
    ? state
    : { _tag: "FatalError", cause, open: openOf(state), failure: failureOf(state) ?? cause }

/** All of it is committed: EndTxn was answered, or there was nothing to commit. */
export const committed = <T extends Timed>(state: State<T>): State<T> =>
  state._tag === "Committing" || state._tag === "InDoubt" ? ready : state

/** It is aborted here. If it may be open at the coordinator, it is aborted there before the next one begins. */
export const aborted = <T extends Timed>(state: State<T>): State<T> => {
  const open = openOf(state)
  if (open === undefined) return state
  if (state._tag === "FatalError") return { ...state, open: undefined }
  return open.startedAt === undefined ? ready : { _tag: "Unfinished", startedAt: open.startedAt }
}

/** No transaction is open at the coordinator any more. */
export const recovered = <T extends Timed>(state: State<T>): State<T> => (state._tag === "Unfinished" ? ready : state)
