import { spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import { assert, it } from "@effect/vitest"
import * as KafkaAdmin from "@spillway/kafka/KafkaAdmin"
import * as KafkaJsWire from "@spillway/kafka/KafkaJsWire"
import * as KafkaProducer from "@spillway/kafka/KafkaProducer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { describeKafka } from "../../../scripts/kafka/testing.js"
import { place } from "../src/publishing.js"

describeKafka("The program of the README", (brokers) => {
  it.live("runs on Kafka, and drains on SIGTERM", () =>
    Effect.gen(function* () {
      yield* KafkaAdmin.once((admin) =>
        admin.ensureTopics(["orders", "orders-dlq"].map((topic) => ({ topic, partitions: 3 })))
      )
      yield* place({ id: "a", amount: 10 })
      assert.include(yield* Effect.promise(run), "Consumer stopped")
    }).pipe(
      Effect.provide(Layer.provideMerge(KafkaProducer.layer(), KafkaJsWire.layer({ brokers: brokers.split(",") })))
    )
  )

  const run = async (): Promise<string> => {
    const program = fileURLToPath(new URL("../src/program.ts", import.meta.url))
    const child = spawn(process.execPath, ["--conditions=@spillway/source", "--import", "tsx", program], {
      env: { ...process.env, KAFKA_BROKERS: brokers, PROMETHEUS_PORT: "0" },
      stdio: ["ignore", "pipe", "pipe"]
    })
    let output = ""
    let stopping = false
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk) => {
        output += String(chunk)
        // Only once: a second signal would kill it during its drain.
        if (stopping || !output.includes("Order charged")) return
        stopping = child.kill("SIGTERM")
      })
    }
    const [code] = await once(child, "close")
    assert.strictEqual(code, 0, output)
    return output
  }
})
