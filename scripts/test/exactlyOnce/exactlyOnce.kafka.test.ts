import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as ExactlyOnce from "../../exactlyOnce/run.js"
import { describeKafka } from "../../kafka/testing.js"

describeKafka("A transactional pipeline", (brokers) => {
  it.live(
    "whose process is killed has written each result and dead letter once",
    () =>
      Effect.gen(function* () {
        const story: Array<string> = []
        const report = yield* ExactlyOnce.run({
          brokers: brokers.split(","),
          records: 4_000,
          kills: 2,
          seed: 7,
          onEvent: (line) => void story.push(line)
        })
        assert.isTrue(ExactlyOnce.isExact(report), `${story.join("\n")}\n${JSON.stringify(report)}`)
        assert.deepStrictEqual([report.results, report.deadLetters], [3_960, 40])
        console.info(JSON.stringify(report))
      }).pipe(Effect.provide(Logger.remove(Logger.defaultLogger))),
    120_000
  )
})
