/** An invalid value, and the rule that it breaks. */
export interface ConfigIssue {
  readonly field: string
  readonly value: unknown
  readonly description: string
}

/** Records an issue if the value isn't valid; returns the value. */
export type Check = <A>(valid: boolean, field: string, value: A, description: string) => A
