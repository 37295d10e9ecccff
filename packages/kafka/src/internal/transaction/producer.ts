/**
 * Transactions as effects and as scopes, one at a time.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import type { Transaction, TransactionalProducer, TransactionError } from "../../Transaction.js"
import type { Wire } from "../../Wire.js"
import type { TransactionalSettings } from "../settings/transactionSettings.js"
import * as Manager from "./transactionManager.js"

export const make = (
  settings: TransactionalSettings
): Effect.Effect<TransactionalProducer["Type"], TransactionError, Wire | Scope.Scope> =>
  Effect.map(Manager.make(settings), ({ abort, begin, commit, partitions }) => {
    const oneAtATime = Effect.unsafeMakeSemaphore(1)
    const commitOrAbort = Effect.onError(commit, () => abort)

    const transaction = <A, E, R>(
      use: (transaction: Transaction) => Effect.Effect<A, E, R>
    ): Effect.Effect<A, E | TransactionError, R> =>
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(restore(begin), (opened) =>
          restore(Effect.suspend(() => use(opened))).pipe(
            Effect.onError(() => abort),
            Effect.zipLeft(Effect.onError(restore(commit), () => abort))
          )
        )
      ).pipe(oneAtATime.withPermits(1))

    return {
      transactionalId: settings.transactionalId,
      transaction,
      partitions,
      begin: Effect.zipRight(
        Effect.acquireRelease(oneAtATime.take(1), () => oneAtATime.release(1)),
        Effect.acquireRelease(Effect.interruptible(begin), (_, exit) =>
          Exit.isSuccess(exit) ? Effect.orDie(Effect.interruptible(commitOrAbort)) : abort
        )
      )
    }
  })
