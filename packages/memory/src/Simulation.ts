/**
 * Deterministic simulation: a cluster in memory, members that join, leave, crash and freeze, producers, and faults on
 * every connection, all drawn from a seed and played in virtual time by the runtime that talks to Kafka in production.
 * While it plays, Spillway's promises are checked at every step. A seed always plays the same, to the last byte of its
 * trace.
 */
import type { KafkaConsumerOptions } from "@spillway/kafka/KafkaConsumer"
import type { Wire } from "@spillway/kafka/Wire"
import * as Headers from "@spillway/transport/Headers"
import type { Producer } from "@spillway/transport/Producer"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type { Violation } from "./internal/simulation/oracle.js"
import * as Scenario from "./internal/simulation/scenario.js"
import { shrink } from "./internal/simulation/shrink.js"
import type { Subject } from "./internal/simulation/subject.js"
import * as Workload from "./internal/simulation/workload.js"
import { type Account, play } from "./internal/simulation/world.js"

export type { Account, Violation }

/** A record for the producers to send. Its partition is drawn from the seed. */
export interface SimulatedRecord {
  /** Text is encoded as UTF-8. Default: null, no key. */
  readonly key?: string | Uint8Array | null | undefined
  /** Text is encoded as UTF-8; null is a tombstone. */
  readonly value: string | Uint8Array | null
  /** Text is encoded as UTF-8. Default: none. */
  readonly headers?: Readonly<Record<string, Headers.HeaderValue>> | undefined
}

/** A user's consumer to simulate, and the records for it. */
export interface SimulationOptions<A, E, R, RD> {
  /**
   * The consumer to simulate, with its handler. Tuning options that it omits (timeouts, intervals, buffers) are drawn
   * from the seed. Its handler runs in virtual time: it may wait on Effect's Clock, but not on a Promise of its own.
   */
  readonly consumer: KafkaConsumerOptions<A, E, R, RD> & { readonly topics: ReadonlyArray<string> }
  /** The record to send next. `random` gives numbers from 0 to 1, the same for the same seed. */
  readonly record: (index: number, random: () => number) => SimulatedRecord
  /** The steps of the scenario to play, by index, as a failure lists them. Default: all. */
  readonly only?: ReadonlyArray<number> | undefined
  /** Whether the report has a trace. Default: false. */
  readonly trace?: boolean | undefined
}

/** The result of a seed that broke no promise. */
export interface SimulationReport {
  /** The seed that was played. */
  readonly seed: number
  /** The outcomes of its records. */
  readonly account: Account
  /** How long it took in simulated time, in milliseconds. */
  readonly virtualMillis: number
  /** The trace, one line per event. Empty unless asked for. */
  readonly trace: ReadonlyArray<string>
}

/** A promise was broken. The message has the steps that suffice to break it. */
export class SimulationFailed extends Data.TaggedError("SimulationFailed")<{
  /** The seed that was played. */
  readonly seed: number
  /** The broken promise. */
  readonly violation: Violation
  /** The indexes of the steps that break it, for `only`. */
  readonly only: ReadonlyArray<number>
  /** Those steps, one line each. */
  readonly schedule: ReadonlyArray<string>
  /** The trace when only those steps were played, one line per event. */
  readonly trace: ReadonlyArray<string>
}> {
  override get message(): string {
    const { at, description, promise } = this.violation
    return [
      `seed ${this.seed} breaks a promise: ${promise}`,
      `after ${at} ms: ${description}`,
      `steps ${JSON.stringify(this.only)}:`,
      ...this.schedule.map((step) => `  ${step}`)
    ].join("\n")
  }
}

/** How many times a failing scenario is replayed to find the steps that matter. */
const shrinkAttempts = 60

const encoder = new TextEncoder()

const bytesOf = (value: string | Uint8Array | null): Uint8Array | null =>
  typeof value === "string" ? encoder.encode(value) : value

const settle = <A, E, R, RD>(
  whole: Scenario.Scenario,
  subjectOf: (scenario: Scenario.Scenario) => Subject<A, E, R, RD>,
  { only, trace = false }: Pick<SimulationOptions<A, E, R, RD>, "only" | "trace">
): Effect.Effect<SimulationReport, SimulationFailed> =>
  Effect.suspend(() => {
    const { seed } = whole
    const indexes = whole.steps.map((_, index) => index)
    const playOnly = (kept: ReadonlyArray<number>, tracing: boolean) => {
      const scenario = { ...whole, steps: whole.steps.filter((_, index) => kept.includes(index)) }
      return play(scenario, subjectOf(scenario), tracing)
    }
    const wanted = only ?? indexes
    const played = playOnly(wanted, trace)
    const { account, violation, virtualMillis } = played
    if (violation === undefined) return Effect.succeed({ seed, account, virtualMillis, trace: played.trace })
    const few = shrink(wanted, (kept) => playOnly(kept, false).violation?.promise === violation.promise, shrinkAttempts)
    const again = playOnly(few, true)
    return new SimulationFailed({
      seed,
      violation: again.violation ?? violation,
      only: few,
      schedule: few.map((index) => JSON.stringify(whole.steps[index])),
      trace: again.trace
    })
  })

/** A record of a user's simulation. */
const recordOf = ({ headers, key = null, value }: SimulatedRecord) => ({
  key: bytesOf(key),
  value: bytesOf(value),
  headers: Headers.fromRecord(headers ?? {})
})

const ofUser = <A, E, R, RD>(
  seed: number,
  options: SimulationOptions<A, E, R, RD>
): Effect.Effect<SimulationReport, SimulationFailed, Exclude<R | RD, Producer | Wire>> =>
  Effect.flatMap(Effect.context<Exclude<R | RD, Producer | Wire>>(), (context) =>
    settle(
      Scenario.forUser(seed),
      () => ({
        consumer: options.consumer,
        isFast: false,
        context,
        record: (index, dice) => recordOf(options.record(index, dice.next))
      }),
      options
    )
  )

/** `run`: of a user's consumer, or of one that handles every record by itself. */
export interface Run {
  (
    seed: number,
    options?: Pick<SimulationOptions<never, never, never, never>, "only" | "trace"> | undefined
  ): Effect.Effect<SimulationReport, SimulationFailed>
  <A, E, R, RD>(
    seed: number,
    options: SimulationOptions<A, E, R, RD>
  ): Effect.Effect<SimulationReport, SimulationFailed, Exclude<R | RD, Producer | Wire>>
}

/**
 * Plays a seed of Spillway's own workload, or of a user's consumer and records. Fails with the broken promise and the
 * fewest steps found that break it. It blocks the thread until it is done, some milliseconds.
 */
export const run: Run = (
  seed: number,
  options: Pick<SimulationOptions<never, never, never, never>, "only" | "trace"> = {}
): Effect.Effect<SimulationReport, SimulationFailed> =>
  "consumer" in options
    ? ofUser(seed, options as SimulationOptions<never, never, never, never>)
    : settle(Scenario.make(seed), Workload.make, options)
