import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Chaos from "../../chaos/run.js"
import { describeOwnKafka } from "../../kafka/testing.js"

describeOwnKafka("Chaos", () => {
  it.live(
    "loses no acknowledged record, writes none twice, and repeats none without a reason",
    () =>
      Effect.gen(function* () {
        const story: Array<string> = []
        const options = { seed: 119, milliseconds: 15_000, recordsPerSecond: 200 }
        const report = yield* Chaos.run({ ...options, onEvent: (line) => void story.push(line) })
        assert.isTrue(Chaos.isGood(report), `${story.join("\n")}\n${JSON.stringify(report)}`)
        assert.strictEqual(report.refused, 0)
        assert.isAbove(report.acknowledged, 1_000)
        assert.isAbove(report.deadLettered, 0)
        assert.isAbove(report.faults["brokerKilled"]!, 0)
        assert.isAbove(report.faults["memberKilled"]!, 0)
        assert.isAbove(report.faults["joinsHalfOpened"]!, 0)
        console.info(JSON.stringify(report))
      }).pipe(Effect.provide(Logger.remove(Logger.defaultLogger))),
    300_000
  )
})
