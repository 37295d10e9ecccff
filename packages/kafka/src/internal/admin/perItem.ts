/**
 * Attempts an operation for each of its items, and retries the items that may still succeed, until the timeout.
 */
import * as Concurrency from "@spillway/transport/runtime/Concurrency"
import * as Effect from "effect/Effect"
import * as Backoff from "../concurrency/backoff.js"
import type { Operation } from "./client.js"
import * as Failures from "./failures.js"
import type { AdminFailure, KafkaAdminError } from "./types.js"

/** The outcomes of an attempt, in any order. */
export type Outcomes<I, A> = ReadonlyArray<readonly [I, Failures.Outcome<A>]>

export interface Task<I, A> {
  /** Must be distinct. */
  readonly items: ReadonlyArray<I>
  readonly subjectOf: (item: I) => Failures.Subject
  /** An item that it leaves out is attempted again. */
  readonly attempt: (items: ReadonlyArray<I>) => Effect.Effect<Outcomes<I, A>>
  /** The delays between attempts. Default: 100 milliseconds to 1 second. */
  readonly backoff?: Backoff.Backoff | undefined
}

/** The results in the order of the items, unless one fails. */
export const run = Effect.fnUntraced(function* <I, A>(
  operation: Operation,
  { attempt, backoff = Backoff.make(), items, subjectOf }: Task<I, A>
): Effect.fn.Return<ReadonlyArray<A>, KafkaAdminError> {
  const results = new Map<I, A>()
  const failures = new Map<I, AdminFailure>()
  const delayed = new Map<I, AdminFailure>()
  const left = () => items.filter((item) => !results.has(item) && !failures.has(item))

  const settle = (item: I, outcome: Failures.Outcome<A>): void => {
    if (outcome._tag === "Done") results.set(item, outcome.value)
    else if (outcome._tag === "Failed") failures.set(item, outcome.failure)
    else delayed.set(item, outcome.failure)
  }

  const attempts = Effect.gen(function* () {
    while (true) {
      for (const [item, outcome] of yield* attempt(left())) settle(item, outcome)
      if (left().length === 0) return
      yield* backoff.next
    }
  })

  if (items.length > 0) yield* Concurrency.timeoutOption(attempts, yield* operation.remainingMs)
  for (const item of left()) {
    const last = delayed.get(item)
    const because = last === undefined ? "" : `: ${last.description}`
    const description = `not done within ${operation.timeoutMs} ms${because}`
    failures.set(item, { reason: "Timeout", ...subjectOf(item), ...last, description })
  }
  const failed = items.flatMap((item) => failures.get(item) ?? [])
  if (failed.length > 0) return yield* Failures.errorOf(failed)
  return items.map((item) => results.get(item)!)
})

/** Pairs answers, which arrive in any order, with the items that they name. */
export const match = <I, B, A>(
  items: ReadonlyArray<I>,
  keyOf: (item: I) => string,
  answers: ReadonlyArray<readonly [key: string, answer: B]>,
  outcomeOf: (answer: B, item: I) => Failures.Outcome<A>
): Outcomes<I, A> => {
  const byKey = new Map(answers)
  return items.flatMap((item): Outcomes<I, A> => {
    const answer = byKey.get(keyOf(item))
    return answer === undefined ? [] : [[item, outcomeOf(answer, item)]]
  })
}

/** The same outcome for every item. */
export const all = <I>(items: ReadonlyArray<I>, outcomeOf: (item: I) => Failures.Outcome<never>): Outcomes<I, never> =>
  items.map((item) => [item, outcomeOf(item)])
