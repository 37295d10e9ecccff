/**
 * Values that programs write as constants, such as retry policies and event definitions, don't fail where they are made.
 * They carry the issues with their options until a consumer or a publisher uses them. For Spillway's own runtimes;
 * unstable.
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { InvalidOptions, type OptionIssue } from "../InvalidOptions.js"

/** Enumerable, so that a copy of the value carries the issues, too. */
const key = Symbol.for("@spillway/transport/CarriedIssues")

/** The value, which now carries the issues. */
export const carry = <A extends object>(value: A, issues: ReadonlyArray<OptionIssue>): A =>
  issues.length === 0 ? value : Object.assign(value, { [key]: issues })

/** A schedule that carries the issues; a step of it dies with them. So do the schedules made from it. */
export const schedule = (module: string, issues: ReadonlyArray<OptionIssue>, prefix = ""): Schedule.Schedule<number> =>
  Schedule.makeWithState(
    carry(
      {},
      issues.map((issue) => ({ ...issue, field: `${prefix}${issue.field}` }))
    ),
    () => Effect.die(new InvalidOptions({ module, issues }))
  )

const own = (value: unknown): ReadonlyArray<OptionIssue> =>
  (typeof value === "object" || typeof value === "function") && value !== null && key in value
    ? (value[key] as ReadonlyArray<OptionIssue>)
    : []

/** The issues in a schedule's state. A schedule made from others has their states in its own. */
const inState = (state: unknown): ReadonlyArray<OptionIssue> =>
  Array.isArray(state) ? state.flatMap(inState) : own(state)

/** The issues that a value carries. */
export const carriedBy = (value: unknown): ReadonlyArray<OptionIssue> =>
  Schedule.isSchedule(value) ? inState(value.initial) : own(value)
