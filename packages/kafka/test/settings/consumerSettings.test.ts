import { assert, describe, it } from "@effect/vitest"
import { describe as describeIssue } from "@spillway/transport/runtime/Environment"
import * as Duration from "effect/Duration"
import * as FastCheck from "fast-check"
import * as ConsumerSettings from "../../src/internal/settings/consumerSettings.js"

const group = { groupId: "g", topics: ["t"] }

const errorOf = (options: Parameters<typeof ConsumerSettings.check>[0], maxResponseBytes?: number): string =>
  ConsumerSettings.check(options, maxResponseBytes).issues.map(describeIssue).join("; ")

describe("consumerSettings", () => {
  it("has the documented defaults", () => {
    assert.deepStrictEqual(ConsumerSettings.check(group), {
      issues: [],
      settings: {
        groupId: "g",
        topics: ["t"],
        topicPattern: undefined,
        initialOffset: "earliest",
        offsetOutOfRange: "fail",
        isolationLevel: "read_committed",
        corruptBatch: "fail",
        assignors: ["cooperative-sticky"],
        groupInstanceId: null,
        leaveOnClose: true,
        rackId: null,
        startTimeoutMs: undefined,
        sessionTimeoutMs: 45_000,
        heartbeatIntervalMs: 3_000,
        rebalanceTimeoutMs: 60_000,
        revokeTimeoutMs: 30_000,
        drainTimeoutMs: 30_000,
        commitIntervalMs: 1_000,
        handlerTimeoutMs: 300_000,
        metadataMaxAgeMs: 30_000,
        maxLaneRecords: 500,
        maxBufferedBytes: 64 * 1024 * 1024,
        maxRecordBytes: 64 * 1024 * 1024,
        fetchMaxWaitMs: 500,
        fetchMaxPartitionBytes: 1024 * 1024,
        fetchMaxBytes: 10 * 1024 * 1024,
        circuitBreaker: undefined
      }
    })
  })

  it("accepts any form of duration, and each topic once", () => {
    const { settings } = ConsumerSettings.check({
      groupId: "g",
      topics: ["t", "u", "t"],
      sessionTimeout: "10 seconds",
      heartbeatInterval: 500,
      commitInterval: Duration.minutes(1),
      drainTimeout: [1, 500_000_000],
      fetchMaxWait: 1_000_000n
    })
    assert.deepStrictEqual(settings.topics, ["t", "u"])
    assert.strictEqual(settings.sessionTimeoutMs, 10_000)
    assert.strictEqual(settings.heartbeatIntervalMs, 500)
    assert.strictEqual(settings.commitIntervalMs, 60_000)
    assert.strictEqual(settings.drainTimeoutMs, 1_500)
    assert.strictEqual(settings.fetchMaxWaitMs, 1)
  })

  it("lists the values that its options may have", () => {
    for (const field of ["initialOffset", "offsetOutOfRange", "isolationLevel", "corruptBatch"] as const) {
      const description = errorOf({ ...group, [field]: "nothing" } as Parameters<typeof errorOf>[0])
      assert.match(description, new RegExp(`^${field} must be one of [a-z_, ]+, not "nothing"$`))
    }
  })

  it("reports every error at once, with field and value", () => {
    const description = errorOf({
      groupId: " ",
      topics: ["fine", "not fine", ".."],
      sessionTimeout: "2 seconds",
      heartbeatInterval: "3 seconds",
      revokeTimeout: "60 seconds",
      commitInterval: 0,
      drainTimeout: Duration.infinity,
      handlerTimeout: 0n,
      maxLaneRecords: 0,
      maxBufferedBytes: Number.NaN,
      maxRecordBytes: 1_000,
      fetchMaxBytes: 1.5,
      fetchMaxPartitionBytes: 2 ** 31
    })
    for (const part of [
      'groupId must not be empty, not " "',
      'topics[1] must be a legal topic name, not "not fine"',
      'topics[2] must be a legal topic name, not ".."',
      'heartbeatInterval must be below sessionTimeout (2000 ms), not "3 seconds"',
      'revokeTimeout must be below rebalanceTimeout (60000 ms), not "60 seconds"',
      "commitInterval must be a duration above zero and below 25 days, not 0",
      "drainTimeout must be a duration above zero and below 25 days, not Infinity",
      "handlerTimeout must be a duration above zero and below 25 days, not 0",
      "maxLaneRecords must be a whole number from 1 to 2147483647, not 0",
      "maxBufferedBytes must be a whole number of at least 1, not NaN",
      "maxRecordBytes must be a whole number from 1048576 to 2147483647, not 1000",
      "fetchMaxBytes must be a whole number from 1 to 2147483647, not 1.5",
      "fetchMaxPartitionBytes must be a whole number from 1 to 2147483647, not 2147483648"
    ]) {
      assert.include(description.split("; "), part)
    }
    assert.strictEqual(description.split("; ").length, 13)
  })

  it("requires a topic", () => {
    assert.strictEqual(errorOf({ groupId: "g", topics: [] }), "topics must name at least one topic, not []")
  })

  it("names the field of any number that is not a duration", () => {
    const field = FastCheck.constantFrom("sessionTimeout", "commitInterval", "fetchMaxWait", "metadataMaxAge")
    const senseless = FastCheck.oneof(
      FastCheck.integer({ max: 0 }),
      FastCheck.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 2 ** 31)
    )
    FastCheck.assert(
      FastCheck.property(field, senseless, (field, value) => {
        assert.include(errorOf({ ...group, [field]: value }), `${field} must be`)
      })
    )
  })

  it("rejects a fetchMaxBytes above the wire's maxResponseBytes, and names both options", () => {
    const options = { ...group, fetchMaxBytes: 2_000_000 }
    assert.strictEqual(
      errorOf(options, 2_000_000),
      "fetchMaxBytes must be 65536 bytes below the wire's maxResponseBytes (2000000), not 2000000"
    )
    assert.strictEqual(errorOf(options, 2_065_536), "")
    assert.strictEqual(errorOf(options), "")
  })
})
