/**
 * The settings of topics, with the defaults and checks of Kafka 4.3. All are kept and described; `max.message.bytes`
 * and `cleanup.policy` have an effect.
 */
import { KafkaErrorCode } from "@spillway/kafka/KafkaErrorCode"
import type { ConfigEntry } from "@spillway/kafka/Protocol"

/** A setting's value as it is kept, or the description of the refusal. */
type Checked = { readonly value: string } | { readonly refusal: string }

interface Setting {
  readonly initial: string
  readonly check: (value: string) => Checked
}

const maxLong = "9223372036854775807"

const whole =
  (type: "INT" | "LONG", bits: number) =>
  (initial: string, least: bigint | undefined): Setting => ({
    initial,
    check: (text) => {
      const value = text.trim()
      const number = /^[+-]?\d+$/.test(value) ? BigInt(value) : undefined
      if (number === undefined || BigInt.asIntN(bits, number) !== number)
        return { refusal: `Not a number of type ${type}` }
      return least !== undefined && number < least
        ? { refusal: `Value must be at least ${least}` }
        : { value: String(number) }
    }
  })

const long = whole("LONG", 64)

const int = whole("INT", 32)

/** A compression level: in a range, or a value beside it. */
const level = (initial: string, least: bigint, most: bigint, beside?: bigint): Setting => ({
  initial,
  check: (text) => {
    const checked = int(initial, undefined).check(text)
    if ("refusal" in checked) return checked
    const number = BigInt(checked.value)
    if ((number >= least && number <= most) || number === beside) return checked
    const range = `Value must be between ${least} and ${most}`
    return { refusal: beside === undefined ? range : `${range} or equal to ${beside}` }
  }
})

const boolean = (initial: string): Setting => ({
  initial,
  check: (text) => {
    const value = text.trim().toLowerCase()
    return value === "true" || value === "false" ? { value } : { refusal: "Expected value to be either true or false" }
  }
})

const ratio = (initial: string): Setting => ({
  initial,
  check: (text) => {
    const number = text.trim() === "" ? Number.NaN : Number(text)
    if (Number.isNaN(number)) return { refusal: "Not a number of type DOUBLE" }
    if (number < 0) return { refusal: "Value must be at least 0" }
    return number > 1 ? { refusal: "Value must be no more than 1" } : { value: String(number) }
  }
})

const oneOf = (initial: string, ...values: ReadonlyArray<string>): Setting => ({
  initial,
  check: (text) =>
    values.includes(text.trim()) ? { value: text.trim() } : { refusal: `String must be one of: ${values.join(", ")}` }
})

const anyList: Setting = { initial: "", check: (text) => ({ value: text.trim() }) }

const listOf = (initial: string, ...values: ReadonlyArray<string>): Setting => ({
  initial,
  check: (text) => {
    const parts = text.trim() === "" ? [] : text.split(",").map((part) => part.trim())
    return parts.every((part) => values.includes(part))
      ? { value: parts.join(",") }
      : { refusal: `String must be one of: ${values.join(", ")}` }
  }
})

export const maxMessageBytes = "max.message.bytes"

const settings: ReadonlyMap<string, Setting> = new Map(
  Object.entries({
    "cleanup.policy": listOf("delete", "compact", "delete"),
    "compression.gzip.level": level("-1", 1n, 9n, -1n),
    "compression.lz4.level": level("9", 1n, 17n),
    "compression.type": oneOf("producer", "uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"),
    "compression.zstd.level": level("3", -131_072n, 22n),
    "delete.retention.ms": long("86400000", 0n),
    "file.delete.delay.ms": long("60000", 0n),
    "flush.messages": long(maxLong, 1n),
    "flush.ms": long(maxLong, 0n),
    "follower.replication.throttled.replicas": anyList,
    "index.interval.bytes": int("4096", 0n),
    "leader.replication.throttled.replicas": anyList,
    "local.retention.bytes": long("-2", -2n),
    "local.retention.ms": long("-2", -2n),
    "max.compaction.lag.ms": long(maxLong, 1n),
    [maxMessageBytes]: int("1048588", 0n),
    "message.timestamp.after.max.ms": long("3600000", 0n),
    "message.timestamp.before.max.ms": long(maxLong, 0n),
    "message.timestamp.type": oneOf("CreateTime", "CreateTime", "LogAppendTime"),
    "min.cleanable.dirty.ratio": ratio("0.5"),
    "min.compaction.lag.ms": long("0", 0n),
    "min.insync.replicas": int("1", 1n),
    preallocate: boolean("false"),
    "remote.log.copy.disable": boolean("false"),
    "remote.log.delete.on.disable": boolean("false"),
    "remote.storage.enable": boolean("false"),
    "retention.bytes": long("-1", undefined),
    "retention.ms": long("604800000", -1n),
    "segment.bytes": int("1073741824", 1_048_576n),
    "segment.index.bytes": int("10485760", 4n),
    "segment.jitter.ms": long("0", 0n),
    "segment.ms": long("604800000", 1n),
    "unclean.leader.election.enable": boolean("false")
  })
)

/** The settings that differ from the defaults, or were set to them. */
export type Configs = ReadonlyMap<string, string>

export interface Change {
  readonly name: string
  /** null resets to the default. */
  readonly value: string | null
}

export interface Refusal {
  readonly errorCode: number
  readonly errorMessage: string
}

/** The settings after changes, all or none. */
export const change = (configs: Configs, changes: ReadonlyArray<Change>): Configs | Refusal => {
  const names = new Set(changes.map(({ name }) => name))
  if (names.size < changes.length) {
    return { errorCode: KafkaErrorCode.INVALID_REQUEST, errorMessage: "Error due to duplicate config keys" }
  }
  const next = new Map(configs)
  for (const { name, value } of changes) {
    if (value === null) {
      next.delete(name)
      continue
    }
    const refuse = (errorMessage: string): Refusal => ({ errorCode: KafkaErrorCode.INVALID_CONFIG, errorMessage })
    const setting = settings.get(name)
    if (setting === undefined) return refuse(`Unknown topic config name: ${name}`)
    const checked = setting.check(value)
    if ("refusal" in checked) return refuse(`Invalid value ${value} for configuration ${name}: ${checked.refusal}`)
    next.set(name, checked.value)
  }
  return next
}

export const isRefusal = (changed: Configs | Refusal): changed is Refusal => "errorCode" in changed

/** The value that is in effect. */
export const valueOf = (configs: Configs, name: string): string => configs.get(name) ?? settings.get(name)!.initial

const topicSource = 1
const defaultSource = 5

export const describe = (configs: Configs): ReadonlyArray<ConfigEntry> =>
  Array.from(settings.keys(), (name) => ({
    name,
    value: valueOf(configs, name),
    isReadOnly: false,
    source: configs.has(name) ? topicSource : defaultSource,
    isSensitive: false
  }))
