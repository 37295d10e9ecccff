/**
 * The parts that all of a simulated world share: its time, its cluster, its network, and the oracle.
 */
import type { Wire } from "@spillway/kafka/Wire"
import type * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { MemoryBroker } from "../../MemoryBroker.js"
import type * as VirtualTime from "../virtualTime.js"
import type { Oracle } from "./oracle.js"
import type { Scenario } from "./scenario.js"
import type { Target } from "./steps.js"

export interface Stage {
  readonly scenario: Scenario
  /** How many partitions the topics have that are consumed; those that don't exist yet are missing. */
  readonly layout: Map<string, number>
  readonly time: VirtualTime.VirtualTime
  readonly broker: Context.Tag.Service<MemoryBroker>
  readonly oracle: Oracle
  /** Writes a line of the trace. */
  readonly note: (event: string) => void
  /** Starts an effect under a process, with random numbers drawn from the seed and this part. */
  readonly fork: <A, E>(
    process: VirtualTime.Process,
    effect: Effect.Effect<A, E>,
    ...part: ReadonlyArray<string | number>
  ) => Fiber.RuntimeFiber<A, E>
  /** The scenario's faults for one member or the producers. */
  readonly faulty: (wire: Context.Tag.Service<Wire>, target: Target) => Context.Tag.Service<Wire>
}
