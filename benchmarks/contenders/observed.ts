/** Spillway without telemetry, with metrics, with health and log lines too, or with traces as well. */
import * as NodeFs from "node:fs"
import { KafkaConsumer, KafkaJsWire, KafkaProducer } from "@spillway/kafka"
import * as HealthServer from "@spillway/observability/HealthServer"
import * as Telemetry from "@spillway/observability/Telemetry"
import { Codec, DeadLetter, TransportMetrics } from "@spillway/transport"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { count, finish, measured, task } from "./measure.js"

const { endpoint, variant } = task.observed!

const nowhere = NodeFs.openSync("/dev/null", "w")

const logger = Logger.map(Logger.jsonLogger, (line) => void NodeFs.writeSync(nowhere, `${line}\n`))

const isWatched = variant === "watched" || variant === "on"

const observed = Layer.mergeAll(
  variant === "off" ? Layer.empty : TransportMetrics.layer({ service: "benchmark" }),
  isWatched ? HealthServer.layer({ host: "127.0.0.1", port: 0 }) : Layer.empty,
  isWatched ? Logger.replace(Logger.defaultLogger, logger) : Logger.remove(Logger.defaultLogger),
  variant === "on" ? Telemetry.layer({ serviceName: "benchmark", endpoint }) : Layer.empty
)

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
  Effect.provide(observed),
  Effect.runPromise
)

await finish(() => Promise.resolve())
