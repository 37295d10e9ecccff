/**
 * The steps of a simulation.
 */
import type { Api } from "@spillway/kafka/Protocol"
import type { Role } from "@spillway/kafka/Wire"
import type { Fault } from "../../Faults.js"

/** The target of a network fault: a member by its number, the producers, or all of them. */
export type Target = number | "producers" | "all"

/** Times are in milliseconds since the start. Members are numbered from 1, and no number is used twice. */
export type Step =
  | { readonly _tag: "Produce"; readonly at: number; readonly count: number; readonly acks: "all" | "leader" }
  /** A static member has the instance id of this number: its own, or that of the member it replaces. */
  | { readonly _tag: "Start"; readonly at: number; readonly member: number; readonly instance: number }
  | { readonly _tag: "Stop"; readonly at: number; readonly member: number }
  | { readonly _tag: "Kill"; readonly at: number; readonly member: number }
  | { readonly _tag: "FreezeMember"; readonly at: number; readonly member: number; readonly millis: number }
  | { readonly _tag: "JumpClock"; readonly at: number; readonly member: number; readonly millis: number }
  | { readonly _tag: "MoveLeader"; readonly at: number; readonly partition: number; readonly node: number }
  | { readonly _tag: "MoveCoordinator"; readonly at: number; readonly node: number }
  | {
      readonly _tag: "StopNode"
      readonly at: number
      readonly node: number
      readonly millis: number
      readonly electAfter: number
      readonly tail: "kept" | "lost"
    }
  | { readonly _tag: "Retain"; readonly at: number; readonly partition: number; readonly last: number }
  | FaultStep
  /** A consumed topic is created or gets one more partition, with this many records at once. */
  | { readonly _tag: "AddPartition"; readonly at: number; readonly records: number }
  | { readonly _tag: "CreateTopic"; readonly at: number; readonly records: number }
  /** Every handler fails, as when what they all depend on is down. */
  | { readonly _tag: "Outage"; readonly at: number; readonly millis: number }
  /** A member pauses one partition or all, and resumes later. */
  | {
      readonly _tag: "Pause"
      readonly at: number
      readonly member: number
      readonly partition: number | undefined
      readonly millis: number
    }
  /** A member seeks in a partition: to this many records before the committed offset, or to the end. */
  | {
      readonly _tag: "Seek"
      readonly at: number
      readonly member: number
      readonly partition: number
      readonly to: number | "end"
    }

export interface FaultStep {
  readonly _tag: "Fault"
  readonly at: number
  readonly millis: number
  readonly target: Target
  readonly node: number | undefined
  readonly apis: ReadonlyArray<Api> | undefined
  readonly roles?: ReadonlyArray<Role> | undefined
  readonly deadLetters: boolean
  readonly probability: number
  /** The largest number of times that it happens to each target. */
  readonly times?: number | undefined
  readonly fault: Fault
}
