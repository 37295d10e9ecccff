import { readdirSync, readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"

/** The places that may read the wall clock, and why: for a moment that others see, never to measure a duration. */
const allowed: Readonly<Record<string, string>> = {
  "kafka/src/internal/producer/intake.ts": "the timestamps of records",
  "kafka/src/internal/transaction/consumer.ts": "the timestamps of records",
  "memory/src/internal/timers.ts": "the timestamps of records",
  "memory/src/internal/virtualTime.ts": "a clock",
  "transport/src/EventPublisher.ts": "the time of an event",
  "transport/src/internal/scheduleCursor.ts": "the start of a schedule, which may be of the calendar",
  "transport/src/internal/uuid.ts": "ids in the order of their time",
  "transport/src/runtime/Processor.ts": "when a record failed, in its dead letter"
}

const wallClock =
  /currentTimeMillis|Date\.now|new Date\(\)|DateTime\.(now|unsafeNow)|Effect\.timed|performance\.timeOrigin/i

const packages = new URL("../../packages/", import.meta.url)

const reading = readdirSync(packages)
  .flatMap((name) =>
    readdirSync(new URL(`${name}/src/`, packages), { recursive: true, encoding: "utf8" }).map(
      (file) => `${name}/src/${file.replaceAll("\\", "/")}`
    )
  )
  .filter((file) => file.endsWith(".ts") && wallClock.test(readFileSync(new URL(file, packages), "utf8")))
  .sort()

describe("the sources", () => {
  it("read the wall clock only for moments that others see: durations are measured by the monotonic clock", () => {
    assert.deepStrictEqual(reading, Object.keys(allowed))
  })
})
