/**
 * The options of `KafkaReader`: their rules, defaults, variables and documentation.
 */
import * as Position from "@spillway/transport/Position"
import * as Environment from "@spillway/transport/runtime/Environment"
import * as Settings from "@spillway/transport/runtime/Settings"
import * as Either from "effect/Either"
import { isOffset, isPosition } from "../settings/position.js"

const mebi = 1024 * 1024

const positionRule = "must be beginning, end, an offset, or a time such as 2026-01-31T00:00:00Z"

/** An offset consists of digits; anything else that `Date` reads is a time. */
const parsePosition: Environment.Parser<Position.Position> = (text) => {
  if (text === "beginning") return Either.right(Position.beginning)
  if (text === "end") return Either.right(Position.end)
  if (/^\d+$/.test(text)) return Either.right(Position.offset(Number(text)))
  const millis = Date.parse(text)
  return Number.isNaN(millis) ? Either.left(positionRule) : Either.right(Position.timestamp(millis))
}

const parseEnd: Environment.Parser<Position.Position | "forever"> = (text) =>
  text === "forever" ? Either.right(text) : Either.mapLeft(parsePosition(text), (rule) => `${rule}, or forever`)

const positions = "must be a Position with an offset or timestamp of zero or more"

const isPartitions = (given: unknown): boolean =>
  Array.isArray(given) && given.every(isOffset) && new Set(given).size === given.length

const bytes = (meaning: string, kafka?: ReadonlyArray<string>) =>
  Settings.whole({ meaning, kafka }, 1, Settings.maxInt32)

const fields = {
  topic: Settings.make<string>(
    { meaning: "the topic to read" },
    Environment.text,
    (given) => typeof given === "string" && given !== "",
    "must be a topic's name"
  ),
  partitions: Settings.optional(
    Settings.make<ReadonlyArray<number>>(
      { meaning: "the partitions, separated by commas; by default all" },
      Environment.listOf(Environment.number),
      isPartitions,
      "must be distinct partition numbers"
    )
  ),
  from: Settings.or(
    Settings.make<Position.Position>(
      { meaning: "where to start: `beginning`, `end`, an offset, or a time such as `2026-01-31T00:00:00Z`" },
      parsePosition,
      isPosition,
      positions
    ),
    Position.beginning,
    "beginning"
  ),
  to: Settings.or(
    Settings.make<Position.Position | "forever">(
      { meaning: "where to stop: as `from`, or `forever`" },
      parseEnd,
      (given) => given === "forever" || isPosition(given),
      `${positions}, or "forever"`
    ),
    Position.end,
    "end"
  ),
  isolationLevel: Settings.or(
    Settings.oneOf(
      {
        meaning: "whether records of uncommitted transactions are read: `read_committed` or `read_uncommitted`",
        kafka: ["isolation.level"]
      },
      "read_committed",
      "read_uncommitted"
    ),
    "read_committed"
  ),
  maxBufferedBytes: Settings.or(
    Settings.whole({ meaning: "the most bytes that are fetched and not yet taken from the stream" }),
    64 * mebi
  ),
  fetchMaxBytes: Settings.optional(bytes("the most bytes of a response", ["fetch.max.bytes"]), String(16 * mebi)),
  fetchMaxPartitionBytes: Settings.optional(
    bytes("the most bytes of a partition in a response", ["max.partition.fetch.bytes"]),
    String(mebi)
  ),
  maxRecordBytes: Settings.or(bytes("the most bytes of a record in a compressed batch"), 64 * mebi),
  fetchMaxWait: Settings.or(
    Settings.finiteDuration({ meaning: "how long a broker may wait for records", kafka: ["fetch.max.wait.ms"] }),
    "500 millis"
  ),
  unknownTopicTimeout: Settings.or(
    Settings.finiteDuration({ meaning: "how long the cluster may not know the topic" }),
    "5 seconds"
  )
}

export const settings: Settings.Settings<typeof fields> = { module: "KafkaReader", prefix: "KAFKA_READER", fields }
