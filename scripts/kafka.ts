/**
 * `npm run kafka [-- --brokers N]` runs a real cluster to develop against, by default of one broker, until SIGINT or
 * SIGTERM.
 */
import { parseArgs } from "node:util"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Broker from "./kafka/broker.js"
import { kafkaVersion } from "./kafka/distribution.js"

const { values } = parseArgs({ options: { brokers: { type: "string", default: "1" } } })
const size = Number(values.brokers)
if (!(Number.isSafeInteger(size) && size >= 1 && size <= 9)) {
  console.error(`--brokers: must be a whole number from 1 to 9, not ${values.brokers}`)
  process.exit(2)
}

Effect.gen(function* () {
  yield* Effect.log(`Starting Apache Kafka ${kafkaVersion}`)
  const brokers = yield* Broker.makeCluster(size)
  const bootstrap = brokers.map((broker) => broker.bootstrap).join()
  yield* Effect.log(`Ready: KAFKA_BROKERS=${bootstrap} npm start`)
  console.log(bootstrap)
  return yield* Effect.never
}).pipe(Effect.scoped, NodeRuntime.runMain)
