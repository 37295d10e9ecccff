/**
 * Faults and their plan; the public module re-exports them.
 */
import type { Api } from "@spillway/kafka/Protocol"
import type { Role } from "@spillway/kafka/Wire"
import type * as Duration from "effect/Duration"

/** What goes wrong with a request. */
export type Fault =
  /** It arrives later, by a time drawn from the range; those behind it on the connection wait. */
  | { readonly _tag: "Delay"; readonly min: Duration.DurationInput; readonly max: Duration.DurationInput }
  /** It never arrives, nor does anything after it: the connection is dead, which shows as a `Timeout`. */
  | { readonly _tag: "LoseRequest" }
  /** It is carried out, but no answer comes, nor to anything after it: a `Timeout`. */
  | { readonly _tag: "LoseResponse" }
  /** The connection ends, before the request arrives or when it was carried out, without an answer. */
  | { readonly _tag: "Disconnect"; readonly when: "before" | "after" }
  /**
   * The broker answers with an error code, instead of carrying it out or when it has: for the request as a whole, or
   * for the partitions with these numbers, while the others are answered as usual. Requests without those partitions
   * don't meet it.
   */
  | {
      readonly _tag: "Answer"
      readonly code: number
      readonly when: "instead" | "after"
      readonly partitions?: ReadonlyArray<number> | undefined
    }
  /** The broker is frozen until the rule ends: what arrives meanwhile is carried out then, and no answer comes before. */
  | { readonly _tag: "Freeze" }
  /**
   * Connections are half-open, as behind a firewall that has dropped their state: those that are open while the rule
   * lasts carry nothing in either direction from then on, also when the rule has ended, and nothing closes them. What
   * is sent on them fails with `Timeout`. The rule's `apis` and `topics` don't count; `times` counts connections.
   */
  | { readonly _tag: "Silence" }
  /** No new connection can be made. */
  | { readonly _tag: "Refuse" }

/** A fault and when it happens. What is left out matches everything. */
export interface FaultRule {
  readonly fault: Fault
  readonly apis?: ReadonlyArray<Api> | undefined
  readonly roles?: ReadonlyArray<Role> | undefined
  /** Ports of brokers. */
  readonly ports?: ReadonlyArray<number> | undefined
  /** Requests that name topics, and only these. */
  readonly topics?: ReadonlyArray<string> | undefined
  /** From 0 to 1. Default: 1. */
  readonly probability?: number | undefined
  /** How often it happens at most. Default: any number of times. */
  readonly times?: number | undefined
  /** Since the wire was wrapped. Default: 0. */
  readonly from?: Duration.DurationInput | undefined
  /** Since the wire was wrapped. Default: never. */
  readonly until?: Duration.DurationInput | undefined
}

/** A fault that has happened. */
export interface FaultEvent {
  /** `host:port` of the broker. */
  readonly endpoint: string
  /** Absent: on connecting. */
  readonly api: Api | undefined
  readonly fault: Fault
}

/** The faults of a wire and the seed that they are drawn by. */
export interface FaultPlan {
  /** What the probabilities and delays are drawn from. */
  readonly seed: number
  /** Every delay and freeze that matches adds up; of the other faults, the first that matches happens. */
  readonly rules: ReadonlyArray<FaultRule>
  /**
   * When a request that gets no answer fails with `Timeout` and ends its connection; what the broker may wait by the
   * request itself comes on top. Default: 30 seconds, as `KafkaJsWire`'s.
   */
  readonly requestTimeout?: Duration.DurationInput | undefined
  /** Default: 10 seconds, as `KafkaJsWire`'s. */
  readonly connectTimeout?: Duration.DurationInput | undefined
  readonly onFault?: ((event: FaultEvent) => void) | undefined
}
