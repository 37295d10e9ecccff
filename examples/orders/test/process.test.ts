import { afterEach, assert, describe, it } from "@effect/vitest"
import { committed, everyKind, nextLongWait, type Program, start } from "./program.js"

const metricNames = [
  "messages_received_total",
  "messages_processed_total",
  "message_processing_duration_seconds",
  "retry_attempts_total",
  "messages_sent_total",
  "message_publish_duration_seconds",
  "dlq_messages_total",
  "active_consumers",
  "active_producers",
  "uptime_seconds"
]

let program: Program

afterEach(() => program.dispose())

describe("npm start, in memory", () => {
  it("shows every kind of order, serves all metrics, and stops at once while waiting for a retry", async () => {
    program = start()
    await everyKind(program)
    // A declined card is expected: its stack trace would only distract.
    const failed = program.log.find(({ message }) => message?.startsWith("Handling failed permanently"))
    assert.deepInclude(failed, { level: "ERROR", errorType: "CardDeclined" })
    assert.notProperty(failed, "cause")

    const { body, contentType } = await program.metrics()
    assert.strictEqual(contentType, "text/plain; version=0.0.4; charset=utf-8")
    for (const name of metricNames) assert.match(body, new RegExp(`^# TYPE example_service_${name} `, "m"))
    const value = (series: string) =>
      Number(
        body
          .split("\n")
          .find((line) => line.startsWith(`example_service_${series} `))
          ?.split(" ")
          .at(-1)
      )
    const payments = 'group="payments"'
    assert.isAtLeast(value(`messages_processed_total{${payments},status="success",topic="orders"}`), 3)
    assert.isAtLeast(value(`messages_processed_total{${payments},status="error",topic="orders"}`), 1)
    assert.isAtLeast(value(`retry_attempts_total{${payments},topic="orders"}`), 3)
    assert.isAtLeast(value(`dlq_messages_total{${payments},topic="orders"}`), 1)
    assert.isAtLeast(value('messages_sent_total{topic="orders-dlq"}'), 1)
    assert.strictEqual(value("active_consumers"), 2)
    assert.strictEqual(value("active_producers"), 1)

    assert.deepStrictEqual(await program.health(), { status: 200, ready: 200 })

    const waiting = await nextLongWait(program)
    const { code, millis } = await program.terminate()
    assert.strictEqual(code, 0)
    assert.isBelow(millis, 2000)
    const stopped = program.log.filter(({ message }) => message === "Consumer stopped")
    assert.sameMembers(
      stopped.map(({ groupId }) => groupId),
      ["payments", "attention"]
    )
    for (const field of ["handled", "retried", "deadLettered", "discarded"]) {
      assert.match(stopped[0]![field]!, /^\d+$/)
    }
    assert.strictEqual(committed(program).get(`orders-${waiting["partition"]}`), Number(waiting["offset"]))
  })
})
