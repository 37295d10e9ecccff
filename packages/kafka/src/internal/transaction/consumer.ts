/**
 * The parts of a transactional consumer besides the consumer: the producer of its transactions, the outbox that its
 * handler and its dead letters fill, and the commits that empty it.
 */
import { ConsumerError } from "@spillway/transport/Consumer"
import * as Monotonic from "@spillway/transport/runtime/Monotonic"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import type { Wire } from "../../Wire.js"
import * as Signal from "../concurrency/signal.js"
import type { TransactionalSettings } from "../settings/transactionSettings.js"
import * as Commits from "./commits.js"
import * as Outbox from "./outbox.js"
import * as Outputs from "./outboxProducer.js"
import * as TransactionalProducer from "./producer.js"

export interface TransactionalParts {
  readonly outputs: Outputs.Outputs
  readonly commits: Commits.Commits
}

export const make = Effect.fnUntraced(function* (
  groupId: string,
  settings: TransactionalSettings,
  maxTransactionBytes: number
): Effect.fn.Return<TransactionalParts, ConsumerError, Wire | Scope.Scope> {
  const producer = yield* Effect.mapError(
    TransactionalProducer.make(settings),
    (cause) =>
      Commits.fatalError(groupId, cause) ??
      new ConsumerError({ reason: "Refused", groupId, description: cause.message, cause })
  )
  const clock = yield* Effect.clock
  const now = () => Monotonic.millis(clock)
  const outbox = Outbox.make()
  const filled = Signal.make()
  const isFull = () => outbox.bytes >= maxTransactionBytes
  const notifyIfFull = () => {
    if (isFull()) filled.notify()
  }
  const outputs = Outputs.make({
    outbox,
    maxBatchBytes: settings.maxBatchBytes,
    partitions: producer.partitions,
    now,
    wallClock: () => clock.unsafeCurrentTimeMillis(),
    onPut: notifyIfFull
  })
  const { begin, commit, forget } = Commits.make({
    groupId,
    producer,
    outbox,
    outputs,
    now,
    name: `${settings.transactionalId}-${yield* Random.nextIntBetween(0, 0x7fffffff)}`
  })
  return {
    outputs,
    commits: {
      begin,
      commit,
      isFull,
      filled,
      forget,
      settled: (record) => {
        Outbox.keep(outbox, record)
        notifyIfFull()
      }
    }
  }
})
