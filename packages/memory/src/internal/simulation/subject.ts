import type { KafkaConsumerOptions } from "@spillway/kafka/KafkaConsumer"
import type { Wire } from "@spillway/kafka/Wire"
import type { Headers } from "@spillway/transport/Headers"
import type { Producer } from "@spillway/transport/Producer"
import type * as Context from "effect/Context"
import type * as Dice from "../dice.js"

export interface SimulatedRecord {
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers: Headers
}

/** The subject of a simulation: a consumer as its program would make it, and the records for it to handle. */
export interface Subject<A, E, R, RD> {
  readonly consumer: KafkaConsumerOptions<A, E, R, RD> & { readonly topics: ReadonlyArray<string> }
  /** Its handlers are faster than a rebalance, so that in a calm scenario nothing settles twice. */
  readonly isFast: boolean
  readonly record: (index: number, dice: Dice.Dice) => SimulatedRecord
  readonly context: Context.Context<Exclude<R | RD, Producer | Wire>>
}
