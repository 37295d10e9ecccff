/**
 * Faults and their plan; the public module re-exports them.
 */
import type { Api } from "@spillway/kafka/Protocol"
import type { Role } from "@spillway/kafka/Wire"
import type * as Duration from "effect/Duration"

/** A fault of a request. */
export type Fault =
  /** It arrives later, by a time drawn from the range. Requests behind it on the connection wait. */
  | { readonly _tag: "Delay"; readonly min: Duration.DurationInput; readonly max: Duration.DurationInput }
  /**
   * It never arrives, nor does any later request on the connection: the connection is dead and fails with `Timeout`.
   */
  | { readonly _tag: "LoseRequest" }
  /**
   * It is carried out, but neither it nor any later request on the connection is answered: they fail with `Timeout`.
   */
  | { readonly _tag: "LoseResponse" }
  /** The connection ends before the request arrives or after it was carried out, without an answer. */
  | { readonly _tag: "Disconnect"; readonly when: "before" | "after" }
  /**
   * The broker answers with an error code, before or after carrying the request out. With `partitions`, only those
   * partitions get the error and the others are answered as usual; requests without those partitions don't match.
   */
  | {
      readonly _tag: "Answer"
      readonly code: number
      readonly when: "instead" | "after"
      readonly partitions?: ReadonlyArray<number> | undefined
    }
  /** The broker is frozen until the rule ends. Requests that arrive meanwhile are carried out and answered then. */
  | { readonly _tag: "Freeze" }
  /**
   * Connections are half-open, as behind a firewall that dropped their state. Connections that are open during the rule
   * carry nothing in either direction, even after the rule ends, and nothing closes them. Requests on them fail with
   * `Timeout`. The rule's `apis` and `topics` are ignored; `times` counts connections.
   */
  | { readonly _tag: "Silence" }
  /** No new connection can be opened. */
  | { readonly _tag: "Refuse" }

/** A fault and when it happens. An omitted field matches everything. */
export interface FaultRule {
  /** The fault. */
  readonly fault: Fault
  /** Only requests of these kinds. */
  readonly apis?: ReadonlyArray<Api> | undefined
  /** Only connections of these roles. */
  readonly roles?: ReadonlyArray<Role> | undefined
  /** Only connections to brokers with these ports. */
  readonly ports?: ReadonlyArray<number> | undefined
  /** Only requests that name one of these topics. */
  readonly topics?: ReadonlyArray<string> | undefined
  /** The share of the matching requests or connections that it happens to, from 0 to 1. Default: 1. */
  readonly probability?: number | undefined
  /** The largest number of times it happens. Default: unlimited. */
  readonly times?: number | undefined
  /** When the rule begins, measured from when the wire was wrapped. Default: 0. */
  readonly from?: Duration.DurationInput | undefined
  /** When the rule ends, measured from when the wire was wrapped. Default: never. */
  readonly until?: Duration.DurationInput | undefined
}

/** A fault that has happened. */
export interface FaultEvent {
  /** `host:port` of the broker. */
  readonly endpoint: string
  /** The kind of the request; `undefined` for a fault on connecting. */
  readonly api: Api | undefined
  /** The fault. */
  readonly fault: Fault
}

/** The faults of a wire and their seed. */
export interface FaultPlan {
  /** The seed of the probabilities and delays. */
  readonly seed: number
  /** All matching delays and freezes add up. Of the other faults, the first match happens. */
  readonly rules: ReadonlyArray<FaultRule>
  /**
   * When an unanswered request fails with `Timeout` and ends its connection. The broker's own wait time for the request
   * is added to it. Default: 30 seconds, as in `KafkaJsWire`.
   */
  readonly requestTimeout?: Duration.DurationInput | undefined
  /** How long opening a connection to a frozen broker may take. Default: 10 seconds, as in `KafkaJsWire`. */
  readonly connectTimeout?: Duration.DurationInput | undefined
  /** Called with each fault as it happens. Default: nothing. */
  readonly onFault?: ((event: FaultEvent) => void) | undefined
}
