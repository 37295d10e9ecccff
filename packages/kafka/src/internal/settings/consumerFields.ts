/**
 * A consumer's options, apart from code: their rules, defaults, variables and documentation.
 */
import * as Environment from "@spillway/transport/runtime/Environment"
import * as Settings from "@spillway/transport/runtime/Settings"
import { isTopicName } from "@spillway/transport/runtime/TopicName"
import * as Either from "effect/Either"
import { type AssignorName, assignors, isAssignor } from "../assignors/assignor.js"
import type { ConsumerOptions } from "./consumerOptions.js"

const mebi = 1024 * 1024

type Topics = ConsumerOptions["topics"]

/** Names separated by commas, or a pattern between slashes, which no topic name contains. */
const parseTopics: Environment.Parser<Topics> = (text) => {
  const pattern = /^\/(.+)\/([a-z]*)$/.exec(text)
  if (pattern === null) return Environment.list(text)
  const [, source = "", flags = ""] = pattern
  return Either.try({ try: () => new RegExp(source, flags), catch: () => "must be topics or a regular expression" })
}

const topicNames = Settings.list(
  {
    meaning: "the topics, at least one; or a pattern, `/^orders\\./`, for every topic that matches"
  },
  Environment.text,
  (given) => typeof given === "string" && isTopicName(given),
  "must name at least one topic",
  "must be a legal topic name"
)

const topics: Settings.Setting<Topics, Topics> = {
  ...topicNames,
  parse: parseTopics,
  decode: (given, refuse) => (given instanceof RegExp ? given : topicNames.decode(given, refuse))
}

const offered = Settings.list<AssignorName>(
  {
    meaning:
      "how partitions are assigned: `cooperative-sticky`, `range`, or both while a group changes from one to the other",
    kafka: ["partition.assignment.strategy"]
  },
  Environment.oneOf("cooperative-sticky", "range"),
  (given) => typeof given === "string" && isAssignor(given),
  "must name at least one assignor",
  `must be one of ${Object.keys(assignors).join(", ")}`
)

