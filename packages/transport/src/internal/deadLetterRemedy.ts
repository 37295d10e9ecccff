import type { ProducerError } from "../Producer.js"

/** The change that makes a broker accept the dead letter; undefined if retrying is enough. */
export const remedyOf = (
  { reason, topic }: Pick<ProducerError, "reason" | "topic">,
  record: { readonly key: Uint8Array | null }
): string | undefined => {
  switch (reason) {
    case "RecordTooLarge":
      return `raise max.message.bytes of ${topic} and maxBatchBytes of the producer, or set the policy's tooLarge to "stop"`
    case "InvalidRecord":
      return record.key === null
        ? `set cleanup.policy of ${topic} to "delete": a compacted topic rejects records without a key`
        : `the settings of ${topic} reject the record: see message.timestamp.type, message.timestamp.before.max.ms and message.timestamp.after.max.ms`
    case "Authorization":
      return `allow the producer to describe and write ${topic}`
    case "UnknownTopic":
      return `create ${topic}`
    default:
      return undefined
  }
}
