/**
 * Checks of arguments, without a broker. Each returns the problems that it finds.
 */
import type { TopicPartition } from "@spillway/transport/Consumer"
import type { Position } from "@spillway/transport/Position"
import { show } from "@spillway/transport/runtime/Environment"
import * as Effect from "effect/Effect"
import type { IsolationLevel } from "../../Protocol.js"
import { isPosition } from "../settings/position.js"
import { keyOf } from "../topicPartition.js"
import * as Failures from "./failures.js"
import type { AdminFailure, KafkaAdminError } from "./types.js"

/** Fails instead of an operation whose argument at the index isn't an array, or has holes. */
export const listed =
  <Args extends ReadonlyArray<unknown>, A>(
    field: string,
    index: number,
    operation: (...args: Args) => Effect.Effect<A, KafkaAdminError>
  ) =>
  (...args: Args): Effect.Effect<A, KafkaAdminError> => {
    const items = args[index]
    if (Array.isArray(items) && !items.some((item) => item === undefined || item === null)) return operation(...args)
    const description = `must be an array without null or undefined, not ${show(items)}`
    return Effect.fail(Failures.errorOf([Failures.invalid(field, description)]))
  }

/** Names that aren't texts, or are empty. */
export const names = (field: string, values: ReadonlyArray<unknown>): ReadonlyArray<AdminFailure> =>
  values
    .filter((value) => typeof value !== "string" || value === "")
    .map((value) => Failures.invalid(field, `must be a name, not ${show(value)}`))

/** Items that occur more than once. */
export const distinct = (field: string, keys: ReadonlyArray<string>): ReadonlyArray<AdminFailure> => {
  const seen = new Set<string>()
  const repeated = new Set<string>()
  for (const key of keys) {
    if (seen.has(key)) repeated.add(key)
    seen.add(key)
  }
  return Array.from(repeated, (key) => Failures.invalid(field, `must name ${key} once`))
}

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

/** Partitions that can't exist, or that are named more than once. */
export const partitions = (field: string, all: ReadonlyArray<TopicPartition>): ReadonlyArray<AdminFailure> => [
  ...names(
    field,
    all.map(({ topic }) => topic)
  ),
  ...all.flatMap(({ partition, topic }) => integer("partition", partition, [0, maxInt32], { topic })),
  ...distinct(field, all.map(keyOf))
]

export const groupIds = (all: ReadonlyArray<string>): ReadonlyArray<AdminFailure> => [
  ...names("groupId", all),
  ...distinct("groupId", all)
]

export const position = (
  field: string,
  value: Position,
  subject: Failures.Subject = {}
): ReadonlyArray<AdminFailure> =>
  isPosition(value)
    ? []
    : [
        Failures.invalid(
          field,
          `must be a Position with an offset or timestamp of zero or more, not ${show(value)}`,
          subject
        )
      ]

export const isolationLevel = (value: IsolationLevel | undefined): ReadonlyArray<AdminFailure> =>
  value === undefined || value === "read_committed" || value === "read_uncommitted"
    ? []
    : [Failures.invalid("isolationLevel", `must be read_committed or read_uncommitted, not ${show(value)}`)]
