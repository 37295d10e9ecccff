import { assert, describe, it } from "@effect/vitest"
import * as Option from "effect/Option"
import * as DeadLetter from "../src/DeadLetter.js"
import type { ConsumedRecord } from "../src/Envelope.js"
import { NonRetryableError } from "../src/HandlerError.js"
import * as Headers from "../src/Headers.js"
import * as DeadLetters from "../src/runtime/DeadLetter.js"
import * as Environment from "../src/runtime/Environment.js"

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)
const bytes = (...values: ReadonlyArray<number>): Uint8Array => Uint8Array.from(values)

const error = Object.assign(new RangeError("d\u00e9clined"), {
  stack: "RangeError: d\u00e9clined\n    at pay (pay.ts:1)"
})

const source: ConsumedRecord = {
  topic: "orders",
  partition: 3,
  offset: 4_294_967_298,
  timestamp: 1_700_000_000_123,
  key: bytes(0, 255),
  value: bytes(1),
  headers: [["trace", bytes(200)]]
}

const failed = (record: ConsumedRecord): DeadLetters.FailedRecord => ({
  record,
  error: new NonRetryableError({ cause: error }),
  attempts: 4,
  failedAt: Date.UTC(2026, 0, 2, 3, 4, 5, 6),
  groupId: "billing"
})

const presets = ["spillway", "spring", "connect"] as const

const headersOf = (record: ConsumedRecord, options: Partial<DeadLetters.RecordOptions>): Headers.Headers =>
  DeadLetters.record(failed(record), { topic: "orders-dlq", ...options }).headers as Headers.Headers

/** The metadata that a consumer of the dead letter topic reads. */
const letter = (headers: Headers.Headers): ConsumedRecord => ({
  ...source,
  topic: "orders-dlq",
  partition: 0,
  offset: 7,
  headers
})

const timestampBytes = bytes(0, 0, 1, 0x8b, 0xcf, 0xe5, 0x68, 0x7b)
const offsetBytes = bytes(0, 0, 0, 1, 0, 0, 0, 2)

const shared: Headers.Headers = [
  ["trace", bytes(200)],
  ["x-event-id", utf8("orders-3-4294967298")],
  ["x-retry-count", utf8("3")]
]
const failedTimestamp: Headers.Header = ["x-failed-timestamp", utf8("2026-01-02T03:04:05.006Z")]

const full: { readonly [P in DeadLetter.DeadLetterPreset]: Headers.Headers } = {
  spillway: [
    ...shared,
    failedTimestamp,
    ["x-error-message", utf8("d\u00e9clined")],
    ["x-error-type", utf8("RangeError")],
    ["x-original-timestamp", utf8("1700000000123")],
    ["x-original-group", utf8("billing")],
    ["x-original-topic", utf8("orders")],
    ["x-original-partition", utf8("3")],
    ["x-original-offset", utf8("4294967298")]
  ],
  spring: [
    ...shared,
    failedTimestamp,
    ["kafka_dlt-exception-message", utf8("d\u00e9clined")],
    ["kafka_dlt-exception-fqcn", utf8("RangeError")],
    ["kafka_dlt-exception-stacktrace", utf8(error.stack)],
    ["kafka_dlt-original-timestamp", timestampBytes],
    ["kafka_dlt-original-consumer-group", utf8("billing")],
    ["kafka_dlt-original-topic", utf8("orders")],
    ["kafka_dlt-original-partition", bytes(0, 0, 0, 3)],
    ["kafka_dlt-original-offset", offsetBytes]
  ],
  connect: [
    ...shared,
    failedTimestamp,
    ["x-original-timestamp", utf8("1700000000123")],
    ["__connect.errors.exception.message", utf8("d\u00e9clined")],
    ["__connect.errors.exception.class.name", utf8("RangeError")],
    ["__connect.errors.exception.stacktrace", utf8(error.stack)],
    ["__connect.errors.connector.name", utf8("billing")],
    ["__connect.errors.topic", utf8("orders")],
    ["__connect.errors.partition", utf8("3")],
    ["__connect.errors.offset", utf8("4294967298")]
  ]
}

const minimal: typeof full = {
  spillway: [...shared, ...full.spillway.slice(-3)],
  spring: [...shared, ...full.spring.slice(-3)],
  connect: [...shared, ...full.connect.slice(-3)]
}

const written = {
  eventId: "orders-3-4294967298",
  retryCount: 3,
  errorMessage: "d\u00e9clined",
  errorType: "RangeError",
  failedAt: Date.UTC(2026, 0, 2, 3, 4, 5, 6),
  topic: "orders",
  partition: 3,
  offset: 4_294_967_298,
  timestamp: 1_700_000_000_123,
  groupId: "billing"
}

