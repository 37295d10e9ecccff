/**
 * A reader's options with defaults applied and checked.
 */
import type { InvalidOptions } from "@spillway/transport/InvalidOptions"
import type * as Position from "@spillway/transport/Position"
import * as Settings from "@spillway/transport/runtime/Settings"
import type { Config } from "effect/Config"
import * as Effect from "effect/Effect"
import type { IsolationLevel } from "../../Protocol.js"
import { responseOverhead } from "../settings/consumerSettings.js"
import { settings } from "./readFields.js"
import type { ReadOptions } from "./types.js"

/** Durations in milliseconds. */
export interface ReadSettings {
  readonly topic: string
  readonly partitions: ReadonlyArray<number> | undefined
  readonly from: Position.Position
  readonly to: Position.Position | "forever"
  readonly isolationLevel: IsolationLevel
  readonly maxBufferedBytes: number
  readonly fetchMaxBytes: number
  readonly fetchMaxPartitionBytes: number
  readonly maxRecordBytes: number
  readonly fetchMaxWaitMs: number
  readonly unknownTopicTimeoutMs: number
}

const mebi = 1024 * 1024

/** `maxResponseBytes`: the wire's limit, if it has one. */
export const decode = (
  options: ReadOptions,
  maxResponseBytes: number | undefined
): Effect.Effect<ReadSettings, InvalidOptions> =>
  Effect.suspend(() => {
    const { issues, values } = Settings.check(settings, options)
    /** A response with more could never be read. */
    const limit = maxResponseBytes === undefined ? Settings.maxInt32 : Math.max(1, maxResponseBytes - responseOverhead)
    const { fetchMaxBytes = Math.min(16 * mebi, limit), fetchMaxPartitionBytes = Math.min(mebi, limit) } = values
    const tooLarge = Object.entries({ fetchMaxBytes, fetchMaxPartitionBytes }).flatMap(([field, value]) =>
      value > limit ? [{ field, value, description: `must be at most ${limit}, which the wire can read` }] : []
    )
    return Effect.as(Settings.refuse(settings.module, [...issues, ...tooLarge]), {
      topic: values.topic,
      partitions: values.partitions,
      from: values.from,
      to: values.to,
      isolationLevel: values.isolationLevel,
      maxBufferedBytes: values.maxBufferedBytes,
      fetchMaxBytes,
      fetchMaxPartitionBytes,
      maxRecordBytes: values.maxRecordBytes,
      fetchMaxWaitMs: Math.ceil(values.fetchMaxWait),
      unknownTopicTimeoutMs: Math.ceil(values.unknownTopicTimeout)
    })
  })

export const config = (
  defaults?: Partial<ReadOptions> | undefined,
  namespace?: string | undefined
): Config<ReadOptions> => Settings.config(settings, defaults, namespace)
