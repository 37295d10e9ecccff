import { assert, describe, it } from "@effect/vitest"
import { KafkaErrorCode } from "@spillway/kafka/KafkaErrorCode"
import * as TopicConfigs from "../../src/internal/topicConfigs.js"

const set = (name: string, value: string) => TopicConfigs.change(new Map(), [{ name, value }])

/** As a broker of Kafka 4.3 answers. */
describe("The settings of topics in memory", () => {
  it.each([
    ["retention.ms", " 5 ", "5"],
    ["retention.ms", "-1", "-1"],
    ["cleanup.policy", "compact, delete", "compact,delete"],
    ["cleanup.policy", "", ""],
    ["preallocate", "TRUE", "true"],
    ["min.cleanable.dirty.ratio", "0.25", "0.25"],
    ["flush.ms", "9223372036854775807", "9223372036854775807"],
    ["compression.gzip.level", "-1", "-1"]
  ])("keep %s=%s", (name, value, kept) => {
    assert.deepStrictEqual(set(name, value), new Map([[name, kept]]))
  })

  it.each([
    ["no.such", "1", "Unknown topic config name: no.such"],
    ["retention.ms", "abc", "Invalid value abc for configuration retention.ms: Not a number of type LONG"],
    ["retention.ms", "-2", "Invalid value -2 for configuration retention.ms: Value must be at least -1"],
    [
      "flush.ms",
      "9223372036854775808",
      "Invalid value 9223372036854775808 for configuration flush.ms: Not a number of type LONG"
    ],
    ["max.message.bytes", "1.5", "Invalid value 1.5 for configuration max.message.bytes: Not a number of type INT"],
    [
      "max.message.bytes",
      "2147483648",
      "Invalid value 2147483648 for configuration max.message.bytes: Not a number of type INT"
    ],
    ["cleanup.policy", "x", "Invalid value x for configuration cleanup.policy: String must be one of: compact, delete"],
    [
      "preallocate",
      "yes",
      "Invalid value yes for configuration preallocate: Expected value to be either true or false"
    ],
    [
      "compression.gzip.level",
      "0",
      "Invalid value 0 for configuration compression.gzip.level: Value must be between 1 and 9 or equal to -1"
    ]
  ])("refuse %s=%s", (name, value, errorMessage) => {
    assert.deepStrictEqual(set(name, value), { errorCode: KafkaErrorCode.INVALID_CONFIG, errorMessage })
  })

  it("refuse a name twice, and change nothing when one change is refused", () => {
    const before = new Map([["retention.ms", "5"]])
    const twice = TopicConfigs.change(before, [
      { name: "retention.ms", value: "7" },
      { name: "retention.ms", value: null }
    ])
    assert.deepInclude(twice, { errorCode: KafkaErrorCode.INVALID_REQUEST })
    assert.isTrue(
      TopicConfigs.isRefusal(
        TopicConfigs.change(before, [
          { name: "retention.ms", value: "7" },
          { name: "no.such", value: "1" }
        ])
      )
    )
    assert.strictEqual(before.get("retention.ms"), "5")
    assert.strictEqual(TopicConfigs.valueOf(new Map(), "retention.ms"), "604800000")
  })
})