/** As Spring's DeadLetterPublishingRecoverer writes them. */
const bySpring: Headers.Headers = [
  ["kafka_dlt-original-topic", utf8("payments")],
  ["kafka_dlt-original-partition", bytes(0, 0, 0, 9)],
  ["kafka_dlt-original-offset", bytes(0, 0, 0, 0, 0, 0, 0, 77)],
  ["kafka_dlt-original-timestamp", timestampBytes],
  ["kafka_dlt-original-timestamp-type", utf8("CreateTime")],
  ["kafka_dlt-original-consumer-group", utf8("payers")],
  ["kafka_dlt-exception-fqcn", utf8("org.springframework.kafka.listener.ListenerExecutionFailedException")],
  ["kafka_dlt-exception-cause-fqcn", utf8("java.lang.IllegalStateException")],
  ["kafka_dlt-exception-message", utf8("no such account")],
  ["kafka_dlt-exception-stacktrace", utf8("java.lang...")],
  ["kafka_dlt-key-exception-message", utf8("key")]
]

/** As Spring's retry topics write them to the dead letter topic, after three attempts. */
const byRetryTopics: Headers.Headers = [
  ["retry_topic-original-timestamp", timestampBytes.slice(2)],
  ["kafka_original-topic", utf8("payments")],
  ["kafka_original-partition", bytes(0, 0, 0, 9)],
  ["kafka_original-offset", bytes(0, 0, 0, 0, 0, 0, 0, 77)],
  ["kafka_original-timestamp", timestampBytes],
  ["kafka_original-timestamp-type", utf8("CreateTime")],
  ["kafka_exception-fqcn", utf8("org.springframework.kafka.listener.ListenerExecutionFailedException")],
  ["kafka_exception-cause-fqcn", utf8("java.lang.IllegalStateException")],
  ["kafka_exception-message", utf8("no such account")],
  ["kafka_exception-stacktrace", utf8("java.lang...")],
  ["retry_topic-attempts", bytes(0, 0, 0, 4)],
  ["retry_topic-backoff-timestamp", timestampBytes.slice(2)],
  ["kafka_dlt-original-consumer-group", utf8("payers")]
]

/** As Kafka Connect's DeadLetterQueueReporter writes them. */
const byConnect: Headers.Headers = [
  ["__connect.errors.topic", utf8("payments")],
  ["__connect.errors.partition", utf8("9")],
  ["__connect.errors.offset", utf8("77")],
  ["__connect.errors.connector.name", utf8("payers")],
  ["__connect.errors.task.id", utf8("0")],
  ["__connect.errors.stage", utf8("VALUE_CONVERTER")],
  ["__connect.errors.class.name", utf8("org.apache.kafka.connect.json.JsonConverter")],
  ["__connect.errors.exception.class.name", utf8("java.lang.IllegalStateException")],
  ["__connect.errors.exception.message", utf8("no such account")],
  ["__connect.errors.exception.stacktrace", utf8("java.lang...")]
]

const theirs = {
  eventId: "orders-dlq-0-7",
  retryCount: undefined,
  errorMessage: "no such account",
  errorType: "java.lang.IllegalStateException",
  errorStack: "java.lang...",
  failedAt: undefined,
  topic: "payments",
  partition: 9,
  offset: 77,
  timestamp: 1_700_000_000_123,
  groupId: "payers"
}

const foreign = {
  Spring: { headers: bySpring, metadata: theirs },
  "Spring's retry topics": { headers: byRetryTopics, metadata: { ...theirs, retryCount: 2 } },
  "Kafka Connect": { headers: byConnect, metadata: { ...theirs, timestamp: undefined } }
}

