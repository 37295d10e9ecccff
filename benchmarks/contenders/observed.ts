/** Spillway with nothing observed, with metrics, or with metrics, traces and log lines. */
import * as NodeFs from "node:fs"
import { KafkaConsumer, KafkaJsWire, KafkaProducer } from "@spillway/kafka"
import { Telemetry } from "@spillway/observability"
import { Codec, DeadLetter, TransportMetrics } from "@spillway/transport"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { count, finish, measured, task } from "./measure.js"

const { endpoint, variant } = task.observed!

const nowhere = NodeFs.openSync("/dev/null", "w")

const logger = Logger.map(Logger.jsonLogger, (line) => void NodeFs.writeSync(nowhere, `${line}\n`))

const metrics = variant === "off" ? Layer.empty : TransportMetrics.layer({ service: "benchmark" })

const rest =
  variant === "on"
    ? Layer.merge(Telemetry.layer({ serviceName: "benchmark", endpoint }), Logger.replace(Logger.defaultLogger, logger))
    : Logger.remove(Logger.defaultLogger)

const consumer = KafkaConsumer.run(
  {
    groupId: task.groupId,
    topics: [task.topic],
    value: Codec.bytes,
    handler: ({ value }) => Effect.sync(() => count(value)),
    deadLetter: DeadLetter.topic()
  },
  Effect.promise(() => measured)
)

await consumer.pipe(
  Effect.provide(KafkaProducer.layer()),
  Effect.provide(KafkaJsWire.layer({ brokers: task.brokers })),
  Effect.provide(Layer.merge(metrics, rest)),
  Effect.runPromise
)

await finish(() => Promise.resolve())
