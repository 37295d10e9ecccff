/**
 * The load of a chaos run: an idempotent producer sends numbered records at a steady rate, regardless of the state of
 * the brokers.
 */
import { Producer, type ProducerRecord } from "@spillway/transport/Producer"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Schedule from "effect/Schedule"

export interface Load {
  readonly acknowledged: ReadonlySet<number>
  /** Records whose send failed. They may have been written anyway. */
  readonly refused: () => number
  /** Sends until interrupted, then ends when each record has its result. */
  readonly run: Effect.Effect<void, never, Producer>
}

const everyMs = 25
const keys = 200

/** One in fifty is a dead letter; another one succeeds on its second attempt. */
const valueOf = (record: number): string => {
  if (record % 50 === 7) return `${record} bad`
  return record % 50 === 31 ? `${record} twice` : String(record)
}

export const make = (topic: string, recordsPerSecond: number): Load => {
  const acknowledged = new Set<number>()
  const perTick = Math.max(1, Math.round((recordsPerSecond * everyMs) / 1_000))
  let next = 0
  let refused = 0

  const tick = Effect.gen(function* () {
    const { sendAllEither } = yield* Producer
    const first = next
    next += perTick
    const records = Array.from({ length: perTick }, (_, i): ProducerRecord => {
      const record = first + i
      return { topic, key: `key-${record % keys}`, value: valueOf(record) }
    })
    const results = yield* sendAllEither(records)
    results.forEach((result, i) => {
      if (result._tag === "Right") acknowledged.add(first + i)
      else refused++
    })
  })

  return {
    acknowledged,
    refused: () => refused,
    run: Effect.scoped(
      Effect.gen(function* () {
        const sending = yield* FiberSet.make<void>()
        const begin = FiberSet.run(sending, tick)
        yield* Effect.repeat(begin, Schedule.spaced(everyMs)).pipe(
          Effect.onInterrupt(() => FiberSet.awaitEmpty(sending)),
          Effect.asVoid
        )
      })
    )
  }
}
