/**
 * A reader's options with defaults applied and checked.
 */
import type { OptionIssue } from "@spillway/transport/InvalidOptions"
import { InvalidOptions } from "@spillway/transport/InvalidOptions"
import * as Position from "@spillway/transport/Position"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { IsolationLevel } from "../../Protocol.js"
import { responseOverhead } from "../settings/consumerSettings.js"
import { isOffset, isPosition } from "../settings/position.js"
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
  readonly maxPartitionBytes: number
  readonly maxRecordBytes: number
  readonly fetchMaxWaitMs: number
  readonly unknownTopicTimeoutMs: number
}

const mebi = 1024 * 1024

/** `maxResponseBytes`: the wire's limit, if it has one. */
export const decode = (
  given: ReadOptions,
  maxResponseBytes: number | undefined
): Effect.Effect<ReadSettings, InvalidOptions> =>
  Effect.suspend(() => {
    const options: ReadOptions = { ...given }
    const issues: Array<OptionIssue> = []
    const check = <A>(valid: boolean, field: keyof ReadOptions, value: A, description: string): A => {
      if (!valid) issues.push({ field, value, description })
      return value
    }
    const bytes = (field: keyof ReadOptions, value: number, most = 2 ** 31 - 1): number =>
      check(isOffset(value) && value >= 1 && value <= most, field, value, `must be an integer between 1 and ${most}`)
    const millis = (field: keyof ReadOptions, input: Duration.DurationInput): number => {
      const duration = Option.getOrUndefined(Duration.decodeUnknown(input))
      const value = duration === undefined ? Number.NaN : Duration.toMillis(duration)
      check(value >= 0 && Number.isFinite(value), field, input, "must be a finite duration of zero or more")
      return Math.ceil(value)
    }
    const positions = "must be a Position with an offset or timestamp of zero or more"
    const {
      from = Position.beginning,
      isolationLevel = "read_committed",
      partitions,
      to = Position.end,
      topic
    } = options
    check(typeof topic === "string" && topic !== "", "topic", topic, "must be a topic's name")
    check(
      partitions === undefined ||
        (Array.isArray(partitions) && partitions.every(isOffset) && new Set(partitions).size === partitions.length),
      "partitions",
      partitions,
      "must be distinct partition numbers"
    )
    check(isPosition(from), "from", from, positions)
    check(to === "forever" || isPosition(to), "to", to, `${positions}, or "forever"`)
    check(
      isolationLevel === "read_committed" || isolationLevel === "read_uncommitted",
      "isolationLevel",
      isolationLevel,
      "must be read_committed or read_uncommitted"
    )
    /** A response with more could never be read. */
    const limit = maxResponseBytes === undefined ? 2 ** 31 - 1 : Math.max(1, maxResponseBytes - responseOverhead)
    const settings: ReadSettings = {
      topic,
      partitions,
      from,
      to,
      isolationLevel,
      maxBufferedBytes: bytes("maxBufferedBytes", options.maxBufferedBytes ?? 64 * mebi, Number.MAX_SAFE_INTEGER),
      fetchMaxBytes: bytes("fetchMaxBytes", options.fetchMaxBytes ?? Math.min(16 * mebi, limit), limit),
      maxPartitionBytes: bytes("maxPartitionBytes", options.maxPartitionBytes ?? Math.min(mebi, limit), limit),
      maxRecordBytes: bytes("maxRecordBytes", options.maxRecordBytes ?? 64 * mebi),
      fetchMaxWaitMs: millis("fetchMaxWait", options.fetchMaxWait ?? "500 millis"),
      unknownTopicTimeoutMs: millis("unknownTopicTimeout", options.unknownTopicTimeout ?? "5 seconds")
    }
    return issues.length === 0
      ? Effect.succeed(settings)
      : Effect.fail(new InvalidOptions({ module: "KafkaReader", issues }))
  })
