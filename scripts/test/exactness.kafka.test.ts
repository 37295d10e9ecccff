import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Exactness from "../exactness/run.js"
import { describeOwnKafka } from "../kafka/testing.js"

describeOwnKafka("An idempotent producer on three brokers", () => {
  it.live(
    "writes each key's records once and in order, when connections, answers and leaders are lost",
    () =>
      Effect.gen(function* () {
        const story: Array<string> = []
        const options = { seed: 2, records: 30_000, killEveryMs: 1_000 }
        const report = yield* Exactness.run({ ...options, onEvent: (line) => void story.push(line) })
        assert.isTrue(Exactness.isGood(report), `${story.join("\n")}\n${JSON.stringify(report)}`)
        assert.isAbove(report.brokersKilled, 0)
        assert.isAbove(report.faults["Disconnect"] ?? 0, 0)
        assert.isAbove(report.faults["LoseResponse"] ?? 0, 0)
        console.info(JSON.stringify(report))
      }).pipe(Logger.withMinimumLogLevel(LogLevel.None)),
    300_000
  )
})
