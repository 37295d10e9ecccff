/**
 * The options of `KafkaAdmin`: their rules, defaults, variables and documentation; decoded to milliseconds.
 */
import type { InvalidOptions, OptionIssue } from "@spillway/transport/InvalidOptions"
import * as Settings from "@spillway/transport/runtime/Settings"
import type { Config } from "effect/Config"
import * as Effect from "effect/Effect"
import type { AdminOptions } from "./types.js"

export interface AdminSettings {
  readonly timeoutMs: number
}

const timeout = Settings.duration({
  meaning: "how long an operation may take, retries included",
  kafka: ["default.api.timeout.ms"]
})

const fields = { timeout: Settings.or(timeout, "30 seconds") }

export const settings: Settings.Settings<typeof fields> = { module: "KafkaAdmin", prefix: "KAFKA_ADMIN", fields }

export const defaults: AdminSettings = { timeoutMs: 30_000 }

/** The timeout of one operation in whole milliseconds; `otherwise` if it has none. An issue if it can't be used. */
export const timeoutOf = (given: AdminOptions["timeout"], otherwise: number): number | OptionIssue => {
  if (given === undefined) return otherwise
  const { issues, values } = Settings.check(settings, { timeout: given })
  return issues[0] ?? Math.ceil(values.timeout)
}

export const decode = (options: AdminOptions | undefined): Effect.Effect<AdminSettings, InvalidOptions> =>
  Effect.map(Settings.decode(settings, options), ({ timeout }) => ({ timeoutMs: Math.ceil(timeout) }))

export const config = (defaults?: AdminOptions | undefined, namespace?: string | undefined): Config<AdminOptions> =>
  Settings.config(settings, defaults, namespace)
