/**
 * The error of every module whose options can't be used.
 */
import * as Data from "effect/Data"
import { describe, type Issue } from "./runtime/Environment.js"

/** An option's value that can't be used, and the rule that it breaks. */
export type OptionIssue = Issue

/** The options of a module can't be used; all issues at once. */
export class InvalidOptions extends Data.TaggedError("InvalidOptions")<{
  /** The module whose options they are, such as `KafkaReader`. */
  readonly module: string
  /** At least one. */
  readonly issues: ReadonlyArray<OptionIssue>
}> {
  override get message(): string {
    return `${this.module}: ${this.issues.map(describe).join("; ")}`
  }
}
