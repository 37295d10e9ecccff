/**
 * The options of `KafkaAdmin`, checked, in milliseconds.
 */
import { InvalidOptions, type OptionIssue } from "@spillway/transport/InvalidOptions"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { AdminOptions } from "./types.js"

export interface AdminSettings {
  readonly timeoutMs: number
}

export const defaults: AdminSettings = { timeoutMs: 30_000 }

/** The protocol's limit. */
const maxMs = 2 ** 31 - 1

/** The timeout in whole milliseconds; `otherwise` if there is none. An issue if it can't be used. */
export const timeoutOf = (timeout: AdminOptions["timeout"], otherwise: number): number | OptionIssue => {
  if (timeout === undefined) return otherwise
  const duration = Option.getOrUndefined(Duration.decodeUnknown(timeout))
  const millis = duration === undefined ? Number.NaN : Duration.toMillis(duration)
  return millis > 0 && millis <= maxMs
    ? Math.ceil(millis)
    : { field: "timeout", value: timeout, description: "must be a duration above zero and up to 24 days" }
}

export const decode = (options: AdminOptions | undefined): Effect.Effect<AdminSettings, InvalidOptions> =>
  Effect.suspend(() => {
    const timeoutMs = timeoutOf(options?.timeout, defaults.timeoutMs)
    return typeof timeoutMs === "number"
      ? Effect.succeed({ timeoutMs })
      : Effect.fail(new InvalidOptions({ module: "KafkaAdmin", issues: [timeoutMs] }))
  })