const fields = {
  groupId: Settings.text({ meaning: "the consumer group", kafka: ["group.id"] }),
  topics,
  initialOffset: Settings.or(
    Settings.oneOf(
      {
        meaning:
          "where to start without a committed offset: `earliest` or `latest`; partitions [created later](group-protocol.md#where-a-partition-starts) start at their first record",
        kafka: ["auto.offset.reset"]
      },
      "earliest",
      "latest"
    ),
    "earliest"
  ),
  offsetOutOfRange: Settings.or(
    Settings.oneOf(
      {
        meaning: "when the committed offset isn't in the log any more: `fail`, `earliest` or `latest`",
        kafka: ["auto.offset.reset"]
      },
      "fail",
      "earliest",
      "latest"
    ),
    "fail"
  ),
  isolationLevel: Settings.or(
    Settings.oneOf(
      {
        meaning: "whether records of uncommitted transactions are delivered: `read_committed` or `read_uncommitted`",
        kafka: ["isolation.level"]
      },
      "read_committed",
      "read_uncommitted"
    ),
    "read_committed"
  ),
  corruptBatch: Settings.or(
    Settings.oneOf({ meaning: "when a batch can't be read: `fail`, or `skip` it, logged and counted" }, "fail", "skip"),
    "fail"
  ),
  assignors: Settings.or(offered, ["cooperative-sticky"]),
  groupInstanceId: Settings.optional(
    Settings.text({
      meaning: "makes this a static member with this id, unique in the group",
      kafka: ["group.instance.id"]
    })
  ),
  leaveOnClose: Settings.optional(
    Settings.boolean({
      meaning: "whether closing leaves the group; by default a static member stays, any other leaves"
    })
  ),
  rackId: Settings.optional(
    Settings.text({
      meaning:
        "the rack or zone that this consumer runs in, sent to the group and to brokers, which name the nearest replica to read from",
      kafka: ["client.rack"]
    })
  ),
  startTimeout: Settings.optional(
    Settings.duration({
      meaning:
        "how long the cluster and the group's coordinator may be unreachable at the start before the consumer fails; by default it tries forever"
    })
  ),
  sessionTimeout: Settings.or(
    Settings.duration({
      meaning: "the coordinator removes a member from which it receives no heartbeat for this long",
      kafka: ["session.timeout.ms"]
    }),
    "45 seconds"
  ),
  heartbeatInterval: Settings.or(
    Settings.duration({
      meaning: "between heartbeats; below `sessionTimeout`",
      kafka: ["heartbeat.interval.ms"]
    }),
    "3 seconds"
  ),
  rebalanceTimeout: Settings.or(
    Settings.duration({
      meaning: "how long the coordinator waits for members to rejoin",
      kafka: ["max.poll.interval.ms"]
    }),
    "60 seconds"
  ),
  revokeTimeout: Settings.or(
    Settings.duration({
      meaning: "how long in-flight records may take before their partition is revoked; below `rebalanceTimeout`"
    }),
    "30 seconds"
  ),
  drainTimeout: Settings.or(
    Settings.duration({ meaning: "how long in-flight records may take when the consumer stops" }),
    "30 seconds"
  ),
  commitInterval: Settings.or(
    Settings.duration({ meaning: "between commits", kafka: ["auto.commit.interval.ms"] }),
    "1 second"
  ),
  handlerTimeout: Settings.or(
    Settings.duration({
      meaning: "a handler that runs longer is interrupted, its record retried",
      kafka: ["max.poll.interval.ms"]
    }),
    "5 minutes"
  ),
  metadataMaxAge: Settings.or(
    Settings.duration({
      meaning: "how often to check the topics' partitions; every second while a topic is missing",
      kafka: ["metadata.max.age.ms"]
    }),
    "30 seconds"
  ),
  maxLaneRecords: Settings.or(
    Settings.whole({ meaning: "a partition is fetched while fewer of its records are queued" }, 1, Settings.maxInt32),
    500
  ),
  maxBufferedBytes: Settings.or(
    Settings.whole({
      meaning:
        "no fetch is sent while the whole consumer holds this many bytes, and nothing is unpacked while this many bytes of records are queued, counting 128 bytes extra for each"
    }),
    64 * mebi
  ),
  maxRecordBytes: Settings.or(
    Settings.whole(
      {
        meaning:
          "the most bytes of a record in a compressed batch, at least 1 MiB; `corruptBatch` decides what happens with a larger one"
      },
      mebi,
      Settings.maxInt32
    ),
    64 * mebi
  ),
  fetchMaxWait: Settings.or(
    Settings.duration({ meaning: "how long a broker may wait for records", kafka: ["fetch.max.wait.ms"] }),
    "500 millis"
  ),
  fetchMaxPartitionBytes: Settings.or(
    Settings.whole(
      {
        meaning: "the most bytes of a partition in a response; a larger record is still fetched",
        kafka: ["max.partition.fetch.bytes"]
      },
      1,
      Settings.maxInt32
    ),
    mebi
  ),
  fetchMaxBytes: Settings.or(
    Settings.whole({ meaning: "the most bytes of a response", kafka: ["fetch.max.bytes"] }, 1, Settings.maxInt32),
    10 * mebi
  ),
  logPayloads: Settings.or(
    Settings.boolean({ meaning: "whether log lines about a record show its key and value" }),
    false
  )
} satisfies Settings.FieldsOf<ConsumerOptions>

export const settings: Settings.Settings<typeof fields> = {
  module: "KafkaConsumer",
  prefix: "KAFKA_CONSUMER",
  fields,
  rules: ({ heartbeatInterval, rebalanceTimeout, revokeTimeout, sessionTimeout }, refuse) => {
    if (heartbeatInterval >= sessionTimeout) {
      refuse("heartbeatInterval", `must be below sessionTimeout (${sessionTimeout} ms)`)
    }
    if (revokeTimeout >= rebalanceTimeout) {
      refuse("revokeTimeout", `must be below rebalanceTimeout (${rebalanceTimeout} ms)`)
    }
  }
}