describe("DeadLetter's header presets", () => {
  for (const preset of presets) {
    it(`${preset}: writes exactly these bytes, and fewer if the letter must shrink`, () => {
      assert.deepStrictEqual(headersOf(source, { headers: preset }), full[preset])
      assert.deepStrictEqual(headersOf(source, { headers: preset, metadata: "minimal" }), minimal[preset])
    })

    it(`${preset}: is read back without naming the preset, and under any other name`, () => {
      const errorStack = preset === "spillway" ? undefined : error.stack
      for (const headers of [undefined, ...presets]) {
        assert.deepStrictEqual(
          DeadLetter.metadata(letter(full[preset]), { headers }),
          Option.some({ ...written, errorStack })
        )
        const { topic, partition, offset, retryCount } = Option.getOrThrow(
          DeadLetter.metadata(letter(minimal[preset]), { headers })
        )
        assert.deepStrictEqual([topic, partition, offset, retryCount], ["orders", 3, 4_294_967_298, 3])
      }
    })

    it(`${preset}: replaces the metadata of any letter and keeps the event id`, () => {
      const letters = [...presets.map((other) => full[other]), ...Object.values(foreign).map(({ headers }) => headers)]
      for (const headers of letters) {
        const before = letter([["trace", bytes(200)], ...headers.filter(([name]) => name !== "trace")])
        const again = headersOf(before, { headers: preset })
        assert.deepStrictEqual(
          again.map(([name]) => name),
          full[preset].map(([name]) => name)
        )
        const metadata = Option.getOrThrow(DeadLetter.metadata(letter(again)))
        assert.deepStrictEqual(
          [metadata.topic, metadata.partition, metadata.offset, metadata.eventId],
          ["orders-dlq", 0, 7, Option.getOrElse(Headers.getText(headers, "x-event-id"), () => "orders-dlq-0-7")]
        )
      }
    })
  }

  for (const [name, { headers, metadata }] of Object.entries(foreign)) {
    it(`reads the letters of ${name}`, () => {
      assert.deepStrictEqual(DeadLetter.metadata(letter(headers)), Option.some(metadata))
      assert.deepStrictEqual(DeadLetter.metadata(letter(headers.toReversed())), Option.some(metadata))
      assert.deepStrictEqual(
        DeadLetter.metadata(letter(headers), { headers: { retryCount: "retries" } }),
        Option.some(metadata)
      )
    })
  }

  it("reads the metadata written last if several systems wrote some", () => {
    for (const preset of presets) {
      const headers = [...full[preset], ...bySpring, ...byConnect]
      assert.strictEqual(Option.getOrThrow(DeadLetter.metadata(letter(headers))).groupId, "payers")
      assert.strictEqual(
        Option.getOrThrow(DeadLetter.metadata(letter([...byRetryTopics, ...full[preset]]))).groupId,
        "billing"
      )
    }
  })

  it("leaves out numbers of another length, and null", () => {
    const headers: Headers.Headers = [
      ["kafka_dlt-original-topic", utf8("payments")],
      ["kafka_dlt-original-partition", utf8("3")],
      ["kafka_dlt-original-offset", bytes(0x7f, 255, 255, 255, 255, 255, 255, 255)],
      ["kafka_dlt-original-timestamp", null]
    ]
    const { offset, partition, timestamp, topic } = Option.getOrThrow(DeadLetter.metadata(letter(headers)))
    assert.deepStrictEqual([topic, partition, offset, timestamp], ["payments", undefined, undefined, undefined])
  })

  it("reads one-byte attempts of Spring's older retry topics", () => {
    const headers: Headers.Headers = [
      ["kafka_original-topic", utf8("payments")],
      ["retry_topic-attempts", bytes(4)]
    ]
    assert.strictEqual(Option.getOrThrow(DeadLetter.metadata(letter(headers))).retryCount, 2)
  })

  it("allows custom names in any preset, with the preset's encoding", () => {
    const headers = { preset: "spring", offset: "where", errorMessage: "why" } as const
    const found = headersOf(source, { headers })
    assert.deepStrictEqual(Headers.getAll(found, "where"), [offsetBytes])
    assert.isFalse(Headers.has(found, "kafka_dlt-original-offset"))
    assert.deepStrictEqual(
      DeadLetter.metadata(letter(found), { headers }),
      Option.some({ ...written, errorStack: error.stack })
    )
    const again = headersOf(letter(found), { headers })
    assert.strictEqual(Headers.getAll(again, "why").length, 1)
  })

  it("spillway's has the stack under a custom name, cut at 4,096 characters", () => {
    const headers = { errorStack: "x-error-stack" }
    const deep = Object.assign(new Error("deep"), { stack: "s".repeat(5_000) })
    const { headers: found } = DeadLetters.record(
      { ...failed(source), error: deep },
      { topic: "orders-dlq", headers }
    ) as { headers: Headers.Headers }
    assert.deepStrictEqual(Headers.getText(found, "x-error-stack"), Option.some("s".repeat(4_096)))
    assert.strictEqual(Option.getOrThrow(DeadLetter.metadata(letter(found), { headers })).errorStack, "s".repeat(4_096))
  })

  it("an error without a stack has its type and message instead", () => {
    const { headers } = DeadLetters.record(
      { ...failed(source), error: "plain" },
      { topic: "orders-dlq", headers: "spring" }
    ) as { headers: Headers.Headers }
    assert.deepStrictEqual(Headers.getText(headers, "kafka_dlt-exception-stacktrace"), Option.some("string: plain"))
  })

  it("keeps an application's header that only looks like metadata, if the custom names avoid it", () => {
    const record = { ...source, headers: Headers.fromRecord({ "x-retry-count": "mine" }) }
    const headers = { retryCount: "spillway-retries" }
    assert.deepStrictEqual(Headers.getText(headersOf(record, { headers }), "x-retry-count"), Option.some("mine"))
  })
})

describe("DeadLetters.checkHeaders", () => {
  it("reports invalid names", () => {
    const issues: ReadonlyArray<readonly [DeadLetter.DeadLetterHeaders, ...ReadonlyArray<string>]> = [
      ["spring"],
      [{ preset: "connect", errorMessage: "why" }],
      ["kafkajs" as "spring", 'preset must be one of spillway, spring, connect, not "kafkajs"'],
      [{ retryCount: "" }, 'retryCount must not be empty, not ""'],
      [{ errorMessage: "x-retry-count" }, 'errorMessage must not be the header of retryCount, not "x-retry-count"'],
      [{ errorMessage: "x-error-type" }, 'errorMessage must not be the header of errorType, not "x-error-type"'],
      [{ topic: "x-event-id" }, 'topic must not be the header of event id, not "x-event-id"'],
      [
        { topic: "where", offset: "where" },
        'topic must not be the header of offset, not "where"',
        'offset must not be the header of topic, not "where"'
      ]
    ]
    for (const [headers, ...expected] of issues) {
      assert.deepStrictEqual(DeadLetters.checkHeaders(headers).map(Environment.describe), expected)
    }
  })
})
