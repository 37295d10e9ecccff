/** One value that can't be used, and what it should have been. */
export interface ConfigIssue {
  readonly field: string
  readonly value: unknown
  readonly description: string
}

/** Notes an issue where a value isn't valid; returns the value. */
export type Check = <A>(valid: boolean, field: string, value: A, description: string) => A
