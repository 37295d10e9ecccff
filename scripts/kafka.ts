/**
 * `npm run kafka`: a real broker to develop against, until SIGINT or SIGTERM.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Broker from "./kafka/broker.js"
import { kafkaVersion } from "./kafka/distribution.js"

Effect.gen(function* () {
  yield* Effect.log(`Starting Apache Kafka ${kafkaVersion}`)
  const broker = yield* Broker.make()
  yield* Effect.log(`Ready: KAFKA_BROKERS=${broker.bootstrap} npm start`)
  console.log(broker.bootstrap)
  return yield* Effect.never
}).pipe(Effect.scoped, NodeRuntime.runMain)
