/**
 * Checks of arguments, without a broker. Each returns the problems that it finds.
 */
import { show } from "@spillway/transport/Environment"
import * as Failures from "./failures.js"
import type { AdminFailure } from "./types.js"

/** Names that aren't texts, or are empty. */
export const names = (field: string, values: ReadonlyArray<unknown>): ReadonlyArray<AdminFailure> =>
  values
    .filter((value) => typeof value !== "string" || value === "")
    .map((value) => Failures.invalid(field, `must be a name, not ${show(value)}`))

/** Items that occur more than once. */
export const distinct = (field: string, keys: ReadonlyArray<string>): ReadonlyArray<AdminFailure> =>
  Array.from(new Set(keys.filter((key, index) => keys.indexOf(key) !== index)), (key) =>
    Failures.invalid(field, `must name ${key} once`)
  )

/** A number that isn't an integer of that size. */
export const integer = (
  field: string,
  value: unknown,
  [least, most]: readonly [least: number, most: number],
  subject: Failures.Subject
): ReadonlyArray<AdminFailure> =>
  Number.isInteger(value) && (value as number) >= least && (value as number) <= most
    ? []
    : [Failures.invalid(field, `must be an integer between ${least} and ${most}, not ${show(value)}`, subject)]

export const maxInt16 = 2 ** 15 - 1
export const maxInt32 = 2 ** 31 - 1
