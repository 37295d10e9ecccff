/**
 * A producer's options: their rules, defaults, variables and documentation.
 */
import * as Environment from "@spillway/transport/runtime/Environment"
import * as Settings from "@spillway/transport/runtime/Settings"
import * as Codecs from "../recordBatch/compression.js"
import type { Compression } from "../recordBatch/types.js"
import type { KafkaProducerOptions, PartitionerInput } from "./producerOptions.js"

const mebi = 1024 * 1024

/** Smaller batches could not hold a useful record. */
const smallestBatch = 1024

const compression: Settings.Setting<Compression, Compression> = {
  meaning: "`none`, `gzip`, `snappy`, `lz4` or `zstd`",
  kafka: ["compression.type"],
  shown: undefined,
  parse: Environment.oneOf(...Codecs.names),
  decode: (given, refuse) => {
    const name = Codecs.names.find((name) => name === given)
    const compress = name === undefined ? undefined : Codecs.codec(Codecs.ids[name])?.compress
    if (typeof compress === "string") refuse(given, `needs ${compress}`)
    if (compress === undefined) refuse(given, `must be one of ${Codecs.names.join(", ")}`)
    return name ?? "none"
  }
}

export const fields = {
  idempotent: Settings.or(
    Settings.boolean({
      meaning:
        "whether a record is written once even if its batch is sent again; the broker recognizes batches by their sequence",
      kafka: ["enable.idempotence"]
    }),
    true
  ),
  linger: Settings.optional(
    Settings.finiteDuration({
      meaning:
        "how long a batch that isn't full waits for more records; by default up to 5 milliseconds while its broker is busy with a request of this producer",
      kafka: ["linger.ms"]
    })
  ),
  compression: Settings.or(compression, "none"),
  maxBatchBytes: Settings.or(
    Settings.whole(
      {
        meaning: "the most bytes of one partition's records in a request; a larger record is refused",
        kafka: ["batch.size", "max.request.size"]
      },
      smallestBatch
    ),
    mebi
  ),
  maxBatchRecords: Settings.or(Settings.whole({ meaning: "the most records in a batch" }), 10_000),
  maxRequestBytes: Settings.optional(
    Settings.whole({ meaning: "the most bytes of records in a request", kafka: ["max.request.size"] }),
    String(16 * mebi)
  ),
  bufferMemory: Settings.optional(
    Settings.whole({
      meaning: "the most bytes of waiting records; while it is full, further sends wait",
      kafka: ["buffer.memory"]
    }),
    String(32 * mebi)
  ),
  maxBlock: Settings.or(
    Settings.finiteDuration({
      meaning: "how long a record may wait for buffer space before it fails",
      kafka: ["max.block.ms"]
    }),
    "1 minute"
  ),
  partitioner: Settings.optional(
    Settings.code<(record: PartitionerInput) => number | undefined>({
      meaning: "chooses the partition of every record that names none",
      kafka: ["partitioner.class"]
    })
  ),
  startTimeout: Settings.optional(
    Settings.duration({
      meaning:
        "how long the cluster may be unreachable at the start before the producer fails; by default it starts without a cluster, or waits for it if it is transactional"
    })
  ),
  deliveryTimeout: Settings.or(
    Settings.finiteDuration({ meaning: "how long to try before a record fails", kafka: ["delivery.timeout.ms"] }, 1),
    "2 minutes"
  ),
  acknowledgeTimeout: Settings.or(
    Settings.finiteDuration(
      {
        meaning:
          "how long a broker may wait for its replicas; its response may take `KAFKA_REQUEST_TIMEOUT`, or 1.5 times this if that is longer",
        kafka: ["request.timeout.ms"]
      },
      1
    ),
    "20 seconds"
  ),
  unknownTopicTimeout: Settings.or(
    Settings.finiteDuration({
      meaning: "how long the cluster may not know a topic",
      kafka: ["max.block.ms"]
    }),
    "5 seconds"
  ),
  drainTimeout: Settings.or(
    Settings.finiteDuration({ meaning: "how long closing waits for records that were accepted" }),
    "30 seconds"
  ),
  metadataMaxAge: Settings.or(
    Settings.finiteDuration(
      {
        meaning:
          "how often a topic in use is checked for new partitions; a topic unused for twice as long is forgotten",
        kafka: ["metadata.max.age.ms", "metadata.max.idle.ms"]
      },
      1_000
    ),
    "5 minutes"
  )
} satisfies Settings.FieldsOf<KafkaProducerOptions>

type Sizes = Settings.Decoded<Pick<typeof fields, "maxBatchBytes" | "maxRequestBytes" | "bufferMemory">>

/** A request and the buffer must have room for a batch. */
export const rules = (
  { bufferMemory, maxBatchBytes, maxRequestBytes }: Sizes,
  refuse: (field: "maxRequestBytes" | "bufferMemory", description: string) => void
): void => {
  const description = `must be a whole number of at least ${maxBatchBytes}`
  if (maxRequestBytes !== undefined && maxRequestBytes < maxBatchBytes) refuse("maxRequestBytes", description)
  if (bufferMemory !== undefined && bufferMemory < maxBatchBytes) refuse("bufferMemory", description)
}

export const settings: Settings.Settings<typeof fields> = {
  module: "KafkaProducer",
  prefix: "KAFKA_PRODUCER",
  fields,
  rules
}
